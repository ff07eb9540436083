"""Exercises on residual networks."""

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.notebook.checks import Exercise


def by_length(slopes: Tensor) -> Tensor:
    """Return the sums over all paths with k = 0 … n branches: a polynomial's coefficients."""
    sums = torch.ones(1, dtype=slopes.dtype)
    for slope in slopes:
        sums = F.pad(sums, (0, 1)) + slope * F.pad(sums, (1, 0))
    return sums


def block_backward(g: Tensor, x: Tensor, W1: Tensor, W2: Tensor) -> Tensor:
    """Return the gradient for the input of x + W2 relu(W1 x)."""
    x = x.clone().requires_grad_()
    z = (x @ W1.T).relu() @ W2.T + x
    return torch.autograd.grad(z, x, g)[0]


def absorbed(weight: Tensor) -> Tensor:
    """Return the weight of a convolution that adds its own input."""
    return weight + torch.nn.init.dirac_(torch.empty_like(weight))


def project_backward(g: Tensor, W: Tensor, stride: int, height: int, width: int) -> Tensor:
    """Return the gradient for the input of a 1 by 1 convolution with a stride."""
    shape = len(g), W.shape[1], height, width
    return torch.nn.grad.conv2d_input(shape, W[:, :, None, None], g, stride=stride)


def _slopes():
    yield (torch.tensor([2.0, 3.0]),)
    yield (torch.tensor([]),)
    yield (torch.tensor([-1.0]),)
    yield (torch.tensor([1.0, 1.0, 1.0, 0.0]),)
    yield (torch.tensor([0.5, -2.0, 0.25], dtype=torch.float64),)
    yield (torch.linspace(-0.2, 0.3, 30, dtype=torch.float64),)


def _layers():
    generator = torch.Generator().manual_seed(1)
    one = torch.ones(1, 1)
    yield one, one, -one, 5 * one
    yield one, 0 * one, one, one  # at the corner of ReLU
    for n, d, m in ((3, 2, 2), (4, 3, 6), (2, 5, 1)):
        g, x = torch.randn(2, n, d, generator=generator)
        W1 = torch.randn(m, d, generator=generator)
        yield g, x, W1, torch.randn(d, m, generator=generator)


def _weights():
    generator = torch.Generator().manual_seed(2)
    yield (torch.zeros(1, 1, 1, 1),)
    for c, k in ((2, 3), (1, 3), (3, 1), (4, 5)):
        yield (torch.randn(c, c, k, k, generator=generator),)


def _projections():
    generator = torch.Generator().manual_seed(3)
    yield torch.ones(1, 2, 1, 1), torch.tensor([[3.0], [5.0]]), 2, 2, 1
    for n, c, d, stride, h, w in ((2, 3, 5, 2, 4, 4), (1, 2, 1, 2, 5, 7), (2, 4, 4, 1, 6, 5)):
        g = torch.randn(n, d, -(-h // stride), -(-w // stride), generator=generator)
        yield g, torch.randn(d, c, generator=generator), stride, h, w
    yield torch.randn(3, 2, 3, 3, generator=generator), torch.eye(2), 3, 7, 9


EXERCISES = {
    "by_length": Exercise(by_length, _slopes),
    "block_backward": Exercise(block_backward, _layers, atol=1e-5),
    "absorbed": Exercise(absorbed, _weights),
    "project_backward": Exercise(project_backward, _projections, atol=1e-5),
}
