"""Run chapters with several seeds; keep what they hand to `within_seeds` in a committed file.

Cells tagged `reads-seeds`, which show or use the file itself, are left out.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from chapters import ROOT, read
from nbclient import NotebookClient

FOLDER = ROOT / "companion" / "files" / "seeds"


def run(path: Path, seed: int) -> dict[str, float]:
    """Run one chapter with one seed and return what it recorded."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.json"
        os.environ.update(
            BOOK_SEED=str(seed),
            SEEDS_RECORD=str(record),
            EXPLORE_MODE="test",
            OMP_NUM_THREADS="1",
            TQDM_DISABLE="1",
        )
        resources = {"metadata": {"path": path.parent}}
        notebook = read(path)
        notebook.cells = [
            c for c in notebook.cells if "reads-seeds" not in c.metadata.get("tags", [])
        ]
        NotebookClient(notebook, timeout=600, resources=resources).execute()
        return json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}


def table(path: Path, seeds: list[int]) -> dict:
    """Run one chapter with every seed and return what is kept."""
    rows = []
    for seed in seeds:
        start = time.perf_counter()
        rows.append(run(path, seed))
        print(
            f"{path.stem}, seed {seed}: {time.perf_counter() - start:.0f} s {rows[-1]}", flush=True
        )
    return {
        "chapter": path.stem,
        "commit": _commit(),
        "torch": torch.__version__.split("+")[0],
        "seeds": seeds,
        "values": {name: [row[name] for row in rows] for name in rows[0]},
    }


def _commit() -> str:
    """Return the commit that was run, and say if files differed from it (but for kept values)."""

    def git(*command: str) -> str:
        done = subprocess.run(
            ("git", *command), cwd=ROOT, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", ":/", ":!companion/files/seeds")
    return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if changed else "")


def main() -> None:
    """Run the chapters that are named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("chapter", nargs="+", type=Path, help="notebooks")
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 0 (at least 5)")
    arguments = parser.parse_args()
    if arguments.seeds < 5:
        parser.error("at least 5 seeds are needed")
    for path in arguments.chapter:
        kept = table(path, list(range(arguments.seeds)))
        if kept["values"]:
            FOLDER.mkdir(exist_ok=True)
            text = json.dumps(kept, indent=2) + "\n"
            (FOLDER / f"{path.stem}.json").write_text(text, encoding="utf-8", newline="\n")
        else:
            print(f"{path.stem}: calls within_seeds nowhere, nothing is kept")


if __name__ == "__main__":
    main()
