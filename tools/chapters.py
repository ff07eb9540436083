"""What the maintainers' scripts and the tests share: where the chapters are, how to read them."""

from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"


def pages() -> list[Path]:
    """List the pages of the book in their order, as `_toc.yml` has it."""
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
    names = [toc["root"]]
    for part in toc["parts"]:
        names += [chapter["file"] for chapter in part["chapters"]]
    found = [BOOK / f"{name}{end}" for name in names for end in (".ipynb", ".md")]
    return [path for path in found if path.exists()]


def chapters() -> list[Path]:
    """List the chapters: the pages that are Jupyter notebooks."""
    return [path for path in pages() if path.suffix == ".ipynb"]


def markdown_notebooks() -> list[Path]:
    """List the pages that are Markdown with code cells."""
    texts = [path for path in pages() if path.suffix == ".md"]
    return [path for path in texts if "{code-cell}" in path.read_text(encoding="utf-8")]


def read(path: Path) -> nbformat.NotebookNode:
    """Read a notebook."""
    return nbformat.read(path, as_version=4)


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write a notebook, ending in a newline, the same on every system."""
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")


def strip(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Remove the outputs but for cells tagged `keep_output`; keep counts and ids."""
    from nbstripout import strip_output

    strip_output(notebook, keep_output=False, keep_count=True, keep_id=True)
    for cell in notebook.cells:
        for name in ("execution", "collapsed", "scrolled"):
            cell.metadata.pop(name, None)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook
