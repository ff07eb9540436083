"""Where to compute: on the GPU if there is one.

A chapter says ``device = best_device()`` once and then ``.to(device)``, and so runs unchanged on
every machine. The environment variable ``COMPANION_DEVICE`` (``cuda``, ``cuda:1``, ``mps``,
``cpu``) overrules the choice.
"""

import functools
import os
import warnings

import torch


def best_device() -> torch.device:
    """The device to compute on: CUDA, else MPS (Apple's GPU), else the CPU.

    Returns:
        What ``COMPANION_DEVICE`` names, if it is set and there; the CPU, with a warning once per
        name, if it names what is not there.

    Example:
        >>> best_device().type in ("cuda", "mps", "cpu")
        True
    """
    count = {  # in the order of preference
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    wanted = os.environ.get("COMPANION_DEVICE", "").strip()
    if not wanted:
        return torch.device(next(kind for kind in count if count[kind] > 0))
    try:
        device = torch.device(wanted)
    except RuntimeError:  # no such name
        device = None
    if device is None or (device.index or 0) >= count.get(device.type, 0):
        _warn_once(wanted)
        return torch.device("cpu")
    return device


@functools.cache
def _warn_once(wanted: str) -> None:
    warnings.warn(
        f"COMPANION_DEVICE is {wanted!r}, and there is no such device here: using the CPU. "
        "Expected cuda, cuda:<number>, mps or cpu.",
        stacklevel=3,  # the line that called best_device
    )
