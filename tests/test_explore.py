import json
import re

import matplotlib.pyplot as plt
import pytest
import torch

from companion.notebook import explore, show
from companion.notebook.plotting import INK, STYLE, new_axes
from companion.notebook.svg import pack, png_bytes, svg_text, unpack


def plot_line(slope=1.0, colour="red"):
    figure, axes = new_axes("x", "y", "f(0.123456)")
    axes.plot([0, 1], [0, slope], color=colour)
    return figure


@pytest.fixture
def shown(monkeypatch):
    """What explore and show display, as a list of bundles."""
    import sys

    bundles = []
    module = sys.modules["companion.notebook.explore"]
    monkeypatch.setattr(module, "display", lambda bundle, **_: bundles.append(bundle))
    module._used_names.clear()
    return bundles


@pytest.fixture
def static(monkeypatch):
    monkeypatch.setenv("EXPLORE_MODE", "static")


def frames_of(bundle):
    return unpack(re.search(r'explore-payload">(.*?)</script>', bundle["text/html"])[1])


def test_static_bakes_every_position_and_shows_the_start(shown, static):
    explore(plot_line, alt="a line", slope=(-1, 1, 0.5), colour=["red", "blue"])
    (bundle,) = shown
    page, frames = bundle["text/html"], frames_of(bundle)
    assert len(frames) == 5 * 2
    assert len(set(frames)) == 5 * 2
    assert frames[4 * 2 + 0] in page  # slope 1.0, red
    assert 'id="explore-plot-line"' in page
    assert 'aria-label="a line"' in page
    assert bundle["image/png"]
    assert bundle["text/plain"] == "a line"


def test_static_slider_has_real_values(shown, static):
    explore(plot_line, alt="a line", slope=(-1, 1, 0.1))
    page = shown[0]["text/html"]
    assert 'min="-1" max="1" step="0.1" value="1"' in page
    texts = json.loads(re.search(r'data-texts="([^"]*)"', page)[1].replace("&quot;", '"'))
    assert texts[10:14] == ["0", "0.1", "0.2", "0.3"]  # decimals, not floats
    assert 'aria-valuetext="1"' in page


def test_positions_that_the_step_does_not_reach_are_left_out(shown, static):
    explore(plot_line, alt="a line", slope=(0, 2.5, 1.0))
    assert 'max="2"' in shown[0]["text/html"]
    assert len(frames_of(shown[0])) == 3


def test_equal_calls_give_equal_bytes(shown, static):
    for _ in range(2):
        shown_before = len(shown)
        import sys

        sys.modules["companion.notebook.explore"]._used_names.clear()
        explore(plot_line, alt="a line", slope=(0, 2, 1))
        assert len(shown) == shown_before + 1
    assert shown[0] == shown[1]


def test_two_figures_of_one_function_have_two_names(shown, static):
    explore(plot_line, alt="one", slope=(0, 1, 1))
    explore(plot_line, alt="two", slope=(0, 1, 1))
    assert 'id="explore-plot-line-2"' in shown[1]["text/html"]


def test_raster_frames_are_pictures(shown, static):
    explore(plot_line, alt="a line", raster=True, slope=(0, 1, 1))
    assert all(frame.startswith('<img alt="" width="') for frame in frames_of(shown[0]))


def test_an_exception_in_any_frame_fails_the_build(shown, static):
    def breaks_at_two(n=0):
        return plot_line(1 / (n - 2))

    with pytest.raises(ZeroDivisionError):
        explore(breaks_at_two, alt="breaks", n=(0, 4, 1))


def test_test_mode_runs_the_start_and_both_ends(shown, monkeypatch):
    seen = set()

    def plot(a=1, b=5):
        seen.add((a, b))
        return plot_line(a)

    explore(plot, alt="a line", a=(0, 4, 1), b=(3, 9, 1))
    assert seen == {(1, 5), (0, 5), (4, 5), (1, 3), (1, 9)}


def test_test_mode_leaves_the_frames_that_static_mode_bakes(shown, monkeypatch, tmp_path):
    import sys

    monkeypatch.setenv("EXPLORE_FRAMES", str(tmp_path))
    explore(plot_line, alt="a line", slope=(-1, 1, 0.5))
    files = {file.stem: file.read_text() for file in (tmp_path / "explore-plot-line").iterdir()}
    assert sorted(files) == ["0", "2", "4"]
    monkeypatch.setenv("EXPLORE_MODE", "static")
    sys.modules["companion.notebook.explore"]._used_names.clear()
    explore(plot_line, alt="a line", slope=(-1, 1, 0.5))
    baked = frames_of(shown[-1])
    assert all(baked[int(position)] == frame for position, frame in files.items())


