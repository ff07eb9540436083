"""Exercises on gradients and optimisers."""

import torch
from torch import Tensor
from torch.optim import Optimizer

from companion.notebook.checks import Exercise
from companion.optim import SGD, Adam


def directional_derivative(gradient: Tensor, direction: Tensor) -> Tensor:
    """Return the slope for a direction, which is brought to length one first."""
    return gradient @ direction / direction.norm()


def largest_step(A: Tensor) -> float:
    """Return the step size above which descent on ½ θᵀAθ diverges."""
    return 2 / torch.linalg.eigvalsh(A).max().item()


def momentum_step(
    theta: Tensor, b: Tensor, g: Tensor, lr: float, mu: float
) -> tuple[Tensor, Tensor]:
    """Return θ and b after one step of the companion's SGD."""
    theta = theta.clone().requires_grad_()
    theta.grad = g
    optimizer = SGD([theta], lr=lr, momentum=mu)
    optimizer.state[theta]["momentum_buffer"] = b
    optimizer.step()
    return theta.detach(), optimizer.state[theta]["momentum_buffer"]


def adam_step(
    theta: Tensor, g: Tensor, m: Tensor, v: Tensor, t: int, lr: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return θ, m and v after step number t of the companion's Adam."""
    theta = theta.clone().requires_grad_()
    theta.grad = g
    optimizer = Adam([theta], lr=lr)
    state = optimizer.state[theta]
    state.update(step=torch.tensor(t - 1.0), exp_avg=m, exp_avg_sq=v)
    optimizer.step()
    return theta.detach(), state["exp_avg"], state["exp_avg_sq"]


def choose(start: list[float]) -> tuple[type[Optimizer], dict]:
    """Return a rule and settings that descend well in the bent valley from any of the starts."""
    return SGD, {"lr": 0.01, "momentum": 0.9, "nesterov": True}


def _observe_choice(choice: tuple[type[Optimizer], dict], arguments: tuple) -> dict[str, bool]:
    """See whether the choice brings the valley of the chapter below 0.01 in 100 steps."""
    rule, settings = choice
    theta = torch.tensor(arguments[0], requires_grad=True)
    optimizer = rule([theta], **settings)
    for _ in range(100):
        optimizer.zero_grad()
        _valley(theta).backward()
        optimizer.step()
    return {"the loss after 100 steps is below 0.01": _valley(theta).item() < 0.01}


def _valley(theta: Tensor) -> Tensor:
    x, y = theta
    return (1 - x) ** 2 + 5 * (y - x**2) ** 2


def _starts():
    yield from [([-1.5, 1.5],), ([0.0, 2.0],), ([1.5, -0.5],)]


def _directions():
    yield torch.tensor([1.0, 2.0]), torch.tensor([0.0, 3.0])
    yield torch.tensor([1.0, 2.0]), torch.tensor([-2.0, 1.0])
    yield torch.zeros(3), torch.ones(3)
    generator = torch.Generator().manual_seed(1)
    for n in (1, 2, 5, 20):
        yield torch.randn(n, generator=generator), torch.randn(n, generator=generator)


def _matrices():
    yield (torch.diag(torch.tensor([1.0, 10.0])),)
    yield (torch.tensor([[4.0]]),)
    generator = torch.Generator().manual_seed(2)
    for n in (2, 3, 6):
        half = torch.randn(n, n, generator=generator)
        yield (half @ half.T + torch.eye(n) / 2,)


def _momenta():
    generator = torch.Generator().manual_seed(3)
    yield torch.ones(2), torch.zeros(2), torch.ones(2), 0.1, 0.5
    for mu in (0.5, 0.9, 0.99):
        theta, b, g = torch.randn(3, 4, generator=generator)
        yield theta, b, g, 0.05, mu


def _adams():
    generator = torch.Generator().manual_seed(4)
    yield torch.ones(2), torch.tensor([1e-3, -1e3]), torch.zeros(2), torch.zeros(2), 1, 0.1
    yield torch.ones(2), torch.zeros(2), torch.zeros(2), torch.zeros(2), 1, 0.1
    for t in (1, 2, 10, 1000):
        theta, g, m = torch.randn(3, 4, generator=generator)
        v = torch.rand(4, generator=generator)
        yield theta, g, m, v, t, 0.01


EXERCISES = {
    "directional_derivative": Exercise(directional_derivative, _directions),
    "largest_step": Exercise(largest_step, _matrices),
    "momentum_step": Exercise(momentum_step, _momenta),
    "adam_step": Exercise(adam_step, _adams),
    "choose": Exercise(choose, _starts, observe=_observe_choice),
}
