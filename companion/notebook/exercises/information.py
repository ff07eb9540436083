"""Exercises on information: entropy, cross entropy and KL divergence."""

import math

import torch
from torch import Tensor

from companion.information import entropy, kl_divergence, surprisal
from companion.notebook.checks import Exercise


def model_perplexity(Q: Tensor, x: Tensor) -> Tensor:
    """Return two to the mean surprisal, in bits, of what stood in the text."""
    return 2 ** surprisal(Q[torch.arange(len(x)), x]).mean()


def conditional_entropy(joint: Tensor) -> Tensor:
    """Return the bits that are left of Y, on average, once X is known."""
    return entropy(joint.flatten()) - entropy(joint.sum(1))


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """Return the mean KL divergence, in bits, of p and q from their mixture."""
    m = (p + q) / 2
    return (kl_divergence(p, m) + kl_divergence(q, m)) / 2


def gaussian_kl(m_p: float, s_p: float, m_q: float, s_q: float) -> float:
    """Return the KL divergence of two Gaussians in nats."""
    mean_square = s_p**2 + (m_p - m_q) ** 2
    return math.log(s_q / s_p) + mean_square / (2 * s_q**2) - 1 / 2


def more_right_and_worse(n: int) -> tuple[Tensor, Tensor]:
    """Return what a timid classifier gave the true class, and a bold one that errs once."""
    first, second = torch.full((n,), 0.51), torch.full((n,), 0.99)
    second[0] = 0.49
    return first, second


def _observe_classifiers(answer: tuple[Tensor, Tensor], arguments: tuple) -> dict[str, bool]:
    """See whether the first classifier is right more often and has the larger cross entropy."""
    (n,) = arguments
    first, second = (torch.as_tensor(given).detach().double() for given in answer)
    shapes = first.shape == second.shape == (n,)
    right = [(given > 0.5).sum() for given in (first, second)]
    mean = [given.log().mean() for given in (first, second)]  # minus the cross entropy
    return {
        "both are tensors of n numbers": shapes,
        "all lie between 0 and 1": all(((v >= 0) & (v <= 1)).all().item() for v in (first, second)),
        "the first has more right": bool(right[0] > right[1]),
        "the first has the larger cross entropy": bool(mean[0] < mean[1]),
    }


def _random_distributions(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).mul(2).softmax(-1)


def _texts():
    yield torch.tensor([[0.25, 0.75]]), torch.tensor([0])
    yield torch.tensor([[1.0, 0.0], [0.5, 0.5]]), torch.tensor([0, 1])
    yield torch.tensor([[1.0, 0.0], [0.5, 0.5]]), torch.tensor([1, 1])
    generator = torch.Generator().manual_seed(1)
    for t, n in ((5, 3), (40, 30), (1000, 10)):
        Q = _random_distributions(t, n, seed=t)
        yield Q, torch.randint(n, (t,), generator=generator)


def _tables():
    yield (torch.tensor([[0.25, 0.25], [0.5, 0.0]]),)
    yield (torch.tensor([[0.5, 0.5], [0.0, 0.0]]),)
    yield (torch.eye(3) / 3,)
    yield (torch.full((2, 4), 1 / 8),)
    for n, m in ((1, 5), (5, 1), (3, 4)):
        yield (_random_distributions(n * m, seed=10 * n + m).reshape(n, m),)


def _pairs():
    yield torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    yield torch.tensor([0.5, 0.5]), torch.tensor([0.5, 0.5])
    yield torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.0, 0.25, 0.75])
    yield torch.tensor([0.2, 0.8, 0.0]), torch.tensor([0.9, 0.1, 0.0])
    yield _random_distributions(6, seed=2), _random_distributions(6, seed=3)
    yield _random_distributions(4, 3, seed=4), _random_distributions(4, 3, seed=5)


def _gaussians():
    yield 0.0, 1.0, 0.0, 1.0
    yield 0.0, 1.0, 3.0, 1.0
    yield 0.0, 2.0, 0.0, 1.0
    yield 0.0, 1.0, 0.0, 2.0
    yield -1.5, 0.5, 1.0, 3.0
    yield 2.0, 3.0, -1.0, 0.25


def _numbers():
    yield from [(2,), (3,), (10,), (1000,)]


EXERCISES = {
    "model_perplexity": Exercise(model_perplexity, _texts),
    "conditional_entropy": Exercise(conditional_entropy, _tables, atol=1e-5),
    "jensen_shannon": Exercise(jensen_shannon, _pairs),
    "gaussian_kl": Exercise(gaussian_kl, _gaussians),
    "more_right_and_worse": Exercise(more_right_and_worse, _numbers, observe=_observe_classifiers),
}
