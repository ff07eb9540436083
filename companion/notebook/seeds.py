"""What a chapter's experiments give over many seeds, and whether this run is one of that kind.

``tools/seeds.py`` runs a chapter with the seeds 0, 1, 2 … and keeps what the chapter hands to
``within_seeds`` in ``companion/files/seeds/<chapter>.json``. A chapter trains one seed live.
"""

import json
import os
from pathlib import Path

import torch
from torch import Tensor

FOLDER = Path(__file__).parents[1] / "files" / "seeds"


def over_seeds(chapter: str) -> dict[str, Tensor]:
    """Return what the chapter's experiments gave, one value a seed, by name.

    Raises:
        FileNotFoundError: if the chapter has not been run over seeds.

    Example:
        >>> values = over_seeds("example")["accuracy"]
        >>> print(f"{values.mean():.3f} ± {values.std():.3f}")
        0.930 ± 0.016
    """
    path = FOLDER / f"{chapter}.json"
    if not path.exists():
        raise FileNotFoundError(f"no values of {chapter!r}: run tools/seeds.py on the chapter")
    values = json.loads(path.read_text(encoding="utf-8"))["values"]
    return {name: torch.tensor(column, dtype=torch.float64) for name, column in values.items()}


def within_seeds(chapter: str, slack: float = 0.0, **values: float) -> bool:
    """Tell whether each value lies in the band of the other seeds' values, and print both.

    The band is the mean ± 4 standard deviations: a normal variable leaves it once in 16,000 times.

    Args:
        chapter: the chapter's name, such as ``"backprop"``.
        slack: what is added to the band on both sides, for values that hardly vary.
        values: what this run gave, by name.

    Raises:
        FileNotFoundError: if the chapter has not been run over seeds.
        KeyError: if a name is new: then run ``tools/seeds.py`` again.

    Example:
        >>> within_seeds("example", accuracy=0.94)
        accuracy           0.940  (5 seeds: 0.930 ± 0.016)
        True
    """
    if "SEEDS_RECORD" in os.environ:
        _record(Path(os.environ["SEEDS_RECORD"]), values)
        return True
    table = over_seeds(chapter)
    for name in values:
        if name not in table:
            raise KeyError(f"no value {name!r} of {chapter!r}: run tools/seeds.py on the chapter")
    within = True
    for name, value in values.items():
        mean, deviation = table[name].mean().item(), table[name].std().item()
        label, count = name.replace("_", " "), len(table[name])
        print(f"{label:18} {value:.3f}  ({count} seeds: {mean:.3f} ± {deviation:.3f})")
        within = within and abs(value - mean) <= 4 * deviation + slack
    return within


def _record(path: Path, values: dict[str, float]) -> None:
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    twice = known.keys() & values.keys()
    if twice:
        raise ValueError(f"recorded twice in one run: {', '.join(sorted(twice))}")
    known |= {name: float(value) for name, value in values.items()}
    path.write_text(json.dumps(known), encoding="utf-8")
