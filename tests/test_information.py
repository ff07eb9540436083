import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical
from torch.nn import functional as F

from companion import information as info
from companion.information import (
    cross_entropy,
    entropy,
    huffman_code,
    kl_divergence,
    log_ratio,
    surprisal,
)

logits = st.lists(st.floats(-12, 12), min_size=4, max_size=4)
pairs = settings(deadline=None, max_examples=50)(given(a=logits, b=logits))


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def value_and_gradients(function, *leaves):
    leaves = [leaf.detach().clone().requires_grad_() for leaf in leaves]
    y = function(*leaves)
    gradients = torch.autograd.grad(y, leaves, torch.ones_like(y), materialize_grads=True)
    return y.detach(), *gradients


def assert_same(ours, torchs, *leaves, atol=1e-10, rtol=1e-9):
    mine, theirs = value_and_gradients(ours, *leaves), value_and_gradients(torchs, *leaves)
    for ours_is, theirs_is in zip(mine, theirs, strict=True):
        torch.testing.assert_close(ours_is, theirs_is, atol=atol, rtol=rtol)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 52, 1000])
def test_equally_likely_outcomes_take_log2_n_bits(n):
    p = torch.full((n,), 1 / n, dtype=torch.float64)
    assert entropy(p).item() == pytest.approx(math.log2(n))
    assert surprisal(p)[0].item() == pytest.approx(math.log2(n))


def test_worked_examples():
    p, q = torch.tensor([0.25, 0.25, 0.5]), torch.tensor([0.5, 0.25, 0.25])
    assert surprisal(q).tolist() == [1, 2, 2]
    assert entropy(p).item() == entropy(q).item() == 1.5
    assert cross_entropy(p, q).item() == 1.75
    assert kl_divergence(p, q).item() == pytest.approx(0.25)
    assert cross_entropy(p, p).equal(entropy(p))


def test_surprisal_of_the_certain_and_of_the_impossible():
    assert str(surprisal(torch.tensor([1.0, 0.0])).tolist()) == "[0.0, inf]"  # and not -0.0
    assert surprisal(torch.tensor(0.125)).item() == 3
    assert surprisal(torch.rand(2, 3, 4)).shape == (2, 3, 4)
    assert surprisal(torch.empty(0, 3)).shape == (0, 3)


def test_surprisal_adds_up_for_independent_outcomes():
    p, q = torch.rand(2, 100, dtype=torch.float64)
    torch.testing.assert_close(surprisal(p * q), surprisal(p) + surprisal(q))


@pairs
def test_entropy_equals_torch(a, b):
    assert_same(
        lambda a: entropy(a.softmax(-1), base=math.e),
        lambda a: Categorical(logits=a).entropy(),
        double([a, b]),
    )


@pairs
def test_cross_entropy_equals_torch(a, b):
    assert_same(
        lambda a, b: cross_entropy(a.softmax(-1), b.softmax(-1), base=math.e),
        lambda a, b: F.cross_entropy(b, a.softmax(-1)),  # logits first
        *double([a, b]),
    )


@pairs
def test_kl_divergence_equals_torch(a, b):
    theirs = torch.distributions.kl_divergence
    assert_same(
        lambda a, b: kl_divergence(a.softmax(-1), b.softmax(-1), base=math.e),
        lambda a, b: theirs(Categorical(logits=a), Categorical(logits=b)),
        *double([a, b]),
    )


def test_kl_divergence_of_unequal_sums_has_their_difference_more():
    p, q = double([0.5, 0.5]), double([0.25, 0.75005])
    mine, theirs = kl_divergence(p, q, base=math.e), F.kl_div(q.log(), p, reduction="sum")
    torch.testing.assert_close(mine - theirs, q.sum() - p.sum(), rtol=1e-9, atol=1e-15)


@pairs
def test_kl_divergence_of_probabilities_equals_torch_in_the_raw_gradient_too(a, b):
    p, q = double([a, b]).softmax(-1)
    assert_same(
        lambda p, q: kl_divergence(p, q, base=math.e),
        lambda p, q: F.kl_div(q.log(), p, reduction="sum"),
        p,
        q,
    )
    assert_same(
        lambda p, q: cross_entropy(p, q, base=math.e),
        lambda p, q: -(p * q.log()).sum(),
        p,
        q,
    )


@pairs
def test_inequalities(a, b):
    p, q = double([a, b]).softmax(-1)
    assert kl_divergence(p, q) > -1e-15
    assert kl_divergence(p, p) == 0
    assert -1e-12 < entropy(p) <= 2 + 1e-12
    assert entropy(p) > surprisal(p.max()) - 1e-12
    gap = cross_entropy(p, q) - entropy(p)
    torch.testing.assert_close(kl_divergence(p, q), gap, atol=1e-12, rtol=1e-9)


