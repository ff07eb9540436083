"""Exercises on VGG, on what layers cost, and on weights that repeat."""

import torch
from torch import Tensor

from companion.notebook.checks import Exercise
from companion.vgg import layer_costs, make_layers


def count_parameters(
    plan: list[int | str], in_channels: int, height: int, width: int, num_classes: int
) -> int:
    """Return the number of parameters of a plan's layers and a linear layer behind them."""
    with torch.device("meta"):
        layers = make_layers(plan, in_channels=in_channels)
        costs = layer_costs(layers, torch.zeros(1, in_channels, height, width))
    return sum(c.parameters for c in costs) + (costs[-1].values + 1) * num_classes


def storage_bits(index: Tensor) -> float:
    """Return the bits of a layer's weights in the best code, and of the values that occur."""
    _, counts = index.unique(return_counts=True)
    bits = counts.double() * (index.numel() / counts).log2()
    return bits.sum().item() + 32 * len(counts)


def value_gradient(dW: Tensor, index: Tensor, n: int) -> Tensor:
    """Return the sum of the gradients of all weights that share a value."""
    return dW.new_zeros(n).index_add(0, index.flatten(), dW.flatten())


def best_two(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two values with the least squared distance to the weights."""
    w = weight.sort().values
    n = torch.arange(1, len(w), dtype=w.dtype)
    left, whole = w.cumsum(0)[:-1], w.sum()
    gain = left**2 / n + (whole - left) ** 2 / (len(w) - n)
    cut = int(gain.argmax()) + 1
    return w[:cut].mean(), w[cut:].mean()


def _observe_numbers(answer: object, arguments: tuple) -> object:
    """See numbers in a row, be they a tensor, a list or a tuple; leave what is none."""
    if isinstance(answer, tuple | list):
        try:
            return torch.stack([torch.as_tensor(value).float() for value in answer])
        except (TypeError, ValueError, RuntimeError):
            return answer
    return answer


def _plans():
    yield [8, "M"], 1, 28, 28, 10
    yield ["M", 4], 3, 9, 14, 2
    yield [5], 2, 1, 1, 1
    yield [8, 8, "M", 16, 16, "M", 32, 32, "M"], 1, 28, 28, 10
    yield [64, "M", "M", 128, "M"], 3, 33, 47, 1000


def _indices():
    yield (torch.tensor([0, 0, 0, 1]),)
    yield (torch.zeros(2, 3, dtype=torch.long),)  # a single value
    yield (torch.tensor([[0, 3], [3, 7]]),)  # some numbers do not occur
    generator = torch.Generator().manual_seed(1)
    shares = torch.tensor([0.6, 0.2, 0.1, 0.06, 0.04])
    yield (
        shares.multinomial(8 * 4 * 9, replacement=True, generator=generator).reshape(8, 4, 3, 3),
    )


def _shared():
    generator = torch.Generator().manual_seed(2)
    yield torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 0, 0]), 1
    yield torch.tensor([1.0, 2.0, 4.0]), torch.tensor([2, 0, 2]), 4
    for shape, n in (((3, 4), 2), ((2, 3, 3, 3), 5)):
        index = torch.randint(n, shape, generator=generator)
        yield torch.randn(shape, generator=generator), index, n


def _weights():
    generator = torch.Generator().manual_seed(3)
    yield (torch.tensor([3.0, -1.0]),)
    yield (torch.tensor([5.0, 5.0, 5.0, 1.0]),)
    yield (torch.tensor([0.0, 0.5, 1.0, 9.0, 9.5, 30.0]),)
    yield (torch.cat([torch.linspace(-1, 1, 41), torch.tensor([9.0])]).flip(0),)
    yield (torch.randn(30, generator=generator),)


EXERCISES = {
    "count_parameters": Exercise(count_parameters, _plans),
    "storage_bits": Exercise(storage_bits, _indices),
    "value_gradient": Exercise(value_gradient, _shared, observe=_observe_numbers),
    "best_two": Exercise(best_two, _weights, observe=_observe_numbers),
}
