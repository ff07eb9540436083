"""The maintainers' scripts: what they say when something is wrong, what they write."""

import sys
from collections import namedtuple

import chapters
import install
import nbformat
import pytest
import sync


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A project folder without an environment, and a record of the commands that are called."""
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(install, "ROOT", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["install.py"])
    calls = []
    monkeypatch.setattr(install.subprocess, "call", lambda command, **_: calls.append(command) or 0)
    (tmp_path / ".venv").mkdir()
    return tmp_path, calls


def test_install_makes_the_environment_in_one_pip_call_and_only_once(fresh):
    _, calls = fresh
    install.main()
    assert [command[1:4] for command in calls] == [
        ["-m", "venv", calls[0][3]],
        ["-m", "pip", "install"],
    ]
    assert calls[1][4:] == ["-r", "requirements.txt", "-e", "."]
    install.main()
    assert len(calls) == 2


def test_install_runs_again_when_the_pins_change(fresh):
    folder, calls = fresh
    install.main()
    (folder / "requirements.txt").write_text("other pins")
    install.main()
    assert len(calls) == 4


def test_install_says_that_python_is_too_old(fresh, monkeypatch):
    version = namedtuple("version", "major minor micro")(3, 10, 2)
    monkeypatch.setattr(install.sys, "version_info", version)
    with pytest.raises(SystemExit, match=r"error: Python 3\.11 or newer is needed, this is 3\.10"):
        install.main()


def test_install_says_that_the_disk_is_full(fresh, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**10, 10**10, 10**8)
    monkeypatch.setattr(install.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(SystemExit, match=r"the disk is too full: 3\.0 GB are needed, 0\.1 GB"):
        install.main()


@pytest.mark.parametrize(
    ("step", "message"), [("venv", "could not make"), ("pip", "pip could not")]
)
def test_install_says_what_failed_and_tries_again(fresh, monkeypatch, step, message):
    folder, _ = fresh
    monkeypatch.setattr(install.subprocess, "call", lambda command, **_: int(step in command))
    with pytest.raises(SystemExit, match=f"error: {message}"):
        install.main()
    assert not (folder / ".venv" / "installed").exists()


def test_strip_keeps_what_is_tagged(tmp_path):
    v4 = nbformat.v4
    kept = v4.new_code_cell(
        "print(1)",
        execution_count=1,
        outputs=[v4.new_output("stream", text="1\n")],
        metadata={"tags": ["keep_output"], "execution": {"a": "1"}},
    )
    gone = v4.new_code_cell("2", execution_count=2, outputs=[v4.new_output("stream", text="2\n")])
    notebook = chapters.strip(v4.new_notebook(cells=[kept, gone]))
    assert kept.outputs[0].text == "1\n"
    assert gone.outputs == []
    assert (kept.execution_count, gone.execution_count) == (1, 2)
    assert "execution" not in kept.metadata
    assert notebook.metadata.kernelspec.name == "python3"
    path = tmp_path / "a.ipynb"
    chapters.write(notebook, path)
    assert chapters.read(path).cells[0].id == kept.id


def test_teaching_source_leaves_out_what_only_checks():
    source = sync.teaching_source("activations.relu")
    assert source.startswith("def relu(input")
    assert '"""' not in source
    assert "Float" not in source
    assert "@" not in source


def test_bare_code_is_blind_to_looks_alone():
    one = 'def f(x: int) -> int:\n    """Doc."""\n    return (x + 1)  # add'
    assert sync.bare(one) == sync.bare("def f(x):\n    return x + 1")
    assert sync.bare(one) != sync.bare("def f(x):\n    return x + 2")


def test_pages_come_in_the_order_of_the_table_of_contents():
    pages = chapters.pages()
    assert pages[0].name == "index.md"
    assert all(page.exists() for page in pages)
    assert set(chapters.chapters()) == {page for page in pages if page.suffix == ".ipynb"}
