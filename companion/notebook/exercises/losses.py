"""Exercises on losses."""

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.activations import log_softmax
from companion.losses import cross_entropy
from companion.notebook.checks import Exercise


def huber(input: Tensor, target: Tensor, delta: float) -> Tensor:
    """Return the mean Huber loss."""
    return F.huber_loss(input, target, delta=delta)


def perplexity(z: Tensor, c: Tensor) -> Tensor:
    """Return e to the mean cross entropy of the words that count."""
    return cross_entropy(z.movedim(-1, 1), c).exp()


def focal_loss(z: Tensor, c: Tensor, gamma: float) -> Tensor:
    """Return the mean of -(1 - ŷ)^γ log ŷ, where ŷ is the probability of the right class."""
    log_p = log_softmax(z, 1).gather(1, c.unsqueeze(1))
    return -((1 - log_p.exp()) ** gamma * log_p).mean()


def logit_gradient(z: Tensor, c: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient of the weighted mean cross entropy with respect to the logits."""
    z = z.detach().clone().requires_grad_()
    return torch.autograd.grad(cross_entropy(z, c, weight), z)[0]


def _observe_gradient(answer: Tensor, arguments: tuple) -> dict[str, object]:
    """Look at the value, and at the gradient on the first argument."""
    if not (isinstance(answer, Tensor) and answer.requires_grad and answer.dim() == 0):
        return {"the loss, one number with a gradient": answer}
    (gradient,) = torch.autograd.grad(answer, arguments[0])
    return {
        "the loss, one number with a gradient": answer.detach(),
        "the gradient": gradient,
    }


def _errors():
    yield torch.tensor([0.0, 0.5, 3.0, -3.0]).requires_grad_(), torch.zeros(4), 1.0
    yield torch.tensor([2.0, -2.0, 1.999, 2.001]).requires_grad_(), torch.zeros(4), 2.0
    yield torch.tensor([1e10, 0.0]).requires_grad_(), torch.zeros(2), 0.5
    generator = torch.Generator().manual_seed(1)
    for shape in ((1,), (7,), (3, 4)):
        x = 3 * torch.randn(shape, generator=generator)
        yield x.requires_grad_(), torch.randn(shape, generator=generator), 0.7


def _sentences():
    yield torch.zeros(1, 3, 7), torch.tensor([[0, 1, 2]])  # seven words, no idea
    yield torch.zeros(2, 2, 4), torch.tensor([[0, -100], [3, 1]])
    z = torch.tensor([[[2.0, 0.0], [2.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    yield z, torch.tensor([[0, 1], [0, -100]])
    generator = torch.Generator().manual_seed(2)
    for n, t, words in ((2, 5, 3), (3, 4, 4), (4, 6, 30)):
        c = torch.randint(words, (n, t), generator=generator)
        c[0, 1:] = -100
        yield 3 * torch.randn(n, t, words, generator=generator), c


def _classified():
    yield torch.tensor([[2.0, 0.0, -1.0]]).requires_grad_(), torch.tensor([0]), 2
    extreme = torch.tensor([[1e4, 0.0, -1e4], [1e4, 0.0, -1e4], [0.0, 0.0, 0.0]])
    yield extreme.requires_grad_(), torch.tensor([0, 1, 2]), 2
    yield extreme.clone().detach().requires_grad_(), torch.tensor([2, 0, 1]), 0
    generator = torch.Generator().manual_seed(3)
    for n, classes, gamma in ((5, 2, 0), (6, 3, 1), (8, 10, 5)):
        z = 3 * torch.randn(n, classes, generator=generator)
        yield z.requires_grad_(), torch.randint(classes, (n,), generator=generator), gamma


def _weighted():
    yield torch.zeros(1, 2), torch.tensor([1]), torch.ones(2)
    yield torch.tensor([[1e3, 0.0], [0.0, 0.0]]), torch.tensor([1, 0]), torch.tensor([1.0, 5.0])
    yield torch.zeros(3, 2), torch.tensor([0, 0, 1]), torch.tensor([0.0, 2.0])
    generator = torch.Generator().manual_seed(4)
    for n, classes in ((4, 3), (1, 5), (20, 10)):
        z = 2 * torch.randn(n, classes, generator=generator)
        c = torch.randint(classes, (n,), generator=generator)
        yield z, c, 3 * torch.rand(classes, generator=generator)


EXERCISES = {
    "huber": Exercise(huber, _errors, observe=_observe_gradient),
    "perplexity": Exercise(perplexity, _sentences),
    "focal_loss": Exercise(focal_loss, _classified, observe=_observe_gradient),
    "logit_gradient": Exercise(logit_gradient, _weighted),
}
