"""Measure the built pages, their sliders, the chapters and the blocks, beside their goals.

Needs a built book (`make book`) and, for pages and sliders, Chromium. The tables are printed and
kept as bench.md and bench.json in book/_build.
"""

import argparse
import gzip
import itertools
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from chapters import BOOK, ROOT
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(ROOT))
from tests.browser import HTML, PAGES, chromium, file_url, launch, visit

GOALS = {
    "page": 500,  # kB over the theme's own files, as it lies in the folder
    "first paint": 1000,  # ms
    "slider p95": 16,  # ms: one frame of a screen
    "chapter": 60,  # s
    "sequences/seq2seq": 120,
    "attention/transformer": 120,
    "bert/pretraining": 180,
    "bert/finetuning": 180,
}


def verdict(value: float, goal: float) -> str:
    """Say whether a value keeps to its goal."""
    return "pass" if value <= goal else "over"


def pages(repeat: int) -> list[dict]:
    """Weigh each page without what the theme ships, and time its first paint from a folder."""
    rows = []
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for name in PAGES:
            paints: list[float] = []
            loaded: set[str] = set()

            def note(request, loaded=loaded) -> None:
                loaded.add(request.url)

            for _ in range(repeat):  # a context of its own: nothing is kept from the last time
                with browser.new_context() as context:
                    page = context.new_page()
                    page.on("request", note)
                    page.goto(file_url(name))
                    paints.append(page.evaluate(FIRST_PAINT))
            paths = {Path(unquote(urlsplit(url).path)) for url in loaded}
            own = [path.read_bytes() for path in paths if _is_own(path)]
            weight = sum(map(len, own)) / 1000
            packed = sum(len(gzip.compress(content, 6)) for content in own) / 1000
            paint = statistics.median(paints)
            rows.append(
                {
                    "page": name,
                    "files": len(own),
                    "gzip kB": round(packed),
                    "raw kB": round(weight),
                    "goal kB": GOALS["page"],
                    "weight": verdict(weight, GOALS["page"]),
                    "first paint ms": round(paint),
                    "goal ms": GOALS["first paint"],
                    "paint": verdict(paint, GOALS["first paint"]),
                }
            )
        browser.close()
    return rows


FIRST_PAINT = """() => new Promise((resolve) => {
  new PerformanceObserver((list) => {
    const found = list.getEntriesByName("first-contentful-paint");
    if (found.length) resolve(found[0].startTime);
  }).observe({ type: "paint", buffered: true });
})"""


def _is_own(path: Path) -> bool:
    """Tell whether a file is the book's: not the theme's, nor of an extension."""
    if HTML not in path.parents:
        return False
    return "_static" not in path.parts or path.name.startswith("explore.")


def sliders(repeat: int) -> list[dict]:
    """Time each slider figure from an input event until the frame is painted, at every position.

    The event is sent at the start of a frame, and a message posted then arrives when the frame's
    script, style, layout and paint are done: the work is measured, without the wait for the screen.
    The first touch also unpacks the frames, and is timed apart, until they stand in the page.
    A position's time is the median of its sweeps; the percentiles are over the positions.
    """
    rows = []
    with sync_playwright() as playwright:
        browser = launch(playwright)
        context = browser.new_context()
        for name in PAGES:
            sweeps = []
            for _ in range(repeat):
                page = visit(context, file_url(name)).page
                figures = page.locator("figure.explore[id]").all()
                sweeps.append([figure.evaluate(SWEEP) for figure in figures])
                page.close()
            for found in zip(*sweeps, strict=True):
                times = [
                    statistics.median(position)
                    for position in zip(*(sweep["times"] for sweep in found), strict=True)
                ]
                p95 = _percentile(times, 0.95)
                rows.append(
                    {
                        "page": name,
                        "figure": found[0]["id"].removeprefix("explore-"),
                        "kind": found[0]["kind"],
                        "positions": len(times),
                        "payload kB": round(found[0]["payload"] / 1000),
                        "first touch ms": round(statistics.median(f["first"] for f in found), 1),
                        "p50 ms": round(_percentile(times, 0.5), 1),
                        "p95 ms": round(p95, 1),
                        "goal ms": GOALS["slider p95"],
                        "slider": verdict(p95, GOALS["slider p95"]),
                    }
                )
        browser.close()
    return rows


