import importlib.util
import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import sklearn.preprocessing
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from companion import data, transforms
from companion.transforms import (
    Compose,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    StandardScaler,
    ToTensor,
)

HERE = Path(__file__).parent
TABLE = json.loads((HERE / "torchvision_transforms.json").read_text(encoding="utf-8"))


def load_tool():
    path = HERE.parent / "tools" / "torchvision_table.py"
    spec = importlib.util.spec_from_file_location("torchvision_table", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


TOOL = load_tool()


def case_name(case):
    names = [name for name, _ in case["transforms"]] or ["Compose"]
    return f"{'-'.join(names)}-{case['image'][0]}-{case['seed']}"


def test_every_public_name_is_in_companion_data_too():
    for name in transforms.__all__:
        assert getattr(data, name) is getattr(transforms, name)


# torchvision's results


def assert_as_torchvision(case):
    expected = dict(case["result"])
    got = TOOL.outcome(transforms, case)
    assert got.pop(TOOL.AFTER) == pytest.approx(expected.pop(TOOL.AFTER), abs=1e-7)
    close = {"rtol": 1e-6, "atol": 1e-7} if expected.get("dtype", "").startswith("float") else {}
    if close:
        torch.testing.assert_close(
            torch.tensor(got.pop("values")), torch.tensor(expected.pop("values")), **close
        )
    assert got == expected


RESULTS = [case for case in TABLE["cases"] if "error" not in case["result"]]
ERRORS = [case for case in TABLE["cases"] if "error" in case["result"]]


def test_the_table_is_what_its_script_tries():
    cases = [{k: v for k, v in case.items() if k != "result"} for case in TABLE["cases"]]
    assert cases == json.loads(json.dumps(TOOL.cases()))
    assert len(RESULTS) > 100
    assert len(ERRORS) >= 5
    assert TABLE["torchvision"]


@pytest.mark.parametrize("case", RESULTS, ids=case_name)
def test_results_and_draws_are_torchvisions(case):
    assert_as_torchvision(case)


@pytest.mark.nocheck
@pytest.mark.parametrize("case", ERRORS, ids=case_name)
def test_errors_are_torchvisions_and_nothing_is_drawn_before_them(case):
    assert_as_torchvision(case)


def test_a_result_that_differs_is_noticed():
    case = json.loads(json.dumps(next(c for c in RESULTS if c["transforms"][0][0] == "RandomCrop")))
    case["result"]["values"][0][0] += 1
    with pytest.raises(AssertionError):
        assert_as_torchvision(case)


# Images


def photo():
    return torch.arange(2 * 5 * 6, dtype=torch.float64).view(2, 5, 6)


def test_a_tensor_batch_is_cropped_and_flipped_as_one():
    batch = torch.stack([photo() + 1, photo() + 2])  # only a padded border is 0
    for transform in (RandomCrop(3, padding=1), RandomHorizontalFlip(), RandomCrop((5, 2))):
        torch.manual_seed(3)
        both = transform(batch)
        torch.manual_seed(3)
        assert both[0].equal(transform(batch[0]))
        assert both[1].equal(torch.where(both[0] == 0, 0, both[0] + 1))


def test_every_place_of_a_crop_and_both_directions_occur_alike_often():
    image = torch.arange(12).view(1, 3, 4)
    crops = [RandomCrop(2)(image)[0, 0, 0].item() for _ in range(1200)]
    counts = [crops.count(i) for i in (0, 1, 2, 4, 5, 6)]
    assert sum(counts) == 1200
    assert min(counts) > 140  # 200 expected, deviation 13
    flipped = [RandomHorizontalFlip(0.3)(image)[0, 0, 0].item() == 3 for _ in range(1000)]
    assert 230 < sum(flipped) < 370


def test_gradients_pass_through_crop_flip_and_normalize():
    x = photo().requires_grad_()
    chain = Compose([RandomCrop(4), RandomHorizontalFlip(1.0), Normalize([1.0, 2.0], [4.0, 0.5])])
    chain(x).sum().backward()
    assert x.grad[0].unique().tolist() == [0, 0.25]
    assert x.grad[1].unique().tolist() == [0, 2]
    assert (x.grad != 0).sum() == 2 * 4 * 4


def test_transforms_leave_their_input_alone_but_in_place():
    x, pixels = photo(), np.zeros((3, 4), dtype="uint8")
    before = x.clone()
    Compose([RandomCrop(9, padding=4), RandomHorizontalFlip(1.0), Normalize(0.5, 0.5)])(x)
    assert x.equal(before)
    ToTensor()(pixels).fill_(9)
    float_pixels = np.zeros((3, 4, 1), dtype="float32")
    ToTensor()(float_pixels).fill_(9)  # of its own memory, though nothing was divided
    assert not pixels.any()
    assert not float_pixels.any()
    z = Normalize([0.5, 0.5], [0.5, 0.5], inplace=True)(x)
    assert z is x
    assert x.equal((before - 0.5) / 0.5)


def test_to_tensor_follows_the_default_type():
    pixels = np.full((2, 2), 51, dtype="uint8")
    torch.set_default_dtype(torch.float64)
    try:
        assert ToTensor()(pixels).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(ToTensor()(pixels), torch.full((1, 2, 2), 0.2))


def test_numbers_and_tensors_serve_as_statistics():
    x = photo()
    expected = (x - 3) / 2
    for mean, std in ((3, 2), ([3.0], [2.0]), (torch.tensor([3.0, 3.0]), (2, 2))):
        torch.testing.assert_close(Normalize(mean, std)(x), expected)


def test_a_transform_can_be_sent_to_a_worker_and_says_what_it_is():
    chain = Compose([RandomCrop(4, padding=1), RandomHorizontalFlip(), ToTensor(), Normalize(0, 1)])
    again = pickle.loads(pickle.dumps(chain))
    assert repr(again) == repr(chain)
    assert repr(chain).splitlines() == [
        "Compose(",
        "    RandomCrop(size=(4, 4), padding=1)",
        "    RandomHorizontalFlip(p=0.5)",
        "    ToTensor()",
        "    Normalize(mean=0, std=1)",
        ")",
    ]


# Standard scores


@settings(deadline=None, max_examples=60)
@given(
    arrays(
        st.sampled_from([np.float32, np.float64]),
        st.tuples(st.integers(1, 9), st.integers(1, 4)),
        elements=st.floats(-1000, 1000, width=32),
    )
)
def test_scores_are_scikit_learns(numbers):
    theirs = sklearn.preprocessing.StandardScaler().fit(numbers.astype("float64"))
    X = torch.tensor(numbers)
    ours = StandardScaler().fit(X)
    torch.testing.assert_close(ours.mean_, torch.tensor(theirs.mean_))
    torch.testing.assert_close(ours.scale_, torch.tensor(theirs.scale_))
    expected = torch.tensor(theirs.transform(numbers.astype("float64")))
    z = ours.transform(X)
    assert z.dtype == X.dtype
    torch.testing.assert_close(z.double(), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.inverse_transform(z), X, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("scaled", [True, False])
def test_diabetes_scores_are_scikit_learns_with_the_training_sets_statistics(scaled):
    X, _ = data.diabetes(scaled)
    X = X.double()
    ours = StandardScaler().fit(X[:300])
    theirs = sklearn.preprocessing.StandardScaler().fit(X[:300].numpy())
    torch.testing.assert_close(ours.transform(X), torch.tensor(theirs.transform(X.numpy())))
    torch.testing.assert_close(ours.transform(X[:300]).mean(0), torch.zeros(10).double())
    ones = torch.ones(10).double()
    torch.testing.assert_close(ours.transform(X[:300]).std(0, correction=0), ones)
    assert ours.transform(X[300:]).mean(0).abs().max() > 0.01  # new data are not fitted to


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6 + 0.1, -3e-8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_column_becomes_zeros(constant, dtype):
    X = torch.full((442, 1), constant, dtype=dtype)
    scaler = StandardScaler().fit(X)
    assert scaler.scale_.item() == 1
    assert scaler.transform(X).abs().max() < 1e-9
    assert scaler.transform(torch.empty(0, 1, dtype=dtype)).shape == (0, 1)


def test_a_large_mean_does_not_hide_a_small_deviation():
    X = torch.tensor([[1e8 - 1], [1e8 + 1]], dtype=torch.float64)
    assert StandardScaler().fit(X).transform(X).tolist() == [[-1], [1]]


# Bad input

IMAGE, PIXELS = torch.zeros(3, 4, 5), np.zeros((4, 5, 3), dtype="uint8")
PICTURE = Image.fromarray(PIXELS)
FITTED = StandardScaler().fit(torch.tensor([[1.0, 2.0], [3.0, 5.0]]))


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Compose(ToTensor()), TypeError, "transforms must be a list, got ToTensor"),
        (lambda: Compose([3]), TypeError, "transforms must be callable, got 3"),
        (lambda: ToTensor()(IMAGE), TypeError, "a PIL image or a NumPy array, got Tensor"),
        (lambda: ToTensor()([[1]]), TypeError, "got list"),
        (lambda: ToTensor()(PIXELS[0, 0]), ValueError, r"\(height, width\) or .*got \(3,\)"),
        (lambda: ToTensor()(PIXELS[None]), ValueError, r"got \(1, 4, 5, 3\)"),
        (lambda: ToTensor()(PICTURE.convert("LAB")), ValueError, "of mode 1, L, .* got LAB"),
        (lambda: Normalize(0, 1)(PICTURE), TypeError, "floating-point tensor, got Image"),
        (lambda: Normalize(0, 1)(IMAGE.byte()), TypeError, r"tensor, got torch\.uint8"),
        (lambda: Normalize(0, 1)(IMAGE[0]), ValueError, r"channels, height, .* got \(4, 5\)"),
        (lambda: Normalize([0, 0], 1)(IMAGE), ValueError, "mean must have 1 .* 3 channels, got 2"),
        (lambda: Normalize(0, [1] * 4)(IMAGE), ValueError, "std must have 1 number .* got 4"),
        (lambda: Normalize(0, [1, 0, 1])(IMAGE), ValueError, r"std must not be zero .*\[1, 0, 1\]"),
        (lambda: Normalize(0, 1e-60)(IMAGE), ValueError, "zero in torch.float32, got 1e-60"),
        (lambda: RandomCrop(0), ValueError, "size must be at least 1, got 0"),
        (lambda: RandomCrop((3, -1)), ValueError, r"size must be at least 1, got \(3, -1\)"),
        (lambda: RandomCrop([]), ValueError, "size must have 1 or 2 numbers, got 0"),
        (lambda: RandomCrop((1, 2, 3)), ValueError, "size must have 1 or 2 numbers, got 3"),
        (lambda: RandomCrop(2.5), TypeError, "size must be a whole number .* got 2.5"),
        (lambda: RandomCrop(2, padding=-1), ValueError, "padding must be at least 0, got -1"),
        (lambda: RandomCrop(2, padding=(1, 2, 3)), ValueError, "1 or 2 or 4 numbers, got 3"),
        (lambda: RandomCrop(2, padding="2"), TypeError, "padding must be a whole .* got '2'"),
        (lambda: RandomCrop(2, fill="black"), TypeError, "fill must be a number .* got 'black'"),
        (lambda: RandomCrop(2, padding_mode="wrap"), ValueError, "constant, .* got 'wrap'"),
        (lambda: RandomCrop((5, 5))(IMAGE), ValueError, "width, 4 and 5, got 5 and 5"),
        (lambda: RandomCrop(6)(PICTURE), ValueError, "width, 4 and 5, got 6 and 6"),
        (lambda: RandomCrop(2)(PIXELS), TypeError, "RandomCrop expected .* got ndarray"),
        (lambda: RandomCrop(2)(IMAGE[0, 0]), ValueError, r"height, width\), got a tensor \(5,\)"),
        (lambda: RandomCrop(2)(IMAGE[:0]), ValueError, r"got a tensor \(0, 4, 5\)"),
        (lambda: RandomCrop(2, 1, fill=[1, 2, 3])(IMAGE), TypeError, r"for tensors, got \[1, 2"),
        (lambda: RandomCrop(2, 1, fill=[1, 2])(PICTURE), ValueError, r"3 channels, got \[1, 2\]"),
        (lambda: RandomHorizontalFlip(1.1), ValueError, "p must be a probability, .* got 1.1"),
        (lambda: RandomHorizontalFlip(-0.1), ValueError, "got -0.1"),
        (lambda: RandomHorizontalFlip(math.nan), ValueError, "got nan"),
        (lambda: RandomHorizontalFlip()(PIXELS), TypeError, "Flip expected .* got ndarray"),
        (lambda: FITTED.fit(torch.empty(0, 2)), ValueError, "at least one sample, got none"),
        (lambda: FITTED.fit(torch.zeros(3)), ValueError, r"\(samples, features\), got \(3,\)"),
        (lambda: FITTED.fit(torch.tensor([[math.nan]])), ValueError, "finite, got NaN"),
        (lambda: FITTED.fit(torch.ones(2, 2).long()), TypeError, r"tensor, got torch\.int64"),
        (lambda: FITTED.fit([[1.0]]), TypeError, "floating-point tensor, got list"),
        (lambda: FITTED.transform(torch.ones(2, 3)), ValueError, "must have 2 features, got 3"),
        (lambda: FITTED.transform(torch.ones(2)), ValueError, r"features\), got \(2,\)"),
        (lambda: FITTED.inverse_transform(torch.ones(2, 1)), ValueError, "2 features, got 1"),
        (lambda: StandardScaler().transform(torch.ones(1, 1)), ValueError, "fit before transform"),
    ],
)
def test_bad_input_is_refused_and_nothing_lost(call, error, message):
    state, mean = torch.get_rng_state(), FITTED.mean_.tolist()
    with pytest.raises(error, match=message):
        call()
    assert torch.get_rng_state().equal(state)  # nothing was drawn
    assert FITTED.mean_.tolist() == mean == [2, 3.5]
    assert not IMAGE.any()


@pytest.mark.nocheck
@pytest.mark.parametrize("settings", [([0, 0], 1), (1, [1, 0, 1]), (1, [1, 1])])
def test_a_refused_change_in_place_changes_nothing(settings):
    with pytest.raises(ValueError, match="must"):
        Normalize(*settings, inplace=True)(IMAGE)
    assert not IMAGE.any()


# The script that writes the table


def test_the_script_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="no unpacked wheel of torchvision"):
        TOOL.version(tmp_path)
    (tmp_path / "torchvision-9.8.7.dist-info").mkdir()
    assert TOOL.version(tmp_path) == "9.8.7"
