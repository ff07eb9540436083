"""Measure what takes longer than the chapter on sequence to sequence may.

Each training in `companion/files/seeds/seq2seq.csv` is a network that learns to translate sentences
of one to four dates, mixed, all of them through one state. It is judged on sentences of each number
of dates, one line for each. `rates` tries learning rates on the validation dates, with another seed
than the rest uses; `sentences` takes the best of them for each size and is judged on the test
dates; `longer` is the same with three times the steps. What is in the file already is not run
again: to measure anew, delete its lines.
"""

import argparse
import csv
import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from chapters import ROOT
from seeds import _commit

from companion.cnn import Recipe, make_optimizer
from companion.precision import clip_grad_norm_
from companion.seq2seq import (
    PAD,
    SPECIAL,
    Seq2Seq,
    Seq2SeqConfig,
    chinese_date,
    decoder_batch,
    english_date,
    greedy_search,
    pad_tokens,
    split_dates,
)
from companion.text import Vocabulary

FILE = ROOT / "companion" / "files" / "seeds" / "seq2seq.csv"
COLUMNS = ("experiment", "hidden", "rate", "seed", "dates", "sentences", "each", "loss", "commit")
STEPS, BATCH, JUDGED = 400, 128, 500
COUNTS = (1, 2, 3, 4)
RATES = (0.0025, 0.005, 0.01, 0.02)
TRAIN, VALIDATION, TEST = split_dates()
ENGLISH = Vocabulary([w for d in TRAIN for w in english_date(d).split()] + [","], SPECIAL)
CHINESE = Vocabulary([c for d in TRAIN for c in chinese_date(d)] + ["、"], SPECIAL)


def sentences(dates: list, count: int, n: int) -> list[list]:
    """Draw n sentences of so many dates."""
    return [[dates[i] for i in row] for row in torch.randint(len(dates), (n, count)).tolist()]


def prepare(drawn: list[list]) -> tuple:
    """Make one batch of sentences: source, lengths, read, say."""
    sources = [ENGLISH.encode(" , ".join(map(english_date, s)).split()) for s in drawn]
    targets = [CHINESE.encode("、".join(map(chinese_date, s))) for s in drawn]
    return *pad_tokens(sources), *decoder_batch(targets)


def step_loss(model: Seq2Seq, batch: tuple) -> torch.Tensor:
    """Return the mean loss of the tokens."""
    source, lengths, read, say = batch
    logits = model(source, lengths, read)
    return F.cross_entropy(logits.flatten(0, 1), say.flatten(), ignore_index=PAD)


def judge(model: Seq2Seq, dates: list, count: int) -> tuple[float, str, float]:
    """Return the share of sentences that are all right, of each date, and the loss."""
    drawn = sentences(dates, count, JUDGED)
    batch = prepare(drawn)
    with torch.no_grad():
        found = greedy_search(model.step, model.encode(*batch[:2]), max_length=13 * count + 1)
        loss = step_loss(model, batch).item()
    right = []
    for tokens, sentence in zip(found, drawn, strict=True):
        parts = CHINESE.decode(tokens).split("、") + [""] * count
        right.append([p == chinese_date(d) for p, d in zip(parts, sentence, strict=False)])
    right = torch.tensor(right).double()
    each = " ".join(f"{v:.3f}" for v in right.mean(0).tolist())
    return round(right.prod(1).mean().item(), 4), each, round(loss, 5)


def run(
    hidden: int, rate: float, seed: int, dates: list, steps: int
) -> list[tuple[float, str, float]]:
    """Train on sentences of one to four dates in turn, and judge each kind."""
    torch.manual_seed(seed)
    model = Seq2Seq(Seq2SeqConfig(len(ENGLISH), len(CHINESE), hidden=hidden))
    optimizer = make_optimizer(model, Recipe(lr=rate), steps)
    for step in range(steps):
        count = COUNTS[step % len(COUNTS)]
        loss = step_loss(model, prepare(sentences(TRAIN, count, BATCH)))
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return [judge(model, dates, count) for count in COUNTS]


def kept() -> list[dict]:
    """Read the file."""
    if not FILE.exists():
        return []
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def chosen(hidden: int) -> float:
    """Choose the rate with the least mean loss."""
    table: dict[float, list[float]] = {}
    for row in kept():
        if row["experiment"] == "rates" and int(row["hidden"]) == hidden:
            table.setdefault(float(row["rate"]), []).append(float(row["loss"]))
    return min(table, key=lambda rate: sum(table[rate]) / len(table[rate]))


def experiment(name: str, hidden: int, seeds: int) -> Iterator[tuple[float, int]]:
    """Say which trainings belong to an experiment: rate, seed."""
    if name == "rates":
        yield from ((rate, 100) for rate in RATES)
    else:
        yield from ((chosen(hidden), seed) for seed in range(seeds))


def main() -> None:
    """Run what is not in the file yet; each training is written down when it ends."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    names = ("rates", "sentences", "longer")
    parser.add_argument("experiment", nargs="+", choices=names)
    parser.add_argument("--hidden", type=int, nargs="+", default=(128,), help="sizes of a state")
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.experiment:
        steps = STEPS * 3 if name == "longer" else STEPS
        dates = VALIDATION if name == "rates" else TEST
        for hidden in arguments.hidden:
            done = {tuple(row[key] for key in COLUMNS[:4]) for row in kept()}
            for rate, seed in experiment(name, hidden, arguments.seeds):
                key = name, str(hidden), str(rate), str(seed)
                if key in done:
                    continue
                start = time.perf_counter()
                found = run(hidden, rate, seed, dates, steps)
                new = not FILE.exists()
                with FILE.open("a", encoding="utf-8", newline="") as file:
                    writer = csv.writer(file, lineterminator="\n")
                    if new:
                        writer.writerow(COLUMNS)
                    for count, row in zip(COUNTS, found, strict=True):
                        writer.writerow((*key, count, *row, _commit()))
                print(f"{time.perf_counter() - start:4.1f} s {key} {found}", flush=True)


if __name__ == "__main__":
    main()
