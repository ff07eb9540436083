"""Exercises on infinities, NaN, clipping and formats of 16 bits."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from companion.notebook.checks import Exercise


def unit(x: Tensor) -> Tensor:
    """Return the vectors in the last dimension divided by their lengths, zeros for zeros."""
    largest = x.detach().abs().amax(-1, keepdim=True)
    empty = largest == 0
    x = x / torch.where(empty, 1.0, largest)
    length = torch.where(empty, 1.0, (x**2).sum(-1, keepdim=True)).sqrt()
    return torch.where(empty, 0.0, x / length)


def clip(grads: list[Tensor], max_norm: float) -> list[Tensor]:
    """Return the tensors, shortened by one factor if their common norm is above ``max_norm``."""
    norm = math.sqrt(sum(g.double().square().sum().item() for g in grads))
    if norm <= max_norm:
        return grads
    return [(g.double() * (max_norm / norm)).to(g.dtype) for g in grads]


def spacing(x: float, dtype: torch.dtype) -> float:
    """Return the distance from ``x`` to the next larger number of the format."""
    info = torch.finfo(dtype)
    return max(2.0 ** (math.frexp(x)[1] - 1), info.smallest_normal) * info.eps


def best_scale(grads: list[Tensor]) -> float:
    """Return the largest power of two that leaves all gradients finite in float16."""
    scale = 2.0**-140
    while all((2 * scale * g.double()).half().isfinite().all() for g in grads):
        scale *= 2
    return scale


def _value_and_gradient(answer: object, arguments: tuple) -> object:
    """See the answer, and the gradient of one number made from it."""
    x = arguments[0]
    if not isinstance(answer, Tensor) or answer.shape != x.shape:
        return {"the vectors": answer, "the gradient": answer}
    weights = torch.linspace(-1, 1, x.numel()).view(x.shape)
    largest = x.detach().abs().max()
    largest = torch.where(largest == 0, 1.0, largest)  # the gradient goes as 1 / length
    if not answer.requires_grad:
        gradient = torch.full_like(x, math.nan)
    else:
        (gradient,) = torch.autograd.grad((answer * weights).sum(), x)
    return {"the vectors": answer, "the gradient": gradient * largest}


def _kinds_and_values(answer: object, arguments: tuple) -> object:
    """See each tensor's dtype and values."""
    if not isinstance(answer, list | tuple) or not all(isinstance(a, Tensor) for a in answer):
        return answer
    return [{"dtype": str(a.dtype), "values": a.detach()} for a in answer]


def _vectors() -> Iterator[tuple[Tensor]]:
    generator = torch.Generator().manual_seed(1)
    for values in (
        [3.0, 4.0],
        [[0.0, 0.0, 0.0], [1.0, -2.0, 2.0]],
        [3e30, 4e30],
        [3e-30, 4e-30],
        [[0.0], [-7.0]],
    ):
        yield (torch.tensor(values, requires_grad=True),)
    many = torch.randn(2, 3, 4, generator=generator)
    many[1, 1] = 0
    yield (many.requires_grad_(),)


def _lists() -> Iterator[tuple[list[Tensor], float]]:
    generator = torch.Generator().manual_seed(2)
    yield [torch.tensor([3.0, 4.0]), torch.tensor(12.0)], 1.0
    yield [torch.tensor([3.0, 4.0]), torch.tensor(12.0)], 20.0
    yield [torch.tensor([300.0, 400.0]).half()], 50.0
    yield [torch.tensor([3e30, 4e30])], 1.0
    yield [], 1.0
    yield [torch.tensor([0.3]).half(), torch.randn(2, 3, generator=generator)], 0.5
    yield [torch.zeros(3), torch.zeros(2, 2)], 1.0


def _numbers() -> Iterator[tuple[float, torch.dtype]]:
    yield 1.5, torch.float16
    yield 1.0, torch.bfloat16
    yield 2.0**-20, torch.float16  # subnormal
    yield 3 * 2.0**-24, torch.float16
    yield 65504.0, torch.float16
    yield 0.99609375, torch.bfloat16
    yield 1023.5, torch.float32
    yield 2.0**-149, torch.float32
    yield 2.0**-126, torch.bfloat16


def _gradients() -> Iterator[tuple[list[Tensor]]]:
    generator = torch.Generator().manual_seed(3)
    yield ([torch.tensor([1e-3, -2e-8]), torch.tensor([[5e-5]])],)
    yield ([torch.tensor([1.0])],)
    yield ([torch.tensor([65519.0])],)
    yield ([torch.tensor([-65520.0]), torch.zeros(2)],)
    yield ([torch.tensor([3e9, 0.0])],)
    yield ([torch.tensor([1e-30]), torch.zeros(0)],)
    yield ([1e-6 * torch.randn(5, generator=generator) for _ in range(3)],)


EXERCISES = {
    "unit": Exercise(unit, _vectors, observe=_value_and_gradient),
    "clip": Exercise(clip, _lists, observe=_kinds_and_values, rtol=2e-3),
    "spacing": Exercise(spacing, _numbers, rtol=1e-6, atol=0.0),
    "best_scale": Exercise(best_scale, _gradients, rtol=1e-6, atol=0.0),
}
