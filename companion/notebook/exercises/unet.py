"""Exercises on U-Net."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from companion.notebook.checks import Exercise


def times_painted(size: int, kernel_size: int, stride: int) -> Tensor:
    """Return how many kernels reach each pixel of a transposed convolution in one dimension."""
    ones = torch.ones(1, 1, size), torch.ones(1, 1, kernel_size)
    return F.conv_transpose1d(*ones, stride=stride)[0, 0].long()


def size_after(size: int, depth: int) -> int:
    """Return the output size of the paper's U-Net, 0 if it does not take the image."""
    for _ in range(depth):
        size -= 4
        if size < 2 or size % 2:
            return 0
        size //= 2
    for _ in range(depth):
        size = 2 * (size - 4)
    return max(size - 4, 0)


def tiled(model: Callable, image: Tensor, tile: int, margin: int) -> Tensor:
    """Return what the model says of a whole image, tile by tile."""
    x, side = F.pad(image[None], (margin,) * 4, mode="reflect"), tile + 2 * margin
    height, width = image.shape[1:]
    rows = [
        torch.cat([model(x[..., i : i + side, j : j + side]) for j in range(0, width, tile)], 3)
        for i in range(0, height, tile)
    ]
    return torch.cat(rows, 2)[0]


def best_region(p: Tensor) -> Tensor:
    """Return the set of pixels with the largest 2 Σ_S p / (|S| + Σ p)."""
    values, order = p.flatten().sort(descending=True)
    sizes = torch.arange(1, len(values) + 1)
    count = int((values.cumsum(0) / (sizes + values.sum())).argmax()) + 1
    chosen = torch.zeros(p.numel(), dtype=torch.bool)
    chosen[order[:count]] = True
    return chosen.reshape(p.shape)


def _observe_numbers(answer: object, arguments: tuple) -> object:
    """See numbers in a row, be they a tensor, an array, a list or a tuple; leave what is none."""
    if isinstance(answer, tuple | list | np.ndarray):
        try:
            return torch.stack([torch.as_tensor(value).float() for value in answer])
        except (TypeError, ValueError, RuntimeError):
            return answer
    return answer


def _painted():
    yield from ((3, 2, 2), (1, 4, 3), (4, 3, 2), (5, 5, 1), (3, 1, 3), (6, 4, 2))


def _sizes():
    yield from ((572, 4), (570, 4), (188, 4), (172, 4), (20, 1), (7, 1), (68, 2), (92, 3), (4, 1))


def _model(weight: Tensor, side: int) -> Callable:
    """Make a model that takes images of one size only, and makes them smaller."""

    def model(images: Tensor) -> Tensor:
        if images.shape[1:] != (1, side, side):
            got = tuple(images.shape)
            raise ValueError(f"expected images of the shape (n, 1, {side}, {side}), got {got}")
        return F.conv2d(images, weight).relu()

    return model


def _images():
    generator = torch.Generator().manual_seed(3)
    settings = ((2, 1, (2, 4)), (4, 2, (8, 8)), (3, 2, (9, 6)), (5, 0, (5, 10)))
    for tile, margin, (height, width) in settings:
        side = 2 * margin + 1
        weight = torch.randn(2, 1, side, side, generator=generator)
        image = torch.rand(1, height, width, generator=generator)
        yield _model(weight, tile + 2 * margin), image, tile, margin


def _probabilities():
    generator = torch.Generator().manual_seed(2)
    yield (torch.tensor([0.1, 0.3]),)
    yield (torch.tensor([0.9, 0.2, 0.8, 0.45]),)
    yield (torch.tensor([[0.35, 0.4], [0.02, 0.45]]),)
    yield (torch.tensor([0.6]),)
    for shape in ((40,), (6, 7)):
        yield (torch.rand(shape, generator=generator) ** 2,)


EXERCISES = {
    "times_painted": Exercise(times_painted, _painted, observe=_observe_numbers),
    "size_after": Exercise(size_after, _sizes),
    "tiled": Exercise(tiled, _images),
    "best_region": Exercise(best_region, _probabilities),
}
