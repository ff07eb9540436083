"""Exercises on layers and activations."""

import itertools

import torch
from torch import Tensor

from companion.activations import relu, softmax_jacobian
from companion.notebook.checks import Exercise


def collapse(layers: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return the one affine layer (W, b) that equals all ``layers``, the first of them first."""
    W, b = layers[0]
    for W_next, b_next in layers[1:]:
        W, b = W_next @ W, W_next @ b + b_next
    return W, b


def dead_neurons(W: Tensor, b: Tensor, X: Tensor) -> Tensor:
    """Tell of each neuron of a ReLU layer whether no sample sends it a gradient."""
    return ~(X @ W.T + b > 0).any(0)


def softplus(x: Tensor) -> Tensor:
    """Return log(1 + eˣ), for every x."""
    return torch.logaddexp(x, torch.zeros_like(x))


def softmax_backward(x: Tensor, g: Tensor) -> Tensor:
    """Return the gradient with respect to the logits ``x`` from that with respect to softmax."""
    return (softmax_jacobian(x).mT @ g.unsqueeze(-1)).squeeze(-1)


def hat(left: float, peak: float, right: float) -> tuple[Tensor, Tensor]:
    """Return biases and output weights of three ReLUs that make a hat of height 1."""
    up, down = 1 / (peak - left), 1 / (right - peak)
    return torch.tensor([-left, -peak, -right]), torch.tensor([up, -up - down, down])


def _stacks():
    generator = torch.Generator().manual_seed(1)
    for sizes in ([2, 3], [2, 2, 2], [1, 4, 1], [3, 5, 2, 4], [2, 1, 1, 1, 3]):
        pairs = itertools.pairwise(sizes)
        yield (
            [
                (torch.randn(m, n, generator=generator), torch.randn(m, generator=generator))
                for n, m in pairs
            ],
        )


def _relu_layers():
    # On these samples the first neuron fires once, the second only touches 0, the third never does.
    W, b = torch.tensor([[1.0, 0.0], [0.0, -1.0], [0.0, 0.0]]), torch.tensor([0.5, 0.0, -1.0])
    yield W, b, torch.tensor([[0.0, 0.0], [-1.0, 3.0], [-2.0, 1.0]])
    yield torch.ones(2, 3), torch.zeros(2), torch.zeros(0, 3)
    generator = torch.Generator().manual_seed(2)
    for n in (1, 3, 8):
        X = torch.randn(n, 4, generator=generator)
        yield torch.randn(6, 4, generator=generator), torch.randn(6, generator=generator) - 1, X


def _observe_dead(answer: Tensor, _: tuple) -> dict[str, object]:
    return {"the type": str(answer.dtype), "the neurons": answer}


def _reals():
    yield (torch.tensor([0.0, 1.0, -1.0]),)
    yield (torch.tensor([1000.0]),)
    yield (torch.tensor([-1000.0]),)
    yield (torch.tensor([-3e38, -100.0, -20.0, 20.0, 89.0, 3e38]),)
    yield (torch.zeros(0),)
    yield (torch.linspace(-30, 30, 24).reshape(2, 3, 4),)


def _observe_softplus(answer: Tensor, arguments: tuple) -> dict[str, object]:
    """Look at the value and at the slope, which autograd finds in the reader's own formula."""
    (x,) = arguments
    if not answer.requires_grad:
        return {"the value": answer, "the gradient": torch.zeros_like(x)}
    (gradient,) = torch.autograd.grad(answer.sum(), x)
    return {"the value": answer.detach(), "the gradient": gradient}


def _with_grad():
    for (x,) in _reals():
        yield (x.requires_grad_(),)


def _gradients():
    yield torch.tensor([0.1, 0.2, 0.7]), torch.tensor([0.0, 0.0, 1.0])
    yield torch.tensor([0.0, 0.0]), torch.tensor([1.0, -1.0])
    yield torch.tensor([1000.0, 0.0, 1000.0]), torch.tensor([1.0, 2.0, 3.0])
    yield torch.tensor([5.0]), torch.tensor([2.0])
    yield torch.tensor([3.0, -2.0, 1.0]), torch.ones(3)
    generator = torch.Generator().manual_seed(3)
    for shape in ((4, 2), (0, 3), (2, 3, 5)):
        yield torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)


def _hats():
    yield from [(0.0, 1.0, 2.0), (0.0, 0.5, 1.0), (-3.0, -2.0, 2.0), (1.0, 1.25, 9.0)]


def _observe_hat(answer: tuple, arguments: tuple) -> dict[str, object]:
    """Look at the curve that the three neurons make, on and around the hat."""
    b, v = (torch.as_tensor(values, dtype=torch.float64) for values in answer)
    left, peak, right = arguments
    slopes = [left + (peak - left) * q / 8 for q in range(9)]
    slopes += [peak + (right - peak) * q / 8 for q in range(1, 9)]
    places = [left - 5, *slopes, right + 5]
    x = torch.tensor(places, dtype=torch.float64)
    heights = relu(x[:, None] + b) @ v
    return {
        "how many biases and weights": (b.numel(), v.numel()),
        **{f"the height at x = {p:g}": h.item() for p, h in zip(places, heights, strict=True)},
    }


EXERCISES = {
    "collapse": Exercise(collapse, _stacks),
    "dead_neurons": Exercise(dead_neurons, _relu_layers, observe=_observe_dead),
    "softplus": Exercise(softplus, _with_grad, observe=_observe_softplus, atol=1e-12),
    "softmax_backward": Exercise(softmax_backward, _gradients),
    "hat": Exercise(hat, _hats, observe=_observe_hat, atol=1e-5),
}
