"""The built pages in a real browser: what they show, what they do, who can read them.

Every page is opened from its folder (``file://``) and over http; no other origin is ever reached.
The pages are those of ``_toc.yml`` and the figures those of the built HTML, so nothing here names
a chapter. The book is looked for in ``book/_build/html`` (or ``BOOK_HTML``), the frames that Python
drew in test mode in ``book/_build/frames`` (or ``EXPLORE_FRAMES``).
"""

import io
import math
import re
import statistics
from collections import Counter
from functools import cache
from html import unescape
from itertools import pairwise, product
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import sync_playwright

from companion.notebook.svg import unpack
from tests.browser import (
    DESKTOP,
    FRAMES,
    HTML,
    PAGES,
    PHONE,
    Site,
    chromium,
    file_url,
    launch,
    need,
    view,
    visit,
)

pytestmark = pytest.mark.browser

# What the theme itself complains of on every page.
OF_THE_THEME = re.compile(
    r"Identifier 'THEBE_JS_URL' has already been declared"
    r"|Got invalid theme mode: \. Resetting to auto\."
)
# From a folder a browser may not preload fonts; the pages then load them through their CSS.
FONT = r"file://\S*/_static/vendor/fontawesome/\S+\.woff2"
OF_A_FOLDER = re.compile(
    rf"Access to font at '{FONT}' from origin 'null' has been blocked by CORS policy: .*"
)
READABLE = 3.0  # the contrast that WCAG asks of large text; half of what it asks of a page's text
VISIBLE = 2.0  # for lines and marks: yellow and sky blue on white are 2.2 and 2.3
LEGIBLE = 8.0  # px, the smallest text of a figure on a phone


@pytest.fixture(scope="session")
def browser():
    need(chromium(), "no Chromium was found: install it, or name it by CHROMIUM")
    need((HTML / "index.html").exists(), f"no book in {HTML}: build it with `make book`")
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def context(browser):
    with browser.new_context(reduced_motion="reduce") as context:  # else it scrolls for seconds
        yield context


@pytest.fixture(scope="session")
def site():
    with Site() as site:
        yield site
        site.shutdown()


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in PAGES],
)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def page(name, context):
    """Open a page and its folds, once for all the tests that leave it as they found it."""
    page = visit(context, file_url(name)).page
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    yield page
    page.close()


@pytest.fixture(scope="module")
def bare_page(name, browser):
    """Open a page where no script runs: what is there before any script did anything."""
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(file_url(name))
        yield page


def figures(page):
    """Describe the figures with sliders: id, the sliders' names, texts and starts, the frames."""
    found = page.locator("figure.explore[id]").evaluate_all(
        """(figures) => figures.map((figure) => {
          const inputs = [...figure.querySelectorAll("input[type=range]")];
          return {
            id: figure.id,
            names: inputs.map((input) => input.name),
            texts: inputs.map((input) => JSON.parse(input.dataset.texts)),
            start: inputs.map((input) => Number(input.dataset.start)),
            payload: figure.querySelector(".explore-payload").textContent,
          };
        })"""
    )
    for figure in found:
        figure["frames"] = unpack(figure.pop("payload"))
    return found


def number_of(figure, position):
    """Return the number of the frame at a position: the last slider counts fastest."""
    number = 0
    for texts, index in zip(figure["texts"], position, strict=True):
        number = number * len(texts) + index
    return number


def shown_problem(page, figure, position, expected):
    """Say how a figure differs from what it should show at a position; empty if it does not."""
    there = "{}: {}".format(figure["id"], list(position))
    at = page.locator(f"[id='{figure['id']}']")
    script = """([id, text]) => {
      const wanted = document.createElement("div");
      wanted.innerHTML = text;
      const shown = document.getElementById(id).querySelector(".explore-frame").innerHTML;
      return [shown, wanted.innerHTML];
    }"""
    for _ in range(100):
        shown, wanted = page.evaluate(script, [figure["id"], expected])
        if shown == wanted:
            break
        page.wait_for_timeout(20)
    else:
        i = next((i for i, (a, b) in enumerate(zip(shown, wanted, strict=False)) if a != b), 0)
        return f"{there}: shows …{shown[i - 60 : i + 60]}… instead of …{wanted[i - 60 : i + 60]}…"
    texts = [texts[i] for texts, i in zip(figure["texts"], position, strict=True)]
    outputs = at.locator("output").all_text_contents()
    spoken = at.locator("input").evaluate_all("(all) => all.map((e) => e.ariaValueText)")
    return "" if texts == outputs == spoken else f"{there}: reads {outputs}, says {spoken}"


