"""Measure what takes longer than the chapter on transfer learning may.

Each line of `companion/files/seeds/transfer.csv` is one training on few labels of the target.
`rates` tries learning rates on other seeds than the rest uses, and only its validation accuracy may
choose; `ways` compares ways to use the labels, and `long` gives two of them more steps; `layers`
copies the first layers alone, `body` moves the rate of the copied part, `sources` changes what the
network has learnt before. What is in the file already is not run again: to measure anew, delete its
lines.
"""

import argparse
import copy
import csv
import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from chapters import ROOT
from seeds import _commit
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader, TensorDataset

from companion.cnn import shift
from companion.data import digits, fashion_mnist
from companion.regularization import random_shift
from companion.training import accuracy, evaluate, fit
from companion.transfer import (
    features,
    few_labels,
    freeze,
    load_body,
    only_classes,
    parameter_groups,
)
from companion.vgg import SmallVGG

FILE = ROOT / "companion" / "files" / "seeds" / "transfer.csv"
SCORES = ("validation", "test", "old task", "old task, statistics", "old task, head")
COLUMNS = ("experiment", "setting", "labels", "rate", "seed", *SCORES, "commit")
CLOTHES, SHOES = [0, 1, 2, 3, 4, 6], [5, 7, 8, 9]  # SHOES: and bags
STEPS, LONG, BATCH = 200, 1000, 20
HEAD = 0.02  # the rate of a new head whose body learns, too
WAYS = ("pixels", "scratch", "random body", "frozen", "fine-tuned")
SOURCES = ("clothes", "centred", "upside down", "inverted", "digits", "shuffled", "brightness")
SOURCES += ("place", "nothing")
FEW, MORE = (5, 20, 100), (5, 10, 20, 50, 100, 200, 500)
RATES = {
    "pixels": (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    "scratch": (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1),  # of the body
    "random body": (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1),
    "frozen": (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1),
    "fine-tuned": (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1),  # of the body
}
BODY_RATES = (0.0, 0.0003, 0.002, 0.01, 0.05)
CONVOLUTIONS = (0, 3, 7, 10, 14, 17)  # where they are in the features of SmallVGG
PLACES = [(x, y) for y in (-4, 0, 4) for x in (-4, 0, 4)]


def loader(images: Tensor, labels: Tensor, size: int = 500, shuffle: bool = False) -> DataLoader:
    """Make a loader; batches of a training are whole."""
    return DataLoader(TensorDataset(images, labels), size, shuffle, drop_last=shuffle)


def right(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of right answers."""
    return evaluate(model, loader(images, labels), F.cross_entropy, accuracy)[1]


def learn(
    model: nn.Module,
    rates: dict[str, float],
    images: Tensor,
    labels: Tensor,
    steps: int = STEPS,
    size: int = BATCH,
) -> nn.Module:
    """Train with AdamW and one cycle for a number of steps."""
    optimizer = torch.optim.AdamW(parameter_groups(model, rates))
    peaks = [group["lr"] for group in optimizer.param_groups]
    cycle = OneCycleLR(optimizer, peaks, total_steps=steps, cycle_momentum=False)
    optimizer.register_step_post_hook(lambda *_: cycle.step())
    batches = loader(images, labels, size, shuffle=True)
    whole, rest = divmod(steps, len(batches))
    fit(model, batches, F.cross_entropy, optimizer, whole)
    if rest:
        some = [batch for batch, _ in zip(batches, range(rest), strict=False)]
        fit(model, some, F.cross_entropy, optimizer, 1)
    return model


class Tasks:
    """Source and target of one seed, and the network that has learnt the source."""

    def __init__(self, seed: int, source: str = "clothes") -> None:
        torch.manual_seed(seed)
        data = fashion_mnist()
        train = only_classes(*data[:2], CLOTHES)
        self.target = only_classes(random_shift(data.train_images, 4), data.train_labels, SHOES)
        images, labels = self.source_images(source, *train)
        self.mean, self.std = images.mean(), images.std()
        held = few_labels(self.target[1], 100)
        pool = torch.ones(len(self.target[1]), dtype=torch.bool).index_fill(0, held, False)
        self.held = self.ready(self.target[0][held]), self.target[1][held]
        self.target = self.ready(self.target[0][pool]), self.target[1][pool]
        moved = random_shift(data.test_images, 4)
        self.test = only_classes(self.ready(moved), data.test_labels, SHOES)
        self.source_test = only_classes(self.ready(moved), data.test_labels, CLOTHES)
        self.images, self.labels = self.ready(images), labels
        self.trained = SmallVGG(num_classes=int(labels.max()) + 1)
        self.trained.to(memory_format=torch.channels_last)
        if source == "nothing":
            update_bn(loader(self.images, self.labels), self.trained)
        else:
            rates = {"features": 0.02, "classifier": 0.02}
            learn(self.trained, rates, self.images, self.labels, 180, 100)

    def ready(self, images: Tensor) -> Tensor:
        """Standardise by the numbers of the source."""
        return (images - self.mean) / self.std

    def source_images(self, source: str, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Make images and labels of a source task."""
        if source == "centred":
            return images, labels
        if source == "place":
            labels = torch.arange(len(labels)) % 9
            moved = torch.empty_like(images)
            for k, (x, y) in enumerate(PLACES):
                moved[labels == k] = shift(images[labels == k], x, y)
            return moved, labels
        if source == "digits":
            small, labels = digits()[:2]
            images = F.pad(F.interpolate(small, scale_factor=2.5, mode="bilinear"), (4,) * 4)
        images = random_shift(images, 4)
        if source == "upside down":
            images = images.flip(-2)
        elif source == "inverted":
            images = 1 - images
        elif source == "shuffled":
            labels = labels[torch.randperm(len(labels))]
        elif source == "brightness":
            labels = images.flatten(1).mean(1).argsort().argsort() * 6 // len(labels)
        return images, labels

    def network(self, copied: int = 0, random: bool = False) -> SmallVGG:
        """Make a network for the target that has the first convolutions of the trained one."""
        new = SmallVGG(num_classes=len(SHOES)).to(memory_format=torch.channels_last)
        old = SmallVGG().to(memory_format=torch.channels_last) if random else self.trained
        if random:
            update_bn(loader(self.images, self.labels), old)
        if copied == 6:
            load_body(new, old.state_dict(), "classifier")
        elif copied:
            end = CONVOLUTIONS[copied]
            new.features[:end].load_state_dict(old.features[:end].state_dict())
        return new

    def scores(self, model: nn.Module) -> tuple[float, float]:
        """Return validation and test accuracy."""
        return right(model, *self.held), right(model, *self.test)

    def with_head(self, body: nn.Module, head: nn.Module, rate: float, x: Tensor, y: Tensor):
        """Train a head alone, on features that are computed once."""
        head = nn.Sequential(head)
        learn(head, {"0": rate}, features(body, x), y)
        held, test = (features(body, part[0]) for part in (self.held, self.test))
        return right(head, held, self.held[1]), right(head, test, self.test[1])

    def old_task(self, body: nn.Module) -> tuple[float, float, float]:
        """Return the source accuracy of a changed body.

        With the old head; with running statistics from the source images besides; with the body as
        it is and a new head that is trained on all the source images.
        """
        old = copy.deepcopy(self.trained)
        old.features.load_state_dict(body.state_dict())
        head = nn.Sequential(nn.Flatten(), nn.Linear(288, len(CLOTHES)))
        seen = features(old.features, self.images), self.labels
        learn(head, {"1": 0.01}, *seen, 180, 100)
        test, labels = self.source_test
        by_head = right(head, features(old.features, test), labels)
        by_old_head = right(old, test, labels)
        update_bn(loader(self.images, self.labels), old)
        return by_old_head, right(old, test, labels), by_head

    def run(
        self,
        way: str,
        labels: int,
        rates: dict[str, float],
        seed: int,
        steps: int = STEPS,
        look_back: bool = False,
    ) -> dict[str, float]:
        """Train on few labels in one way; the labels are the same for all ways of a seed."""
        draw = torch.Generator().manual_seed(1000 * labels + seed)
        rows = few_labels(self.target[1], labels, draw)
        x, y = self.target[0][rows], self.target[1][rows]
        torch.manual_seed(seed)
        kind, _, first = way.partition(" ") if way[-1].isdigit() else (way, "", "")
        if way == "pixels":
            flat = nn.Flatten()
            scores = self.with_head(flat, nn.Linear(784, 4), rates["pixels"], x, y)
        elif way in ("frozen", "adapted", "random body"):
            model = self.network(6, random=way == "random body")
            if way == "adapted":  # to images of the target, without labels
                update_bn(self.target[0][:1000].split(200), model)
            rate = rates["frozen" if way == "adapted" else way]
            scores = self.with_head(model.features, model.classifier, rate, x, y)
            if look_back:  # what of the source a new head finds in a body that has learnt nothing
                scores = *scores, *self.old_task(model.features)
        elif kind in ("frozen", "random"):
            model, end = self.network(int(first), kind == "random"), CONVOLUTIONS[int(first)]
            freeze(model.features[:end])
            rest = {"features": rates["scratch"], "classifier": HEAD}
            scores = self.scores(learn(model, rest, x, y))
        elif kind == "tuned":
            model, end = self.network(int(first)), int(first)
            body = {f"features.{k}": rates["fine-tuned"] for k in range(CONVOLUTIONS[end])}
            names = {name.rsplit(".", 1)[0] for name, _ in model.named_parameters()}
            body = {name: rate for name, rate in body.items() if name in names}
            rest = {"features": rates["scratch"], "classifier": HEAD}
            scores = self.scores(learn(model, rest | body, x, y))
        elif way == "scratch":
            rest = {"features": rates["scratch"], "classifier": HEAD}
            scores = self.scores(learn(self.network(), rest, x, y, steps))
        elif way == "fine-tuned":
            model = self.network(6)
            both = {"features": rates["fine-tuned"], "classifier": HEAD}
            scores = self.scores(learn(model, both, x, y, steps))
            if look_back:
                scores = *scores, *self.old_task(model.features)
        return dict(zip(SCORES, scores, strict=False))


def experiment(name: str) -> Iterator[tuple[str, int, dict[str, float], int, float, str]]:
    """Say which trainings belong to an experiment: way, labels, rates, seed, rate, source."""
    if name == "rates":
        for seed in (100, 101, 102):
            for way, rates in RATES.items():
                for rate in rates:
                    for labels in FEW:
                        yield way, labels, {way: rate}, seed, rate, "clothes"
        return
    best = chosen()
    for seed in range(10):
        if name == "ways":
            for labels in MORE:
                for way in WAYS:
                    yield way, labels, best, seed, best[way], "clothes"
        elif name == "long":
            for way in ("scratch", "fine-tuned"):
                yield way, 500, best, seed, best[way], "clothes"
        elif name == "layers":
            for labels in FEW:
                for kind in ("frozen", "tuned", "random"):
                    for k in (2, 4):  # whole blocks
                        way = f"{kind} {k}"
                        rate = best["fine-tuned" if kind == "tuned" else "scratch"]
                        yield way, labels, best, seed, rate, "clothes"
        elif name == "body":
            yield "random body", 20, best, seed, best["random body"], "clothes"
            for labels in FEW:
                for rate in BODY_RATES:
                    yield "fine-tuned", labels, best | {"fine-tuned": rate}, seed, rate, "clothes"
        elif name == "sources":
            for source in SOURCES:
                for labels in FEW:
                    for way in ("frozen", "adapted", "fine-tuned"):
                        rate = best["frozen" if way == "adapted" else way]
                        yield way, labels, best, seed, rate, source


def kept() -> list[dict]:
    """Read the file."""
    if not FILE.exists():
        return []
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def chosen() -> dict[str, float]:
    """Choose for each way the rate with the best validation accuracy, over labels and seeds."""
    table: dict[str, dict[float, list[float]]] = {}
    for row in kept():
        if row["experiment"] == "rates":
            at = table.setdefault(row["setting"], {}).setdefault(float(row["rate"]), [])
            at.append(float(row["validation"]))
    return {name: max(at, key=lambda rate: sum(at[rate])) for name, at in table.items()}


def main() -> None:
    """Run what is not in the file yet; each training is written down when it ends."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    names = ("rates", "ways", "long", "layers", "body", "sources")
    parser.add_argument("experiment", nargs="+", choices=names)
    torch.set_num_threads(1)
    for name in parser.parse_args().experiment:
        done = {tuple(row[key] for key in COLUMNS[:5]) for row in kept()}
        tasks, made = None, None
        for way, labels, rates, seed, rate, source in experiment(name):
            setting = f"{source}, {way}" if name == "sources" else way
            key = (name, setting, str(labels), str(rate), str(seed))
            if key in done:
                continue
            start = time.perf_counter()
            if made != (seed, source):
                tasks, made = Tasks(seed, source), (seed, source)
            steps = LONG if name == "long" else STEPS
            scores = tasks.run(way, labels, rates, seed, steps, look_back=name == "body")
            row = dict(zip(COLUMNS, key, strict=False)) | {"commit": _commit()}
            row |= {score: round(value, 4) for score, value in scores.items()}
            new = not FILE.exists()
            with FILE.open("a", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                if new:
                    writer.writeheader()
                writer.writerow(row)
            print(f"{time.perf_counter() - start:4.1f} s {row}", flush=True)


if __name__ == "__main__":
    main()
