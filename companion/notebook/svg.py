"""From a matplotlib figure to SVG text that can stand inside a page, in either colour mode."""

import base64
import gzip
import io
import json
import re

from matplotlib.figure import Figure

from companion.notebook import plotting

_THEMED = {
    plotting.INK: "ink",
    plotting.GRID: "grid",
    plotting.PAPER: "paper",
    plotting.BLUE: "blue",
    plotting.ORANGE: "orange",
    plotting.GREEN: "green",
    plotting.PINK: "pink",
    plotting.YELLOW: "yellow",
    plotting.SKY: "sky",
    plotting.GRAY: "gray",
}

# What every axis repeats: explore.css has these styles under a short name.
_CLASSES = {
    "fill: none; stroke: var(--figure-grid); stroke-width: 0.6; stroke-linecap: square": "fg",
    "fill: var(--figure-ink); stroke: var(--figure-ink); stroke-width: 0.8": "fi",
    "font-size: 10px; text-anchor: middle; fill: var(--figure-ink)": "fm",
    "font-size: 10px; text-anchor: end; fill: var(--figure-ink)": "fe",
}


def svg_text(figure: Figure, prefix: str) -> str:
    """Return ``figure`` as one ``<svg>`` element to be put into a page.

    Matplotlib writes a file; a page needs less and more. The header, the metadata and a style sheet
    that would leak into the page go; ids get ``prefix``, since a page holds many figures;
    coordinates (never the numbers inside texts) keep one decimal; the colours of the book
    become CSS variables, which dark mode changes.
    """
    file = io.StringIO()
    # Figures that were made outside the style still get its salt and its text as text.
    with plotting.mpl.rc_context(
        {key: plotting.STYLE[key] for key in ("svg.fonttype", "svg.hashsalt", "savefig.facecolor")}
    ):
        figure.savefig(file, format="svg", metadata={"Date": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r"\s*<style[^>]*>.*?</style>", "", svg, flags=re.S)
    svg = re.sub(r"\s*<!--.*?-->", "", svg, flags=re.S)
    svg = svg.replace("<svg ", '<svg style="stroke-linejoin: round; stroke-linecap: butt" ', 1)
    svg = re.sub(r' (d|points|x|y|transform)="([^"]*)"', _shorten, svg)
    svg = re.sub(r' transform="rotate\(-?0 [^"]*"', "", svg)
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))
    svg = svg.replace("font-family: 'DejaVu Sans'; ", "")  # explore.css names it once
    svg = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", svg)
    svg = re.sub(r'( id="|url\(#|href="#)([^")]+)', rf"\1{prefix}-\2", svg)
    for colour, name in _THEMED.items():
        svg = svg.replace(f": {colour}", f": var(--figure-{name})")
    svg = svg.replace("xlink:href", "href").replace(
        ' xmlns:xlink="http://www.w3.org/1999/xlink"', ""
    )
    for style, name in _CLASSES.items():
        svg = svg.replace(f'style="{style}"', f'class="{name}"')
    return re.sub(r"\n\s+", "\n", _ungrouped(svg))


def _ungrouped(svg: str) -> str:
    """Leave out groups that carry no attribute: they had an id, and change nothing without it."""
    kept, parts = [], []
    for part in re.split(r"(<g\b[^>]*>|</g>)", svg):
        if part.startswith("<g"):
            kept.append(part != "<g>")
            part = part if kept[-1] else ""
        elif part == "</g>" and not kept.pop():
            part = ""
        parts.append(part)
    return "".join(parts)


def _shorten(attribute: re.Match) -> str:
    """Round the coordinates in one attribute to a tenth of a point; scales are no coordinates."""
    if "scale" in attribute[2] or "matrix" in attribute[2]:
        return attribute[0]
    text = re.sub(
        r"-?\d+\.\d{2,}", lambda n: f"{float(n[0]):.1f}".rstrip("0").rstrip("."), attribute[2]
    )
    return f' {attribute[1]}="{text}"'


def png_bytes(figure: Figure, colours: int | None = None, dpi: int = 110) -> bytes:
    """Return ``figure`` as a PNG on white, with at most ``colours`` colours if given."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    if colours is None:
        return file.getvalue()
    from PIL import Image

    small = io.BytesIO()
    Image.open(file).convert("RGB").quantize(colours).save(small, format="png", optimize=True)
    return small.getvalue()


def pack(frames: list[str]) -> str:
    """Pack many similar texts into few characters: distinct lines once, gzip, base64.

    The page undoes it with ``DecompressionStream``; a frame is the lines that its numbers name.
    """
    pool: dict[str, int] = {}
    numbers = [[pool.setdefault(ln, len(pool)) for ln in f.split("\n")] for f in frames]
    text = json.dumps({"pool": list(pool), "frames": numbers}, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def unpack(payload: str) -> list[str]:
    """Undo :func:`pack`.

    Example:
        >>> unpack(pack(["a", "a and b"]))
        ['a', 'a and b']
    """
    data = json.loads(gzip.decompress(base64.b64decode(payload)))
    return ["\n".join(data["pool"][n] for n in frame) for frame in data["frames"]]
