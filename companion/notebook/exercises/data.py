"""Exercises on loading, collating and scaling data."""

import math

import torch
from torch import Tensor

from companion.data import pad_collate
from companion.notebook.checks import Exercise


def iterations(samples: int, batch_size: int, epochs: int, drop_last: bool) -> int:
    """Return how many batches a loader gives in that many epochs."""
    if drop_last:
        return epochs * (samples // batch_size)
    return epochs * math.ceil(samples / batch_size)


def collate_pairs(batch: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the padded sequences, their mask, and the labels of pairs (sequence, label)."""
    padded, _, mask = pad_collate([sequence for sequence, _ in batch])
    return padded, mask, torch.tensor([label for _, label in batch])


def mean_and_deviation(batches: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the mean and standard deviation of each column over the samples of all batches."""
    samples = torch.cat(batches).double()
    return samples.mean(0).float(), samples.std(0, correction=0).float()


def unit_scaled(train: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
    """Return both tables scaled so that the training table's columns run from 0 to 1."""
    low, high = train.amin(0), train.amax(0)
    width = torch.where(high > low, high - low, 1)
    return (train - low) / width, (new - low) / width


def _counts():
    yield 10_000, 1000, 1, False
    yield 10, 3, 1, False
    yield 10, 3, 2, True
    yield 10, 3, 2, False
    yield 5, 8, 4, True
    yield 5, 8, 4, False
    yield 442, 32, 10, False


def _pairs():
    yield ([(torch.tensor([3.0, 0.0]), 1), (torch.tensor([0.0, 2.0, 5.0, 0.0]), 0)],)
    generator = torch.Generator().manual_seed(1)
    for lengths in ([2, 4, 1], [3], [5, 5], [0, 2]):
        yield ([(torch.rand(n, generator=generator), n % 3) for n in lengths],)
    yield ([(torch.rand(n, 2, generator=generator), n) for n in (1, 3)],)


def _batches():
    yield ([torch.tensor([[1.0], [3.0]]), torch.tensor([[8.0]])],)
    yield ([torch.tensor([[2.0, 5.0]])],)
    generator = torch.Generator().manual_seed(2)
    for sizes in ([4, 4, 1], [3, 5, 2, 7], [6, 6]):
        yield ([torch.randn(n, 3, generator=generator) * 4 + 2 for n in sizes],)
    yield ([torch.randn(50, 2, generator=generator) + 10_000 for _ in range(4)],)


def _tables():
    yield torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [5.0], [0.0]])
    yield torch.tensor([[1.0, 7.0], [2.0, 7.0]]), torch.tensor([[4.0, 9.0]])  # a constant column
    generator = torch.Generator().manual_seed(3)
    for rows, columns in ((5, 2), (8, 4)):
        train = torch.randn(rows, columns, generator=generator) * 10
        yield train, torch.randn(3, columns, generator=generator) * 20


EXERCISES = {
    "iterations": Exercise(iterations, _counts),
    "collate_pairs": Exercise(collate_pairs, _pairs),
    "mean_and_deviation": Exercise(mean_and_deviation, _batches),
    "unit_scaled": Exercise(unit_scaled, _tables),
}
