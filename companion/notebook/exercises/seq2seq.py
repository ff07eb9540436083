"""Exercises on sequence to sequence: batches, the loss of each answer, exact search, n-grams."""

import torch
from torch import Tensor

from companion.notebook.checks import Exercise
from companion.seq2seq import BOS, EOS, PAD, corpus_bleu, decoder_batch


def what_it_reads(say: Tensor) -> Tensor:
    """Return the right answers one place later, without their ends."""
    read = torch.full_like(say, BOS)
    read[:, 1:] = say[:, :-1].where(say[:, :-1] != EOS, PAD)
    return read


def loss_of_each(log_p: Tensor, say: Tensor) -> Tensor:
    """Return the mean loss of each sequence's own tokens."""
    picked = log_p.gather(2, say[..., None])[..., 0]
    return torch.stack([-row[own != PAD].mean() for row, own in zip(picked, say, strict=True)])


def most_probable(first: Tensor, after: Tensor, n: int) -> list[int]:
    """Return the most probable sequence, found among the best ones for each last token."""
    best = {i: (first[i].item(), [i]) for i in range(len(first))}
    for _ in range(n - 1):
        best = {
            j: max((p + after[i, j].item(), [*way, j]) for i, (p, way) in best.items())
            for j in best
        }
    return max(best.values())[1]


def clipped_precision(answer: list, reference: list, n: int) -> float:
    """Return the share of runs of n tokens that stand in the reference, each as often as there."""
    return corpus_bleu([answer], [[reference]], max_n=n).precisions[-1]


def _tokens(generator: torch.Generator, lengths: tuple[int, ...]) -> Tensor:
    draw = [torch.randint(3, 9, (n,), generator=generator) for n in lengths]
    return decoder_batch(draw)[1]


def _batches():
    yield (torch.tensor([[5, 6, EOS], [7, EOS, PAD]]),)
    yield (torch.tensor([[EOS, PAD, PAD], [4, 5, EOS]]),)
    yield (torch.tensor([[3, EOS]]),)
    yield (_tokens(torch.Generator().manual_seed(1), (4, 1, 7, 7, 2)),)


def _probabilities():
    generator = torch.Generator().manual_seed(2)
    for lengths in ((2, 1), (3,), (1, 5, 2, 4)):
        say = _tokens(generator, lengths)
        logits = 2 * torch.randn(*say.shape, 9, generator=generator, dtype=torch.float64)
        yield logits.log_softmax(-1), say


def _tables():
    first = torch.tensor([0.6, 0.4], dtype=torch.float64).log()
    after = torch.tensor([[0.5, 0.5], [0.1, 0.9]], dtype=torch.float64).log()
    for n in (1, 2, 3):
        yield first, after, n
    first, after = torch.full((8,), 0.14), torch.full((8, 8), 1 / 8)
    first[7], after[7] = 0.02, torch.tensor([0.001] * 7 + [0.993])  # where narrow beams fail
    yield first.double().log(), after.double().log(), 6
    generator = torch.Generator().manual_seed(3)
    for v, n in ((3, 4), (5, 7), (4, 12)):
        logits = 2 * torch.randn(v + 1, v, generator=generator, dtype=torch.float64)
        yield logits[0].log_softmax(-1), logits[1:].log_softmax(-1), n


def _texts():
    cat = ["the", "cat", "is", "on", "the", "mat"]
    yield ["the", "cat"], cat, 1
    yield ["the"] * 4, cat, 1
    yield ["the", "cat", "the", "cat"], cat, 2
    yield ["the"], cat, 2
    yield [], cat, 1
    yield list("abcabcab"), list("abcxabca"), 3


EXERCISES = {
    "what_it_reads": Exercise(what_it_reads, _batches),
    "loss_of_each": Exercise(loss_of_each, _probabilities),
    "most_probable": Exercise(most_probable, _tables),
    "clipped_precision": Exercise(clipped_precision, _texts),
}
