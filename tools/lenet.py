"""Measure what takes longer than the chapter on convolutional networks may.

Each line of `companion/files/seeds/lenet.csv` is one training. `rates` tries learning rates on
other seeds than the rest uses, and only its validation accuracy may choose; `changes` trains with
the chosen rates; `long` lets the classic recipe go on; `full` takes all 60,000 images.
"""

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from chapters import ROOT
from seeds import _commit
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from companion.cnn import CLASSIC, TODAY, LeNet, Recipe, Standardize, make_optimizer, shift
from companion.data import Split, fashion_mnist
from companion.optim import SGD, AdamW
from companion.training import accuracy, evaluate, train_epoch

FILE = ROOT / "companion" / "files" / "seeds" / "lenet.csv"
COLUMNS = ("experiment", "setting", "rate", "seed", "epochs", "train", "validation", "test")
COLUMNS += ("shifted", "commit")
EPOCHS, BATCH = 5, 50
RATES = {SGD: (0.1, 0.2, 0.5, 1.0, 2.0), AdamW: (0.001, 0.002, 0.005, 0.01, 0.02)}

CHANGES = {
    "activation": {"activation": (nn.Sigmoid, nn.ReLU)},
    "pooling": {"pooling": (nn.AvgPool2d, nn.MaxPool2d)},
    "optimizer": {"optimizer": (SGD, AdamW)},
    "schedule": {"one_cycle": (False, True)},
}
SETTINGS: dict[str, tuple[Callable[[Recipe], nn.Module], Recipe, bool]] = {}


def lenet(recipe: Recipe) -> nn.Module:
    """Make the network of a recipe."""
    return LeNet(recipe.activation, recipe.pooling)


def perceptron(recipe: Recipe) -> nn.Module:
    """Make a network without convolutions and with about as many parameters."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 78), recipe.activation(), nn.Linear(78, 10))


def every_second(n: int) -> nn.Module:
    """Make a pooling with windows of one pixel: it keeps every n-th."""
    return nn.MaxPool2d(1, stride=n)


SETTINGS["classic"] = lenet, CLASSIC, False
for _name, _change in CHANGES.items():
    _new = {key: pair[1] for key, pair in _change.items()}
    SETTINGS[f"classic, new {_name}"] = lenet, replace(CLASSIC, **_new), False
SETTINGS["today"] = lenet, TODAY, False
for _name, _change in CHANGES.items():
    _old = {key: pair[0] for key, pair in _change.items()}
    SETTINGS[f"today, old {_name}"] = lenet, replace(TODAY, **_old), False
SETTINGS["every second"] = lenet, replace(TODAY, pooling=every_second), False
SETTINGS["permuted"] = lenet, TODAY, True
SETTINGS["perceptron"] = perceptron, TODAY, False


class Data:
    """The images of one seed: 9 of 10 to learn from, the rest to choose by."""

    def __init__(self, split: Split, seed: int, permuted: bool) -> None:
        torch.manual_seed(seed)
        rows, held = torch.randperm(len(split.train_images)).tensor_split([len(split[0]) * 9 // 10])
        order = torch.randperm(784) if permuted else torch.arange(784)

        def pairs(images: Tensor, labels: Tensor) -> TensorDataset:
            return TensorDataset(images.flatten(1)[:, order].reshape(images.shape), labels)

        train = split.train_images[rows]
        self.mean, self.std = train.mean().item(), train.std().item()
        self.train = DataLoader(pairs(train, split.train_labels[rows]), BATCH, shuffle=True)
        moved = torch.cat([shift(split.test_images, x, y) for x, y in MOVES])
        self.sets = [
            DataLoader(pairs(images, labels), 500)
            for images, labels in (
                (train, split.train_labels[rows]),
                (split.train_images[held], split.train_labels[held]),
                (split.test_images, split.test_labels),
                (moved, split.test_labels.repeat(len(MOVES))),
            )
        ]


MOVES = ((2, 0), (-2, 0), (0, 2), (0, -2))


def run(
    setting: str, rate: float | None, seed: int, split: Split, stops: tuple[int, ...] = (EPOCHS,)
) -> Iterator[dict]:
    """Train once; report after the epochs in ``stops``."""
    make, recipe, permuted = SETTINGS[setting]
    recipe = recipe if rate is None else replace(recipe, lr=rate)
    data = Data(split, seed, permuted)
    model = nn.Sequential(Standardize(data.mean, data.std), make(recipe))
    optimizer = make_optimizer(model, recipe, stops[-1] * len(data.train))
    for epoch in range(1, stops[-1] + 1):
        try:
            train_epoch(model, data.train, F.cross_entropy, optimizer)
        except ValueError:  # the loss is no number any more
            yield {
                "setting": setting,
                "rate": recipe.lr,
                "seed": seed,
                "epochs": epoch,
            } | dict.fromkeys(("train", "validation", "test", "shifted"), 0.1)
            return
        if epoch in stops:
            right = [evaluate(model, part, F.cross_entropy, accuracy)[1] for part in data.sets]
            named = dict(zip(("train", "validation", "test", "shifted"), right, strict=True))
            named = {name: round(value, 4) for name, value in named.items()}
            yield {"setting": setting, "rate": recipe.lr, "seed": seed, "epochs": epoch} | named


def experiment(name: str) -> Iterator[dict]:
    """Run all trainings of one experiment."""
    split = fashion_mnist(full=name == "full")
    if name == "rates":
        for seed in (100, 101, 102):
            for setting, (_, recipe, _) in SETTINGS.items():
                for rate in RATES[recipe.optimizer]:
                    yield from run(setting, rate, seed, split)
    elif name == "changes":
        best = chosen()
        for seed in range(10):
            for setting in SETTINGS:
                yield from run(setting, best[setting], seed, split)
    elif name == "long":
        for seed in range(5):
            yield from run("classic", None, seed, split, (5, 10, 20, 50))
            yield from run("classic", 2 * CLASSIC.lr, seed, split, (5, 10, 20, 50))
    else:
        for seed in range(5):
            for setting in ("classic", "today", "perceptron"):
                yield from run(setting, chosen()[setting], seed, split, (10,))


def kept() -> list[dict]:
    """Read the file."""
    if not FILE.exists():
        return []
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def chosen() -> dict[str, float]:
    """Choose for each setting the rate with the best mean validation accuracy."""
    table: dict[str, dict[float, list[float]]] = {}
    for row in kept():
        if row["experiment"] == "rates":
            at = table.setdefault(row["setting"], {}).setdefault(float(row["rate"]), [])
            at.append(float(row["validation"]))
    return {name: max(at, key=lambda rate: sum(at[rate])) for name, at in table.items()}


def main() -> None:
    """Run the experiments that are named, and keep the others' lines."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("experiment", nargs="+", choices=("rates", "changes", "long", "full"))
    torch.set_num_threads(1)
    for name in parser.parse_args().experiment:
        start, rows = time.perf_counter(), []
        for row in experiment(name):
            rows.append({"experiment": name, "commit": _commit()} | row)
            print(f"{time.perf_counter() - start:6.0f} s {row}", flush=True)
        others = [row for row in kept() if row["experiment"] != name]
        with FILE.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(others + rows)


if __name__ == "__main__":
    main()