SWEEP = """async (figure) => {
  const inputs = [...figure.querySelectorAll("input[type=range]")];
  const sizes = inputs.map((input) => JSON.parse(input.dataset.texts).length);
  const count = sizes.reduce((a, b) => a * b, 1);
  const picture = figure.querySelector(".explore-frame");
  figure.scrollIntoView({ block: "center", behavior: "instant" });
  const move = (number) => {
    for (let k = inputs.length - 1; k >= 0; number = Math.floor(number / sizes[k]), k--)
      inputs[k].value = Number(
        (Number(inputs[k].min) + (number % sizes[k]) * inputs[k].step).toPrecision(12));
    inputs[0].dispatchEvent(new Event("input", { bubbles: true }));
  };
  const first = await new Promise((resolve) => {
    const since = performance.now();
    new MutationObserver(() => resolve(performance.now() - since))
      .observe(figure, { attributeFilter: ["data-frame"] });
    move(count - 1);
  });
  const paint = (number) => new Promise((resolve) => requestAnimationFrame(() => {
    const since = performance.now();
    move(number);
    const channel = new MessageChannel();
    channel.port1.onmessage = async () => {
      await picture.querySelector("img")?.decode();
      resolve(performance.now() - since);
    };
    channel.port2.postMessage(null);
  }));
  const times = [];
  for (let number = 0; number < count; number++) times.push(await paint(number));
  if (Number(figure.dataset.frame) !== count - 1) throw new Error("the figure did not follow");
  return {
    id: figure.id, first, times, kind: picture.querySelector("svg") ? "lines" : "image",
    payload: figure.querySelector(".explore-payload").textContent.length,
  };
}"""


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]


def chapters(repeat: int) -> list[dict]:
    """List how long each page's cells took in the last build that ran them, every frame drawn."""
    from jupyter_cache import get_cache

    rows = []
    for folder in (HTML.parent / ".jupyter_cache").glob("*"):
        for record in get_cache(folder).list_cache_records():
            name = Path(record.uri).relative_to(HTML.parents[1]).with_suffix("").as_posix()
            seconds = record.data.get("execution_seconds")
            if name in PAGES and seconds is not None:
                goal = GOALS.get(name, GOALS["chapter"])
                rows.append(
                    {
                        "page": name,
                        "seconds": round(seconds, 1),
                        "goal s": goal,
                        "time": verdict(seconds, goal),
                    }
                )
    return sorted(rows, key=lambda row: PAGES.index(row["page"]))


