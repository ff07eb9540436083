"""One look for every figure of the book, and the words that stand inside figures.

The colours are Okabe and Ito's, which people with any common form of colour blindness can tell
apart. The ink, the grid and the paper are colours of their own (`INK`, `GRID`, `PAPER`): the built
page replaces them, and brightens the palette, in dark mode.
"""

import gettext
import os
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import torch
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, GRID, PAPER = "#24292e", "#d3d7db", "#fdfdfd"
BLUE, ORANGE, GREEN, PINK = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
YELLOW, SKY, GRAY = "#e69f00", "#56b4e9", "#7f7f7f"
PALETTE = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY)

STYLE = {
    "figure.figsize": (4.8, 3.1),  # inches: 11 pt stays legible when a phone shrinks it to 358 px
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "figure.dpi": 100,
    "font.size": 11,
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "text.color": INK,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "legend.facecolor": PAPER,
    "legend.edgecolor": GRID,
    "lines.linewidth": 2.0,
    "image.cmap": "cividis",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",  # text stays text: it can be searched, and it is small
    "svg.hashsalt": "building-blocks",  # equal figures are equal bytes
}


def use_style() -> None:
    """Draw every figure from now on in the style of the book."""
    mpl.rcParams.update(STYLE)


def word(text: str) -> str:
    """Say ``text``, a word inside a figure or beside a slider, in the language of the edition.

    The environment variable ``BOOK_LANGUAGE`` names the language, a gettext catalogue
    ``locale/<language>/LC_MESSAGES/figures.mo`` beside this file holds the words. Without either
    the text is returned as it is.

    Example:
        >>> word("step size")
        'step size'
    """
    languages = [os.environ.get("BOOK_LANGUAGE", "en")]
    folder = Path(__file__).parent / "locale"
    return gettext.translation("figures", folder, languages, fallback=True).gettext(text)


def new_axes(
    xlabel: str = "", ylabel: str = "", title: str = "", figsize: tuple[float, float] | None = None
):
    """Make a figure with one pair of labelled axes: ``figure, axes = new_axes("x", "y")``."""
    figure, axes = plt.subplots(figsize=figsize)
    axes.set(xlabel=word(xlabel), ylabel=word(ylabel), title=word(title))
    return figure, axes


def new_panels(
    count: int, titles: tuple[str, ...] = (), figsize: tuple[float, float] = (5.6, 2.9), **subplots
):
    """Make a figure with ``count`` axes side by side: ``figure, (left, right) = new_panels(2)``."""
    figure, panels = plt.subplots(1, count, figsize=figsize, **subplots)
    for axes, title in zip(panels, titles, strict=False):
        axes.set_title(word(title))
    return figure, panels


def draw_graph(
    axes: Axes, nodes: dict[str, tuple[float, float, str, str]], edges: list[tuple[str, str]]
) -> None:
    """Draw a computation graph: named circles, with a value above and a gradient below each.

    Args:
        axes: where to draw.
        nodes: name → (x, y, the text above in blue, the text below in orange).
        edges: pairs of names, drawn as arrows.
    """
    for tail, head in edges:
        start, end = nodes[tail][:2], nodes[head][:2]
        style = {"arrowstyle": "-|>", "color": INK, "shrinkA": 15, "shrinkB": 15}
        axes.annotate("", xy=end, xytext=start, arrowprops=style)
    for name, (x, y, above, below) in nodes.items():
        circle = {"boxstyle": "circle,pad=0.25", "facecolor": PAPER, "edgecolor": INK}
        axes.text(x, y, name, ha="center", va="center", bbox=circle)
        axes.text(x, y + 0.3, above, ha="center", va="bottom", color=BLUE)
        axes.text(x, y - 0.3, below, ha="center", va="top", color=ORANGE)
    axes.set_axis_off()


def contour_map(
    axes: Axes,
    f: Callable,
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    levels: int | list[float] = 9,
    points: int = 36,
) -> None:
    """Draw the contour lines of ``f``, which takes a tensor whose first axis holds x and y."""
    x, y = torch.meshgrid(
        torch.linspace(*xlim, points), torch.linspace(*ylim, points), indexing="xy"
    )
    axes.contour(x, y, f(torch.stack([x, y])), levels, colors=GRAY, linewidths=0.7)
    axes.set(xlim=xlim, ylim=ylim)


def surface(
    axes: Axes, f: Callable, xlim: tuple[float, float], ylim: tuple[float, float], color: str
) -> None:
    """Draw ``f``, which takes a tensor whose first axis holds x and y, as a surface in 3-D."""
    x, y = torch.meshgrid(torch.linspace(*xlim, 10), torch.linspace(*ylim, 10), indexing="xy")
    z = f(torch.stack([x, y]))
    axes.plot_surface(x.numpy(), y.numpy(), z.numpy(), rstride=1, cstride=1, color=color)
    axes.set(xlabel="x", ylabel="y")
    axes.set_box_aspect(None, zoom=0.85)
    axes.tick_params(pad=-2)
    axes.locator_params(nbins=3)
    for side in (axes.xaxis, axes.yaxis, axes.zaxis):
        side.set_pane_color((0, 0, 0, 0))


def is_figure(value: object) -> bool:
    """Tell whether ``value`` is a matplotlib figure."""
    return isinstance(value, Figure)