def press(page, figure, slider, position):
    """Move a slider to a position by the keyboard alone."""
    last = len(figure["texts"][slider]) - 1
    page.locator(f"[id='{figure['id']}'] input[type=range]").nth(slider).focus()
    page.keyboard.press("End" if position == last else "Home")
    for _ in range(position if position < last else 0):
        page.keyboard.press("ArrowRight")


def reset(page, figure):
    page.locator(f"[id='{figure['id']}'] button").click()


def nothing(problems):
    """Fail with every problem there is; empty texts are none."""
    found = [str(problem) for problem in problems if problem]
    assert not found, "\n".join(found)


# What a page says and loads


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_page_is_silent_and_needs_nobody_else(name, scheme, context, site):
    url = file_url(name) if scheme == "file" else site.url(name)
    seen = visit(context, url, wait_until="networkidle")
    errors = [(text, at) for text, at in seen.errors if not OF_THE_THEME.fullmatch(text)]
    if scheme == "file":
        blocked = "Failed to load resource: net::ERR_FAILED"
        fonts = [e for e in errors if OF_A_FOLDER.fullmatch(e[0])]
        fonts += [e for e in errors if e[0] == blocked and re.fullmatch(FONT, e[1])]
        errors = [e for e in errors if e not in fonts]
        assert len(fonts) <= 6, "three fonts, two messages each"
    seen.page.close()
    nothing([*errors, *seen.refused])


def test_formulas_are_typeset(page):
    view(page)
    problems = page.evaluate(
        r"""() => {
          const bare = [...document.querySelectorAll(".math")]
            .filter((formula) => !formula.querySelector("mjx-container"));
          const wrong = [...document.querySelectorAll(
            "mjx-merror, [data-mjx-error], mjx-container [style*='color: red']")];
          const left = [];
          const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) {
            const text = walker.currentNode;
            if (/\$[^$]*[\\^_][^$]*\$|\\[(\[]/.test(text.data)
                && !text.parentElement.closest("pre, code, script, style, mjx-container, [hidden]"))
              left.push(text);
          }
          const shown = (node) => (node.outerHTML ?? node.data).slice(0, 160);
          return [...bare, ...wrong, ...left].map(shown);
        }"""
    )
    nothing(problems)


def test_links_lead_somewhere(bare_page):
    found = bare_page.evaluate(
        """() => [...document.querySelectorAll("[href], [src]")].map((element) => {
          const written = element.getAttribute(element.hasAttribute("src") ? "src" : "href");
          const leads = element.matches("a, area, link[rel=canonical]");
          return [written, new URL(written, document.baseURI).href, leads];
        })"""
    )
    # A page may point elsewhere, but loads nothing from there.
    elsewhere = re.compile(r"(?!data:|javascript:)[a-z]+:|//")
    problems = [written for written, _, leads in found if elsewhere.match(written) and not leads]
    here = {url: written for written, url, _ in found if url.startswith("file:")}
    for url, written in here.items():
        address, _, fragment = url.partition("#")
        path = Path(unquote(address.partition("?")[0].removeprefix("file://")))
        exists = path.is_file() and HTML in path.parents
        if not exists or (fragment and unquote(fragment) not in ids(path)):
            problems.append(written)
    nothing(problems)


@cache
def ids(path):
    text = path.read_text(encoding="utf-8")
    return frozenset(re.findall(r"""\sid=["']([^"']+)["']""", text))


def test_search_finds_the_page_from_a_folder(name, browser):
    title = re.search(r"<h1>(.*?)<a ", (HTML / f"{name}.html").read_text(encoding="utf-8"))
    words = quote(unescape(re.sub(r"<.*?>", "", title[1])))
    with browser.new_context(reduced_motion="reduce") as fresh:  # what is sought stays marked
        page = visit(fresh, file_url("search") + f"?q={words}").page
        page.get_by_text("Search finished").wait_for()  # this line moves the list down
        page.locator(f"#search-results li a[href*='{name}.html']").first.click(timeout=10_000)
        page.wait_for_url(f"**/{name}.html*")
    with browser.new_context(reduced_motion="reduce") as fresh:
        page = visit(fresh, file_url(name) + f"?highlight={words}").page
        page.locator("article h1 .highlighted").first.wait_for()
        for theme in ("light", "dark"):
            view(page, theme=theme)
            nothing(axe_problems(page, "color-contrast", within=".highlighted"))