def blocks(repeat: int) -> list[dict]:
    """Time the companion's blocks and torch's in turns, in one thread."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = []
    kinds = (
        _activations(),
        _optimisers(),
        _losses(),
        _backprop(),
        _training(),
        _dropout(),
        _normalization(),
        _precision(),
        _convolution(),
        _residual(),
        _recurrent(),
    )
    for name, ours, torchs in itertools.chain(*kinds):
        mine, other = _in_turns(ours, torchs, repeat)
        rows.append(
            {
                "block": name,
                "companion µs": round(1e6 * mine, 1),
                "torch µs": round(1e6 * other, 1),
                "ratio": round(mine / other, 2),
            }
        )
    return rows


def _activations():
    import torch
    from torch.nn import functional

    from companion import activations

    x = torch.randn(256, 1024, requires_grad=True)
    upstream = torch.randn(256, 1024)

    def both_ways(function: Callable, *arguments) -> Callable:
        return lambda: torch.autograd.grad(function(x, *arguments), x, upstream)

    for name in ("sigmoid", "tanh", "relu", "leaky_relu", "gelu", "softmax", "log_softmax"):
        arguments = (-1,) if "softmax" in name else ()
        counterpart = getattr(torch if name in {"sigmoid", "tanh"} else functional, name)
        ours = both_ways(getattr(activations, name), *arguments)
        yield f"{name}, both ways", ours, both_ways(counterpart, *arguments)


def _optimisers():
    import torch

    from companion import optim

    def stepper(rule: type, **settings) -> Callable:
        shapes = ((256, 784), (256,), (128, 256), (128,), (10, 128), (10,))
        parameters = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter)
        return rule(parameters, lr=1e-3, **settings).step

    for name in ("SGD", "RMSprop", "Adam", "AdamW"):
        momentum = {"momentum": 0.9} if name == "SGD" else {}
        ours = stepper(getattr(optim, name), **momentum)
        torchs = stepper(getattr(torch.optim, name), foreach=False, **momentum)
        yield f"{name}.step, 235,146 weights", ours, torchs


def _losses():
    import torch
    from torch.nn import functional

    from companion import information, losses

    z, c = torch.randn(1024, 1000, requires_grad=True), torch.randint(1000, (1024,))
    x, y = torch.randn(1_000_000, requires_grad=True), torch.rand(1_000_000)

    def both_ways(function: Callable, leaf: torch.Tensor, *arguments) -> Callable:
        return lambda: torch.autograd.grad(function(leaf, *arguments).sum(), leaf)

    def probabilities(function: Callable) -> Callable:
        return lambda logits, target: function(logits.sigmoid(), target)

    for name, leaf, arguments in (
        ("mse_loss", x, (y,)),
        ("binary_cross_entropy", x, (y,)),
        ("binary_cross_entropy_with_logits", x, (y,)),
        ("cross_entropy", z, (c,)),
        ("logsumexp", z, (1,)),
    ):
        ours = getattr(losses, name)
        torchs = getattr(torch if name == "logsumexp" else functional, name)
        if name == "binary_cross_entropy":
            ours, torchs = probabilities(ours), probabilities(torchs)
        yield f"{name}, both ways", *(both_ways(f, leaf, *arguments) for f in (ours, torchs))

    p, q = torch.randn(2, 1000, 1000).softmax(-1)

    def torchs_kl() -> torch.Tensor:
        return functional.kl_div(q.log(), p, reduction="none").sum(-1)

    yield "kl_divergence, 1000 of 1000", lambda: information.kl_divergence(p, q), torchs_kl


def _dropout():
    import torch
    from torch.nn import functional

    from companion.regularization import dropout

    x, upstream = torch.randn(256, 1024, requires_grad=True), torch.randn(256, 1024)

    def both_ways(function: Callable) -> Callable:
        return lambda: torch.autograd.grad(function(x, 0.5), x, upstream)

    yield "dropout, both ways", both_ways(dropout), both_ways(functional.dropout)


def _backprop():
    import torch
    from torch.nn import functional

    from companion.backprop import MLP

    net = MLP([64, 128, 10], "relu", "cross_entropy")
    leaves = [p.clone().requires_grad_() for p in net.W + net.b]
    x, c = torch.randn(64, 64), torch.randint(10, (64,))

    def by_hand() -> None:
        net.forward(x)
        net.loss(c)
        net.backward(c)

    def by_autograd() -> None:
        W_1, W_2, b_1, b_2 = leaves
        z = functional.linear(torch.relu(functional.linear(x, W_1, b_1)), W_2, b_2)
        torch.autograd.grad(functional.cross_entropy(z, c), leaves)

    yield "MLP 64-128-10 by hand, batch of 64", by_hand, by_autograd


def _training():
    import torch
    from torch.nn import functional

    from companion.training import train_epoch

    x, c = torch.randn(64, 64, 64), torch.randint(10, (64, 64))
    loader = list(zip(x, c, strict=True))
    models, optimizers = [], []
    for _ in range(2):
        layers = torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
        models.append(torch.nn.Sequential(*layers))
        optimizers.append(torch.optim.SGD(models[-1].parameters(), lr=1e-3))

    def with_checks() -> None:
        train_epoch(models[0], loader, functional.cross_entropy, optimizers[0])

    def bare() -> None:
        for inputs, target in loader:
            loss = functional.cross_entropy(models[1](inputs), target)
            optimizers[1].zero_grad()
            loss.backward()
            optimizers[1].step()

    yield "train_epoch against the bare loop, 64 batches", with_checks, bare


def _normalization():
    import torch
    from torch.nn import functional

    from companion import normalization

    x, upstream = torch.randn(2, 256, 1024)
    gamma, beta = torch.randn(2, 1024)
    leaves = [leaf.requires_grad_() for leaf in (x, gamma, beta)]

    def batch(module) -> Callable:
        def both_ways() -> tuple:
            y = module.batch_norm(x, None, None, gamma, beta, training=True)
            return torch.autograd.grad(y, leaves, upstream)

        return both_ways

    def layer(module) -> Callable:
        def both_ways() -> tuple:
            y = module.layer_norm(x, (1024,), gamma, beta)
            return torch.autograd.grad(y, leaves, upstream)

        return both_ways

    for name, kind in (("batch_norm", batch), ("layer_norm", layer)):
        yield f"{name}, both ways", kind(normalization), kind(functional)


def _precision():
    import torch

    from companion import precision

    shapes = ((256, 784), (256,), (128, 256), (128,), (10, 128), (10,))

    def parameters() -> list:
        made = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
        for parameter in made:
            parameter.grad = torch.randn_like(parameter)
        return made

    def clipper(module) -> Callable:
        mine = parameters()
        return lambda: module.clip_grad_norm_(mine, 1.0)

    ours, torchs = clipper(precision), clipper(torch.nn.utils)
    yield "clip_grad_norm_, 235,146 weights", ours, torchs

    def scaler(made) -> Callable:
        optimizer = torch.optim.SGD(parameters(), lr=1e-3, foreach=False)

        def scaled_step() -> None:
            made.scale(torch.ones(()))
            made.step(optimizer)
            made.update()

        return scaled_step

    ours, torchs = scaler(precision.GradScaler("cpu")), scaler(torch.amp.GradScaler("cpu"))
    yield "GradScaler.step and update, 235,146 weights", ours, torchs


def _convolution():
    import torch
    from torch.nn import functional

    from companion import convolution

    x = torch.randn(64, 16, 28, 28, requires_grad=True)
    weight = torch.randn(32, 16, 3, 3, requires_grad=True)
    bias = torch.randn(32, requires_grad=True)

    def conv(module) -> Callable:
        return lambda: module.conv2d(x, weight, bias, padding=1).sum().backward()

    def pool(module, name: str) -> Callable:
        return lambda: getattr(module, name)(x, 2).sum().backward()

    yield "conv2d 16 → 32, both ways", conv(convolution), conv(functional)
    for name in ("max_pool2d", "avg_pool2d"):
        yield f"{name}, both ways", pool(convolution, name), pool(functional, name)


def _torch_resnet18():
    """Return torchvision's ResNet-18 for ten classes or, where it is not installed, its twin."""
    from torch import nn

    try:
        from torchvision.models import resnet18

        return resnet18(num_classes=10)
    except (ImportError, RuntimeError):  # a torchvision that does not fit raises the latter
        pass

    class Sum(nn.Module):
        def __init__(self, residual: nn.Module, shortcut: nn.Module) -> None:
            super().__init__()
            self.residual, self.shortcut, self.relu = residual, shortcut, nn.ReLU(True)

        def forward(self, x):
            return self.relu(self.residual(x) + self.shortcut(x))

    def conv(c_in: int, c_out: int, kernel: int, stride: int) -> list[nn.Module]:
        layer = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
        return [layer, nn.BatchNorm2d(c_out)]

    layers, c = [*conv(3, 64, 7, 2), nn.ReLU(True), nn.MaxPool2d(3, 2, 1)], 64
    for width, stride in (
        (64, 1),
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        (512, 1),
    ):
        two = *conv(c, width, 3, stride), nn.ReLU(True), *conv(width, width, 3, 1)
        shortcut = conv(c, width, 1, stride) if stride > 1 else [nn.Identity()]
        layers.append(Sum(nn.Sequential(*two), nn.Sequential(*shortcut)))
        c = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def _residual():
    import torch
    from torch.nn import functional

    from companion.resnet import resnet18

    x, target = torch.randn(8, 3, 96, 96), torch.randint(10, (8,))

    def trained(model) -> Callable:
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

        def step() -> None:
            loss = functional.cross_entropy(model(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        return step

    ours, torchs = resnet18(10), _torch_resnet18()
    sizes = [sum(p.numel() for p in model.parameters()) for model in (ours, torchs)]
    assert sizes[0] == sizes[1], sizes
    yield "ResNet-18, a step on 8 images of 96 by 96", trained(ours), trained(torchs)


def _recurrent():
    import torch
    from torch import nn

    from companion import recurrent

    x = torch.randn(64, 64, 128, requires_grad=True)  # times, sequences, features

    def both_ways(model) -> Callable:
        return lambda: model(x)[0].sum().backward()

    for name in ("RNN", "LSTM", "GRU"):
        ours, torchs = (getattr(module, name)(128, 256) for module in (recurrent, nn))
        yield f"{name} 128 → 256, 64 steps, both ways", both_ways(ours), both_ways(torchs)


def _in_turns(one: Callable, other: Callable, repeat: int) -> tuple[float, float]:
    """Return the median seconds of a call of each, in turns so that both see the same load."""
    seconds: tuple[list, list] = ([], [])
    for _ in range(4 * repeat + 1):
        for function, times in zip((one, other), seconds, strict=True):
            calls, spent, start = 0, 0.0, time.perf_counter()
            while spent < 0.02:
                function()
                calls, spent = calls + 1, time.perf_counter() - start
            times.append(spent / calls)
    return tuple(statistics.median(times[1:]) for times in seconds)  # the first one warms up


def machine() -> str:
    """Name what was measured on."""
    import torch

    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((ln.split(": ")[1] for ln in lines if ln.startswith("model name")), model)
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{model}, {os.cpu_count()} cores, {versions}"


def table(rows: list[dict]) -> str:
    """Lay rows out as a Markdown table that is also legible as plain text."""
    lines = [list(rows[0]), *[[str(value) for value in row.values()] for row in rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = [not isinstance(value, str) for value in rows[0].values()]
    rule = ["-" * (w - 1) + (":" if r else "-") for w, r in zip(widths, right, strict=True)]
    text = []
    for line in (lines[0], rule, *lines[1:]):
        cells = [
            c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)
        ]
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text)


PARTS = {part.__name__: part for part in (pages, sliders, chapters, blocks)}


def main() -> None:
    """Measure the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("part", nargs="*", help=f"any of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--repeat", type=int, default=5, help="medians of so many (%(default)s)")
    parser.add_argument("--out", type=Path, default=BOOK / "_build", help="where the files go")
    arguments = parser.parse_args()
    if unknown := set(arguments.part) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}, only {', '.join(PARTS)}")
    chosen = arguments.part or list(PARTS)
    if set(chosen) - {"blocks"} and not (HTML / "index.html").exists():
        sys.exit("error: no book is built: make book")
    if set(chosen) & {"pages", "sliders"} and not chromium():
        sys.exit("error: no Chromium was found: install it, or name it by CHROMIUM")
    found = {"machine": machine()}
    text = f"# Bench\n\n{found['machine']}\n"
    print(text)
    for name in chosen:
        found[name] = PARTS[name](arguments.repeat)
        part = f"## {name}\n\n{PARTS[name].__doc__.splitlines()[0]}\n\n"
        part += (table(found[name]) if found[name] else "nothing to measure") + "\n"
        print(part, flush=True)
        text += "\n" + part
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "bench.md").write_text(text, encoding="utf-8")
    (arguments.out / "bench.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(f"Kept in {arguments.out}")


if __name__ == "__main__":
    main()
