"""Measure what takes longer than the chapter on the LSTM may.

Each line of `companion/files/seeds/lstm.csv` is one training. `rates` tries learning rates for the
adding problem on other seeds than the rest uses; `lengths` takes the best of them for each network
and lets the sequences grow. `text` tries rates for the model of characters, on the validation text;
`length` is that of its windows, and the error is the mean loss in nats. What is in the file already
is not run again: to measure anew, delete its lines.
"""

import argparse
import csv
import math
import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from chapters import ROOT
from seeds import _commit
from torch import Tensor, nn

from companion.cnn import Recipe, make_optimizer
from companion.text import Vocabulary, help_topics, split_topics

FILE = ROOT / "companion" / "files" / "seeds" / "lstm.csv"
COLUMNS = ("experiment", "network", "length", "rate", "seed", "error", "commit")
STEPS, BATCH, HIDDEN = 1000, 50, 32
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
TEXT_RATES, TEXT_STEPS, WINDOW = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16), 300, 64
NETWORKS = (
    "RNN",
    "RNN, tanh and identity",
    "RNN, ReLU",
    "RNN, identity",
    "LSTM, bias 0",
    "LSTM, bias 1",
    "LSTM, bias 3",
    "GRU",
)


def adding(n: int, length: int) -> tuple[Tensor, Tensor]:
    """Draw sequences of numbers of which two are marked, and the sums of these two."""
    numbers, marks = torch.rand(n, length), torch.zeros(n, length)
    rows, half = torch.arange(n), length // 2
    marks[rows, torch.randint(half, (n,))] = 1
    marks[rows, torch.randint(half, length, (n,))] = 1
    return torch.stack([numbers, marks], dim=-1), (numbers * marks).sum(1)


class LastState(nn.Module):
    """A recurrent network and one linear layer on its last output."""

    def __init__(self, name: str) -> None:
        super().__init__()
        kind, _, rest = name.partition(", ")
        relu = {"nonlinearity": "relu"} if rest in ("ReLU", "identity") else {}
        self.body = getattr(nn, kind)(2, HIDDEN, batch_first=True, **relu)
        self.head = nn.Linear(HIDDEN, 1)
        with torch.no_grad():
            if rest.endswith("identity"):  # Le, Jaitly and Hinton (2015)
                self.body.weight_hh_l0.copy_(torch.eye(HIDDEN))
                self.body.bias_ih_l0.zero_()
                self.body.bias_hh_l0.zero_()
            elif kind == "LSTM":  # the second quarter of the biases belongs to the forget gate
                self.body.bias_ih_l0[HIDDEN : 2 * HIDDEN] = float(rest.removeprefix("bias "))
                self.body.bias_hh_l0[HIDDEN : 2 * HIDDEN] = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Answer with one number for each sequence."""
        return self.head(self.body(x)[0][:, -1])[:, 0]


def run(name: str, length: int, rate: float, seed: int) -> float:
    """Train, and return the mean squared error on 1,000 new sequences."""
    torch.manual_seed(seed)
    model = LastState(name)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(STEPS):
        x, y = adding(BATCH, length)
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    x, y = adding(1000, length)
    with torch.no_grad():
        return F.mse_loss(model(x), y).item()


class Characters(nn.Module):
    """The chapter's model of characters: an embedding, a recurrent network, a linear layer."""

    def __init__(self, kind: str, size: int, hidden: int = 128) -> None:
        super().__init__()
        self.embed = nn.Embedding(size, 32)
        self.body = getattr(nn, kind)(32, hidden)
        self.head = nn.Linear(hidden, size)
        if kind == "LSTM":
            with torch.no_grad():
                self.body.bias_ih_l0[hidden : 2 * hidden] = 1.0
                self.body.bias_hh_l0[hidden : 2 * hidden] = 0.0

    def loss(self, windows: Tensor) -> Tensor:
        """Return the mean loss of the next characters."""
        logits = self.head(self.body(self.embed(windows[:-1]))[0])
        return F.cross_entropy(logits.flatten(0, 1), windows[1:].flatten())


def run_text(kind: str, rate: float, seed: int) -> float:
    """Train as the chapter does, and return the loss on the validation text."""
    topics = help_topics()
    vocabulary = Vocabulary("".join(topics.values()))
    learning, held = (vocabulary.encode(part) for part in split_topics(topics)[:2])
    torch.manual_seed(seed)
    model = Characters(kind, len(vocabulary))
    optimizer = make_optimizer(model, Recipe(lr=rate), TEXT_STEPS)
    for _ in range(TEXT_STEPS):
        starts = torch.randint(len(learning) - WINDOW, (32,))
        loss = model.loss(learning[starts + torch.arange(WINDOW + 1)[:, None]])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        whole = len(held) // (WINDOW + 1) * (WINDOW + 1)
        return model.loss(held[:whole].reshape(-1, WINDOW + 1).T).item()


def kept() -> list[dict]:
    """Read the file."""
    if not FILE.exists():
        return []
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def chosen() -> dict[str, float]:
    """Choose for each network the rate with the least mean error."""
    table: dict[str, dict[float, list[float]]] = {}
    for row in kept():
        if row["experiment"] == "rates":
            at = table.setdefault(row["network"], {}).setdefault(float(row["rate"]), [])
            error = float(row["error"])
            at.append(math.inf if math.isnan(error) else error)  # one that blew up
    return {name: min(at, key=lambda rate: sum(at[rate])) for name, at in table.items()}


def experiment(name: str) -> Iterator[tuple[str, int, float, int]]:
    """Say which trainings belong to an experiment: network, length, rate, seed."""
    if name == "rates":
        for network in NETWORKS:
            for rate in RATES:
                for seed in (100, 101, 102):
                    yield network, 50, rate, seed
        return
    if name == "text":
        for network in ("RNN", "LSTM"):
            for rate in TEXT_RATES:
                for seed in (100, 101):
                    yield network, WINDOW, rate, seed
        return
    best = chosen()
    for seed in range(10):
        for length in (25, 50, 100):
            for network in NETWORKS:
                yield network, length, best[network], seed


def main() -> None:
    """Run what is not in the file yet; each training is written down when it ends."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("experiment", nargs="+", choices=("rates", "lengths", "text"))
    torch.set_num_threads(1)
    for name in parser.parse_args().experiment:
        done = {tuple(row[key] for key in COLUMNS[:5]) for row in kept()}
        for network, length, rate, seed in experiment(name):
            key = name, network, str(length), str(rate), str(seed)
            if key in done:
                continue
            start = time.perf_counter()
            text = name == "text"
            error = run_text(network, rate, seed) if text else run(network, length, rate, seed)
            error = round(error, 5)
            row = dict(zip(COLUMNS, (*key, error, _commit()), strict=True))
            new = not FILE.exists()
            with FILE.open("a", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                if new:
                    writer.writeheader()
                writer.writerow(row)
            print(f"{time.perf_counter() - start:4.1f} s {row}", flush=True)


if __name__ == "__main__":
    main()
