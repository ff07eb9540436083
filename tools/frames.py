"""Run a page in test mode; its sliders leave their frames in a folder.

The chapters' frames come from nbval. This is for a page that nbval does not run: a MyST notebook.
"""

import argparse
import os
from pathlib import Path

import jupytext
from chapters import BOOK
from nbclient import NotebookClient

FRAMES = os.environ.get("EXPLORE_FRAMES") or BOOK / "_build" / "frames"
TEST_MODE = {"EXPLORE_MODE": "test", "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}


def run(page: Path, frames: Path) -> int:
    """Run a notebook, or Markdown with code cells, and return how many code cells it has."""
    notebook = jupytext.read(page)
    resources = {"metadata": {"path": str(page.resolve().parent)}}
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources)
    client.execute(env={**os.environ, **TEST_MODE, "EXPLORE_FRAMES": str(frames.resolve())})
    return sum(cell.cell_type == "code" for cell in notebook.cells)


def main() -> None:
    """Run the pages that are named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("page", nargs="+", type=Path, help="a notebook or a MyST notebook")
    parser.add_argument(
        "--frames", type=Path, default=FRAMES, help="the folder, by default %(default)s"
    )
    arguments = parser.parse_args()
    for page in arguments.page:
        print(f"{page}: {run(page, Path(arguments.frames))} code cells ran", flush=True)


if __name__ == "__main__":
    main()
