"""Run the tests, part by part, and say at the end what passed and how long each part took."""

import argparse
import os
import shutil
import subprocess
import sys
import time

from chapters import BOOK, ROOT, markdown_notebooks

FRAMES = BOOK / "_build" / "frames"
NOWHERE = "http://127.0.0.1:9"  # a proxy that answers nobody: the network is cut
OFFLINE = {
    **{name: NOWHERE for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")},
    "no_proxy": "",
    "CUDA_VISIBLE_DEVICES": "",
}
QUIET = {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def run(*command: str, **environment: str) -> bool:
    """Run a command from the root of the project with this Python's tools."""
    print(f"\n$ {' '.join(command)}", flush=True)
    tools = os.path.dirname(sys.executable)
    path = os.pathsep.join([tools, os.environ["PATH"]])
    full = {**os.environ, **QUIET, **environment, "PATH": path}
    return subprocess.run(command, cwd=ROOT, env=full, check=False).returncode == 0


def style() -> bool:
    """Lint, format, and the chapters in step with the companion."""
    return all(
        [
            run("ruff", "check", "."),
            run("ruff", "format", "--check", "."),
            run(sys.executable, "tools/sync.py"),
        ]
    )


def unit() -> bool:
    """Unit tests and doctests: once with types checked, once with our own errors in view."""
    chosen = ("-m", "not browser and not colab")
    return all(
        [
            run("pytest", "-q", "-n", "2", *chosen),
            run("pytest", "-q", "--without-types"),
        ]
    )


def chapters() -> bool:
    """Every chapter from top to bottom, without network or GPU; it leaves the sliders' frames."""
    shutil.rmtree(FRAMES, ignore_errors=True)
    plain = ("-o", "addopts=", "-o", "filterwarnings=", "-p", "no:cacheprovider")
    here = {"EXPLORE_MODE": "test", "EXPLORE_FRAMES": str(FRAMES), **OFFLINE}
    nbval = ("--nbval-lax", "--nbval-cell-timeout", "300", "-n", "2", "--dist", "loadfile")
    return all(
        [
            run("pytest", "-q", *plain, *nbval, "--ignore", "book/_build", "book", **here),
            run(sys.executable, "tools/frames.py", *map(str, markdown_notebooks()), **here),
        ]
    )


def html() -> bool:
    """Build the book strictly, then open its pages in a browser."""
    return run("jupyter-book", "build", "book", "-W", "-n", "--keep-going") and run(
        "pytest", "-q", "-m", "browser", "-n", "2", "tests", EXPLORE_FRAMES=str(FRAMES)
    )


def colab() -> bool:
    """Every chapter alone in an empty folder, as on Colab."""
    return run("pytest", "-q", "-m", "colab", "tests", COLAB="all")


def colab_one() -> bool:
    """One chapter alone in an empty folder."""
    return run("pytest", "-q", "-m", "colab", "tests")


PARTS = {part.__name__: part for part in (style, unit, chapters, html, colab_one, colab)}
ALL = ("style", "unit", "chapters", "html", "colab_one")


def main() -> None:
    """Run the parts that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="+", choices=[*PARTS, "all"])
    names = parser.parse_args().part
    lines, good = [], True
    for name in ALL if "all" in names else names:
        start = time.perf_counter()
        passed = PARTS[name]()
        good = good and passed
        seconds = time.perf_counter() - start
        lines.append(f"{'passed' if passed else 'FAILED':8}{name:12}{seconds:6.0f} s")
    print("\n" + "\n".join(lines))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
