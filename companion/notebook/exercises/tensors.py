"""Exercises on tensors and automatic gradients."""

import torch
from torch import Tensor

from companion.notebook.checks import Exercise


def loss_gradient(w: Tensor, x: Tensor, b: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Return the derivatives of (wx + b − t)² with respect to w and b, all of them numbers."""
    with torch.enable_grad():
        w, b = w.detach().requires_grad_(), b.detach().requires_grad_()
        return torch.autograd.grad((w * x + b - t) ** 2, [w, b])


def snapshot(w: Tensor) -> Tensor:
    """Return a copy of ``w`` that shares neither its memory nor its graph."""
    return w.detach().clone()


def minimise(start: float, lr: float, steps: int) -> float:
    """Return where gradient descent on (w − 3)² is after ``steps`` steps of size ``lr``."""
    w = torch.tensor(float(start), requires_grad=True)
    for _ in range(steps):
        w.grad = None
        ((w - 3) ** 2).backward()
        with torch.no_grad():
            w -= lr * w.grad
    return w.item()


def accumulated_gradient(w: Tensor, batches: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the gradient of the sum of all squared errors, one batch at a time."""
    w = w.detach().clone().requires_grad_()
    for x, t in batches:
        ((x @ w - t) ** 2).sum().backward()
    return torch.zeros_like(w) if w.grad is None else w.grad


def _numbers():
    yield tuple(torch.tensor(v) for v in (2.0, 1.0, 0.0, 1.0))
    yield tuple(torch.tensor(v) for v in (0.0, 0.0, 0.0, 0.0))
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        yield tuple(torch.randn(4, generator=generator).mul(3).unbind())


def _weights():
    yield (torch.tensor([1.0, 2.0], requires_grad=True),)
    yield (torch.zeros(0, requires_grad=True),)
    yield (torch.ones(2, 3),)


def _observe_snapshot(copy: Tensor, arguments: tuple) -> dict[str, object]:
    """See what changes when the original is changed afterwards."""
    (w,) = arguments
    with torch.no_grad():
        w.add_(1)
    return {
        "requires_grad": copy.requires_grad,
        "its values after the original was changed by w += 1": copy.detach().clone(),
    }


def _descents():
    yield from [(0.0, 0.1, 0), (0, 0.1, 1), (3.0, 0.5, 4), (-2.0, 0.25, 7), (1.0, 0.9, 20)]


def _batches():
    generator = torch.Generator().manual_seed(2)
    for sizes in ([4], [2, 2], [3, 1], [1, 1, 1], []):
        batches = [
            (torch.randn(n, 2, generator=generator), torch.randn(n, generator=generator))
            for n in sizes
        ]
        yield torch.randn(2, generator=generator), batches


EXERCISES = {
    "loss_gradient": Exercise(loss_gradient, _numbers),
    "snapshot": Exercise(snapshot, _weights, observe=_observe_snapshot),
    "minimise": Exercise(minimise, _descents),
    "accumulated_gradient": Exercise(accumulated_gradient, _batches),
}