# Figures and sliders


def test_figure_is_there_before_any_script(bare_page):
    empty = bare_page.locator("figure.explore").evaluate_all(
        """(figures) => figures.filter((figure) => {
          const picture = figure.querySelector(".explore-frame").querySelector("svg, img");
          return !picture || picture.getBoundingClientRect().height < 50;
        }).map((figure) => figure.outerHTML.slice(0, 200))"""
    )
    nothing(empty)
    problems = []
    for figure in figures(bare_page):
        frame = figure["frames"][number_of(figure, figure["start"])]
        problems.append(shown_problem(bare_page, figure, figure["start"], frame))
    nothing(problems)


def test_pictures_have_a_text_instead(bare_page):
    silent = bare_page.evaluate(
        """() => {
          const text = (element) => (element.getAttribute("alt") ?? element.ariaLabel ?? "").trim();
          const frames = [...document.querySelectorAll(".explore-frame")];
          const images = [...document.querySelectorAll("img")]
            .filter((image) => !image.closest(".explore-frame"));
          // docutils gives an image without a text its own address instead
          const unsaid = (e) => !text(e) || /_images\\/|\\.(png|svg|jpe?g)$/.test(text(e));
          return [...frames.filter((frame) => frame.role !== "img"), ...frames.filter(unsaid),
                  ...images.filter(unsaid)].map((element) => element.outerHTML.slice(0, 200));
        }"""
    )
    nothing(silent)


def test_figure_ids_are_unique_in_the_book(browser):
    found = Counter()
    for name in PAGES:
        text = (HTML / f"{name}.html").read_text(encoding="utf-8")
        found.update(re.findall(r'<figure class="explore" id="([^"]+)"', text))
    twice = [figure for figure, count in found.items() if count > 1]
    nothing(f"{figure} is there twice: name its function otherwise" for figure in twice)