def test_live_mode_makes_sliders_that_call_the_function(monkeypatch):
    import sys

    import ipywidgets

    monkeypatch.setenv("EXPLORE_MODE", "live")
    boxes, calls = [], []
    module = sys.modules["companion.notebook.explore"]
    monkeypatch.setattr(module, "display", lambda thing, **_: boxes.append(thing))

    def plot(slope=1.0):
        calls.append(slope)
        return plot_line(slope)

    explore(plot, alt="a line", slope=(-1, 1, 0.5))
    box = next(b for b in boxes if isinstance(b, ipywidgets.VBox))
    slider = box.children[0]
    assert slider.label == "1"
    slider.index = 0
    assert calls == [1.0, -1.0]


def test_the_svg_is_fit_for_a_page():
    with plt.rc_context(STYLE):
        svg = svg_text(plot_line(), "f1")
    assert svg.startswith("<svg ")
    assert "f(0.123456)" in svg  # numbers inside texts are not rounded
    assert INK not in svg
    assert "var(--figure-ink)" in svg
    assert not re.search(r"<(style|metadata|!--|\?xml)", svg)
    ids = set(re.findall(r' id="([^"]*)"', svg))
    links = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))
    assert ids
    assert links <= ids
    assert all(name.startswith("f1-") for name in ids)
    plt.close("all")


def test_packed_frames_come_back_and_are_small():
    frames = ["\n".join(f"line {i} {k if i == 7 else 0}" for i in range(200)) for k in range(50)]
    payload = pack(frames)
    assert unpack(payload) == frames
    assert len(payload) < len("".join(frames)) / 50
    assert "<" not in payload


def test_a_png_with_few_colours_is_smaller():
    figure, axes = new_axes()
    axes.imshow(torch.rand(60, 60, 3, generator=torch.Generator().manual_seed(0)).numpy())
    assert len(png_bytes(figure, colours=64)) < len(png_bytes(figure))
    plt.close(figure)


def test_show_gives_alt_text_and_closes(shown, static):
    figure = plot_line()
    show(figure, alt='a "still" line')
    assert 'aria-label="a &quot;still&quot; line"' in shown[0]["text/html"]
    assert shown[0]["text/plain"] == 'a "still" line'
    assert not plt.fignum_exists(figure.number)


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"alt": "", "slope": (0, 1, 1)}, ValueError, "alt must say what the figure shows"),
        ({"alt": None, "slope": (0, 1, 1)}, ValueError, "alt must say"),
        ({"alt": "x"}, ValueError, "sliders must not be empty"),
        ({"alt": "x", "slope": (1, 1, 1)}, ValueError, "slope must be .* low < high"),
        ({"alt": "x", "slope": (2, 1, 1)}, ValueError, "slope must be .* low < high"),
        ({"alt": "x", "slope": (0, 1, 0)}, ValueError, "slope must be .* 0 < step"),
        ({"alt": "x", "slope": []}, ValueError, "slope must not be an empty list"),
        ({"alt": "x", "slope": 3}, TypeError, "slope must be a tuple"),
        ({"alt": "x", "slope": (0, 1)}, TypeError, "slope must be a tuple"),
        ({"alt": "x", "slope": (0, 500, 1)}, ValueError, "at most 400 .* slope: 501"),
        (
            {"alt": "x", "slope": (0, 20, 1), "colour": ["r"] * 20},
            ValueError,
            "colour starts at 'red'",
        ),
        ({"alt": "x", "height": (0, 1, 1)}, TypeError, "takes no argument 'height'"),
        ({"alt": "x", "slope": (5, 6, 1)}, ValueError, "slope starts at 1.0 by default"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        explore(plot_line, **arguments)


@pytest.mark.nocheck
def test_a_missing_alt_text_is_named():
    with pytest.raises(TypeError, match="alt"):
        explore(plot_line, slope=(0, 1, 1))


@pytest.mark.nocheck
@pytest.mark.parametrize("mode", ["static", "test"])  # a widget shows the error instead
def test_a_function_that_returns_no_figure_is_named(mode, monkeypatch):
    monkeypatch.setenv("EXPLORE_MODE", mode)
    with pytest.raises(TypeError, match=r"figure_function must return .* got int"):
        explore(lambda slope: 3, alt="x", slope=(0, 1, 1))
    with pytest.raises(TypeError, match="figure_function must be callable, got 3"):
        explore(3, alt="x", slope=(0, 1, 1))


@pytest.mark.nocheck
def test_an_unknown_mode_is_named(monkeypatch):
    monkeypatch.setenv("EXPLORE_MODE", "statik")
    with pytest.raises(ValueError, match="EXPLORE_MODE must be one of live, static, test"):
        explore(plot_line, alt="x", slope=(0, 1, 1))


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("figure", "alt", "error"), [(3, "x", TypeError), (plt.Figure(), " ", ValueError)]
)
def test_show_refuses_what_is_no_figure_or_has_no_alt(figure, alt, error):
    with pytest.raises(error):
        show(figure, alt=alt)
