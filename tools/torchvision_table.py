"""Write what torchvision does, as tables to test against: its transforms, and its models' weights.

tests/torchvision_transforms.json holds what the transforms make of small images, and
tests/torchvision_models.json the names and shapes of the weights in the models' state dicts.

torchvision's compiled part fits few builds of torch, so the tests hold the companion to these
tables. Unpack a wheel (`pip download torchvision --no-deps`, `python -m zipfile -e`) and name its
folder: only transforms and models are imported, which are plain Python.
"""

import argparse
import importlib
import json
import sys
import types
from pathlib import Path

import numpy as np
import torch
from PIL import Image

TESTS = Path(__file__).parents[1] / "tests"
OUTPUT = TESTS / "torchvision_transforms.json"
OUTPUT_MODELS = TESTS / "torchvision_models.json"
MODELS = {  # by file
    "vgg": ["vgg11", "vgg13", "vgg16", "vgg16_bn", "vgg19"],
    "googlenet": ["googlenet"],
    "resnet": ["resnet18", "resnet50"],
}
AFTER = "the next torch.rand(1)"

TINY, TINY_GRAY = [2, 3, 3], [2, 3]
GRAY, COLOUR, WIDE = [5, 7], [5, 7, 3], [4, 9]
ON_IMAGES = [("PIL", GRAY), ("PIL", COLOUR), ("uint8 tensor", COLOUR), ("float32 tensor", WIDE)]
CROPS = [
    {"size": 3},
    {"size": [3]},
    {"size": [4, 2]},
    {"size": [4, 5], "padding": 2},
    {"size": 5, "padding": [2]},
    {"size": 5, "padding": [2, 1]},
    {"size": [5, 6], "padding": [1, 2, 3, 0], "fill": 9},
    {"size": [6, 9], "pad_if_needed": True},
    {"size": [6, 3], "pad_if_needed": True, "fill": 200},
    {"size": [8, 11], "padding": 1, "pad_if_needed": True, "padding_mode": "edge"},
    {"size": 5, "padding": 2, "padding_mode": "edge"},
    {"size": 5, "padding": 2, "padding_mode": "reflect"},
    {"size": 5, "padding": [3, 1, 0, 2], "padding_mode": "symmetric"},
    {"size": 9, "padding": 1},  # larger than the padded image
]
PALETTE_CROPS = [
    {"size": 3},
    {"size": 5, "padding": 2, "fill": 9},
    *({"size": 5, "padding": 2, "padding_mode": m} for m in ("edge", "reflect", "symmetric")),
]


def image(kind: str, shape: list[int]) -> Image.Image | np.ndarray | torch.Tensor:
    """Make an image of (height, width[, channels]) by rule, all of its numbers from 0 to 255."""
    h, w, c = np.indices((*shape, 1)[:3])
    numbers = (37 * h + 91 * w + 53 * c + 7 * h * w).reshape(shape) % 256
    if kind == "PIL":
        return Image.fromarray(numbers.astype("uint8"))
    if kind.startswith("PIL "):
        return Image.fromarray(numbers.astype("uint8")).convert(kind.removeprefix("PIL "))
    dtype, container = kind.split(" ")
    if container == "array":
        return numbers.astype(dtype)
    channels_first = numbers.reshape(*shape[:2], -1).transpose(2, 0, 1)
    return torch.tensor(channels_first, dtype=getattr(torch, dtype))


def values(result: Image.Image | torch.Tensor) -> dict:
    """Say what a transform returned, so that it can be compared and kept as text."""
    kind, seen = "tensor", {}
    if isinstance(result, Image.Image):
        if result.mode == "P":  # the pixels are numbers of colours, which the palette has
            seen = {"colours": np.array(result.convert("RGB")).tolist()}
        kind, result = f"PIL {result.mode}", torch.tensor(np.array(result))
    dtype = str(result.dtype).removeprefix("torch.")
    return {"kind": kind, "dtype": dtype, "values": result.tolist()} | seen


def outcome(transforms, case: dict) -> dict:
    """Apply one case's transforms with its seed; an error is an outcome too."""
    torch.manual_seed(case["seed"])
    try:
        made = [getattr(transforms, name)(**settings) for name, settings in case["transforms"]]
        chain = transforms.Compose(made) if len(made) != 1 else made[0]
        result = values(chain(image(*case["image"])))
    except (TypeError, ValueError) as error:
        result = {"error": type(error).__name__}
    return result | {AFTER: torch.rand(1).item()}  # as many numbers drawn


