"""Write requirements.txt: install requirements.in into a new environment and list what came."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAD = "# Written by `make lock` from requirements.in: do not edit.\n"


def main() -> None:
    """Install and list."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        tools = Path(folder) / ("Scripts" if os.name == "nt" else "bin")
        pip = [str(tools / "python"), "-m", "pip"]
        subprocess.run([*pip, "install", "-r", str(ROOT / "requirements.in")], check=True)
        frozen = subprocess.run(
            [*pip, "freeze", "--exclude", "setuptools"], check=True, capture_output=True, text=True
        )
    # A local label such as +cpu names one machine's wheel, not the version; CUDA's packages
    # belong to torch's wheel for Linux and come with it.
    lines = [line.split("+")[0] for line in frozen.stdout.splitlines()]
    lines = [ln for ln in lines if not ln.startswith(("nvidia-", "triton", "cuda-"))]
    (ROOT / "requirements.txt").write_text(HEAD + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
