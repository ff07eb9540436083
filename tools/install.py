"""Make the environment `.venv` and install the book's pinned packages and the companion into it.

Runs on any Python, even one that is too old, so as to say so.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NEEDED_GB = 3.0  # what the environment takes with torch's CPU build; CUDA's takes more


def main():
    """Install, unless nothing has changed since the last time."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    if sys.version_info < (3, 11):
        fail(
            "Python 3.11 or newer is needed, this is %d.%d. Name another: make PYTHON=python3.12"
            % sys.version_info[:2]
        )
    venv = os.path.join(ROOT, ".venv")
    stamp = os.path.join(venv, "installed")
    key = fingerprint()
    if os.path.exists(stamp):
        with open(stamp) as file:
            if file.read() == key:
                return
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < NEEDED_GB and not os.path.exists(stamp):
        fail("the disk is too full: %.1f GB are needed, %.1f GB are free" % (NEEDED_GB, free))
    print("Installing the book's packages into .venv (some minutes the first time) ...", flush=True)
    if subprocess.call([sys.executable, "-m", "venv", venv]) != 0:
        fail("could not make .venv with %s (on Debian: apt install python3-venv)" % sys.executable)
    folder = "Scripts" if os.name == "nt" else "bin"
    python = os.path.join(venv, folder, "python")
    # One call for everything: pip then never trades the pinned torch for another.
    command = [python, "-m", "pip", "install", "-r", "requirements.txt", "-e", "."]
    if subprocess.call(command, cwd=ROOT) != 0:
        fail("pip could not install the packages; its message is above. Run the command again.")
    with open(stamp, "w") as file:
        file.write(key)
    print("Installed into .venv")


def fingerprint():
    """Return a text that changes when the environment must be installed again."""
    digest = hashlib.sha256(("%d.%d" % sys.version_info[:2]).encode())
    for name in ("requirements.txt", "pyproject.toml"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def fail(message):
    """End with one line that says what went wrong."""
    sys.exit("error: " + message)


if __name__ == "__main__":
    main()
