"""Exercises on regularisation."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.notebook.checks import Exercise


def decay_groups(net: nn.Module, weight_decay: float) -> list[dict]:
    """Return two parameter groups: matrices, which decay, and all else, which does not."""
    matrices = [theta for theta in net.parameters() if theta.dim() >= 2]
    others = [theta for theta in net.parameters() if theta.dim() < 2]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def l1_step(theta: Tensor, lr: float, strength: float) -> Tensor:
    """Return theta moved towards zero by lr · strength, and not beyond."""
    return F.softshrink(theta, lr * strength)


def mixup(x: Tensor, y: Tensor, order: Tensor, a: float, classes: int) -> tuple[Tensor, Tensor]:
    """Return mixtures of images and of their labels."""
    targets = F.one_hot(y, classes).float()
    return torch.lerp(x[order], x, a), torch.lerp(targets[order], targets, a)


def dropout_moments(w: Tensor, x: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """Return mean and variance of w · dropout(x)."""
    return w @ x, p / (1 - p) * (w * x) @ (w * x)


def _networks():
    with torch.random.fork_rng(devices=[]):  # as the weights are drawn from the global generator
        layers = nn.Linear(4, 3), nn.ReLU(), nn.LayerNorm(3), nn.Linear(3, 2)
        convolution = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2)
        return [
            (nn.Linear(2, 3), 0.1),
            (nn.Sequential(*layers), 0.01),
            (nn.Sequential(*convolution), 3.0),
            (nn.Linear(2, 2, bias=False), 0.5),
        ]


def _steps():
    yield torch.tensor([1.0, -1.0, 0.05, -0.05, 0.0]), 0.1, 1.0
    yield torch.tensor([[3.0, -2.0], [0.5, 0.1]]), 1.0, 0.5
    yield torch.tensor([0.3, -0.7]), 0.1, 0.0
    yield torch.randn(5, 4, generator=torch.Generator().manual_seed(1)), 0.5, 0.8


def _mixtures():
    generator = torch.Generator().manual_seed(2)
    for n, shape, a in ((2, (3,), 0.25), (4, (1, 2, 2), 0.9), (5, (2, 3), 0.5), (3, (4,), 1.0)):
        x = torch.rand(n, *shape, generator=generator)
        y = torch.randint(0, 4, (n,), generator=generator)
        yield x, y, torch.randperm(n, generator=generator), a, 4


def _units():
    yield torch.tensor([1.0, 2.0]), torch.tensor([3.0, -1.0]), 0.5
    generator = torch.Generator().manual_seed(3)
    for n, p in ((1, 0.2), (5, 0.0), (8, 0.9)):
        w, x = torch.randn(2, n, generator=generator)
        yield w, x, p


EXERCISES = {
    "decay_groups": Exercise(decay_groups, _networks),
    "l1_step": Exercise(l1_step, _steps),
    "mixup": Exercise(mixup, _mixtures),
    "dropout_moments": Exercise(dropout_moments, _units),
}
