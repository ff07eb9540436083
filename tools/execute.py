"""Run chapters from top to bottom and store what cells tagged `keep_output` print."""

import argparse
import os
import time
from pathlib import Path

from chapters import chapters, read, strip, write
from nbclient import NotebookClient


def execute(path: Path) -> float:
    """Run one chapter in test mode, write it back stripped, return the seconds it took."""
    os.environ.update(EXPLORE_MODE="test", OMP_NUM_THREADS="1", TQDM_DISABLE="1")
    notebook = read(path)
    start = time.perf_counter()
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": path.parent}}).execute()
    seconds = time.perf_counter() - start
    write(strip(notebook), path)
    return seconds


def main() -> None:
    """Run the chapters named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chapter", nargs="*", type=Path, help="notebooks; all if none is named")
    for path in parser.parse_args().chapter or chapters():
        print(f"{path}: {execute(path):.1f} s", flush=True)


if __name__ == "__main__":
    main()
