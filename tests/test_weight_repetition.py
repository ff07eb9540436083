import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from companion.vgg import SmallVGG
from companion.weight_repetition import (
    OperationCounts,
    factorized_conv2d,
    factorized_dot,
    kmeans,
    operation_counts,
    quantize,
    weight_bits,
)


def few_valued(shape, n, dtype=torch.float64):
    """Weights of n different values at most."""
    values = torch.randn(n, dtype=dtype)
    return values[torch.randint(n, shape)]


def error(weight, values):
    return (weight.flatten()[:, None] - values).square().amin(1).sum()


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 10**6))
def test_kmeans_ends_where_no_round_changes_anything(size, n, seed):
    w = torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    values, index = kmeans(w, n)
    assert len(values) <= n
    assert (values.diff() > 0).all()
    nearest = (w[:, None] - values).abs().argmin(1)
    assert index.equal(nearest)
    for u, v in enumerate(values):
        torch.testing.assert_close(v, w[index == u].mean())  # none is empty


@pytest.mark.parametrize("n", [2, 3, 4])
def test_kmeans_is_seldom_far_from_the_best_of_all(n):
    """In one dimension the best groups are runs of the sorted weights, so all can be tried."""
    ratios = []
    for _ in range(20):
        w = torch.randn(12, dtype=torch.float64).sort().values
        best = min(
            sum(((part - part.mean()) ** 2).sum() for part in w.tensor_split(cuts))
            for cuts in itertools.combinations(range(1, 12), n - 1)
        )
        values, _ = kmeans(w, n)
        ratios.append((error(w, values) / best).item())
    assert min(ratios) >= 1 - 1e-9
    assert sorted(ratios)[10] < 1.6
    assert max(ratios) < 8


def test_kmeans_of_few_different_weights_gives_these():
    w = torch.tensor([[3.0, -1.0], [3.0, 0.5]])
    for n in (3, 4, 100):
        values, index = kmeans(w, n)
        assert values.tolist() == [-1.0, 0.5, 3.0]
        assert values[index].equal(w)


def test_kmeans_of_one_value_is_the_mean_and_most_zeros_do_not_break_it():
    w = torch.randn(50)
    torch.testing.assert_close(kmeans(w, 1)[0], w.mean()[None])
    sparse = torch.cat([torch.zeros(100), torch.randn(20)])
    values, index = kmeans(sparse, 4)
    assert values.isfinite().all()
    assert (values[index] - sparse).abs().mean() < 0.3
    assert index.max() == len(values) - 1


def test_kmeans_drops_a_value_that_has_lost_all_its_weights():
    w = [1156.0, 49.0, 1225.0, 1089.0, 1.0, 729.0, 64.0, 4.0, 1225.0, 576.0]
    values, index = kmeans(torch.tensor(w), 4)
    assert len(values) < 4
    assert values.isfinite().all()
    assert index.unique().tolist() == list(range(len(values)))


def test_kmeans_stops_after_its_steps():
    w = torch.randn(500)
    errors = [error(w, kmeans(w, 5, steps)[0]).item() for steps in (1, 2, 5, 50)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > errors[-1]


def test_kmeans_of_half_precision_does_not_overflow():
    w = (100 + torch.arange(3000) / 10).half()
    values, index = kmeans(w, 4)
    assert values.dtype == torch.float16
    expected, same = kmeans(w.float(), 4)
    torch.testing.assert_close(values.float(), expected, rtol=1e-3, atol=0)
    assert index.equal(same)


def test_quantize_leaves_the_network_and_all_but_the_weights():
    model = SmallVGG()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    few = quantize(model, 3)
    for name, value in model.state_dict().items():
        assert value.equal(before[name])
    for name, value in few.state_dict().items():
        if value.dim() >= 2:
            assert len(value.unique()) == 3
            assert value.shape == before[name].shape
            values, index = kmeans(before[name], 3)
            assert value.equal(values[index])
        else:
            assert value.equal(before[name])
    striped = quantize(model.to(memory_format=torch.channels_last), 3)
    assert all(v.equal(few.state_dict()[name]) for name, v in striped.state_dict().items())
    many = quantize(model, 10**6)
    assert all(v.equal(before[name]) for name, v in many.state_dict().items())


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 60), st.integers(1, 8), st.integers(0, 10**6))
def test_factorized_dot_is_the_dot_product(size, n, seed):
    torch.manual_seed(seed)
    x = torch.randn(size, dtype=torch.float64, requires_grad=True)
    w = few_valued((size,), n)
    y = factorized_dot(x, w)
    torch.testing.assert_close(y, x @ w)
    (gradient,) = torch.autograd.grad(y, x)
    torch.testing.assert_close(gradient, w)


CONVOLUTIONS = [
    {},
    {"padding": 1},
    {"stride": 2},
    {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2)},
]


@pytest.mark.parametrize("settings", CONVOLUTIONS)
@pytest.mark.parametrize("n", [1, 2, 5, 10**4])
@pytest.mark.parametrize("with_bias", [True, False])
def test_factorized_convolution_is_torchs(settings, n, with_bias):
    x = torch.randn(2, 3, 7, 8, dtype=torch.float64, requires_grad=True)
    weight = few_valued((4, 3, 3, 2), n)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True) if with_bias else None
    ours = factorized_conv2d(x, weight, bias, **settings)
    torchs = F.conv2d(x, weight, bias, **settings)
    torch.testing.assert_close(ours, torchs)
    wanted, upstream = [x, bias] if with_bias else [x], torch.randn_like(torchs)
    torch.testing.assert_close(
        torch.autograd.grad(ours, wanted, upstream), torch.autograd.grad(torchs, wanted, upstream)
    )


