"""Exercises on transfer learning: what fits, what is frozen, what is kept near."""

import torch
from torch import Tensor

from companion.notebook.checks import Exercise


def misfits(
    ours: dict[str, tuple[int, ...]], theirs: dict[str, tuple[int, ...]]
) -> tuple[list[str], list[str], list[str]]:
    """Return the names that are missing, that are too many, and whose shapes differ."""
    if all(name.startswith("module.") for name in theirs):
        theirs = {name.removeprefix("module."): shape for name, shape in theirs.items()}
    missing = sorted(ours.keys() - theirs.keys())
    unexpected = sorted(theirs.keys() - ours.keys())
    return missing, unexpected, sorted(n for n in ours if n in theirs and ours[n] != theirs[n])


def nearest_mean(features: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    """Return for each query the class whose mean is nearest."""
    classes = labels.unique()
    means = torch.stack([features[labels == c].mean(0) for c in classes])
    return classes[torch.cdist(queries, means).argmin(1)]


def fold(
    weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, gamma: Tensor, beta: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the convolution that does a frozen batch norm's work, too."""
    scale = gamma / (var + eps).sqrt()
    return weight * scale[:, None, None, None], (bias - mean) * scale + beta


def pull_back(
    parameters: dict[str, Tensor], start: dict[str, Tensor], weight_decay: float
) -> Tensor:
    """Return the penalty on the distance from the start; for new parameters, from zero."""
    total = torch.zeros(())
    for name, w in parameters.items():
        total = total + (w - start.get(name, torch.zeros_like(w))).square().sum()
    return weight_decay / 2 * total


def _observe_lists(answer: object, arguments: tuple) -> object:
    """See three collections of names as sorted lists; leave what is none."""
    if isinstance(answer, tuple | list) and len(answer) == 3:
        try:
            return tuple(sorted(names) for names in answer)
        except TypeError:
            return answer
    return answer


def _observe_pair(answer: object, arguments: tuple) -> object:
    return tuple(answer) if isinstance(answer, list) else answer


def _observe_classes(answer: object, arguments: tuple) -> object:
    """See a list of classes as a tensor."""
    if isinstance(answer, tuple | list):
        try:
            return torch.tensor([int(value) for value in answer])
        except (TypeError, ValueError, RuntimeError):
            return answer
    return answer


def _shapes():
    yield {"w": (2, 3)}, {"w": (2, 3)}
    yield {"a.w": (2, 3), "a.b": (2,)}, {"module.a.w": (2, 3), "module.a.b": (2,)}
    yield {"body.w": (8, 1, 3, 3), "head.w": (4, 8)}, {"body.w": (8, 1, 3, 3), "head.w": (6, 8)}
    yield (
        {"z": (1,), "b": (3, 2), "a": (6,), "new": (), "last": (4, 4)},
        {"b": (2, 3), "a": (2, 3), "old": (), "z": (1,), "last": (4, 4)},
    )
    yield {}, {"w": (1,)}
    yield {"w": (1,), "b": (2,)}, {"module.w": (1,), "module.c": (2,)}  # saved from inside
    yield {"module.w": (1,)}, {"module.w": (1,), "w": (1,)}  # one name without the prefix
    yield {"module.w": (1,)}, {"module.module.w": (3,)}  # taken off once


def _points():
    yield torch.tensor([[0.0], [4.0]]), torch.tensor([7, 3]), torch.tensor([[1.0], [3.0]])
    yield (
        torch.tensor([[0.0, 0.0], [0.0, 10.0], [3.0, 0.0]]),  # the nearest point misleads
        torch.tensor([5, 5, 1]),
        torch.tensor([[1.0, 0.0], [0.0, 6.0], [4.4, -6.0]]),
    )
    yield (
        torch.tensor([[0.0], [1.0], [2.0], [9.0], [10.0]]),  # unequal numbers of labels
        torch.tensor([2, 2, 2, 0, 2]),
        torch.tensor([[4.0], [7.0]]),
    )
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(20, 6, generator=generator)
    yield features, torch.arange(20) % 4, torch.randn(9, 6, generator=generator)


def _convolutions():
    one = torch.ones(1)
    yield torch.ones(1, 1, 1, 1), 0 * one, 2 * one, 4 * one, one, 0 * one, 0.0
    yield torch.ones(1, 1, 1, 1), 3 * one, 2 * one, 0 * one, one, 5 * one, 0.25
    generator = torch.Generator().manual_seed(2)
    for o, i, k in ((3, 3, 3), (5, 2, 1)):
        columns = [torch.randn(o, generator=generator) for _ in range(5)]
        columns[2] = columns[2].abs()
        yield torch.randn(o, i, k, k, generator=generator), *columns, 1e-5


def _parameters():
    yield {"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([1.0, 2.0])}, 0.5
    yield {"w": torch.tensor([3.0]), "head": torch.tensor([2.0])}, {"w": torch.tensor([1.0])}, 1.0
    yield {"w": torch.tensor([3.0])}, {"w": torch.tensor([1.0]), "old": torch.tensor([5.0])}, 0.1
    generator = torch.Generator().manual_seed(3)
    names = {"a": (2, 3), "b": (3,), "head": (4, 3)}
    draws = [{n: torch.randn(s, generator=generator) for n, s in names.items()} for _ in range(2)]
    del draws[1]["head"]
    yield *draws, 0.3


EXERCISES = {
    "misfits": Exercise(misfits, _shapes, observe=_observe_lists),
    "nearest_mean": Exercise(nearest_mean, _points, observe=_observe_classes),
    "fold": Exercise(fold, _convolutions, observe=_observe_pair),
    "pull_back": Exercise(pull_back, _parameters),
}
