"""Exercises on recurrent networks: padded sequences, and gradients through time."""

import torch
from torch import Tensor

from companion.notebook.checks import Exercise


def last_states(out: Tensor, lengths: Tensor) -> Tensor:
    """Return the state in which each direction ended: at the last real step, and at the first."""
    ends = torch.stack([out[n - 1, i] for i, n in enumerate(lengths.tolist())])
    half = torch.arange(out.shape[2]) < out.shape[2] // 2
    return torch.where(half, ends, out[0])


def reverse_padded(x: Tensor, lengths: Tensor) -> Tensor:
    """Return the sequences with their real steps turned round and the padding left in place."""
    times = torch.arange(len(x))[:, None]
    sources = torch.where(times < lengths, lengths - 1 - times, times)
    return x.gather(0, sources[..., None].expand_as(x))


def state_jacobian(states: Tensor, W_hh: Tensor) -> Tensor:
    """Return the derivative of the last state with respect to the first."""
    J = torch.eye(len(W_hh), dtype=W_hh.dtype)
    for h in states:
        J = torch.diag(1 - h**2) @ W_hh @ J
    return J


def sum_through_time(g: Tensor, states: Tensor, h_0: Tensor, W_hh: Tensor) -> Tensor:
    """Return the gradient of a sum of losses, one at each time, for the recurrent weight."""
    later, dW = torch.zeros_like(h_0), torch.zeros_like(W_hh)
    before = torch.cat([h_0[None], states[:-1]])
    for own, h, h_before in zip(g.flip(0), states.flip(0), before.flip(0), strict=True):
        delta = (1 - h**2) * (own + later)
        dW = dW + torch.outer(delta, h_before)
        later = delta @ W_hh
    return dW


def _states():
    yield torch.arange(6.0).reshape(3, 1, 2), torch.tensor([3])
    yield torch.arange(12.0).reshape(3, 2, 2), torch.tensor([1, 3])
    generator = torch.Generator().manual_seed(1)
    yield torch.randn(5, 4, 6, generator=generator), torch.tensor([2, 5, 1, 5])
    yield torch.randn(2, 6, 2, generator=generator), torch.tensor([1, 2, 2, 1, 1, 2])


def _padded():
    yield torch.tensor([[[1.0]], [[2.0]], [[0.0]]]), torch.tensor([2])
    yield torch.tensor([[[1.0]], [[2.0]], [[9.0]]]), torch.tensor([1])
    yield torch.arange(12.0).reshape(3, 2, 2), torch.tensor([3, 0])
    generator = torch.Generator().manual_seed(2)
    yield torch.randn(6, 4, 2, generator=generator), torch.tensor([6, 1, 3, 4])


def _one_sequence():
    generator = torch.Generator().manual_seed(3)
    W = torch.tensor([[0.0, 1.0], [0.5, 0.0]])
    yield torch.tensor([[0.0, 0.5]]), W
    yield torch.zeros(0, 2), W
    for T, d in ((2, 2), (3, 4), (6, 3)):
        yield torch.rand(T, d, generator=generator) * 2 - 1, torch.randn(d, d, generator=generator)


def _losses():
    generator = torch.Generator().manual_seed(4)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    yield torch.ones(1, 1), torch.tensor([[0.5]]), torch.tensor([2.0]), torch.tensor([[0.3]])
    for T, d in ((1, 2), (2, 2), (5, 3)):
        yield draw(T, d), draw(T, d).tanh(), draw(d).tanh(), draw(d, d)
    g = torch.zeros(4, 2)
    g[-1] = 1.0  # only the last state has a loss
    yield g, draw(4, 2).tanh(), torch.zeros(2), draw(2, 2)


EXERCISES = {
    "last_states": Exercise(last_states, _states),
    "reverse_padded": Exercise(reverse_padded, _padded),
    "state_jacobian": Exercise(state_jacobian, _one_sequence),
    "sum_through_time": Exercise(sum_through_time, _losses),
}
