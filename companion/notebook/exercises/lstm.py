"""Exercises on the LSTM: a latch, the direct path, coupled gates, half-lives."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.notebook.checks import Exercise
from companion.recurrent import lstm_cell


def latch() -> tuple[Tensor, Tensor, Tensor]:
    """Return weights and bias of a unit that takes over a number when it is told to."""
    weight_ih = torch.tensor([[0.0, 20.0], [0.0, -20.0], [0.1, 0.0], [0.0, 0.0]])
    return weight_ih, torch.zeros(4, 1), torch.tensor([-10.0, 10.0, 0.0, 0.0])


def direct_path(f: Tensor) -> Tensor:
    """Return the product of all later gates, 1 at the end."""
    later = torch.cat([f[1:], torch.ones_like(f[:1])])
    return later.flip(0).cumprod(0).flip(0)


def coupled_step(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Return the state (h, c) of an LSTM whose input gate is one less its forget gate."""
    f, g, o = gates.chunk(3, dim=-1)
    c = f.sigmoid() * c + (1 - f.sigmoid()) * g.tanh()
    return o.sigmoid() * c.tanh(), c


def half_life(bias: Tensor) -> Tensor:
    """Return the steps after which a forget gate with that bias has kept a half."""
    return math.log(2) / -F.logsigmoid(bias)


def _held(answer: object, arguments: tuple) -> object:
    """Run the unit on a sequence, and see whether c is near a tenth of what it should hold."""
    if not (isinstance(answer, tuple | list) and len(answer) == 3):
        return answer
    shapes = (4, 2), (4, 1), (4,)
    if not all(
        isinstance(part, Tensor) and tuple(part.shape) == shape
        for part, shape in zip(answer, shapes, strict=True)
    ):
        return answer
    weight_ih, weight_hh, bias = (part.detach().double() for part in answer)
    generator = torch.Generator().manual_seed(4)
    wrong = 0
    for length, often in ((3, 1.0), (20, 0.3), (200, 0.05), (200, 0.01)):
        numbers = 2 * torch.rand(length, generator=generator, dtype=torch.float64) - 1
        commands = (torch.rand(length, generator=generator) < often).double()
        h = c = torch.zeros(1, 1, dtype=torch.float64)
        wanted = 0.0
        for v, w in zip(numbers.tolist(), commands.tolist(), strict=True):
            wanted = v / 10 if w else wanted
            x = torch.tensor([[v, w]], dtype=torch.float64)
            h, c = lstm_cell(x, (h, c), weight_ih, weight_hh, bias)
            wrong += not abs(c.item() - wanted) < 0.005
    return f"{wrong} of 423 steps wrong"


def _pair(answer: object, arguments: tuple) -> object:
    return tuple(answer) if isinstance(answer, list) else answer


def _nothing():
    yield ()


def _gates():
    yield (torch.tensor([0.5, 0.25, 0.5]),)
    yield (torch.tensor([[0.5, 1.0], [0.0, 0.5], [0.5, 0.5]]),)  # a gate that is 0
    yield (torch.tensor([0.3]),)
    generator = torch.Generator().manual_seed(1)
    yield (torch.rand(6, 2, 3, generator=generator),)


def _steps():
    yield torch.zeros(3), torch.ones(1)
    yield torch.tensor([9.0, 1.0, 9.0]), torch.tensor([0.5])  # keeps
    yield torch.tensor([-9.0, 1.0, -9.0]), torch.tensor([0.5])  # writes, shows nothing
    generator = torch.Generator().manual_seed(2)
    yield torch.randn(2, 12, generator=generator), torch.randn(2, 4, generator=generator)
    yield torch.randn(2, 3, 6, generator=generator), 3 * torch.randn(2, 3, 2, generator=generator)


def _biases():
    yield (torch.zeros(1, dtype=torch.float64),)
    yield (torch.tensor([-1.0, 1.0, 3.0], dtype=torch.float64),)
    yield (torch.tensor([[0.0, 20.0], [40.0, -40.0]], dtype=torch.float64),)
    yield (torch.tensor(5.0, dtype=torch.float64),)


EXERCISES = {
    "latch": Exercise(latch, _nothing, observe=_held),
    "direct_path": Exercise(direct_path, _gates),
    "coupled_step": Exercise(coupled_step, _steps, observe=_pair),
    "half_life": Exercise(half_life, _biases),
}
