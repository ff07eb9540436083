"""Measure what takes longer than the chapter on residual networks may.

Each line of `companion/files/seeds/resnet.csv` is one training. `rates` tries learning rates on
other seeds than the rest uses, and the rate with the lowest loss on the training images is chosen,
for each network by itself; `depths` trains with the chosen rates; `long` gives some of them more
epochs. What is in the file already is not run again: to measure anew, delete its lines.
"""

import argparse
import csv
import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from chapters import ROOT
from seeds import _commit
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset

from companion.data import fashion_mnist
from companion.optim import SGD
from companion.resnet import BasicBlock, PlainBlock, SmallResNet
from companion.training import accuracy, evaluate, train_epoch

FILE = ROOT / "companion" / "files" / "seeds" / "resnet.csv"
SCORES = ("loss", "train", "validation", "test", "curve")
COLUMNS = ("experiment", "block", "depth", "rate", "epochs", "seed", *SCORES, "commit")
BLOCKS = {"plain": PlainBlock, "residual": BasicBlock}
DEPTHS, RATES = (8, 20, 32, 44), (0.02, 0.05, 0.1, 0.2)
LOWER = {("plain", 44): (0.01, 0.005)}  # where the lowest of these was the best
EPOCHS, LONG, BATCH = 5, 15, 50


def run(block: str, depth: int, rate: float, epochs: int, seed: int) -> dict:
    """Train one network on 3,000 images; say how it does on them and on others."""
    torch.manual_seed(seed)
    data = fashion_mnist()
    rows, held, _ = torch.randperm(10_000).split([3000, 1000, 6000])
    images = data.train_images[rows]
    mean, std = images.mean(), images.std()

    def loader(images, labels, batch_size=500, shuffle=False):
        return DataLoader(TensorDataset((images - mean) / std, labels), batch_size, shuffle)

    train = images, data.train_labels[rows]
    others = (data.train_images[held], data.train_labels[held]), data[2:]
    model = SmallResNet((depth - 2) // 6, BLOCKS[block])
    optimizer = SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4)
    batches, curve = loader(*train, BATCH, shuffle=True), []
    schedule = OneCycleLR(optimizer, rate, epochs * len(batches), cycle_momentum=False)
    optimizer.register_step_post_hook(lambda *_: schedule.step())
    try:
        for _ in range(epochs):
            _, right, _ = train_epoch(model, batches, F.cross_entropy, optimizer, accuracy)
            curve.append(f"{1 - right:.4f}")
    except ValueError:  # the loss is no number any more: the worst that there is
        return dict.fromkeys(SCORES, float("nan"))
    scores = [evaluate(model, loader(*p), F.cross_entropy, accuracy) for p in (train, *others)]
    rights = [round(right, 4) for _, right in scores]
    values = round(scores[0][0], 5), *rights, " ".join(curve)
    return dict(zip(SCORES, values, strict=True))


def experiment(name: str) -> Iterator[tuple[str, int, float, int, int]]:
    """Say which trainings belong to an experiment."""
    if name == "rates":
        for seed in (100, 101):
            for depth in DEPTHS:
                for block in BLOCKS:
                    for rate in (*RATES, *LOWER.get((block, depth), ())):
                        yield block, depth, rate, EPOCHS, seed
        return
    best = chosen()
    if name == "depths":
        for seed in range(5):
            for depth in DEPTHS:
                for block in BLOCKS:
                    yield block, depth, best[block, depth], EPOCHS, seed
    else:
        for seed in range(5):
            for block, depth in (("plain", 44), ("plain", 8), ("residual", 44)):
                yield block, depth, best[block, depth], LONG, seed


def kept() -> list[dict]:
    """Read the file."""
    if not FILE.exists():
        return []
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def chosen() -> dict[tuple[str, int], float]:
    """Choose for each network the rate with the lowest mean loss on the training images."""
    table: dict[tuple[str, int], dict[float, float]] = {}
    for row in kept():
        if row["experiment"] == "rates":
            at = table.setdefault((row["block"], int(row["depth"])), {})
            at[float(row["rate"])] = at.get(float(row["rate"]), 0) + float(row["loss"])
    return {
        net: min(at, key=lambda rate: (at[rate] != at[rate], at[rate])) for net, at in table.items()
    }


def main() -> None:
    """Run what is not in the file yet; each training is written down when it ends."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("experiment", nargs="+", choices=("rates", "depths", "long"))
    parser.add_argument("--seeds", type=int, nargs="+", help="only these")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keys = ("block", "depth", "rate", "epochs", "seed")
    for name in arguments.experiment:
        for settings in experiment(name):
            fixed = {"experiment": name} | dict(zip(keys, settings, strict=True))
            row = {key: str(value) for key, value in fixed.items()}
            if any(row.items() <= done.items() for done in kept()):
                continue
            if arguments.seeds and fixed["seed"] not in arguments.seeds:
                continue
            start, new = time.perf_counter(), not FILE.exists()
            row = fixed | run(*settings) | {"commit": _commit()}
            with FILE.open("a", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                if new:
                    writer.writeheader()
                writer.writerow(row)
            print(f"{time.perf_counter() - start:4.0f} s {row}", flush=True)


if __name__ == "__main__":
    main()