def test_sliders_show_the_frames_that_python_drew(page):
    need(FRAMES.is_dir(), f"no frames in {FRAMES}: run the chapters with EXPLORE_FRAMES set")
    view(page)
    problems = []
    for figure in figures(page):
        start = tuple(figure["start"])
        drawn = {
            tuple(map(int, file.stem.split("-"))): file.read_text(encoding="utf-8")
            for file in (FRAMES / figure["id"]).glob("*.svg")
        }
        tried = {start}
        for k, texts in enumerate(figure["texts"]):
            last = len(texts) - 1
            for stop in (0, last, last // 2):
                position = (*start[:k], stop, *start[k + 1 :])
                tried.add(position)
                press(page, figure, k, stop)
                expected = drawn.get(position, "Python drew no frame here")
                problems.append(shown_problem(page, figure, position, expected))
            reset(page, figure)
            expected = drawn.get(start, "Python drew no frame here")
            problems.append(shown_problem(page, figure, start, expected))
        if unseen := set(drawn) - tried:
            problems.append(f"{figure['id']}: Python drew {unseen}, the page has other sliders")
    nothing(problems)


def test_every_slider_changes_its_figure(page):
    problems = []
    for figure in figures(page):
        sizes = [len(texts) for texts in figure["texts"]]
        if len(figure["frames"]) != math.prod(sizes):
            problems.append(f"{figure['id']}: {len(figure['frames'])} frames for {sizes}")
            continue
        at = dict(zip(product(*map(range, sizes)), figure["frames"], strict=True))
        for k, slider in enumerate(figure["names"]):
            rows = {}
            for position, frame in at.items():
                rows.setdefault((*position[:k], *position[k + 1 :]), []).append(frame)
            if not any(a != b for row in rows.values() for a, b in pairwise(row)):
                problems.append(f"{figure['id']}: {slider} changes nothing")
    nothing(problems)


def test_link_restores_the_position(page, name, context, site):
    view(page)
    problems = []
    for figure in figures(page):
        end = tuple(len(texts) - 1 for texts in figure["texts"])
        for k, last in enumerate(end):
            press(page, figure, k, last)
        fragment = page.locator(f"[id='{figure['id']}'] .explore-buttons a").evaluate("a => a.hash")
        reset(page, figure)
        fresh = visit(context, site.url(name) + fragment).page
        problems.append(shown_problem(fresh, figure, end, figure["frames"][-1]))
        box = fresh.locator(f"[id='{figure['id']}']").bounding_box()
        if not 0 <= box["y"] + box["height"] / 2 <= fresh.viewport_size["height"]:
            problems.append(f"{figure['id']}: the page is not scrolled to it")
        fresh.close()
    nothing(problems)


def test_print_shows_the_current_frame(page):
    view(page)
    problems = []
    found = figures(page)
    for figure in found:
        press(page, figure, 0, len(figure["texts"][0]) - 1)
    view(page, media="print")
    for figure in found:
        moved = (len(figure["texts"][0]) - 1, *figure["start"][1:])
        frame = figure["frames"][number_of(figure, moved)]
        problems.append(shown_problem(page, figure, moved, frame))
        at = page.locator(f"[id='{figure['id']}']")
        if not at.locator(".explore-frame > *").is_visible():
            problems.append(f"{figure['id']}: is not printed")
        if at.locator(".explore-buttons").is_visible():
            problems.append(f"{figure['id']}: buttons are printed")
    view(page)
    for figure in found:
        reset(page, figure)
    nothing(problems)
    pdf = page.pdf()
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 10_000


# Who can read it


@pytest.mark.parametrize(
    ("width", "theme"), [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light")]
)
def test_axe_finds_nothing_serious(page, width, theme):
    view(page, width, theme)
    nothing(axe_problems(page))


def axe_problems(page, *rules, within="html"):
    """List what axe-core finds serious, by all its rules or by those named."""
    options = {"resultTypes": ["violations"], "preload": False}
    options |= {"runOnly": rules} if rules else {}
    found = Axe().run(page, context=within, options=options)
    return [
        f"{page.url}: {rule['id']} ({rule['impact']}): {node['html'][:200]}\n"
        f"{node['failureSummary']}"
        for rule in found.response["violations"]
        for node in rule["nodes"]
        if rule["impact"] in {"serious", "critical"}
    ]


def test_page_never_scrolls_sideways_on_a_phone(page):
    view(page, PHONE)
    width, wide = page.evaluate(
        """() => {
          const clipped = (e) => e && (getComputedStyle(e).overflowX !== "visible"
                                       || clipped(e.parentElement.closest("main *")));
          const wide = [...document.querySelectorAll("main *")].filter((element) =>
            element.getBoundingClientRect().right > innerWidth && !clipped(element.parentElement));
          return [document.scrollingElement.scrollWidth, wide.map((e) => e.outerHTML.slice(0, 99))];
        }"""
    )
    if width > PHONE:
        nothing([f"the page is {width} px wide", *wide])


def test_code_fits_on_a_desktop(page):
    view(page)
    wide = page.locator("div.cell_input pre").evaluate_all(
        """(cells) => cells.filter((cell) => cell.scrollWidth > cell.clientWidth)
          .map((cell) => `${cell.scrollWidth} > ${cell.clientWidth} px: ${cell.textContent}`)"""
    )
    nothing(wide)


# The texts, lines and marks of each figure: their colour, and points where they lie.
DRAWN = """(figure) => {
  const svg = figure.querySelector(".explore-frame svg");
  if (!svg) return [];
  const box = svg.getBoundingClientRect();
  const inside = ([x, y]) => x >= 0 && y >= 0 && x < box.width - 1 && y < box.height - 1;
  const probe = figure.appendChild(document.createElement("span"));
  const faint = ["grid", "paper"].map((name) => {
    probe.style.color = `var(--figure-${name})`;
    return getComputedStyle(probe).color;
  });
  probe.remove();
  const grid = (r) => [0.1, 0.3, 0.5, 0.7, 0.9].flatMap((u) => [0.2, 0.5, 0.8].map(
    (v) => [r.left - box.left + u * r.width, r.top - box.top + v * r.height]));
  const alpha = (element) => {
    let value = 1;
    for (let e = element; e !== svg.parentElement; e = e.parentElement)
      value *= Number(getComputedStyle(e).opacity);
    return value;
  };
  const found = [];
  const note = (kind, element, style, inks, points, size) => {
    points = points.filter(inside);
    if (inks.length && points.length && style.visibility === "visible")
      found.push({ kind, inks, points, size, what: element.textContent.trim() || inks.join() });
  };
  for (const element of svg.querySelectorAll("text, use, path")) {
    if (element.closest("defs, clipPath")) continue;
    const style = getComputedStyle(element);
    const seen = alpha(element);
    const fill = [style.fill, seen * Number(style.fillOpacity)];
    const stroke = [style.stroke, seen * Number(style.strokeOpacity)];
    const inks = [fill, stroke].filter(([c, a]) => c !== "none" && a > 0 && !faint.includes(c));
    if (element.tagName === "text") {
      if (!element.textContent.trim()) continue;
      const parts = [element, ...element.querySelectorAll("tspan")];
      const size = Math.max(...parts.filter((e) => [...e.childNodes].some((n) => n.nodeType === 3))
        .map((e) => parseFloat(getComputedStyle(e).fontSize)));
      const matrix = element.getScreenCTM();
      const points = grid(element.getBoundingClientRect());
      note("text", element, style, [fill], points, size * Math.hypot(matrix.a, matrix.b));
    } else if (element.tagName === "use") {
      note("mark", element, style, inks, grid(element.getBoundingClientRect()));
    } else if (style.fill === "none" && parseFloat(style.strokeWidth) >= 0.7) {
      const [matrix, length] = [element.getScreenCTM(), element.getTotalLength()];
      if (!length) continue;
      const points = [...Array(24).keys()].map((i) => {
        const p = element.getPointAtLength((length * (i + 0.5)) / 24).matrixTransform(matrix);
        return [p.x - box.left, p.y - box.top];
      });
      note("line", element, style, inks, points);
    }
  }
  return found;
}"""
# What lies beneath them: the page, a legend's paper, an image, an area.
BENEATH = """
  .explore-frame svg :is(text, use, path[style*="fill: none"]), header, .bd-header-article {
    visibility: hidden !important;
  }"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_stand_out_from_what_is_beneath_them(page, theme):
    view(page, theme=theme)
    problems = []
    for figure in page.locator("figure.explore:has(.explore-frame > svg)").all():
        figure.evaluate("(figure) => figure.scrollIntoView({ block: 'center' })")
        drawn = figure.evaluate(DRAWN)
        png = figure.locator(".explore-frame > svg").screenshot(style=BENEATH)
        beneath = Image.open(io.BytesIO(png)).convert("RGB")
        for item in drawn:
            below = [beneath.getpixel((int(x), int(y))) for x, y in item["points"]]
            paper = tuple(statistics.median(channel) for channel in zip(*below, strict=True))
            found = max(contrast(ink, alpha, paper) for ink, alpha in item["inks"])
            if found < (READABLE if item["kind"] == "text" else VISIBLE):
                what = f"{item['kind']} {item['what']!r}"
                problems.append(f"{called(figure)}: {what}: {found:.2f} : 1")
    nothing(problems)


def called(figure):
    """Name a figure: its id, or for a still one its text."""
    label = figure.locator(".explore-frame").get_attribute("aria-label")
    return figure.get_attribute("id") or label[:60]


def contrast(ink, alpha, paper):
    """Return WCAG's contrast of a half transparent CSS colour on an opaque RGB one."""
    *rgb, own = [*map(float, re.findall(r"[\d.]+", ink)), 1.0][:4]
    alpha *= own
    mixed = [alpha * c + (1 - alpha) * p for c, p in zip(rgb, paper, strict=True)]
    dark, light = sorted(luminance(colour) for colour in (mixed, paper))
    return (light + 0.05) / (dark + 0.05)


def luminance(rgb):
    shares = [c / 255 for c in rgb]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_contrast_is_wcags():
    assert contrast("rgb(0, 0, 0)", 1, (255, 255, 255)) == pytest.approx(21)
    assert contrast("rgb(119, 119, 119)", 1, (255, 255, 255)) == pytest.approx(4.48, abs=0.01)
    assert contrast("rgba(0, 0, 0, 0.5)", 0.5, (255, 255, 255)) == pytest.approx(1.83, abs=0.02)


def test_texts_of_figures_are_legible_on_a_phone(page):
    view(page, PHONE)
    small = [
        f"{called(figure)}: {item['what']!r} is {item['size']:.1f} px high"
        for figure in page.locator("figure.explore").all()
        for item in figure.evaluate(DRAWN)
        if item["kind"] == "text" and item["size"] < LEGIBLE
    ]
    nothing(small)
