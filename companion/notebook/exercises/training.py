"""Exercises on training."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.notebook.checks import Exercise
from companion.training import ema


def descend(model: nn.Module, x: Tensor, y: Tensor, lr: float, steps: int) -> list[float]:
    """Train by plain gradient descent on the whole batch; return the losses before each step."""
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(x), y)
        wanted = [p for p in model.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(loss, wanted)
        with torch.no_grad():
            for parameter, gradient in zip(wanted, gradients, strict=True):
                parameter -= lr * gradient
        losses.append(loss.item())
    return losses


def _observe_training(losses: list[float], arguments: tuple) -> dict:
    """See the losses, and what has become of the model."""
    weights = torch.cat([p.detach().flatten() for p in arguments[0].parameters()])
    return {"losses": losses, "weights after the last step": weights}


@torch.no_grad()
def hardest(model: nn.Module, x: Tensor, y: Tensor, k: int) -> Tensor:
    """Return the indices of the k samples with the largest cross entropy."""
    was_training = model.training
    losses = F.cross_entropy(model.eval()(x), y, reduction="none")
    model.train(was_training)
    return losses.argsort(descending=True)[:k]


def _observe_mode(answer: Tensor, arguments: tuple) -> dict:
    """See the indices, and the mode in which the model was left."""
    return {"indices": answer, "the model is in train mode": arguments[0].training}


def mean_weights(n: int, beta: float) -> Tensor:
    """Return the weights of the bias-corrected mean: what it makes of a single 1 at each place."""
    return ema(torch.eye(n), beta)[-1]


def baseline(labels: Tensor, classes: int) -> Tensor:
    """Return the entropy of the labels in nats."""
    share = torch.bincount(labels, minlength=classes) / len(labels)
    return -torch.xlogy(share, share).sum()


def threshold(false_alarm: float, miss: float) -> float:
    """Return the probability from which on an alarm is cheaper than none."""
    return false_alarm / (false_alarm + miss)


def _trainings():
    generator = torch.Generator().manual_seed(1)

    def case(layers, steps, lr, n=6):
        model = nn.Sequential(*layers)
        for p in model.parameters():
            p.data = torch.randn(p.shape, generator=generator) / 2
        x = torch.randn(n, 3, generator=generator)
        return model, x, torch.randint(4, (n,), generator=generator), lr, steps

    yield case([nn.Linear(3, 4)], 0, 0.1)
    yield case([nn.Linear(3, 4)], 1, 0.1)
    yield case([nn.Linear(3, 4)], 5, 0.5)
    frozen = case([nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)], 4, 0.3)
    frozen[0][0].weight.requires_grad_(False)
    yield frozen
    yield case([nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4)], 10, 0.2, n=20)


def _difficulties():
    generator = torch.Generator().manual_seed(2)
    for n, k, training in ((1, 1, True), (5, 9, False), (40, 3, True), (40, 10, False)):
        model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3))
        for p in model.parameters():
            p.data = torch.randn(p.shape, generator=generator)
        x = torch.randn(n, 4, generator=generator)
        yield model.train(training), x, torch.randint(3, (n,), generator=generator), k


def _means():
    yield from [(1, 0.9), (3, 0.0), (2, 0.5), (5, 0.9), (20, 0.5), (40, 0.99)]


def _labels():
    yield torch.tensor([0, 1]), 2
    yield torch.tensor([2, 2, 2]), 4
    yield torch.tensor([0, 0, 0, 1]), 3
    generator = torch.Generator().manual_seed(4)
    yield torch.randint(10, (1000,), generator=generator), 10
    yield torch.randint(3, (50,), generator=generator) ** 2, 5


def _costs():
    yield from [(1.0, 1.0), (1.0, 99.0), (10.0, 1.0), (0.5, 2.5), (3.0, 4.0)]


EXERCISES = {
    "descend": Exercise(descend, _trainings, observe=_observe_training),
    "hardest": Exercise(hardest, _difficulties, observe=_observe_mode),
    "mean_weights": Exercise(mean_weights, _means),
    "baseline": Exercise(baseline, _labels),
    "threshold": Exercise(threshold, _costs),
}
