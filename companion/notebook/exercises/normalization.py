"""Exercises on initialisation, normalisation and schedules."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.normalization import layer_norm
from companion.notebook.checks import Exercise


def gain(f: Callable[[Tensor], Tensor]) -> float:
    """Return g for which weights of deviation g/√n keep sums of variance 1 through ``f``."""
    z = torch.linspace(-10, 10, 20_001, dtype=torch.float64)
    density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return 1 / math.sqrt(torch.trapezoid(f(z) ** 2 * density, z).item())


def fold(
    W: Tensor, b: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """Return the linear layer that does what (W, b) and a batch norm in evaluation do together."""
    scale = gamma / torch.sqrt(var + eps)
    return scale[:, None] * W, scale * (b - mean) + beta


def group_norm(x: Tensor, groups: int, eps: float) -> Tensor:
    """Normalise each group of channels of each sample, as torch does."""
    return F.group_norm(x, groups, eps=eps)


def layer_norm_backward(g: Tensor, x: Tensor, gamma: Tensor, eps: float) -> Tensor:
    """Return the gradient for the input of layer norm over the last axis."""
    x = x.clone().requires_grad_()
    y = layer_norm(x, (x.shape[-1],), gamma, None, eps)
    return torch.autograd.grad(y, x, g)[0]


def transformer_rate(step: int, width: int, warmup: int) -> float:
    """Return the learning rate of the first Transformer at ``step``, counted from 1."""
    return width**-0.5 * min(step**-0.5, step * warmup**-1.5)


def _activations():
    yield (F.relu,)
    yield (_the_number_itself,)
    yield (torch.tanh,)
    yield (F.gelu,)
    yield (_lifted,)
    yield (_half,)


def _the_number_itself(z: Tensor) -> Tensor:
    return z


def _lifted(z: Tensor) -> Tensor:
    return torch.sigmoid(z) + 1


def _half(z: Tensor) -> Tensor:
    return 0.5 * F.leaky_relu(z, 0.2)


def _folds():
    generator = torch.Generator().manual_seed(1)
    W = torch.tensor([[1.0, 2.0]])
    one, zero = torch.ones(1), torch.zeros(1)
    yield W, 5 * one, 2 * one, 3 * one, 4 * one, 9 * one, 0.0
    yield W, one, -one, zero, zero, zero, 1e-4  # never varied: only eps is left
    for m, n, eps in ((3, 3, 1e-5), (4, 2, 1e-5), (2, 5, 0.5)):
        W, (b, gamma, beta, mean) = (
            torch.randn(m, n, generator=generator),
            torch.randn(4, m, generator=generator),
        )
        yield W, b, gamma, beta, mean, torch.rand(m, generator=generator) + 0.1, eps


def _groups():
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, 6, 4, 3, generator=generator)
    for groups in (2, 1, 6, 3):
        yield 2 * x + 1, groups, 1e-5
    yield x[:1, :4, :2, :2].contiguous(), 2, 0.5
    yield 3 * torch.randn(3, 4, generator=generator), 2, 1e-2
    yield torch.randn(2, 4, 5, generator=generator), 4, 1e-5


def _layer_norms():
    generator = torch.Generator().manual_seed(3)
    ones = torch.ones(4)
    x, g = torch.randn(2, 3, 4, generator=generator)
    yield g, x, ones, 1e-5
    yield ones.expand(1, 4).clone(), x[:1], ones, 1e-5
    for shape, eps in (((3, 4), 1e-5), ((2, 5, 4), 1e-5), ((4,), 0.3)):
        x = 2 * torch.randn(shape, generator=generator) + 1
        g = torch.randn(shape, generator=generator)
        yield g, x, torch.randn(4, generator=generator), eps


def _steps():
    yield from [(1, 64, 10), (10, 64, 10), (11, 64, 10), (1000, 64, 10)]
    yield from [(1, 512, 4000), (4000, 512, 4000), (100_000, 512, 4000), (7, 128, 1)]


EXERCISES = {
    "gain": Exercise(gain, _activations, rtol=1e-2),
    "fold": Exercise(fold, _folds),
    "group_norm": Exercise(group_norm, _groups, atol=1e-5),
    "layer_norm_backward": Exercise(layer_norm_backward, _layer_norms, atol=1e-5),
    "transformer_rate": Exercise(transformer_rate, _steps, atol=1e-9),
}
