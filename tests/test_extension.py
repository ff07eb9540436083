"""The book's Sphinx extension: nothing stale is shown, asides become boxes."""

import importlib.util
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils import nodes

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("ext", ROOT / "book/_ext/building_blocks.py")
extension = importlib.util.module_from_spec(spec)
spec.loader.exec_module(extension)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of what the key is made from."""
    shutil.copytree(
        ROOT / "companion", tmp_path / "companion", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    monkeypatch.setattr(extension, "ROOT", tmp_path)
    monkeypatch.setattr(extension, "__file__", str(tmp_path / "requirements.txt"))
    return tmp_path


def append(path, text):
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


@pytest.mark.parametrize(
    "file", ["companion/optim.py", "companion/notebook/checks.py", "requirements.txt"]
)
def test_a_change_makes_another_key(project, file):
    before = extension.key()
    assert extension.key() == before
    append(project / file, "\n# changed\n")
    assert extension.key() != before


@pytest.mark.parametrize(
    "file", ["companion/notebook/explore.js", "companion/notebook/explore.css"]
)
def test_what_no_output_depends_on_leaves_the_key(project, file):
    before = extension.key()
    append(project / file, "\n")
    assert extension.key() == before


def test_the_seed_makes_another_key(project, monkeypatch):
    before = extension.key()
    monkeypatch.setenv("BOOK_SEED", "3")
    assert extension.key() != before


def test_line_endings_do_not(project):
    before = extension.key()
    path = project / "companion/optim.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert extension.key() == before


def test_every_page_is_read_again_when_the_key_has_changed(project):
    env = SimpleNamespace(found_docs={"a", "b"})
    assert extension.outdated(None, env, set(), set(), set()) == ["a", "b"]
    assert extension.outdated(None, env, set(), set(), set()) == []
    append(project / "companion/optim.py", "\n# changed\n")
    assert extension.outdated(None, env, set(), set(), set()) == ["a", "b"]


def test_the_cache_is_named_by_the_key_and_older_ones_go(project, tmp_path):
    old = tmp_path / "_build/.jupyter_cache/old"
    old.mkdir(parents=True)
    config = SimpleNamespace()
    extension.use_own_cache(SimpleNamespace(outdir=str(tmp_path / "_build/html")), config)
    assert config.nb_execution_cache_path.endswith(extension.key())
    assert not old.exists()


def test_buttons_need_an_address(monkeypatch):
    assert set(extension.repository()) >= {"url", "branch"}
    for address, shown in (("", False), ("https://example.org/book", True)):
        config = SimpleNamespace(html_theme_options={})
        said = {"url": address, "branch": "main"}
        monkeypatch.setattr(extension, "repository", lambda said=said: said)
        extension.offer_repository(None, config)
        assert ("launch_buttons" in config.html_theme_options) == shown


def test_asides_become_boxes():
    def quote(bold):
        return nodes.block_quote(
            "", nodes.paragraph("", "", nodes.strong("", bold), nodes.Text(" text"))
        )

    tree = nodes.section("", quote("Mend."), quote("Careful."), quote("Other."))
    extension.mark_asides(None, tree)
    assert [q["classes"] for q in tree.children] == [
        ["aside", "aside-mend"],
        ["aside", "aside-careful"],
        [],
    ]
