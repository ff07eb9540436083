"""Sliders that move a figure: live in a notebook, and in the built page without any kernel.

``explore(plot, rate=(0.1, 0.9, 0.1), alt="...")`` calls ``plot(rate=...)``, which returns a
matplotlib figure. The environment variable ``EXPLORE_MODE`` says what happens:

- ``live`` (default): ipywidgets sliders call the function in the kernel;
- ``static`` (the build of the book): every position is drawn once and put into the page;
- ``test``: the function runs at the start and at both ends of each slider. Where
  ``EXPLORE_FRAMES`` names a folder, these frames (and the middles) are left there as files.
"""

import base64
import html
import inspect
import itertools
import json
import math
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

from companion.notebook import plotting
from companion.notebook.plotting import word
from companion.notebook.svg import pack, png_bytes, svg_text

MAX_FRAMES = 400
_used_names: Counter[str] = Counter()


@dataclass(frozen=True)
class Slider:
    """A slider: its name, the values it can take, where it starts, how it counts."""

    name: str
    values: tuple
    start: int
    low: float = 0
    high: float = 0
    step: float = 1

    @property
    def texts(self) -> list[str]:
        """What the readout shows at each position."""
        return [v if isinstance(v, str) else f"{v:g}" for v in self.values]

    @property
    def label(self) -> str:
        """The name as a reader should see it."""
        return word(self.name.replace("_", " "))


def explore(
    figure_function: Callable[..., Figure],
    *,
    alt: str,
    raster: bool = False,
    **sliders: tuple[float, float, float] | list,
) -> None:
    """Show a figure that sliders move.

    Args:
        figure_function: draws and returns a matplotlib figure; takes each slider's value by name.
            The default of its parameter is where the slider starts, else the middle. It must
            depend on these values alone: in the built page every position was drawn beforehand.
        alt: what the figure shows, for those who do not see it.
        raster: keep the frames as PNG; smaller where every pixel moves (photographs).
        **sliders: ``(low, high, step)``, both ends included, or a list of values.

    Raises:
        TypeError: if ``figure_function`` is not callable, lacks a slider's name, or returns
            something other than a figure.
        ValueError: if ``alt`` is empty, a range is empty, or there are more than 400 positions.

    Example::

        def plot_line(slope=1.0):
            figure, axes = new_axes("x", "y")
            axes.plot([0, 1], [0, slope])
            return figure

        explore(plot_line, slope=(-2, 2, 0.5), alt="A line turns as its slope changes")
    """
    mode = os.environ.get("EXPLORE_MODE", "live")
    if mode not in _MODES:
        raise ValueError(f"EXPLORE_MODE must be one of {', '.join(_MODES)}, got {mode!r}")
    if not callable(figure_function):
        raise TypeError(f"figure_function must be callable, got {figure_function!r}")
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(f"alt must say what the figure shows, got {alt!r}")
    if not sliders:
        raise ValueError("sliders must not be empty: for a still figure there is show()")
    made = [_make_slider(figure_function, name, spec) for name, spec in sliders.items()]
    count = math.prod(len(s.values) for s in made)
    if count > MAX_FRAMES:
        sizes = " x ".join(f"{s.name}: {len(s.values)}" for s in made)
        raise ValueError(f"sliders must have at most {MAX_FRAMES} positions together, got {sizes}")
    _MODES[mode](figure_function, alt, raster, made)


def show(figure: Figure, *, alt: str) -> None:
    """Show a still ``figure`` with its alternative text, and close it.

    Raises:
        TypeError: if ``figure`` is no matplotlib figure.
        ValueError: if ``alt`` is empty.
    """
    if not plotting.is_figure(figure):
        raise TypeError(f"figure must be a matplotlib figure, got {type(figure).__name__}")
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(f"alt must say what the figure shows, got {alt!r}")
    bundle = {"image/png": base64.b64encode(png_bytes(figure)).decode(), "text/plain": alt}
    prefix = _id_prefix()
    if os.environ.get("EXPLORE_MODE") == "static":
        frame = svg_text(figure, prefix)
        bundle["text/html"] = (
            f'<figure class="explore"><div class="explore-frame" role="img" '
            f'aria-label="{html.escape(alt)}">{frame}</div></figure>'
        )
    plt.close(figure)
    display(bundle, raw=True)


def _make_slider(function: Callable, name: str, spec: object) -> Slider:
    if isinstance(spec, list):
        if not spec:
            raise ValueError(f"{name} must not be an empty list")
        values, low, high, step = tuple(spec), 0.0, float(len(spec) - 1), 1.0
    elif isinstance(spec, tuple) and len(spec) == 3:
        # decimals, not floats: 0.1 + 2 * 0.1 should read 0.3
        first, last, by = (Decimal(str(v)) for v in spec)
        if by <= 0 or last <= first:
            raise ValueError(
                f"{name} must be (low, high, step) with low < high, 0 < step; got {spec}"
            )
        whole = all(isinstance(v, int) for v in spec)
        counted = [first + by * i for i in range(int((last - first) / by) + 1)]
        values = tuple(int(v) if whole else float(v) for v in counted)
        low, high, step = float(first), float(counted[-1]), float(by)
    else:
        raise TypeError(
            f"{name} must be a tuple (low, high, step) or a list of values, got {spec!r}"
        )
    parameters = inspect.signature(function).parameters
    if name not in parameters:
        raise TypeError(f"figure_function takes no argument {name!r}, only {list(parameters)}")
    default = parameters[name].default
    if default is inspect.Parameter.empty:
        start = len(values) // 2
    elif default in values:
        start = values.index(default)
    else:
        raise ValueError(f"{name} starts at {default!r} by default, which no slider position has")
    return Slider(name, values, start, low, high, step)