def cases() -> list[dict]:
    """List what is to be tried: transforms by name with their settings, an image, a seed."""
    gray, pairs = (["PIL", GRAY], ["PIL", COLOUR]), []
    modes = ("1", "L", "P", "I", "F", "LA", "RGB", "RGBA", "CMYK", "YCbCr")
    kinds = [f"PIL {mode}" for mode in modes]
    kinds += [f"{dtype} array" for dtype in ("uint8", "int64", "float32", "float64", "bool")]
    pairs += [([["ToTensor", {}]], [kind, TINY]) for kind in kinds]
    pairs += [([["ToTensor", {}]], [kind, TINY_GRAY]) for kind in ("uint8 array", "float32 array")]
    pairs += [([["ToTensor", {}]], ["uint8 tensor", TINY])]  # a tensor is refused
    three = {"mean": [0.1, 20.0, 128.0], "std": [1.0, 0.5, 60.0]}
    one = {"mean": [100.0], "std": [50.0]}
    pairs += [([["Normalize", three]], [f"{t} tensor", TINY]) for t in ("float32", "float64")]
    pairs += [([["Normalize", one]], ["float32 tensor", shape]) for shape in (TINY_GRAY, TINY)]
    pairs += [([["Normalize", one | {"inplace": True}]], ["float64 tensor", TINY])]
    pairs += [([["Normalize", one | {"std": [0.0]}]], ["float32 tensor", TINY])]
    pairs += [([["Normalize", one]], [kind, TINY]) for kind in ("uint8 tensor", "PIL")]
    for crop in CROPS:
        pairs += [([["RandomCrop", crop]], list(where)) for where in ON_IMAGES]
    pairs += [([["RandomCrop", {"size": [5, 7]}]], where) for where in gray]  # draws nothing
    pairs += [([["RandomCrop", {"size": 9, "padding": 3, "fill": [1, 2, 3]}]], gray[1])]
    for crop in PALETTE_CROPS:
        pairs += [([["RandomCrop", crop]], ["PIL P", COLOUR])]
    for p in (0.0, 0.5, 1.0):
        pairs += [([["RandomHorizontalFlip", {"p": p}]], list(where)) for where in ON_IMAGES]
    usual = [
        ["RandomCrop", {"size": 5, "padding": 1}],
        ["RandomHorizontalFlip", {}],
        ["ToTensor", {}],
        ["Normalize", {"mean": [0.5], "std": [0.25]}],
    ]
    pairs += [(usual, where) for where in gray] + [([], gray[0])]
    random = {"RandomCrop", "RandomHorizontalFlip"}
    return [
        {"transforms": names, "image": where, "seed": seed}
        for names, where in pairs
        for seed in ([0, 1] if random & {name for name, _ in names} else [0])
    ]


def torchvisions_transforms(folder: Path):
    """Import the transforms, and nothing else, of the torchvision in ``folder``."""
    package = types.ModuleType("torchvision")
    package.__path__ = [str(folder / "torchvision")]
    extension = types.ModuleType("torchvision.extension")  # would load the compiled part
    extension._assert_has_ops = lambda: None
    package.extension = extension
    models = types.ModuleType("torchvision.models")  # would load the detectors too
    models.__path__ = [str(folder / "torchvision" / "models")]
    sys.modules |= {
        "torchvision": package,
        "torchvision.extension": extension,
        "torchvision.models": models,
    }
    return importlib.import_module("torchvision.transforms")


def weights() -> dict[str, dict[str, list[int]]]:
    """Return the name and shape of each weight of each model, in their order."""
    found = {}
    for file, names in MODELS.items():
        module = importlib.import_module(f"torchvision.models.{file}")
        for name in names:
            with torch.device("meta"):
                settings = {"init_weights": False} if name == "googlenet" else {}
                model = getattr(module, name)(**settings)  # else it warns
            found[name] = {key: list(value.shape) for key, value in model.state_dict().items()}
    return found


def version(folder: Path) -> str:
    """Return the version of the torchvision in ``folder``, as its metadata name it."""
    found = sorted(folder.glob("torchvision-*.dist-info"))
    if not found:
        raise FileNotFoundError(f"{folder} holds no unpacked wheel of torchvision")
    return found[0].name.removeprefix("torchvision-").removesuffix(".dist-info")


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, help="where a wheel of torchvision was unpacked")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the transforms' table")
    parser.add_argument("--models", type=Path, default=OUTPUT_MODELS, help="the models' table")
    arguments = parser.parse_args()

    found = version(arguments.folder)
    transforms = torchvisions_transforms(arguments.folder)
    built_for = torch.__version__.split("+")[0]
    rows = [case | {"result": outcome(transforms, case)} for case in cases()]
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    text = f'{{"torchvision": "{found}",\n"torch": "{built_for}",\n"cases": [\n{lines}\n]}}\n'
    arguments.output.write_text(text, encoding="utf-8")
    print(f"{arguments.output}: {len(rows)} cases of torchvision {found}, {len(text):,} bytes")

    tables = []
    for name, shapes in weights().items():
        lines = ",\n".join(f"{json.dumps(key)}: {shape}" for key, shape in shapes.items())
        tables.append(f'"{name}": {{\n{lines}}}')
    table = ",\n".join(tables)
    text = f'{{"torchvision": "{found}",\n"models": {{\n{table}\n}}}}\n'
    arguments.models.write_text(text, encoding="utf-8")
    print(f"{arguments.models}: the weights of {len(tables)} models")


if __name__ == "__main__":
    main()
