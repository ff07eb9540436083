"""The shape that every chapter has (its cells are run by nbval, its page by the browser tests)."""

import ast
import re

import pytest
import sync
from chapters import BOOK, ROOT, chapters, read

CHAPTERS = chapters()
FOLDED = {"hide-input", "hide-cell", "remove-input"}
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def tags(cell):
    return set(cell.metadata.get("tags", []))


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def prose(path):
    return "\n\n".join(c.source for c in read(path).cells if c.cell_type == "markdown")


def calls(path, name):
    """Yield every call of a function of that name in a chapter."""
    for cell in code_cells(path):
        code = re.sub(r"^(\s*)%.*", r"\1pass", cell.source, flags=re.M)
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name:
                yield node


def test_every_notebook_is_in_the_table_of_contents():
    built = {path for path in BOOK.rglob("*.ipynb") if "_build" not in path.parts}
    assert built == set(CHAPTERS)
    assert len(CHAPTERS) >= 3


@each_chapter
def test_markdown_is_plain(path):
    """MyST's directives and roles show as raw text in Colab and JupyterLab."""
    text = re.sub(r"`[^`\n]*`", "", prose(path))
    assert not re.search(r"^(```|:::+)\{", text, re.M)
    assert not re.search(r"\{[a-z:]+\}`", prose(path))
    assert not re.search(r"^\(.+\)=$|^%|^\+\+\+", text, re.M)
    assert "<summary>" in text
    for summary in re.findall(r"<summary>(.*?)</summary>", prose(path)):
        assert "`" not in summary, "raw HTML: use <code>"
        assert "$" not in summary, "raw HTML: formulas are not typeset here"
    allowed = {"details", "summary", "code"}
    assert set(re.findall(r"</?([a-z]+)[ >]", text)) <= allowed


@each_chapter
def test_chapter_has_its_parts(path):
    text = prose(path)
    notebook = read(path)
    assert notebook.cells[0].source.startswith("# ")
    assert len(re.findall(r"^# ", text, re.M)) == 1
    assert "**You need**" in text
    assert "**It takes**" in text
    assert re.search(r"\([AB]\d\d", text), "names the notes' ids that it covers"
    for heading in ("Exercises", "Quiz", "Summary", "Further reading"):
        assert re.search(rf"^## {heading}$", text, re.M), f"lacks the section {heading}"
    assert "> **Mend.**" in text
    assert re.search(r"\]\(https://(doi\.org|arxiv\.org|\S+)\)", text)
    assert list(calls(path, "explore"))


@each_chapter
def test_first_code_cell_is_the_setup(path):
    first = code_cells(path)[0]
    assert first.source == sync.setup_cell("", "main")


@each_chapter
def test_code_fits_the_page(path):
    for cell in code_cells(path):
        lines = cell.source.splitlines()
        assert max(map(len, lines), default=0) <= 77, lines[0]
        lines = [line for line in lines if line.strip()]
        longest = 30 if tags(cell) & FOLDED else 20
        assert len(lines) <= longest, f"{len(lines)} lines: {lines[0]}"


@each_chapter
def test_outputs_are_stripped_but_where_they_are_the_point(path):
    for cell in code_cells(path):
        kept = "keep_output" in tags(cell)
        assert kept == ("nbval-check-output" in tags(cell))
        assert bool(cell.outputs) == kept, cell.source[:60]
        assert cell.execution_count is not None, "run tools/execute.py"


@each_chapter
def test_figures_have_alt_text_and_none_is_shown_bare(path):
    for name in ("explore", "show"):
        for call in calls(path, name):
            alt = next(k.value for k in call.keywords if k.arg == "alt")
            assert len(ast.literal_eval(alt)) > 30, "says what the figure shows"
    source = "\n".join(cell.source for cell in code_cells(path))
    assert "plt.show" not in source
    assert ".cuda()" not in source
    assert "sys.path" not in source


def test_sliders_have_different_names():
    """A slider's link and its frames are found by the name of its function."""
    names = [call.args[0].id for path in CHAPTERS for call in calls(path, "explore")]
    assert len(names) == len(set(names))


@each_chapter
def test_every_exercise_has_a_stub_and_a_folded_solution(path):
    stubs, solutions = set(), set()
    for cell in code_cells(path):
        names = re.findall(r"^check\(\"([\w.]+)\"", cell.source, re.M)
        solved = re.findall(r"^assert check\(\s*\"([\w.]+)\"", cell.source, re.M)
        stubs |= set(names)
        solutions |= set(solved)
        if names:
            assert "return None" in cell.source
        if solved:
            assert "hide-cell" in tags(cell)
            assert cell.metadata["jupyter"]["source_hidden"] is True
            assert cell.metadata["cellView"] == "form"
            assert cell.source.startswith("# @title Solution")
    assert len(stubs) >= 3
    assert stubs == solutions


@each_chapter
def test_quiz_has_one_right_answer_to_each_question(path):
    quiz = prose(path).split("## Quiz")[1].split("## Summary")[0]
    questions = re.split(r"^\*\*\d+\.\*\*", quiz, flags=re.M)[1:]
    assert len(questions) >= 4
    for question in questions:
        answers = re.findall(r"</summary>\n\n(.)", question)
        assert answers.count("✓") == 1, question[:60]
        assert answers.count("✗") >= 2, question[:60]


@each_chapter
def test_mends_quote_the_notes_and_show_it(path):
    """A mend quotes Chinese words or code of the notes; a cell stands beside it."""
    cells = read(path).cells
    for i, cell in enumerate(cells):
        for mend in re.findall(r"^> \*\*Mend\.\*\* (.*)$", cell.source, re.M):
            assert re.search(r"[\u4e00-\u9fff]|`", mend), mend[:60]
            near = cells[max(0, i - 2) : i + 3]
            assert any(c.cell_type == "code" for c in near), mend[:60]


def test_marked_cells_equal_the_companion():
    marked = 0
    for path in CHAPTERS:
        for cell in code_cells(path):
            match = sync.MARKER.match(cell.source)
            if match and match[1] != "setup":
                marked += 1
                assert sync.bare(cell.source) == sync.bare(sync.marked_source(match[1]))
    assert marked > 0


def test_a_marked_cell_that_differs_is_noticed():
    right = sync.marked_source("activations.relu")
    assert sync.wanted_source(right, "", "main") == right
    wrong = right.replace("input", "inputs")
    assert wrong != right
    assert sync.wanted_source(wrong, "", "main") == right


def test_the_setup_cell_installs_from_the_address():
    cell = sync.setup_cell("https://example.org/book", "v1")
    assert "git+https://example.org/book@v1" in cell
    assert "%pip install" in cell
    assert "raise" not in cell


def test_the_readme_names_what_it_should():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert sync.readme_block("address", "") in text
    assert sync.readme_block("sources", "") in text
    assert "git clone https://example.org/b" in sync.readme_block(
        "address", "https://example.org/b"
    )