def _draw(function: Callable, sliders: list[Slider], position: tuple[int, ...]) -> Figure:
    with plt.rc_context(plotting.STYLE):
        values = {s.name: s.values[i] for s, i in zip(sliders, position, strict=True)}
        figure = function(**values)
    if not plotting.is_figure(figure):
        raise TypeError(
            f"figure_function must return a matplotlib figure, got {type(figure).__name__}"
        )
    plt.close(figure)
    return figure


def _frame(function, sliders, position, raster: bool, prefix: str) -> str:
    figure = _draw(function, sliders, position)
    if not raster:
        return svg_text(figure, prefix)
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    data = base64.b64encode(png_bytes(figure, colours=128)).decode()
    return f'<img alt="" width="{width}" height="{height}" src="data:image/png;base64,{data}">'


def _name_in_page(function_name: str) -> str:
    """Name a figure for links and files; a second figure of the same function gets a number."""
    name = "explore-" + function_name.strip("_").replace("_", "-")
    _used_names[name] += 1
    return name if _used_names[name] == 1 else f"{name}-{_used_names[name]}"


def _id_prefix() -> str:
    """Return what tells the ids inside one figure from those inside the others of a page."""
    _used_names["figures"] += 1
    return f"f{_used_names['figures']}"


def _live(function, alt: str, raster: bool, sliders: list[Slider]) -> None:
    import ipywidgets as widgets

    controls = {
        s.name: widgets.SelectionSlider(
            options=list(zip(s.texts, range(len(s.values)), strict=True)),
            value=s.start,
            description=s.label,
            style={"description_width": "initial"},
            layout=widgets.Layout(width="26em"),
        )
        for s in sliders
    }

    def redraw(**position):
        figure = _draw(function, sliders, tuple(position.values()))
        data = base64.b64encode(png_bytes(figure)).decode()
        display({"image/png": data, "text/plain": alt}, raw=True)

    picture = widgets.interactive_output(redraw, controls)
    display(widgets.VBox([*controls.values(), picture]))


def _static(function, alt: str, raster: bool, sliders: list[Slider]) -> None:
    name = _name_in_page(function.__name__)
    positions = list(itertools.product(*(range(len(s.values)) for s in sliders)))
    prefix = _id_prefix()
    frames = [_frame(function, sliders, position, raster, prefix) for position in positions]
    start = tuple(s.start for s in sliders)
    inputs = "".join(_input_html(name, s) for s in sliders)
    page = (
        f'<figure class="explore" id="{name}">'
        f'<div class="explore-frame" role="img" aria-label="{html.escape(alt)}">'
        f"{frames[positions.index(start)]}</div>"
        f'<div class="explore-controls">{inputs}<span class="explore-buttons">'
        f'<button type="button">{word("reset")}</button>'
        f'<a href="#{name}">{word("link to this position")}</a></span></div>'
        f'<script type="text/plain" class="explore-payload">{pack(frames)}</script></figure>'
    )
    png = png_bytes(_draw(function, sliders, start))
    still = base64.b64encode(png).decode()
    display({"text/html": page, "image/png": still, "text/plain": alt}, raw=True)


def _input_html(name: str, slider: Slider) -> str:
    def number(value: float) -> str:
        return format(Decimal(str(value)).normalize(), "f")

    at = slider.low + slider.start * slider.step
    texts = html.escape(json.dumps(slider.texts, ensure_ascii=False))
    return (
        f'<label><span class="explore-label">{html.escape(slider.label)}</span>'
        f'<input type="range" name="{slider.name}" min="{number(slider.low)}" '
        f'max="{number(slider.high)}" step="{number(slider.step)}" value="{number(round(at, 10))}" '
        f'data-texts="{texts}" data-start="{slider.start}" autocomplete="off" '
        f'aria-valuetext="{html.escape(slider.texts[slider.start])}" '
        f'data-lm-suppress-shortcuts="true">'
        f"<output>{html.escape(slider.texts[slider.start])}</output></label>"
    )


def _test(function, alt: str, raster: bool, sliders: list[Slider]) -> None:
    name = _name_in_page(function.__name__)
    prefix = _id_prefix()
    folder = os.environ.get("EXPLORE_FRAMES")
    start = tuple(s.start for s in sliders)
    positions = {start}
    for i, slider in enumerate(sliders):
        last = len(slider.values) - 1
        stops = (0, last // 2, last) if folder else (0, last)
        positions |= {(*start[:i], stop, *start[i + 1 :]) for stop in stops}
    for position in sorted(positions):
        frame = _frame(function, sliders, position, raster, prefix)
        if folder:
            file = Path(folder, name, "-".join(map(str, position)) + ".svg")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(frame, encoding="utf-8")
    display({"image/png": still_png(function, sliders, start), "text/plain": alt}, raw=True)


def still_png(function: Callable, sliders: list[Slider], position: tuple[int, ...]) -> str:
    """Return the figure at one position as base64 text of a PNG."""
    return base64.b64encode(png_bytes(_draw(function, sliders, position))).decode()


_MODES = {"live": _live, "static": _static, "test": _test}
