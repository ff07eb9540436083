"""The rest of what helps a reader: checks, errors that are shown, sources, the style."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from companion import optim
from companion.notebook import check, fails, show_source, start_chapter
from companion.notebook.checks import Exercise, _judge, exercise_names
from companion.notebook.plotting import PALETTE, draw_graph, new_axes, new_panels, word


def test_every_exercise_accepts_its_own_reference(capsys):
    from companion.notebook.checks import _find

    names = exercise_names()
    assert len(names) > 10
    for name in names:
        exercise = _find(name)
        inputs = list(exercise.inputs())
        # a solution without arguments has one answer; `observe` tries it out
        enough = len(inputs) >= 3 or (inputs == [()] and exercise.observe is not None)
        assert enough, f"{name} is checked on too few inputs"
        assert check(name, exercise.reference), name
        said = f"{name}: right, on all" if len(inputs) > 1 else f"{name}: right."
        assert said in capsys.readouterr().out


def test_every_exercise_refuses_a_constant_and_a_stub():
    for name in exercise_names():
        assert not _judge(name, lambda *_: torch.tensor(123.456))
        assert "not filled in yet" in _judge(name, lambda *_: None).text


@pytest.mark.parametrize("answer", [[None], ["x"], {}, "x", [0.0, None], [[1.0]], object()])
def test_an_answer_of_a_wrong_kind_is_refused_without_an_error(answer):
    for name in exercise_names():
        assert not _judge(name, lambda *_: answer)


def test_functions_among_the_arguments_are_shown_by_name():
    from companion.notebook.checks import _text

    assert _text(torch.relu) == "relu"
    assert _text(1.5) == "1.5"


@pytest.mark.parametrize(
    ("solution", "says"),
    [
        (lambda A: None, "not filled in yet"),
        (lambda A: 2.0, "For A = tensor.*yours gives 2.0.*it should be 0.2"),
        (lambda A: 1 / 0, "yours raises ZeroDivisionError"),
        (lambda A: "two", "yours gives 'two'"),
        (lambda A: torch.ones(2), r"yours has the shape \(2,\), it should be \(\)"),
        (lambda A: 2 / torch.linalg.eigvalsh(A.zero_() + 1).max(), "not right yet"),
    ],
)
def test_a_verdict_says_what_is_wrong(solution, says):
    import re

    verdict = _judge("gradients.largest_step", solution)
    assert not verdict
    assert re.search(says, verdict.text, re.S)


@pytest.mark.nocheck
def test_what_is_no_function_is_told():
    assert "pass the function itself, got 3" in _judge("gradients.largest_step", 3).text


@pytest.mark.parametrize(
    ("solution", "says"),
    [
        (lambda x, xs: x.add_(1), "changes its argument in place"),
        (lambda x, xs: (xs[0][0].zero_(), x + 1)[1], "changes its argument in place"),
        (lambda x, xs: (xs.pop(), x + 1)[1], "changes its argument in place"),
        (lambda x, xs: (x.requires_grad_() + 1).detach(), "with requires_grad=True"),
        (lambda x, xs: x + 1, "right, on all 2 inputs"),
        (lambda x, xs: x + 1 if xs else None, "yours gives None"),
    ],
)
def test_what_a_solution_does_to_its_arguments_is_told(monkeypatch, solution, says):
    inputs = [(torch.ones(2), [(torch.ones(1),)]), (torch.ones(2), [])]
    exercise = Exercise(lambda x, xs: x + 1, lambda: inputs)
    monkeypatch.setattr("companion.notebook.checks._find", lambda _: exercise)
    assert says in _judge("any", solution).text


@pytest.mark.parametrize("number", [0.2, torch.tensor(0.2), np.float32(0.2), np.float64(0.2)])
def test_a_number_of_any_kind_is_a_number(number):
    exercise_input = torch.diag(torch.tensor([1.0, 10.0]))
    from companion.notebook.checks import _difference, _find

    exercise = _find("gradients.largest_step")
    assert _difference(number, exercise.reference(exercise_input), exercise) == ""


def test_an_unknown_exercise_lists_those_there_are(capsys):
    assert not check("nonsense", print)
    printed = capsys.readouterr().out
    assert "There is no exercise 'nonsense'" in printed
    assert "gradients.adam_step" in printed


def test_not_implemented_counts_as_not_filled_in():
    def stub(A):
        raise NotImplementedError

    assert "not filled in yet" in _judge("gradients.largest_step", stub).text


def test_fails_prints_the_first_sentence(capsys):
    with fails(ValueError):
        raise ValueError("It is wrong. Here is a long explanation.")
    assert capsys.readouterr().out == "ValueError: It is wrong.\n"


def test_fails_is_not_content_with_success_or_another_error():
    with pytest.raises(AssertionError, match="expected ValueError"), fails(ValueError):
        pass
    with pytest.raises(KeyError), fails(ValueError):
        raise KeyError("other")


def test_show_source_prints_the_companions_code(monkeypatch):
    import sys

    bundles = []
    module = sys.modules["companion.notebook.source"]
    monkeypatch.setattr(module, "display", lambda bundle, **_: bundles.append(bundle))
    show_source(optim.SGD)
    assert "# companion.optim.SGD\nclass SGD(UpdateRule):" in bundles[0]["text/plain"]
    assert '<span class="k">class</span>' in bundles[0]["text/html"]


@pytest.mark.nocheck
@pytest.mark.parametrize("block", [len, 3])
def test_show_source_refuses_what_has_none(block):
    with pytest.raises(TypeError, match="block must be a Python function or class"):
        show_source(block)


def test_start_chapter_takes_the_seed_from_the_environment(monkeypatch):
    monkeypatch.setenv("BOOK_SEED", "7")
    assert start_chapter() == 7
    first = torch.rand(1)
    torch.manual_seed(7)
    assert torch.rand(1) == first
    monkeypatch.setenv("BOOK_SEED", "seven")
    with pytest.raises(ValueError, match="BOOK_SEED must be an integer, got 'seven'"):
        start_chapter()


def test_words_pass_through_a_catalogue(monkeypatch):
    assert word("step") == "step"
    monkeypatch.setenv("BOOK_LANGUAGE", "xx")  # no catalogue: the word itself
    assert word("step") == "step"


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("colour", PALETTE[:4])
def test_the_first_colours_stand_out_on_white(colour):
    assert 1.05 / (luminance(colour) + 0.05) > 2.9


def test_a_graph_shows_names_values_and_gradients():
    figure, axes = new_axes()
    draw_graph(axes, {"a": (0, 0, "1.0", "2.0"), "b": (1, 0, "3.0", "")}, [("a", "b")])
    texts = {text.get_text() for text in axes.texts}
    assert {"a", "b", "1.0", "2.0", "3.0"} <= texts
    plt.close(figure)


def test_panels_have_their_titles():
    figure, (left, right) = new_panels(2, ("one", "two"))
    assert (left.get_title(), right.get_title()) == ("one", "two")
    plt.close(figure)
