"""Exercises on finding things out, and on what is in a checkpoint."""

import collections
import fractions
import inspect
import pickle
import pickletools
import types
from collections.abc import Callable

import torch
from torch import Tensor, nn

from companion.notebook.checks import Exercise


def find_names(thing: object, word: str) -> list[str]:
    """List the public names in ``thing`` that contain ``word``, in capitals or not."""
    return [
        name for name in dir(thing) if not name.startswith("_") and word.lower() in name.lower()
    ]


def required_arguments(f: Callable) -> list[str]:
    """List the arguments without a default, but for ``*`` and ``**``."""
    collecting = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        name
        for name, parameter in inspect.signature(f).parameters.items()
        if parameter.default is inspect.Parameter.empty and parameter.kind not in collecting
    ]


def layer_sizes(state: dict[str, Tensor]) -> list[int]:
    """Read off how many numbers go through a row of linear layers, from the first to the last."""
    matrices = [value for value in state.values() if value.dim() == 2]
    return [matrices[0].shape[1], *(matrix.shape[0] for matrix in matrices)]


def imported_names(pickled: bytes) -> list[str]:
    """List what a pickle imports, without loading it."""
    found = (arg for opcode, arg, _ in pickletools.genops(pickled) if opcode.name == "GLOBAL")
    return sorted({name.replace(" ", ".") for name in found})


class _Named:
    """Something with names of its own, in order to be looked into."""

    relu_ = reLU = leaky_ReLU = _relu = other = None


def _things():
    yield torch.Tensor, "relu"
    yield _Named, "ReLU"
    yield types.SimpleNamespace(sigmoid=1, LogSigmoid=2, tanh=3, _sigmoid=4), "SIGMOID"
    yield "some text", "is"
    yield str, "no such name"
    yield nn.Linear(2, 3), "parameter"
    yield 7, ""


def _nothing():
    return 0


def _mixed(a, b=1, *c, d, e=None, **f):
    return a, b, c, d, e, f


def _only_positional(x, y, /, z=0):
    return x, y, z


def _falsy(a, b=None, c=0, d=""):
    return a, b, c, d


class _Shown:
    """A function that shows its arguments where a verdict names it."""

    def __init__(self, f: Callable) -> None:
        self.f, self.__signature__ = f, inspect.signature(f)

    def __call__(self, *args, **kwargs):
        return self.f(*args, **kwargs)

    def __repr__(self) -> str:
        return f"a function of {self.__signature__}"


def _functions():
    for f in (_nothing, _mixed, _only_positional, _falsy, lambda *args: args):
        yield (_Shown(f),)
    yield from [(nn.Linear,), (torch.optim.Adam,), (nn.functional.cross_entropy,)]


def _networks():
    generator = torch.Generator().manual_seed(1)

    def state(*layers: nn.Module) -> collections.OrderedDict[str, Tensor]:
        made = nn.Sequential(*layers).state_dict()
        for value in made.values():
            value.copy_(torch.rand(value.shape, generator=generator))
        return made

    with torch.random.fork_rng(devices=[]):
        yield (state(nn.Linear(3, 2)),)
        yield (state(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)),)
        yield (state(nn.Linear(5, 4, bias=False), nn.Tanh(), nn.Linear(4, 4), nn.Linear(4, 1)),)
        yield (state(nn.Linear(2, 7), nn.LayerNorm(7), nn.ReLU(), nn.Linear(7, 3)),)
        # Ten layers and more: in the order of the alphabet 10 stands before 2.
        yield (state(*(nn.Linear(n, n + 1) for n in range(1, 13))),)
    yield ({"encoder.weight": torch.zeros(6, 8), "decoder.weight": torch.ones(8, 6)},)


def _sprung(text: str) -> None:
    raise RuntimeError("you have loaded the pickle: this function was in it, and it ran")


class _Trap:
    def __reduce__(self):
        return _sprung, ("what runs when this is loaded",)


def _pickles():
    values = [
        [1, 2.5, "three"],
        _Trap(),
        {"a": collections.OrderedDict(x=1), "b": _Trap()},
        [print, print, len, fractions.Fraction(1, 3)],
        "text that looks like code: cos\nsystem\n(S'echo'\ntR.",
        torch.Size([2, 3]),
    ]
    for value in values:
        yield (pickle.dumps(value, protocol=2),)


def _as_text(answer: object, _: tuple) -> dict[str, str]:
    """Compare lists as wholes, so that a verdict shows all of both."""
    return {"the list": str(answer)}


EXERCISES = {
    "find_names": Exercise(find_names, _things, _as_text),
    "required_arguments": Exercise(required_arguments, _functions, _as_text),
    "layer_sizes": Exercise(layer_sizes, _networks, _as_text),
    "imported_names": Exercise(imported_names, _pickles, _as_text),
}