def test_entropy_of_independent_variables_adds_up():
    p, q = torch.randn(5).softmax(0).double(), torch.randn(7).softmax(0).double()
    p, q = p / p.sum(), q / q.sum()
    torch.testing.assert_close(entropy(torch.outer(p, q).flatten()), entropy(p) + entropy(q))


@pytest.mark.parametrize("base", [2, 10, math.e, 1.5])
def test_base_is_the_unit(base):
    p, q = torch.randn(2, 6, dtype=torch.float64).softmax(-1)
    for value, nats in (
        (surprisal(p, base), surprisal(p, math.e)),
        (entropy(p, base), entropy(p, math.e)),
        (cross_entropy(p, q, base), cross_entropy(p, q, math.e)),
        (kl_divergence(p, q, base), kl_divergence(p, q, math.e)),
    ):
        torch.testing.assert_close(value * math.log(base), nats)


def test_what_cannot_happen_counts_for_nothing():
    p, q = double([0.5, 0.5, 0.0, 0.0]), double([0.25, 0.25, 0.5, 0.0])
    assert entropy(p).item() == 1
    assert cross_entropy(p, q).item() == 2
    assert kl_divergence(p, q).item() == 1
    assert str(entropy(double([1.0, 0.0])).item()) == "0.0"


def test_gradients_where_probabilities_are_zero_hold_no_nan():
    p, q = double([0.5, 0.5, 0.0, 0.0]), double([0.25, 0.25, 0.5, 0.0])
    _, dp = value_and_gradients(lambda p: entropy(p, math.e), p)
    torch.testing.assert_close(dp, double([math.log(2) - 1, math.log(2) - 1, 0, 0]))
    _, dp, dq = value_and_gradients(lambda p, q: cross_entropy(p, q, math.e), p, q)
    torch.testing.assert_close(dp, double([math.log(4), math.log(4), math.log(2), 0]))
    torch.testing.assert_close(dq, double([-2, -2, 0, 0]))
    _, dp, dq = value_and_gradients(lambda p, q: kl_divergence(p, q, math.e), p, q)
    torch.testing.assert_close(dp, double([math.log(2) + 1, math.log(2) + 1, 0, 0]))
    torch.testing.assert_close(dq, double([-2, -2, 0, 0]))


def test_gradients_reach_logits_through_a_softmax_that_has_rounded_to_zero():
    x = torch.tensor([[0.0, 200.0, 199.0], [0.0, 1.0, 0.0]], requires_grad=True)
    p, q = x.softmax(-1)
    assert p[0] == 0
    (entropy(p) + cross_entropy(p, q) + kl_divergence(p, q)).backward()
    assert x.grad.isfinite().all()


def test_belief_that_rules_out_the_truth_costs_infinitely_much():
    p, q = torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0])
    assert cross_entropy(p, q).item() == kl_divergence(p, q).item() == math.inf
    assert kl_divergence(q, p).item() == 1
    for function in (cross_entropy, kl_divergence):
        _, _, dq = value_and_gradients(function, p, q)
        assert dq[1] == -math.inf
        assert dq[0].isfinite()


@pytest.mark.parametrize("step", [1e-1, 1e-2, 1e-3, 1e-4])
def test_kl_divergence_keeps_its_digits_where_p_and_q_are_close(step):
    p = torch.rand(1000, 5, dtype=torch.float64).softmax(-1)
    q = (p.log() + step * torch.randn(1000, 5)).softmax(-1)
    exact = kl_divergence(p, q)
    ours = kl_divergence(p.float(), q.float()).double()
    assert (ours >= 0).all()
    assert (ours / exact - 1).abs().median() < 2e-6 / step
    plain = F.kl_div(q.float().log(), p.float(), reduction="none").sum(-1) / math.log(2)
    if step < 1e-3:  # the test can fail: torch's is off by more than that
        assert (plain / exact - 1).abs().median() > 0.1


@pytest.mark.parametrize("tiny", [1e-10, 1e-30, 1e-38, 1e-45])
def test_kl_divergence_of_what_is_far_apart(tiny):
    p, q = torch.tensor([tiny, 1.0]), torch.tensor([0.5, 0.5])
    assert kl_divergence(p, q).item() == pytest.approx(1, rel=1e-6)
    exact = -1 - math.log2(torch.tensor(tiny).item()) / 2  # ½ log(½ / tiny) + ½ log ½
    assert kl_divergence(q, p).item() == pytest.approx(exact, rel=1e-5)


