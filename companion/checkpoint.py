"""Save the state of a training so that a crash loses nothing, and load it without running code.

A checkpoint is whatever is needed to go on later: the weights of a model, the state of its
optimizer, the number of the step, in dictionaries and lists. The file is ``torch.save``'s own, and
``torch.load`` reads it. Two things are added. The old file stays whole until the new one is, even
if the power fails in between. And what comes back is data and nothing else: a file that wants to
call functions is refused, as is one that is cut short or damaged.
"""

import functools
import io
import os
import pickle
import re
import secrets
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

_DATA = "tensors, numbers, strings, lists, tuples and dictionaries"


def _explain_saving(save: Callable) -> Callable:
    """Say what was expected where saving fails."""

    @functools.wraps(save)
    def explained(obj: object, f: str | os.PathLike) -> None:
        _check_path(f)
        folder = Path(f).resolve().parent
        if not folder.is_dir():
            raise FileNotFoundError(f"expected the folder {folder}, found none: make it first")
        try:
            save(obj, f)
        except MemoryError:
            raise
        except Exception as error:
            # torch reports a full disk in other words; what happened is the error's context.
            cause = error if isinstance(error, OSError) else error.__context__
            if isinstance(cause, OSError):
                message = f"cannot save {f}: {cause.strerror or cause}"
                raise OSError(*filter(None, (cause.errno, message))) from error
            found = _culprit(obj)
            if found is None:
                raise
            raise TypeError(f"expected {_DATA}, got {found}: not saved") from error

    return explained


def _explain_loading(load: Callable) -> Callable:
    """Say what was expected where loading fails."""

    @functools.wraps(load)
    def explained(f: str | os.PathLike, map_location: Any = "cpu") -> Any:
        _check_path(f)
        try:
            return load(f, map_location)
        except FileNotFoundError as error:
            message = f"expected a checkpoint at {f}, found none: save_checkpoint(obj, f) makes one"
            raise FileNotFoundError(message) from error
        except (PermissionError, MemoryError):
            raise
        except Exception as error:
            named = re.search(r"GLOBAL (\S+)", str(error))
            if isinstance(error, pickle.UnpicklingError) and named:
                raise ValueError(
                    f"expected {_DATA}, but {f} names {named[1]}, which loading would call: refused"
                ) from error
            if map_location != "cpu":  # is it the file, or the place where it should go?
                explained(f)
                raise
            reason = str(error).split("WeightsUnpickler error: ")[-1] or type(error).__name__
            raise ValueError(
                f"expected a checkpoint, but {f} is cut short, damaged or something else: "
                + reason.splitlines()[0]
            ) from error

    return explained


@_explain_loading
def load_checkpoint(f: str | os.PathLike, map_location: Any = "cpu") -> Any:
    """Load what :func:`save_checkpoint` or ``torch.save`` wrote, without running code.

    Unlike ``torch.load`` it looks at the checksums in the file, so that a flipped bit is noticed.
    What is refused is what ``torch.load(..., weights_only=True)`` refuses; holes in that guard were
    closed in torch 2.6 and 2.10.

    Args:
        f: the path of the file.
        map_location: where the tensors go, as in ``torch.load``; on the CPU unless told, so that
            what was saved on a GPU can be loaded anywhere.

    Returns:
        What was saved: tensors, numbers, strings, lists, tuples, dictionaries.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is cut short, damaged or no checkpoint, or if it names functions or
            classes that loading would have to call. Formats older than torch 1.6's count as no
            checkpoint.
        TypeError: if ``f`` is no path.
        IsADirectoryError: if ``f`` is a folder.

    Note:
        After ``torch.serialization.set_crc32_options(False)`` torch writes files without checksums.
        These count as damaged, and :func:`save_checkpoint` saves nothing.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/last.pt"
        >>> save_checkpoint({"step": 3, "weights": torch.ones(2)}, path)
        >>> load_checkpoint(path)
        {'step': 3, 'weights': tensor([1., 1.])}
    """
    with open(f, "rb") as file:
        damaged = zipfile.ZipFile(file).testzip()  # torch.load does not look
        if damaged is not None:
            raise ValueError(f"{damaged} is not what was saved")
        file.seek(0)
        return torch.load(file, map_location, weights_only=True)


@_explain_saving
def save_checkpoint(obj: object, f: str | os.PathLike) -> None:
    """Save ``obj`` so that there is a whole file at every moment: the old one or the new one.

    It is written to a second file in the same folder, loaded from there as a test, and then takes
    the old one's place in one stroke. (The test needs the memory of a second copy.) The new
    file has the old one's rights of reading and writing.

    Args:
        obj: tensors, numbers, strings, lists, tuples and dictionaries, such as state dicts.
        f: the path of the file; an old one is replaced.

    Raises:
        TypeError: if ``obj`` holds something else, which is named, or if ``f`` is no path. The old
            file, if any, is left as it was, here and in all other cases.
        FileNotFoundError: if the folder does not exist.
        IsADirectoryError: if ``f`` is a folder.
        ValueError: if ``f`` is something else that is no file, such as ``/dev/null``.
        OSError: if the file cannot be written, such as ``PermissionError`` in a read-only folder.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/last.pt"
        >>> save_checkpoint({"loss": torch.nn.MSELoss}, path)
        Traceback (most recent call last):
            ...
        TypeError: expected tensors, ... and dictionaries, got obj['loss'], a type: not saved

    Reference:
        Pillai et al., "All File Systems Are Not Created Equal: On the Complexity of Crafting
        Crash-Consistent Applications" (2014), on replacing a file by renaming another.
    """
    path = Path(f).resolve()
    draft = path.with_name(f"{path.name[:50]}.{secrets.token_hex(4)}.tmp")
    try:
        with open(draft, "xb") as file:
            if path.exists():
                shutil.copymode(path, draft)
            torch.save(obj, file)
            file.flush()
            os.fsync(file.fileno())  # on the disk, not only on its way
        load_checkpoint(draft)  # will it come back?
        os.replace(draft, path)  # in one stroke
    finally:
        draft.unlink(missing_ok=True)


def _check_path(f: object) -> None:
    if not isinstance(f, str | os.PathLike):
        raise TypeError(f"f must be a path, got {type(f).__name__}")
    if Path(f).is_dir():
        raise IsADirectoryError(f"f must be a file, got the folder {f}")
    if Path(f).exists() and not Path(f).is_file():  # a device, which is not to be replaced
        raise ValueError(f"f must be a file, got {f}")


def _culprit(value: object, name: str = "obj", seen: set[int] | None = None) -> str | None:
    """Name the innermost part of ``value`` that would not come back; None if all does.

    ``seen`` holds the ``id`` of each whole that is being looked at: a list may hold itself.
    """
    try:
        file = io.BytesIO()
        torch.save(value, file)
        file.seek(0)
        torch.load(file, weights_only=True)
    except Exception:
        parts = {}
        if isinstance(value, dict):
            parts = {f"{name}[{key!r}]": part for key, part in value.items()}
        elif isinstance(value, list | tuple):
            parts = {f"{name}[{i}]": part for i, part in enumerate(value)}
        top, seen = seen is None, seen or set()
        seen.add(id(value))
        new = {part_name: part for part_name, part in parts.items() if id(part) not in seen}
        inner = (_culprit(part, part_name, seen) for part_name, part in new.items())
        whole = f"{name}, a {type(value).__module__}.{type(value).__qualname__}"
        # Where a part leads back to a whole, that whole goes on looking.
        last = whole.replace("builtins.", "") if top or len(new) == len(parts) else None
        return next(filter(None, inner), last)
    return None
