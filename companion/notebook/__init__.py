"""What helps the reader of a chapter: sliders, checks, plots, source listings."""

import os

import torch

from companion.notebook.checks import check, fails
from companion.notebook.explore import explore, show
from companion.notebook.plotting import use_style
from companion.notebook.seeds import over_seeds, within_seeds
from companion.notebook.source import show_source

__all__ = [
    "check",
    "explore",
    "fails",
    "over_seeds",
    "show",
    "show_source",
    "start_chapter",
    "within_seeds",
]


def start_chapter() -> int:
    """Set the look of the figures and the seed that a chapter starts from.

    Returns:
        The seed: the environment variable ``BOOK_SEED``, or 0.

    Raises:
        ValueError: if ``BOOK_SEED`` is no integer.
    """
    use_style()
    text = os.environ.get("BOOK_SEED", "0")
    try:
        seed = int(text)
    except ValueError as error:
        raise ValueError(f"BOOK_SEED must be an integer, got {text!r}") from error
    torch.manual_seed(seed)
    return seed