def test_log_ratio():
    p, q = double([0.5, 0.3, 0.2, 0.0, 0.0]), double([0.25, 0.3, 0.0, 0.45, 0.0])
    torch.testing.assert_close(log_ratio(p, q), double([math.log(2), 0, math.inf, 0, 0]))
    p = torch.randn(100, 50, dtype=torch.float64).softmax(-1)
    q = torch.randn(100, 50, dtype=torch.float64).softmax(-1)
    assert_same(log_ratio, lambda p, q: (p / q).log(), p, q)


@pytest.mark.parametrize(
    ("shape_p", "shape_q", "shape"),
    [
        ((3,), (3,), ()),
        ((2, 3), (2, 3), (2,)),
        ((3,), (4, 2, 3), (4, 2)),
        ((4, 1, 3), (5, 3), (4, 5)),
    ],
)
def test_batches_are_broadcast(shape_p, shape_q, shape):
    p, q = (torch.randn(s, dtype=torch.float64).softmax(-1) for s in (shape_p, shape_q))
    p_wide, q_wide = p.broadcast_to(*shape, 3), q.broadcast_to(*shape, 3)
    for function in (cross_entropy, kl_divergence):
        assert function(p, q).shape == shape
        each = [
            function(p_wide[i], q_wide[i]) for i in itertools.product(*(range(n) for n in shape))
        ]
        torch.testing.assert_close(function(p, q).flatten(), torch.stack(each))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_type_is_kept_and_half_precision_is_let_in(dtype):
    p, q = (torch.randn(100, 300).softmax(-1).to(dtype) for _ in "pq")
    for value in (entropy(p), cross_entropy(p, q), kl_divergence(p, q)):
        assert value.dtype == dtype
        assert value.isfinite().all()
    if dtype != torch.float64:
        wide = kl_divergence(p.double().softmax(-1), q.double().softmax(-1))
        narrow = kl_divergence(p.double().softmax(-1).to(dtype), q.double().softmax(-1).to(dtype))
        torch.testing.assert_close(narrow.double(), wide, atol=0.02, rtol=0.05)


def test_empty_batch():
    p = torch.empty(0, 3)
    assert entropy(p).shape == cross_entropy(p, p).shape == kl_divergence(p, p).shape == (0,)


def test_gradcheck():
    a, b = torch.randn(2, 2, 4, dtype=torch.float64, requires_grad=True).unbind()
    for function in (cross_entropy, kl_divergence, lambda p, q: entropy(p) + entropy(q)):
        of_logits = lambda a, b, f=function: f(a.softmax(-1), b.softmax(-1))  # noqa: E731
        assert torch.autograd.gradcheck(of_logits, (a, b))
        assert torch.autograd.gradgradcheck(of_logits, (a, b))


def test_code_of_the_textbook():
    # Huffman's own example has other ties; lengths of this one are unique
    frequencies = {"a": 45, "b": 13, "c": 12, "d": 16, "e": 9, "f": 5}
    lengths = {s: len(word) for s, word in huffman_code(frequencies).items()}
    assert lengths == {"a": 1, "b": 3, "c": 3, "d": 3, "e": 4, "f": 4}


def test_code_of_few_symbols():
    assert huffman_code({"a": 3}) == {"a": ""}
    assert huffman_code({"a": 3, "b": 5}) == {"a": "0", "b": "1"}
    assert sorted(map(len, huffman_code({"a": 0, "b": 0, "c": 0}).values())) == [1, 2, 2]


@settings(deadline=None)
@given(st.lists(st.integers(0, 100), min_size=1, max_size=30).filter(any))
def test_code_can_be_read_and_obeys_the_bounds(counts):
    code = huffman_code({str(i): c for i, c in enumerate(counts)})
    words = sorted(code.values())
    assert all(not b.startswith(a) for a, b in itertools.pairwise(words))
    assert sum(2.0 ** -len(word) for word in words) == 1
    p = double(counts) / sum(counts)
    lengths = double([len(code[str(i)]) for i in range(len(counts))])
    if p.max() == 1:  # the one that always comes needs a bit if there are others
        assert p @ lengths == min(len(counts) - 1, 1)
    else:
        assert entropy(p) - 1e-9 <= p @ lengths < entropy(p) + 1
    torch.testing.assert_close(cross_entropy(p, 2**-lengths), p @ lengths)


