"""Check a reader's solution of an exercise against the companion, on many inputs.

``check("activations.relu", my_relu)`` never raises: it says that all is right, or shows the first
input on which the answer differs. The exercises of a subject are in
``companion/notebook/exercises/<subject>.py``. ``fails`` shows that a line raises, and how.
"""

import contextlib
import copy
import importlib
import inspect
import numbers
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch

from companion.notebook import exercises


@dataclass(frozen=True)
class Exercise:
    """What a solution must equal, and on what.

    Attributes:
        reference: the companion's function.
        inputs: makes the argument tuples to try, edge cases first.
        observe: turns an answer, and the arguments after the call, into what is compared, for
            exercises where the answer's value is not all that counts.
        rtol: the relative tolerance for floating-point numbers.
        atol: the absolute tolerance.
    """

    reference: Callable
    inputs: Callable[[], Iterable[tuple]]
    observe: Callable[[object, tuple], object] | None = None
    rtol: float = 1e-4
    atol: float = 1e-6


class Verdict:
    """The outcome of a check: true if the solution is right; its text has been printed."""

    def __init__(self, right: bool, text: str) -> None:
        self.right, self.text = right, text

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return self.text

    def _ipython_display_(self) -> None:
        """Show nothing: the text is already on the page when a cell ends with the check."""


def check(name: str, solution: Callable) -> Verdict:
    """Compare ``solution`` with the companion's function of that name, and print the verdict.

    Args:
        name: the exercise, ``"subject.function"``.
        solution: the reader's function. One that returns ``None`` or raises
            ``NotImplementedError`` counts as not filled in yet.

    Returns:
        A verdict that is true if the solution is right on every input.

    Example:
        >>> verdict = check("tensors.snapshot", lambda w: w.detach().clone())
        tensors.snapshot: right, on all 3 inputs.
    """
    verdict = _judge(name, solution)
    print(verdict.text)
    return verdict


@contextlib.contextmanager
def fails(error: type[Exception]) -> Iterator[None]:
    """Show that a block of code raises ``error``, and go on.

    Raises:
        AssertionError: if the block does not raise.

    Example:
        >>> with fails(ZeroDivisionError):
        ...     1 / 0
        ZeroDivisionError: division by zero
    """
    try:
        yield
    except error as caught:
        first = re.split(r"(?<=[.?!]) |\n", str(caught), maxsplit=1)[0]
        print("\n".join(textwrap.wrap(f"{type(caught).__name__}: {first}", 77)))
    else:
        raise AssertionError(f"expected {error.__name__}, but nothing was raised")


def exercise_names() -> list[str]:
    """List every exercise there is, as ``subject.function``."""
    subjects = sorted(module.name for module in pkgutil.iter_modules(exercises.__path__))
    return [f"{s}.{name}" for s in subjects for name in _subject(s)]


def _subject(subject: str) -> dict[str, Exercise]:
    return importlib.import_module(f"{exercises.__name__}.{subject}").EXERCISES


def _find(name: str) -> Exercise | None:
    if name not in exercise_names():
        return None
    subject, function = name.split(".")
    return _subject(subject)[function]


def _judge(name: str, solution: Callable) -> Verdict:
    exercise = _find(name)
    if exercise is None:
        known = "\n  ".join(exercise_names())
        return Verdict(False, f"There is no exercise {name!r}. There are:\n  {known}")
    if not callable(solution):
        return Verdict(False, f"{name}: pass the function itself, got {solution!r}")
    names = list(inspect.signature(exercise.reference).parameters)
    count = 0
    for arguments in exercise.inputs():
        observe = exercise.observe or (lambda answer, _: answer)
        theirs = copy.deepcopy(arguments)
        expected = observe(exercise.reference(*theirs), theirs)
        shown = ", ".join(f"{n} = {_text(a)}" for n, a in zip(names, arguments, strict=False))
        shown = f" For {shown}" if arguments else ""
        mine = copy.deepcopy(arguments)
        try:
            answer = solution(*mine)
            changed = _changed(mine, arguments)
            answer = None if answer is None else observe(answer, mine)
        except NotImplementedError:
            answer, changed = None, ""
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            return Verdict(False, f"{name}: not right yet.{shown}\n  yours raises {what}")
        if answer is None and expected is not None and count == 0:
            return Verdict(False, f"{name}: not filled in yet.")
        problem = _difference(answer, expected, exercise) or changed
        if problem:
            return Verdict(False, f"{name}: not right yet.{shown}\n  {problem}")
        count += 1
    on_all = f", on all {count} inputs" if count > 1 else ""
    return Verdict(True, f"{name}: right{on_all}.")


def _difference(answer: object, expected: object, exercise: Exercise) -> str:
    """Say how ``answer`` differs from ``expected``; empty if it does not."""
    pair = f"yours gives {_text(answer)}\n  it should be {_text(expected)}"
    if isinstance(expected, dict):
        if not isinstance(answer, dict):
            return pair
        for key in expected:
            problem = _difference(answer.get(key), expected[key], exercise)
            if problem:
                return f"{key}: {problem}"
        return ""
    if isinstance(expected, tuple | list):
        if not isinstance(answer, tuple | list) or len(answer) != len(expected):
            return pair
        problems = (_difference(a, e, exercise) for a, e in zip(answer, expected, strict=True))
        return next((problem for problem in problems if problem), "")
    if isinstance(expected, str | bool) or not isinstance(expected, torch.Tensor | int | float):
        return "" if type(answer) is type(expected) and answer == expected else pair
    if not isinstance(answer, torch.Tensor | numbers.Real):
        return pair
    answer, expected = torch.as_tensor(answer).detach(), torch.as_tensor(expected).detach()
    if answer.shape != expected.shape:
        return f"yours has the shape {tuple(answer.shape)}, it should be {tuple(expected.shape)}"
    close = torch.allclose(
        answer.double(), expected.double(), exercise.rtol, exercise.atol, equal_nan=True
    )
    return "" if close else pair


def _changed(after: object, before: object) -> str:
    """Say how the arguments differ from what they were before the call; empty if they do not."""
    if isinstance(before, tuple | list):
        if len(after) != len(before):
            return "yours changes its argument in place"
        problems = (_changed(new, old) for new, old in zip(after, before, strict=True))
        return next((problem for problem in problems if problem), "")
    if not isinstance(before, torch.Tensor):
        return ""
    if not torch.equal(after.detach().nan_to_num(), before.detach().nan_to_num()):
        return "yours changes its argument in place"
    if after.requires_grad != before.requires_grad:
        return f"yours leaves its argument with requires_grad={after.requires_grad}"
    if after.grad is not None and before.grad is None:
        return "yours leaves a gradient in its argument"
    return ""


def _text(value: object) -> str:
    if callable(value) and hasattr(value, "__name__"):
        return value.__name__  # its repr holds an address
    text = repr(value.detach() if isinstance(value, torch.Tensor) else value)
    text = " ".join(text.split())
    return text if len(text) <= 300 else text[:300] + " ..."