def test_factorized_convolution_of_whole_numbers_is_exact():
    x = torch.randint(-100, 100, (2, 3, 9, 9)).double()
    weight = torch.randint(-3, 4, (5, 3, 3, 3)).double()
    assert factorized_conv2d(x, weight, padding=1).equal(F.conv2d(x, weight, padding=1))


def counted(kernels):
    """Count the operations of kernels that work together, one by one."""
    columns, additions, multiplications = list(zip(*kernels.tolist(), strict=True)), 0, 0
    groups = {}
    for i, column in enumerate(columns):
        if any(column):
            groups.setdefault(column, []).append(i)
    additions += sum(len(inputs) - 1 for inputs in groups.values())
    for k in range(len(kernels)):
        terms = {}
        for column in groups:
            if column[k]:
                terms.setdefault(column[k], []).append(column)
        additions += sum(len(parts) - 1 for parts in terms.values())  # up to one sum per weight
        multiplications += len(terms)
        additions += max(len(terms) - 1, 0)  # of the products
    return multiplications, additions


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 5), st.integers(1, 30), st.integers(1, 4), st.integers(1, 5), st.integers(0, 999)
)
def test_operations_are_counted_one_by_one(outputs, size, n, together, seed):
    torch.manual_seed(seed)
    weight = torch.randint(-n, n + 1, (outputs, size)).float()
    sums = [counted(part) for part in weight.split(together)]
    assert operation_counts(weight, together) == tuple(map(sum, zip(*sums, strict=True)))


def test_counts_in_closed_form():
    n, G = 200, 3
    weight = few_valued((G, n), 4)
    assert operation_counts(weight) == (4 * G, G * (n - 1))  # no addition is saved
    P = len(weight.unique(dim=1).T)
    assert operation_counts(weight, G) == (4 * G, n - P + G * (P - 1))
    assert operation_counts(torch.zeros(2, 3, 3, 3)) == OperationCounts(0, 0)
    assert operation_counts(torch.randn(2, 3, 3, 3)) == (54, 52)  # all different: a plain product
    assert operation_counts(few_valued((5, 2, 3, 3), 2), together=99)[0] == 10


def test_bits():
    assert [weight_bits(n) for n in (1, 2, 3, 4, 5, 16, 17, 256, 2**20)] == [
        *(0, 1, 2, 2, 3, 4, 5, 8, 20)
    ]


BAD = [
    (lambda: kmeans(torch.tensor([1, 2]), 2), TypeError, "weight must be a floating-point tensor"),
    (lambda: kmeans([1.0], 2), TypeError, "got list"),
    (lambda: kmeans(torch.zeros(0, 3), 2), ValueError, r"got the shape \(0, 3\)"),
    (lambda: kmeans(torch.tensor([1.0, torch.nan]), 2), ValueError, "must be finite"),
    (lambda: kmeans(torch.ones(3), 0), ValueError, "n must be at least 1, got 0"),
    (lambda: kmeans(torch.ones(3), 2.0), TypeError, "n must be a whole number, got 2.0"),
    (lambda: kmeans(torch.ones(3), 2, 0), ValueError, "steps must be at least 1, got 0"),
    (lambda: quantize(nn.Linear(2, 2), 0), ValueError, "n must be at least 1, got 0"),
    (lambda: factorized_dot(torch.ones(3), torch.ones(2)), ValueError, "2 numbers, got 3"),
    (lambda: factorized_dot(torch.ones(3, 1), torch.ones(3)), ValueError, r"shape \(3, 1\)"),
    (lambda: factorized_dot(torch.ones(2), torch.arange(2)), TypeError, "got torch.int64"),
    (
        lambda: factorized_conv2d(torch.ones(3, 5, 5), torch.ones(2, 3, 3, 3)),
        ValueError,
        r"\(n, channels, height, width\), got \(3, 5, 5\)",
    ),
    (
        lambda: factorized_conv2d(torch.ones(1, 4, 5, 5), torch.ones(2, 3, 3, 3)),
        ValueError,
        r"\(outputs, 4, height, width\), got \(2, 3, 3, 3\)",
    ),
    (
        lambda: factorized_conv2d(torch.ones(1, 3, 5, 5), torch.ones(2, 3, 3, 3), torch.ones(3)),
        ValueError,
        r"bias must have the shape \(2,\), got \(3,\)",
    ),
    (
        lambda: factorized_conv2d(torch.ones(1, 3, 2, 5), torch.ones(2, 3, 3, 3)),
        ValueError,
        "expected a size of at least 3",
    ),
    (lambda: operation_counts(torch.ones(3)), ValueError, r"got the shape \(3,\)"),
    (lambda: operation_counts(torch.ones(3, 2), 0), ValueError, "together must be at least 1"),
    (lambda: operation_counts(torch.ones(0, 2)), ValueError, "at least one value"),
    (lambda: weight_bits(0), ValueError, "n must be at least 1, got 0"),
    (lambda: weight_bits(1.5), TypeError, "must be a whole number, got 1.5"),
]


@pytest.mark.nocheck
@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
