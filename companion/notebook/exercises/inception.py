"""Exercises on Inception."""

import torch
from torch import Tensor

from companion.inception import Inception
from companion.notebook.checks import Exercise
from companion.vgg import layer_costs


def most_channels(in_channels: int, out_channels: int, kernel_size: int) -> int:
    """Return the largest number of middle channels that saves multiplications."""
    direct = in_channels * out_channels * kernel_size**2
    through = in_channels + out_channels * kernel_size**2  # for each middle channel
    return (direct - 1) // through


def squeezed(weight: Tensor, m: int) -> tuple[Tensor, Tensor]:
    """Return the 1 by 1 and the large weight that come closest to one kernel."""
    matrix = weight.movedim(1, -1).flatten(0, 2)  # (outputs · height · width, inputs)
    U, S, Vh = torch.linalg.svd(matrix, full_matrices=False)
    large = (U[:, :m] * S[:m]).unflatten(0, (len(weight), *weight.shape[2:]))
    return Vh[:m, :, None, None], large.movedim(-1, 1)


def block_cost(channels: tuple[int, ...], height: int, width: int) -> tuple[int, int]:
    """Return the parameters and the multiplications of an Inception block."""
    with torch.device("meta"):
        block = Inception(*channels)
        costs = layer_costs(block, torch.zeros(1, channels[0], height, width))
    return sum(c.parameters for c in costs), sum(c.multiplications for c in costs)


def says(features: Tensor, weight: Tensor, widths: tuple[int, ...]) -> Tensor:
    """Return how strongly each branch moves the logits, whatever the size of its weights."""
    z = [x @ w.T for x, w in zip(features.split(widths, 1), weight.split(widths, 1), strict=True)]
    return torch.stack([(v - v.mean(0)).square().mean().sqrt() for v in z])


def _observe_pair(answer: object, arguments: tuple) -> object:
    """See the sizes and what the two do together; leave what is no such pair for the verdict."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return answer
    first, second = (torch.as_tensor(w) for w in answer)
    shapes = {"the shapes": [tuple(first.shape), tuple(second.shape)]}
    if first.dim() != 4 or second.dim() != 4 or first.shape[0] != second.shape[1]:
        return shapes
    if first.shape[2:] != (1, 1):
        return shapes
    both = torch.einsum("omuv,mc->ocuv", second.double(), first[:, :, 0, 0].double())
    return shapes | {"the two together": both}


def _layers():
    yield 192, 32, 5
    yield 1, 1, 1
    yield 2, 2, 1
    yield 64, 64, 1
    yield 3, 64, 7
    yield 480, 208, 3
    yield 1, 8, 3
    yield 512, 24, 1


def _kernels():
    generator = torch.Generator().manual_seed(1)
    yield torch.randn(3, 4, 3, 3, generator=generator), 1
    yield torch.randn(2, 6, 1, 1, generator=generator), 2
    yield torch.randn(8, 5, 3, 3, generator=generator), 4
    yield torch.randn(8, 5, 3, 3, generator=generator), 5
    yield torch.randn(4, 7, 5, 3, generator=generator), 3


def _blocks():
    yield (1, 1, 1, 1, 1, 1, 1), 1, 1
    yield (192, 64, 96, 128, 16, 32, 32), 28, 28
    yield (512, 160, 112, 224, 24, 64, 64), 14, 14
    yield (5, 2, 3, 4, 1, 3, 2), 6, 9


def _features():
    generator = torch.Generator().manual_seed(2)
    yield torch.randn(1, 3, generator=generator), torch.randn(2, 3, generator=generator), (1, 2)
    for n, classes, widths in ((6, 2, (1, 1)), (20, 10, (3, 4, 2, 5)), (50, 4, (6,))):
        features = 3 + torch.randn(n, sum(widths), generator=generator)
        yield features, torch.randn(classes, sum(widths), generator=generator), widths
    quiet = torch.randn(9, 4, generator=generator)
    quiet[:, :2] = 7.0  # a branch that says the same of every sample
    yield quiet, torch.randn(3, 4, generator=generator), (2, 2)


EXERCISES = {
    "most_channels": Exercise(most_channels, _layers),
    "squeezed": Exercise(squeezed, _kernels, observe=_observe_pair, atol=1e-4),
    "block_cost": Exercise(block_cost, _blocks),
    "says": Exercise(says, _features, atol=1e-5),
}
