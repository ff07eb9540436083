"""Hold the chapters against the companion and the repository's address; `--fix` writes them.

A cell that begins with `# companion: losses.mse_loss` defines what the companion defines: the same
code, without docstring, annotations and the private decorators that check arguments. The first code
cell of a chapter, `# companion: setup`, imports the companion or installs it from the repository
that `book/_config.yml` names; README.md names it too, and the data's sources. Chapters are kept
without outputs, but for cells tagged `keep_output`.
"""

import argparse
import ast
import importlib
import inspect
import re
import subprocess
import sys

import nbformat
import yaml
from chapters import BOOK, ROOT, chapters, read, strip, write

MARKER = re.compile(r"^# companion: ([\w., ]+)$", re.M)
README_BLOCK = re.compile(r"<!-- (address|sources) -->.*?<!-- /\1 -->", re.S)


def setup_cell(url: str, tag: str) -> str:
    """Return the source of a chapter's first code cell for a repository's address."""
    if url:
        otherwise = [
            f'    address = "git+{url}@{tag}"',
            '    %pip install --quiet "building-blocks-of-deep-learning @ {address}"',
        ]
    else:
        otherwise = ['    raise ModuleNotFoundError("the companion is missing: pip install -e ..")']
    return "\n".join(
        [
            "# companion: setup",
            "import importlib.util",
            "",
            'if importlib.util.find_spec("companion") is None:  # as on Colab',
            *otherwise,
        ]
    )


def teaching_source(name: str) -> str:
    """Return the source of a companion function or class as a chapter shows it.

    Comments stay; docstrings, annotations and private decorators (they check arguments) go.
    """
    module, attribute = name.rsplit(".", 1)
    block = getattr(importlib.import_module(f"companion.{module}"), attribute)
    source = inspect.getsource(inspect.unwrap(block))
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    text = source.encode()

    def at(line: int, column: int) -> int:
        return starts[line - 1] + column

    cuts = []
    for node in ast.walk(ast.parse(source)):
        for decorator in getattr(node, "decorator_list", []):
            if _is_private(decorator):
                cuts.append((at(decorator.lineno, 0), starts[decorator.end_lineno]))
        if isinstance(node, ast.arg) and node.annotation:
            begin = at(node.lineno, node.col_offset) + len(node.arg.encode())
            cuts.append((begin, at(node.end_lineno, node.end_col_offset)))
        if isinstance(node, ast.FunctionDef) and node.returns:
            begin = text.rindex(b"->", 0, at(node.returns.lineno, node.returns.col_offset))
            cuts.append((begin, at(node.returns.end_lineno, node.returns.end_col_offset)))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            doc = node.body[0]
            cuts.append((at(doc.lineno, 0), starts[doc.end_lineno]))
    for begin, end in sorted(cuts, reverse=True):
        text = text[:begin] + text[end:]
    return _formatted(text.decode())


def _is_private(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Name) and decorator.id.startswith("_")


def _formatted(code: str) -> str:
    setting = "format.skip-magic-trailing-comma=true"  # so that short signatures take one line
    command = [
        sys.executable,
        "-m",
        "ruff",
        "format",
        "--line-length",
        "77",
        "--config",
        setting,
        "-",
    ]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def marked_source(marker: str) -> str:
    """Return the whole cell that a marker's names stand for."""
    names = [name.strip() for name in marker.split(",")]
    blocks = "\n\n\n".join(teaching_source(name) for name in names)
    return f"# companion: {', '.join(names)}\n{blocks}"


def bare(code: str) -> str:
    """Return a text that two pieces of code share if they differ in looks only."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if hasattr(node, "decorator_list"):
            node.decorator_list = [d for d in node.decorator_list if not _is_private(d)]
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            node.body = node.body[1:]
    return ast.dump(tree)


def wanted_source(code: str, url: str, tag: str) -> str:
    """Return what a code cell should hold, which is itself for cells without a marker."""
    match = MARKER.match(code)
    if not match:
        return code
    if match[1] == "setup":
        return setup_cell(url, tag)
    wanted = marked_source(match[1])
    return code if bare(code) == bare(wanted) else wanted


def readme_block(name: str, url: str) -> str:
    """Return a block of the README that follows from something else."""
    if name == "sources":
        text = importlib.import_module("companion.data").sources_table()
    elif url:
        text = f"```bash\ngit clone {url} && cd {url.rstrip('/').rsplit('/', 1)[-1]}\n```"
    else:
        text = "The repository's address is not set yet, so the pages show no Colab button."
    return f"<!-- {name} -->\n{text.strip()}\n<!-- /{name} -->"


def main() -> None:
    """Report what is out of step, or mend it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--fix", action="store_true", help="write what is out of step")
    parser.add_argument("--tag", default="main", help="the tag or branch that Colab installs")
    arguments = parser.parse_args()
    config = yaml.safe_load((BOOK / "_config.yml").read_text(encoding="utf-8"))
    url = config["repository"]["url"]
    wrong = []
    for path in chapters():
        before = path.read_text(encoding="utf-8")
        notebook = strip(read(path))
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.source = wanted_source(cell.source, url, arguments.tag)
        if arguments.fix:
            write(notebook, path)
            subprocess.run([sys.executable, "-m", "ruff", "format", "-q", path], check=True)
            write(strip(read(path)), path)
        else:
            if nbformat.writes(notebook) + "\n" != before:
                wrong.append(path.relative_to(ROOT).as_posix())
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    mended = README_BLOCK.sub(lambda block: readme_block(block[1], url), text)
    if arguments.fix:
        readme.write_text(mended, encoding="utf-8", newline="\n")
    elif mended != text:
        wrong.append("README.md")
    if wrong:
        sys.exit(f"out of step: {', '.join(wrong)} (mend with: make sync)")


if __name__ == "__main__":
    main()
