"""Measure what takes longer than the chapter on convolutional networks may.

Each line of `companion/files/seeds/lenet.csv` is one training. `rates` tries learning rates on
other seeds than the rest uses, and only its validation accuracy may choose; `changes` trains with
the chosen rates; `long` lets the classic recipe go on; `full rates` and `full` take all 60,000
images. What is in the file already is not run again: to measure anew, delete its lines.
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
SCORES = ("train", "validation", "test", "shifted")
COLUMNS = ("experiment", "setting", "rate", "seed", "epochs", *SCORES, "commit")
EPOCHS, BATCH = 5, 50
RATES = {
    SGD: (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
    AdamW: (0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
}

FULL_RATES = (0.002, 0.003, 0.005)

CHANGES = {
    "activation": {"activation": (nn.Sigmoid, nn.ReLU)},
    "pooling": {"pooling": (nn.AvgPool2d, nn.MaxPool2d)},
    "optimizer": {"optimizer": (SGD, AdamW)},
    "schedule": {"one_cycle": (False, True)},
}
SETTINGS: dict[str, tuple[Callable[[Recipe], nn.Module], Recipe, str]] = {}


def lenet(recipe: Recipe) -> nn.Module:
    """Make the network of a recipe."""
    return LeNet(recipe.activation, recipe.pooling)


def frozen(recipe: Recipe) -> nn.Module:
    """Make the network of a recipe whose convolutions stay as they were drawn."""
    model = lenet(recipe)
    model.features.requires_grad_(False)
    return model


def wide(recipe: Recipe) -> nn.Module:
    """Make a LeNet with twice as many maps."""
    return LeNet(recipe.activation, recipe.pooling, maps=(12, 32))


def perceptron(recipe: Recipe) -> nn.Module:
    """Make a network without convolutions and with about as many parameters."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 78), recipe.activation(), nn.Linear(78, 10))


def every_second(n: int) -> nn.Module:
    """Make a pooling with windows of one pixel: it keeps every n-th."""
    return nn.MaxPool2d(1, stride=n)


SETTINGS["classic"] = lenet, CLASSIC, "plain"
for _name, _change in CHANGES.items():
    _new = {key: pair[1] for key, pair in _change.items()}
    SETTINGS[f"classic, new {_name}"] = lenet, replace(CLASSIC, **_new), "plain"
SETTINGS["today"] = lenet, TODAY, "plain"
for _name, _change in CHANGES.items():
    _old = {key: pair[0] for key, pair in _change.items()}
    SETTINGS[f"today, old {_name}"] = lenet, replace(TODAY, **_old), "plain"
SETTINGS["every second"] = lenet, replace(TODAY, pooling=every_second), "plain"
SETTINGS["frozen"] = frozen, TODAY, "plain"
SETTINGS["permuted"] = lenet, TODAY, "permuted"
SETTINGS["wide"] = wide, TODAY, "plain"
SETTINGS["perceptron"] = perceptron, TODAY, "plain"


class Data:
    """The images of one seed: 9 of 10 to learn from, the rest to choose by."""

    def __init__(self, split: Split, seed: int, kind: str) -> None:
        torch.manual_seed(seed)
        rows, held = torch.randperm(len(split.train_images)).tensor_split([len(split[0]) * 9 // 10])
        order = torch.randperm(784) if kind == "permuted" else torch.arange(784)

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
    setting: str, rate: float, seed: int, split: Split, stops: tuple[int, ...] = (EPOCHS,)
) -> Iterator[dict]:
    """Train once; report after the epochs in ``stops``."""
    make, recipe, kind = SETTINGS[setting]
    recipe = replace(recipe, lr=rate)
    data = Data(split, seed, kind)
    model = nn.Sequential(Standardize(data.mean, data.std), make(recipe))
    optimizer = make_optimizer(model, recipe, stops[-1] * len(data.train))
    alive = True
    for epoch in range(1, stops[-1] + 1):
        try:
            if alive:
                train_epoch(model, data.train, F.cross_entropy, optimizer)
        except ValueError:  # the loss is no number any more; what is left knows nothing
            alive = False
        if epoch in stops:
            right = [evaluate(model, part, F.cross_entropy, accuracy)[1] for part in data.sets]
            yield {"epochs": epoch} | dict(zip(SCORES, (round(r, 4) for r in right), strict=True))


def experiment(name: str) -> Iterator[tuple[str, float, int, tuple[int, ...]]]:
    """Say which trainings belong to an experiment: setting, rate, seed, after which epochs."""
    if name == "rates":
        for seed in (100, 101, 102):
            for setting, (_, recipe, _) in SETTINGS.items():
                for rate in RATES[recipe.optimizer] if setting != "wide" else ():
                    yield setting, rate, seed, (EPOCHS,)
        return
    if name == "full rates":
        for rate in FULL_RATES:
            yield "today", rate, 100, (10,)
        return
    best = chosen("rates")
    if name == "changes":
        for seed in range(10):
            for setting, rate in best.items():
                yield setting, rate, seed, (EPOCHS,)
    elif name == "long":
        for seed in range(5):
            yield "classic", best["classic"], seed, (5, 10, 20, 50)
    elif name == "full":
        best |= chosen("full rates")  # the classic recipe and the perceptron keep theirs
        best["wide"] = best["today"]
        for seed in range(3):
            for setting in ("wide", "today", "classic", "perceptron"):
                yield setting, best[setting], seed, (10,)


def kept() -> list[dict]:
    """Read the file."""
    if not FILE.exists():
        return []
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def chosen(experiment: str) -> dict[str, float]:
    """Choose for each setting the rate with the best mean validation accuracy."""
    table: dict[str, dict[float, list[float]]] = {}
    for row in kept():
        if row["experiment"] == experiment:
            at = table.setdefault(row["setting"], {}).setdefault(float(row["rate"]), [])
            at.append(float(row["validation"]))
    return {name: max(at, key=lambda rate: sum(at[rate])) for name, at in table.items()}


def main() -> None:
    """Run what is not in the file yet; each training is written down when it ends."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "experiment", nargs="+", choices=("rates", "changes", "long", "full rates", "full")
    )
    parser.add_argument("--only", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.experiment:
        split = fashion_mnist(full=name.startswith("full"))
        done = {(r["experiment"], r["setting"], float(r["rate"]), int(r["seed"])) for r in kept()}
        for setting, rate, seed, stops in experiment(name):
            if setting not in arguments.only or (name, setting, rate, seed) in done:
                continue
            start = time.perf_counter()
            rows = list(run(setting, rate, seed, split, stops))
            fixed = {"experiment": name, "setting": setting, "rate": rate, "seed": seed}
            new = not FILE.exists()
            with FILE.open("a", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                if new:
                    writer.writeheader()
                writer.writerows(fixed | row | {"commit": _commit()} for row in rows)
            print(f"{time.perf_counter() - start:4.0f} s {fixed} {rows[-1]}", flush=True)


if __name__ == "__main__":
    main()
