"""Colab, simulated: a chapter alone in an empty folder, without the companion, sliders live.

The environment sees the packages of this one but not the companion, and has the ipywidgets that
Colab has. The chapter's first cell installs the companion, from a local copy of what is checked
out. One chapter runs by default, every one with ``COLAB=all``.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest
from chapters import BOOK, ROOT, chapters, read
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from sync import setup_cell

from tests.browser import need

pytestmark = pytest.mark.colab

# Colab's ipywidgets and what it needs; named one by one, since pip would take newer ones along.
COLAB = (
    "ipywidgets==7.7.1",
    "widgetsnbextension==3.6.10",
    "jupyterlab_widgets==1.1.11",
    "ipython-genutils==0.2.0",
)
CHAPTERS = [path.relative_to(BOOK).as_posix() for path in chapters()]
CHOSEN = CHAPTERS if os.environ.get("COLAB") == "all" else CHAPTERS[:1]
# Runs after the chapter: moves every slider there is to its end, and says where it runs.
PROBE = """
import json, os
import companion, ipywidgets
sliders = [w for w in list(ipywidgets.Widget.widgets.values())
           if isinstance(w, ipywidgets.SelectionSlider)]
for slider in sliders:
    slider.index = 0 if slider.index else len(slider.options) - 1
print(json.dumps({
    "ipywidgets": ipywidgets.__version__, "companion": companion.__file__,
    "mode": os.environ.get("EXPLORE_MODE"), "sliders": len(sliders)}))
"""


def run(*command: object, **options) -> str:
    """Run a command and return what it printed; its complaint is the test's."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def repository(tmp_path_factory) -> str:
    """Commit what is checked out, changes included, to a repository of its own, tagged v0."""
    need(shutil.which("git"), "no git was found")
    folder = tmp_path_factory.mktemp("repository")
    names = run("git", "ls-files", "-coz", "--exclude-standard", cwd=ROOT).split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():  # else it was deleted but not committed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    nobody = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")
    run("git", "init", "--quiet", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    run("git", *nobody, "commit", "--quiet", "--no-verify", "-m", "as checked out", cwd=folder)
    run("git", "tag", "v0", cwd=folder)
    return f"file://localhost{folder}"  # pip asks for a host


@pytest.fixture(scope="session")
def python(tmp_path_factory) -> Path:
    """Make an environment with this one's packages, Colab's ipywidgets, and no companion."""
    venv = tmp_path_factory.mktemp("colab")
    run(sys.executable, "-m", "venv", venv)
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # The packages of this environment, but for what would tell pip that the companion is there.
    # They stand outside the new environment, so that pip never changes them.
    seen = tmp_path_factory.mktemp("packages")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "building_blocks" not in path.name:
            (seen / path.name).symlink_to(path)
    own = run(python, "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(own, "seen.pth").write_text(str(seen))
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", *COLAB]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    need(done.returncode == 0, f"pip could not get Colab's ipywidgets: {done.stderr[-500:]}")
    here = (
        "import importlib.util as u; print(u.find_spec('torch') and not u.find_spec('companion'))"
    )
    assert run(python, "-I", "-c", here, cwd=venv).strip() == "True"
    kernel = venv / "jupyter" / "kernels" / "colab" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": command, "display_name": "Colab", "language": "python"}))
    return python


@pytest.mark.parametrize("name", CHOSEN)
def test_chapter_runs_alone(name, repository, python, tmp_path, monkeypatch):
    venv = python.parents[1]
    for variable in ("EXPLORE_MODE", "EXPLORE_FRAMES", "MPLBACKEND", "PYTHONPATH"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("JUPYTER_PATH", str(venv / "jupyter"))
    notebook = read(BOOK / name)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert first.source.startswith("# companion: setup")
    first.source = setup_cell(repository, "v0")
    notebook.cells.append(nbformat.v4.new_code_cell(PROBE))
    nbformat.write(notebook, tmp_path / Path(name).name)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]

    resources = {"metadata": {"path": str(tmp_path)}}
    client = NotebookClient(notebook, timeout=600, kernel_name="colab", resources=resources)
    try:
        client.execute()
    except CellExecutionError as error:
        printed = [o.text for cell in code for o in cell.outputs if o.output_type == "stream"]
        pytest.fail(f"{error}\n\nPrinted until then:\n{''.join(printed)}", pytrace=False)

    assert all(cell.execution_count for cell in code)
    said = json.loads(code[-1].outputs[-1].text)
    assert said["ipywidgets"] == "7.7.1"
    assert Path(said["companion"]).is_relative_to(venv), "the companion is not the installed one"
    assert said["mode"] is None
    assert said["sliders"] > 0
    pictures = [
        state["outputs"]
        for state in client.widget_state.values()
        if state["_model_name"] == "OutputModel"
    ]
    assert pictures, "interactive_output makes a widget that holds its picture"
    meant = [cell for cell in code if "raises-exception" in cell.metadata.get("tags", [])]
    for outputs in [cell.outputs for cell in code if cell not in meant] + pictures:
        assert not [output for output in outputs if output["output_type"] == "error"]
    for outputs in pictures:
        assert any("image/png" in output.get("data", {}) for output in outputs)
