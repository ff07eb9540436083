import json
import re

import pytest
import seeds as tool
from chapters import chapters, read

from companion.notebook import over_seeds, within_seeds
from companion.notebook import seeds as module

KEPT = [path for path in sorted(module.FOLDER.glob("*.json")) if path.stem != "example"]


def test_a_value_outside_the_band_is_noticed(capsys):
    assert within_seeds("example", accuracy=0.99)
    assert not within_seeds("example", accuracy=0.80)
    assert within_seeds("example", slack=0.1, accuracy=0.80)
    assert "0.800  (5 seeds: 0.930 ± 0.016)" in capsys.readouterr().out


def test_what_was_never_run_is_refused():
    with pytest.raises(FileNotFoundError, match="no values of 'nowhere': run tools"):
        over_seeds("nowhere")
    with pytest.raises(KeyError, match="no value 'speed' of 'example'"):
        within_seeds("example", speed=1.0)


def test_values_are_recorded_and_not_twice(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    monkeypatch.setenv("SEEDS_RECORD", str(path))
    assert within_seeds("anything", first=1.0)
    assert within_seeds("anything", second=2.0)
    assert json.loads(path.read_text()) == {"first": 1.0, "second": 2.0}
    with pytest.raises(ValueError, match="recorded twice in one run: first"):
        within_seeds("anything", first=1.0)


def test_the_tool_runs_a_chapter_with_every_seed(tmp_path, monkeypatch):
    import nbformat

    code = """import os
from companion.notebook import within_seeds
within_seeds("small", double=2 * int(os.environ["BOOK_SEED"]))"""
    reader = nbformat.v4.new_code_cell("1 / 0", metadata={"tags": ["reads-seeds"]})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code), reader])
    path = tmp_path / "small.ipynb"
    nbformat.write(notebook, path)
    monkeypatch.setattr(tool, "FOLDER", tmp_path / "seeds")
    for name in ("BOOK_SEED", "SEEDS_RECORD", "EXPLORE_MODE", "OMP_NUM_THREADS", "TQDM_DISABLE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr("sys.argv", ["seeds.py", str(path), "--seeds", "5"])
    tool.main()
    kept = json.loads((tmp_path / "seeds" / "small.json").read_text())
    assert kept["values"] == {"double": [0.0, 2.0, 4.0, 6.0, 8.0]}
    assert kept["seeds"] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_kept_values_are_those_that_the_chapter_hands_over(path):
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert len(kept["seeds"]) >= 5
    chapter = next(page for page in chapters() if page.stem == path.stem)
    code = "\n".join(cell.source for cell in read(chapter).cells if cell.cell_type == "code")
    assert f'within_seeds("{path.stem}"' in re.sub(r"\(\s+", "(", code)
    for name, values in kept["values"].items():
        assert len(values) == len(kept["seeds"])
        assert all(word in code for word in re.findall(r"\w+", name))