@pytest.mark.parametrize("seed", range(5))
def test_no_code_is_shorter(seed):
    p = torch.randn(5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    p = p.softmax(-1)
    code = huffman_code({str(i): v for i, v in enumerate(p.tolist())})
    ours = sum(p[i] * len(code[str(i)]) for i in range(5))
    possible = (
        lengths
        for lengths in itertools.product(range(1, 5), repeat=5)
        if sum(2.0**-n for n in lengths) <= 1  # Kraft: then there is such a code
    )
    shortest = min((p @ double(lengths)).item() for lengths in possible)
    assert ours.item() == pytest.approx(shortest)


NO_DISTRIBUTION = [
    (torch.tensor([0.5, 0.6]), ValueError, r"must sum to 1 .* got a sum of 1\.1"),
    (torch.tensor([[0.5, 0.5], [0.1, 0.2]]), ValueError, r"must sum to 1 .* got a sum of 0\.3"),
    (torch.tensor([1.5, -0.5]), ValueError, "must not be negative, got a minimum of -0.5"),
    (torch.tensor([math.nan, 1.0]), ValueError, "must hold probabilities, got NaN"),
    (torch.tensor([math.inf, 0.0]), ValueError, "must sum to 1 .* got a sum of inf"),
    (torch.empty(2, 0), ValueError, "must sum to 1 .* got a sum of 0"),
    (torch.tensor(1.0), ValueError, "must have an axis of outcomes, got a single number"),
    (torch.tensor([1, 0]), TypeError, "must be a floating-point tensor, got torch.int64"),
    (torch.tensor([1 + 0j]), TypeError, "must be a floating-point tensor, got torch.complex64"),
    ([0.5, 0.5], TypeError, "must be a floating-point tensor, got list"),
    (None, TypeError, "must be a floating-point tensor, got NoneType"),
]


@pytest.mark.nocheck
@pytest.mark.parametrize(("bad", "error", "message"), NO_DISTRIBUTION)
def test_what_is_no_distribution_is_refused(bad, error, message):
    good = torch.tensor([0.5, 0.5])
    with pytest.raises(error, match="p " + message):
        entropy(bad)
    for function in (cross_entropy, kl_divergence, log_ratio):
        with pytest.raises(error, match="p " + message):
            function(bad, good)
        with pytest.raises(error, match="q " + message):
            function(good, q=bad)


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("p", "error", "message"),
    [
        (torch.tensor([0.5, -0.1]), ValueError, "p must not be negative, got a minimum of -0.1"),
        (torch.tensor(1.2), ValueError, r"p must not be above 1, got a maximum of 1\.2"),
        (torch.tensor([math.nan]), ValueError, "p must hold probabilities, got NaN"),
        (torch.tensor([1]), TypeError, "p must be a floating-point tensor, got torch.int64"),
        (0.5, TypeError, "p must be a floating-point tensor, got float"),
    ],
)
def test_what_is_no_probability_is_refused(p, error, message):
    with pytest.raises(error, match=message):
        surprisal(p)


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("shape_p", "shape_q", "message"),
    [
        ((2,), (3,), "p and q must have as many outcomes, got 2 and 3"),
        ((1,), (3,), "p and q must have as many outcomes, got 1 and 3"),
        ((4, 2), (3, 2), r"must have shapes that can be broadcast, got \(4, 2\) and \(3, 2\)"),
    ],
)
@pytest.mark.parametrize("function", [cross_entropy, kl_divergence, log_ratio])
def test_shapes_that_do_not_fit_are_refused(function, shape_p, shape_q, message):
    with pytest.raises(ValueError, match=message):
        function(torch.ones(shape_p).softmax(-1), torch.ones(shape_q).softmax(-1))


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("base", "error", "message"),
    [
        (1, ValueError, "base must be finite and above 1, got 1"),
        (0.5, ValueError, "base must be finite and above 1, got 0.5"),
        (-2, ValueError, "base must be finite and above 1, got -2"),
        (math.inf, ValueError, "base must be finite and above 1, got inf"),
        (math.nan, ValueError, "base must be finite and above 1, got nan"),
        ("2", TypeError, "base must be a number, got '2'"),
        (None, TypeError, "base must be a number, got None"),
    ],
)
@pytest.mark.parametrize("name", ["surprisal", "entropy", "cross_entropy", "kl_divergence"])
def test_bases_without_a_logarithm_are_refused(name, base, error, message):
    p = torch.tensor([0.5, 0.5])
    arguments = (p, p) if name in ("cross_entropy", "kl_divergence") else (p,)
    with pytest.raises(error, match=message):
        getattr(info, name)(*arguments, base=base)


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("frequencies", "message"),
    [
        ({}, "frequencies must have at least one symbol, got none"),
        ({"a": 1, "b": -2}, "frequencies must be finite and at least 0, got -2 for 'b'"),
        ({"a": math.nan}, "frequencies must be finite and at least 0, got nan for 'a'"),
        ({"a": math.inf}, "frequencies must be finite and at least 0, got inf for 'a'"),
    ],
)
def test_frequencies_that_are_none_are_refused(frequencies, message):
    with pytest.raises(ValueError, match=message):
        huffman_code(frequencies)
