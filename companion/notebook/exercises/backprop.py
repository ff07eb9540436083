"""Exercises on back-propagation."""

import math

import torch
from torch import Tensor

from companion.activations import sigmoid
from companion.backprop import Value, numerical_gradient, squared_error
from companion.notebook.checks import Exercise


def logistic_gradient(w: Tensor, b: Tensor, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of the two-class cross entropy of a sigmoid neuron."""
    delta = sigmoid(w @ x + b) - t
    return delta * x, delta


def residual_backward(g: Tensor, x: Tensor, W: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return dW, db and dx of o = tanh(xWᵀ + b) + x from the gradient ``g`` at o."""
    delta = g * (1 - torch.tanh(x @ W.T + b) ** 2)
    return delta.T @ x, delta.sum(0), delta @ W + g


def tied_gradient(W: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """Return the gradient of a network that uses W twice, forwards and transposed."""
    h = torch.tanh(x @ W.T)
    delta_o = (h @ W - t) / len(x)
    delta_h = delta_o @ W.T * (1 - h**2)
    return delta_h.T @ x + h.T @ delta_o


def wrong_entries(loss, w: Tensor, claimed: Tensor) -> Tensor:
    """Tell which entries of a claimed gradient are not what is measured."""
    measured = numerical_gradient(loss, w)
    return (claimed - measured).abs() > 1e-4 * measured.abs().clamp(min=1)


def softplus(a: Value) -> Value:
    """Return log(1 + eᵃ) as one operation that cannot overflow."""
    e = math.exp(-abs(a.data))
    slope = 1 / (1 + e) if a.data >= 0 else e / (1 + e)
    return Value(max(a.data, 0.0) + math.log1p(e), [(a, slope)])


def _observe_softplus(answer: Value, arguments: tuple) -> dict[str, float | bool]:
    """See the value, and the gradient of an expression in which the answer stands twice."""
    (a,) = arguments
    (answer * 3 + answer).backward()
    return {
        "the value": answer.data,
        "the slope, which is the grad of a over 4": a.grad / 4,
        "its one parent is a": len(answer.parents) == 1 and answer.parents[0][0] is a,
    }


def _neurons():
    one = torch.tensor(1.0)
    yield torch.tensor([2.0, -1.0]), torch.tensor(0.5), torch.tensor([1.0, 3.0]), one
    yield torch.tensor([100.0]), torch.tensor(0.0), torch.tensor([2.0]), torch.tensor(0.0)
    yield torch.tensor([-100.0, 0.0]), torch.tensor(1.0), torch.tensor([2.0, 5.0]), one
    generator = torch.Generator().manual_seed(1)
    for n in (1, 4, 10):
        w, x = torch.randn(2, n, generator=generator)
        b, t = torch.randn((), generator=generator), torch.rand((), generator=generator)
        yield w, b, x, t.round()


def _residuals():
    eye = torch.eye(2)
    yield torch.ones(1, 2), torch.zeros(1, 2), eye, torch.zeros(2)
    generator = torch.Generator().manual_seed(2)
    for batch, n in ((1, 3), (4, 2), (5, 6)):
        g, x = torch.randn(2, batch, n, generator=generator)
        yield g, x, torch.randn(n, n, generator=generator), torch.randn(n, generator=generator)


def _tied():
    yield torch.ones(1, 1), torch.tensor([[0.5]]), torch.tensor([[1.0]])
    generator = torch.Generator().manual_seed(3)
    for batch, n, m in ((1, 3, 2), (4, 2, 2), (6, 5, 3)):
        x, t = torch.randn(2, batch, n, generator=generator)
        yield torch.randn(m, n, generator=generator), x, t


def _sum_of_squares(w: Tensor) -> Tensor:
    return (w**2).sum()


def _steep(w: Tensor) -> Tensor:
    return 1e4 * torch.sin(w).sum()


def _uneven(w: Tensor) -> Tensor:
    return 1e4 * w[0] + w[1]


def _network(w: Tensor) -> Tensor:
    x = torch.linspace(-1, 1, 6, dtype=w.dtype).reshape(2, 3)
    o = torch.tanh(x @ w.T)
    return squared_error(o, o, torch.ones_like(o))


def _claims():
    w = torch.tensor([1.0, -2.0, 0.0], dtype=torch.float64)
    yield _sum_of_squares, w, 2 * w
    yield _sum_of_squares, w, 2 * w + 5e-5  # within the tolerance, also where the slope is 0
    yield _sum_of_squares, w, torch.tensor([2.0, 4.0, 1e-3], dtype=torch.float64)
    # With a large gradient, an error of 3e-4 is nothing; with a small one, a factor of 2 is little.
    yield _steep, w, 1e4 * w.cos() + torch.tensor([3e-4, 0.0, 2.0], dtype=torch.float64)
    yield _steep, w, torch.zeros(3, dtype=torch.float64)
    # The measure is each entry's own derivative, not the largest one.
    yield _uneven, w[:2], torch.tensor([1e4, 1.5], dtype=torch.float64)
    W = torch.tensor([[0.5, -1.0, 2.0], [1.0, 0.0, -0.5]], dtype=torch.float64)
    right = numerical_gradient(_network, W)
    wrong = right.clone()
    wrong[0, 2] *= 2
    wrong[1, 0] *= -1
    yield _network, W, right
    yield _network, W, wrong


def _numbers():
    for a in (1000.0, 0.0, -1000.0, 2.0, -40.0):
        yield (Value(a),)


EXERCISES = {
    "logistic_gradient": Exercise(logistic_gradient, _neurons),
    "residual_backward": Exercise(residual_backward, _residuals),
    "tied_gradient": Exercise(tied_gradient, _tied),
    "wrong_entries": Exercise(wrong_entries, _claims),
    "softplus": Exercise(softplus, _numbers, observe=_observe_softplus, atol=1e-30),
}
