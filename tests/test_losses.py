import inspect
import itertools
import math
import random
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from companion import losses as L

REDUCTIONS = ["mean", "sum", "none"]
reductions = pytest.mark.parametrize("reduction", REDUCTIONS)
seeds = st.integers(0, 2**31 - 1)
many = settings(deadline=None, max_examples=150)

# Shapes of logits; the classes are axis 1, or the only one.
SHAPES = [(5,), (1,), (4, 5), (1, 2), (3, 1), (2, 3, 4), (2, 5, 3, 2), (2, 3, 1, 2, 2)]


def value_and_gradients(function, *tensors, **options):
    """The value, and the gradients of a weighted sum of it on those tensors that are real."""
    tensors = [t.detach().clone() for t in tensors]
    real = [t.requires_grad_() for t in tensors if t.is_floating_point()]
    value = function(*tensors, **options)
    start = torch.linspace(-1, 2, value.numel(), dtype=value.dtype).view(value.shape)
    gradients = torch.autograd.grad(value, real, start if value.dim() else None)
    return [value.detach(), *gradients]


def assert_same(ours, torchs, *tensors, rtol=1e-12, atol=1e-14, **options):
    pairs = zip(
        value_and_gradients(ours, *tensors, **options),
        value_and_gradients(torchs, *tensors, **options),
        strict=True,
    )
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=rtol, atol=atol, equal_nan=True)


def draw(seed):
    """A generator for torch and one for choices, both from one number."""
    return torch.Generator().manual_seed(seed), random.Random(seed)


def reals(generator, *shape, scale=1.0):
    return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


def shares(generator, *shape):
    return torch.rand(shape, generator=generator, dtype=torch.float64)


# Against torch: value and gradient


@many
@given(seed=seeds)
def test_mse_loss_equals_torch(seed):
    generator, choose = draw(seed)
    shape = choose.choice([(), (1,), (7,), (3, 2), (2, 3, 4), (0, 3)])
    input, target = reals(generator, *shape, scale=5), reals(generator, *shape, scale=5)
    assert_same(L.mse_loss, F.mse_loss, input, target, reduction=choose.choice(REDUCTIONS))


def weights_for(generator, choose, shape):
    """A weight that broadcasts to a shape, or none."""
    if not shape or choose.random() < 0.3:
        return None
    cut = choose.randrange(len(shape))
    return shares(generator, *(choose.choice([1, n]) for n in shape[cut:])) * 3


@many
@given(seed=seeds)
def test_binary_cross_entropy_equals_torch(seed):
    generator, choose = draw(seed)
    shape = choose.choice([(), (1,), (7,), (3, 2), (2, 3, 4), (0, 3)])
    p, y = shares(generator, *shape), shares(generator, *shape)
    if choose.random() < 0.5:
        y = y.round()
    if choose.random() < 0.5:  # near the ends, where torch begins to guard
        p = torch.where(p < 0.5, p ** choose.choice([20, 200]), p)
    options = {"reduction": choose.choice(REDUCTIONS)}
    options["weight"] = weights_for(generator, choose, shape)
    # torch's 1e-12 is a float32 also in float64, so where it counts nine digits agree
    assert_same(L.binary_cross_entropy, F.binary_cross_entropy, p, y, rtol=1e-8, **options)


@pytest.mark.parametrize("y", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("p", [0.0, 1e-320, 1e-50, 1e-13, 1e-12, 0.5, 1 - 1e-13, 1.0])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_binary_cross_entropy_has_torchs_guards(p, y, dtype):
    p, y = torch.tensor(p, dtype=dtype, requires_grad=True), torch.tensor(y, dtype=dtype)
    mine, theirs = L.binary_cross_entropy(p, y), F.binary_cross_entropy(p, y)
    torch.testing.assert_close(mine, theirs)
    assert 0 <= mine <= 100
    (dp,), (expected,) = torch.autograd.grad(mine, p), torch.autograd.grad(theirs, p)
    torch.testing.assert_close(dp, expected)
    assert dp.isfinite()


@pytest.mark.parametrize("p", [1e-4, 1e-6, 1e-7, 1e-8, 1e-12, 1e-20, 1e-30])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_binary_cross_entropy_keeps_its_digits_where_a_no_is_all_but_sure(p, dtype):
    p, y = torch.tensor(p, dtype=dtype), torch.tensor(0.0, dtype=dtype)
    assert_same(L.binary_cross_entropy, F.binary_cross_entropy, p, y, rtol=1e-6, atol=0)
    torch.testing.assert_close(
        L.binary_cross_entropy(p, y).item(), -math.log1p(-p.item()), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("p", [1e-3, 0.1, 0.5, 0.9])
def test_the_gradient_on_the_target_is_minus_the_logit(p):
    # torch.special.logit is the other way round, log p − log(1 − p)
    p, y = torch.tensor(p), torch.tensor(0.3, requires_grad=True)
    (dy,) = torch.autograd.grad(L.binary_cross_entropy(p, y), y)
    torch.testing.assert_close(dy, -torch.special.logit(p))


@many
@given(seed=seeds)
def test_binary_cross_entropy_with_logits_equals_torch(seed):
    generator, choose = draw(seed)
    shape = choose.choice([(), (1,), (7,), (3, 2), (2, 3, 4), (0, 3)])
    z = reals(generator, *shape, scale=choose.choice([1, 30, 1e4]))
    if choose.random() < 0.2:
        z = torch.zeros_like(z)  # where |z| has a kink and the loss has none
    y = shares(generator, *shape)
    if choose.random() < 0.5:
        y = y.round()
    options = {
        "reduction": choose.choice(REDUCTIONS),
        "weight": weights_for(generator, choose, shape),
        "pos_weight": weights_for(generator, choose, shape),
    }
    ours, torchs = L.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits
    assert_same(ours, torchs, z, y, **options)


@many
@given(seed=seeds)
def test_logsumexp_equals_torch(seed):
    generator, choose = draw(seed)
    shape = choose.choice([(1,), (6,), (3, 2), (2, 3, 4)])
    x = reals(generator, *shape, scale=choose.choice([1, 100, 1e4]))
    if choose.random() < 0.3:
        x = torch.where(shares(generator, *shape) < 0.2, -math.inf, x)
        x.view(-1)[0] = -math.inf
        x = torch.where((x == -math.inf).all(), 0.0, x)
    axes = range(len(shape))
    dim = choose.choice([*axes, *(-1 - a for a in axes), *itertools.combinations(axes, 2)])
    if ((x == -math.inf).all(dim)).any():  # a gradient there is NaN in torch as well
        return
    keepdim = choose.random() < 0.5
    # torch goes from the rounded value to its gradient: at 1e4 that leaves eleven digits
    assert_same(L.logsumexp, torch.logsumexp, x, rtol=2e-11, dim=dim, keepdim=keepdim)


@pytest.mark.parametrize("row", [[-math.inf] * 2, [math.inf, 0.0], [math.nan, 0.0], [math.inf] * 2])
def test_logsumexp_of_infinities_goes_the_way_of_torch(row):
    x = torch.tensor([row, [1.0, 2.0]])
    torch.testing.assert_close(L.logsumexp(x, 1), torch.logsumexp(x, 1), equal_nan=True)
    torch.testing.assert_close(L.logsumexp(torch.tensor(3.0), 0), torch.tensor(3.0))


def classification(generator, choose):
    """Logits, class indices, and options that nll_loss and cross_entropy share."""
    shape = choose.choice(SHAPES)
    classes = shape[min(len(shape) - 1, 1)]
    places = shape[:1] + shape[2:] if len(shape) > 1 else ()
    z = reals(generator, *shape, scale=choose.choice([1, 1, 30, 1e4]))
    y = torch.randint(classes, places, generator=generator)
    options = {"reduction": choose.choice(REDUCTIONS)}
    if choose.random() < 0.5:  # nothing, some or all may be ignored
        options["ignore_index"] = choose.choice([-1, 0, 1, 255])
        away = torch.rand(places, generator=generator) < choose.choice([0.0, 0.4, 1.0])
        y = torch.where(away, options["ignore_index"], y)
        y = torch.where((y >= classes) & (y != options["ignore_index"]), 0, y)
    if choose.random() < 0.5:
        weight = shares(generator, classes) * 3
        weight[choose.randrange(classes)] = choose.choice([0.0, 1.0])
        options["weight"] = weight
    return z, y, options


@many
@given(seed=seeds)
def test_nll_loss_equals_torch(seed):
    generator, choose = draw(seed)
    z, y, options = classification(generator, choose)
    log_p = torch.log_softmax(z, min(z.dim() - 1, 1))
    assert_same(L.nll_loss, F.nll_loss, log_p, y, **options)


@settings(deadline=None, max_examples=400)
@given(seed=seeds)
def test_cross_entropy_of_classes_equals_torch(seed):
    generator, choose = draw(seed)
    z, y, options = classification(generator, choose)
    options["label_smoothing"] = choose.choice([0.0, 0.1, 0.5, 1.0])
    kept = y[y != options.get("ignore_index", -100)]
    if "weight" in options and kept.numel() and options["weight"][kept].sum() == 0:
        return  # a mean over weights of zero: no number, see below
    assert_same(L.cross_entropy, F.cross_entropy, z, y, rtol=1e-11, atol=1e-12, **options)


@many
@given(seed=seeds)
def test_cross_entropy_of_probabilities_equals_torch(seed):
    generator, choose = draw(seed)
    shape = choose.choice(SHAPES)
    dim = min(len(shape) - 1, 1)
    z = reals(generator, *shape, scale=choose.choice([1, 30, 1e4]))
    q = torch.softmax(reals(generator, *shape, scale=3), dim)
    options = {"reduction": choose.choice(REDUCTIONS)}
    options["label_smoothing"] = choose.choice([0.0, 0.1, 1.0])
    if choose.random() < 0.5:
        options["weight"] = shares(generator, shape[dim]) * 3
    assert_same(L.cross_entropy, F.cross_entropy, z, q, rtol=1e-11, atol=1e-12, **options)


# What torch does at the edges


@reductions
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 2.0, 0.0])])
def test_where_all_is_ignored_the_mean_is_nan_as_in_torch(reduction, label_smoothing, weight):
    z, y = torch.zeros(2, 3), torch.full((2,), -100)
    options = {"weight": weight, "reduction": reduction, "label_smoothing": label_smoothing}
    mine, theirs = L.cross_entropy(z, y, **options), F.cross_entropy(z, y, **options)
    torch.testing.assert_close(mine, theirs, equal_nan=True)
    assert mine.isnan().all() == (reduction == "mean")
    torch.testing.assert_close(
        L.nll_loss(z, y, weight, reduction=reduction),
        F.nll_loss(z, y, weight, reduction=reduction),
        equal_nan=True,
    )


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_a_mean_over_weights_of_zero_is_no_number(label_smoothing):
    options = {"weight": torch.tensor([0.0, 1.0]), "label_smoothing": label_smoothing}
    for function in (L.cross_entropy, F.cross_entropy):
        assert not function(torch.zeros(2, 2), torch.tensor([0, 0]), **options).isfinite()


@reductions
def test_no_samples_at_all(reduction):
    option = {"reduction": reduction}
    for z, y in [
        (torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)),
        (torch.zeros(0, 3), torch.zeros(0, 3)),
        (torch.zeros(0, 3, 2), torch.zeros(0, 2, dtype=torch.long)),
    ]:
        torch.testing.assert_close(
            L.cross_entropy(z, y, **option), F.cross_entropy(z, y, **option), equal_nan=True
        )


def test_a_class_ruled_out_does_no_harm_where_it_is_not_the_answer():
    z = torch.tensor([[-math.inf, 0.0, 1.0], [2.0, -math.inf, 0.0]], dtype=torch.float64)
    for y in (torch.tensor([1, 2]), torch.tensor([-100, 0]), torch.tensor([0, 0])):
        assert_same(L.cross_entropy, F.cross_entropy, z, y, reduction="none")
        assert_same(
            L.cross_entropy, F.cross_entropy, z, y, weight=torch.tensor([0.0, 1, 2]).double()
        )


@reductions
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 3.0, 2.0])])
@pytest.mark.parametrize(
    "target",
    [
        torch.tensor([0, 1, 2]),
        torch.tensor([1, -100, 2]),
        torch.tensor([[0.5, 0, 0.5], [0, 1, 0], [0, 0, 1]]),
        torch.tensor([[0.2, 0.3, 0.5], [0, 0.5, 0.5], [1, 0, 0]]),
    ],
)
def test_smoothing_over_a_class_ruled_out_is_infinite_as_in_torch(
    target, weight, label_smoothing, reduction
):
    z = torch.tensor([[0.0, -math.inf, 1.0], [0.0, -math.inf, 1.0], [0.0, 1.0, 2.0]])
    options = {"reduction": reduction, "label_smoothing": label_smoothing}
    options["weight"] = weight
    mine, theirs = L.cross_entropy(z, target, **options), F.cross_entropy(z, target, **options)
    torch.testing.assert_close(mine, theirs, equal_nan=True)
    if 0 < label_smoothing < 1 and reduction != "none":
        assert mine == math.inf


@pytest.mark.parametrize("size", [1e4, -1e4])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_extreme_logits_stay_finite(size, dtype):
    z = torch.tensor([[size, 0.0, -size], [0.0, size, size]], dtype=dtype)
    for y in (torch.tensor([0, 0]), torch.tensor([2, 1])):
        for smoothing in (0.0, 0.1):
            mine = value_and_gradients(L.cross_entropy, z, y, label_smoothing=smoothing)
            assert all(v.isfinite().all() for v in mine)
            assert mine[1].abs().max() <= 1
    for y in (0.0, 0.5, 1.0):
        y = torch.full_like(z, y)
        mine = value_and_gradients(L.binary_cross_entropy_with_logits, z, y, reduction="none")
        assert all(v.isfinite().all() for v in mine)
    assert L.logsumexp(z, 1).isfinite().all()
    naive = -torch.log(z.exp() / z.exp().sum(1, keepdim=True))
    assert not naive.isfinite().all()


def test_a_loss_of_zero_is_exact_and_small_losses_keep_their_digits():
    z = torch.tensor([[20.0, 0.0]], dtype=torch.float64)
    loss = L.cross_entropy(z, torch.tensor([0]))
    torch.testing.assert_close(
        loss, torch.tensor(math.log1p(math.exp(-20.0))).double(), rtol=1e-6, atol=0
    )
    z = torch.tensor([40.0])
    loss = L.binary_cross_entropy_with_logits(z, torch.ones(1))
    torch.testing.assert_close(loss.item(), math.exp(-40.0), rtol=1e-6, atol=0)


# Identities


@many
@given(seed=seeds)
def test_two_classes_are_a_sigmoid_of_the_difference(seed):
    generator, _ = draw(seed)
    z = reals(generator, 6, 2, scale=20)
    y = torch.randint(2, (6,), generator=generator)
    torch.testing.assert_close(
        L.cross_entropy(z, y),
        L.binary_cross_entropy_with_logits(z[:, 1] - z[:, 0], y.double()),
    )


def test_cross_entropy_is_log_softmax_and_nll_loss():
    z, y = torch.randn(6, 4, dtype=torch.float64), torch.tensor([0, 3, 2, 1, 1, 0])
    expected = L.cross_entropy(z, y)
    torch.testing.assert_close(L.nll_loss(z - L.logsumexp(z, 1, keepdim=True), y), expected)
    torch.testing.assert_close(L.cross_entropy(z, F.one_hot(y).double()), expected)


@many
@given(seed=seeds)
def test_the_gradient_is_prediction_minus_target_and_sums_to_zero(seed):
    generator, choose = draw(seed)
    z = reals(generator, 3, 5, scale=choose.choice([1, 30]))
    q = torch.softmax(reals(generator, 3, 5), 1)
    _, dz, _ = value_and_gradients(lambda z, q: L.cross_entropy(z, q, reduction="sum"), z, q)
    torch.testing.assert_close(dz, torch.softmax(z, 1) - q, atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(dz.sum(1), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)


def test_finite_differences_agree_twice():
    z = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    p = torch.rand(5, dtype=torch.float64).mul(0.8).add(0.1).requires_grad_()
    y, t = torch.tensor([0, 2, 1, -100]), torch.rand(5, dtype=torch.float64).requires_grad_()
    weight = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)
    cases = [
        (lambda z: L.cross_entropy(z, y, weight, label_smoothing=0.2), (z,)),
        (lambda z: L.nll_loss(z, y, weight), (z,)),
        (lambda z: L.logsumexp(z, (0, 1)), (z,)),
        (L.binary_cross_entropy_with_logits, (p, t)),
        (L.binary_cross_entropy, (p, t)),
        (L.mse_loss, (p, t)),
    ]
    for function, arguments in cases:
        assert torch.autograd.gradcheck(function, arguments)
        assert torch.autograd.gradgradcheck(function, arguments)


# The counterparts' names, order and defaults


@pytest.mark.parametrize(
    ("ours", "torchs"),
    [
        (getattr(L, name), getattr(F, name))
        for name in (
            "mse_loss",
            "binary_cross_entropy",
            "binary_cross_entropy_with_logits",
            "nll_loss",
            "cross_entropy",
        )
    ],
)
def test_names_order_and_defaults_are_torchs(ours, torchs):
    theirs = inspect.signature(torchs).parameters
    mine = inspect.signature(ours).parameters
    assert [n for n in theirs if n in mine] == list(mine)
    assert set(theirs) - set(mine) <= {"size_average", "reduce", "weight"}
    assert "weight" in mine or ours is L.mse_loss
    for name, parameter in mine.items():
        assert parameter.default == theirs[name].default
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            assert list(theirs).index(name) == list(mine).index(name)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_type_is_kept(dtype):
    z, y, p = torch.randn(4, 3, dtype=dtype), torch.tensor([0, 1, 2, 0]), torch.rand(4, dtype=dtype)
    tolerance = {"atol": 4 * torch.finfo(dtype).eps, "rtol": 4 * torch.finfo(dtype).eps}
    for mine, theirs in [
        (L.cross_entropy(z, y), F.cross_entropy(z, y)),
        (L.mse_loss(z, -z), F.mse_loss(z, -z)),
        (L.binary_cross_entropy(p, p.round()), F.binary_cross_entropy(p, p.round())),
        (L.logsumexp(z, 1), torch.logsumexp(z, 1)),
    ]:
        assert mine.dtype == dtype
        torch.testing.assert_close(mine, theirs, **tolerance)
    assert L.cross_entropy(z, F.one_hot(y).to(dtype)).dtype == dtype


def test_arguments_are_left_alone():
    z, y = torch.randn(4, 3), torch.tensor([0, 1, 2, -100])
    weight, before = torch.tensor([1.0, 2.0, 3.0]), (z.clone(), y.clone())
    L.cross_entropy(z, y, weight, label_smoothing=0.1)
    assert z.equal(before[0])
    assert y.equal(before[1])
    assert weight.tolist() == [1, 2, 3]


# Bad input

z3, y3, p3 = torch.zeros(2, 3), torch.tensor([0, 1]), torch.full((2, 3), 0.5)
PAIRS = [L.mse_loss, L.binary_cross_entropy, L.binary_cross_entropy_with_logits]
BINARY = PAIRS[1:]
CLASSES = [L.nll_loss, L.cross_entropy]


@pytest.mark.nocheck
@pytest.mark.parametrize("function", PAIRS)
@pytest.mark.parametrize(
    ("input", "target", "error", "message"),
    [
        (torch.zeros(3, 1), torch.zeros(3), ValueError, r"of one shape, got \(3, 1\) and \(3,\)"),
        (torch.zeros(2), torch.zeros(3), ValueError, r"of one shape, got \(2,\) and \(3,\)"),
        (torch.zeros(2), torch.tensor([0, 1]), TypeError, "tensor as target, got torch.int64"),
        (torch.tensor([0, 1]), torch.zeros(2), TypeError, "tensor as input, got torch.int64"),
        (torch.zeros(2), [0.0, 1.0], TypeError, "tensor as target, got list"),
        (0.5, torch.zeros(()), TypeError, "tensor as input, got float"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(function, input, target, error, message):
    with pytest.raises(error, match=f"{function.__name__} expected .*{message}"):
        function(input, target)


@pytest.mark.nocheck
@pytest.mark.parametrize("function", PAIRS + CLASSES)
@pytest.mark.parametrize("reduction", ["average", None, "batchmean", 0])
def test_an_unknown_reduction_is_refused(function, reduction):
    target = y3 if function in CLASSES else p3
    with pytest.raises(ValueError, match=f'expected reduction "mean".* got {reduction!r}'):
        function(z3, target, reduction=reduction)
    with pytest.raises(ValueError, match='reduce_loss expected reduction "mean", "sum" or "none"'):
        L.reduce_loss(z3, reduction)


@pytest.mark.nocheck
@pytest.mark.parametrize("function", BINARY)
@pytest.mark.parametrize(
    ("wrong", "values"),
    [
        (torch.tensor([0.5, 1.1]), "from 0.5 to 1.1"),
        (torch.tensor([-0.1, 0.5]), "from -0.1 to 0.5"),
        (torch.tensor([math.nan, 0.5]), "from nan to nan"),
    ],
)
def test_what_is_no_probability_is_refused(function, wrong, values):
    with pytest.raises(ValueError, match=f"expected target between 0 and 1, got values {values}"):
        function(torch.full((2,), 0.5), wrong)
    if function is L.binary_cross_entropy:
        with pytest.raises(ValueError, match=f"expected input between 0 and 1, got .* {values}"):
            function(wrong, torch.ones(2))


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("function", "argument"),
    [*((f, "weight") for f in BINARY), (L.binary_cross_entropy_with_logits, "pos_weight")],
)
def test_weights_that_do_not_fit_are_refused(function, argument):
    for shape in [(2,), (3, 3), (1, 2, 3)]:
        message = rf"expected {argument} to broadcast to \(2, 3\), got"
        with pytest.raises(ValueError, match=message):
            function(p3, p3, **{argument: torch.ones(shape)})
    with pytest.raises(TypeError, match=f"floating-point tensor as {argument}, got torch.int64"):
        function(p3, p3, **{argument: torch.ones(3, dtype=torch.long)})


@pytest.mark.nocheck
@pytest.mark.parametrize("function", CLASSES)
@pytest.mark.parametrize(
    ("input", "target", "options", "error", "message"),
    [
        (z3, torch.tensor([0, 3]), {}, ValueError, r"classes from 0 to 2 .* as target, got 3"),
        (z3, torch.tensor([0, -1]), {}, ValueError, "or -100, to be ignored.* got -1"),
        (z3, torch.tensor([-100, 0]), {"ignore_index": 9}, ValueError, "or 9, .* got -100"),
        (z3, torch.tensor([0]), {}, ValueError, r"target of shape \(2,\) .* got \(1,\)"),
        (z3, torch.zeros(2, 1).long(), {}, ValueError, r"shape \(2,\) .* \(2, 3\), got \(2, 1\)"),
        (z3, torch.zeros(2, 3).long(), {}, ValueError, r"shape \(2,\) .* got \(2, 3\)"),
        (torch.zeros(3), torch.tensor([0]), {}, ValueError, r"shape \(\) .* got \(1,\)"),
        (torch.zeros(()), torch.tensor(0), {}, ValueError, r"\(C,\) or \(N, C, ...\), got \(\)"),
        (torch.zeros(2, 0), y3, {}, ValueError, "at least one class"),
        (z3.long(), y3, {}, TypeError, "floating-point tensor as input, got torch.int64"),
        (z3, y3.int(), {}, TypeError, "int64 class indices as target, got torch.int32"),
        (z3, y3.bool(), {}, TypeError, "int64 class indices as target, got torch.bool"),
        (z3, [0, 1], {}, TypeError, "int64 class indices as target, got list"),
        (z3, y3, {"weight": torch.ones(2)}, ValueError, r"weight of shape \(3,\).* got \(2,\)"),
        (z3, y3, {"weight": torch.ones(3, 1)}, ValueError, r"shape \(3,\).* got \(3, 1\)"),
        (z3, y3, {"weight": torch.ones(3).long()}, TypeError, "as weight, got torch.int64"),
    ],
)
def test_classes_that_do_not_fit_are_refused(function, input, target, options, error, message):
    with pytest.raises(error, match=f"{function.__name__} expected .*{message}"):
        function(input, target, **options)


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        (torch.full((2, 3), 0.5), {}, "probabilities to sum to 1, got a sum of 1.5"),
        (torch.tensor([[1.0, 0, 0], [0.2, 0.3, 0.4]]), {}, "to sum to 1, got a sum of 0.9"),
        (torch.tensor([[1.5, -0.5, 0]] * 2), {}, "between 0 and 1, got values from -0.5 to 1.5"),
        (torch.tensor([[math.nan, 0, 1]] * 2), {}, "target between 0 and 1, got values from nan"),
        (torch.tensor([0.0, 1.0]), {}, r"shape \(2, 3\), .* got torch.float32 of shape \(2,\)"),
        (torch.eye(3)[:2], {"ignore_index": 1}, "ignore_index=1, got probabilities"),
        (torch.eye(3)[:2], {"weight": torch.ones(2)}, r"weight of shape \(3,\)"),
        (y3, {"label_smoothing": 1.5}, "label_smoothing from 0 to 1, got 1.5"),
        (y3, {"label_smoothing": -0.1}, "label_smoothing from 0 to 1, got -0.1"),
        (y3, {"label_smoothing": math.nan}, "label_smoothing from 0 to 1, got nan"),
    ],
)
def test_targets_that_are_no_distribution_are_refused(target, options, message):
    with pytest.raises(ValueError, match=f"cross_entropy expected .*{message}"):
        L.cross_entropy(z3, target, **options)


@pytest.mark.nocheck
def test_nll_loss_takes_no_probabilities_as_target():
    with pytest.raises(TypeError, match="nll_loss expected int64 class indices"):
        L.nll_loss(z3, torch.eye(3)[:2])


@pytest.mark.nocheck
@pytest.mark.parametrize("x", [torch.tensor([1, 2]), [1.0], None])
def test_logsumexp_of_what_is_no_floating_point_tensor_is_refused(x):
    with pytest.raises(TypeError, match="logsumexp expected a floating-point tensor as input, got"):
        L.logsumexp(x, 0)


@pytest.mark.nocheck
def test_logsumexp_over_no_axis_is_refused():
    for x in (torch.zeros(2, 3), torch.tensor(1.0)):
        with pytest.raises(ValueError, match=r"logsumexp expected at least one axis .* got \(\)"):
            L.logsumexp(x, ())


@pytest.mark.nocheck
@pytest.mark.parametrize(("shape", "dim"), [((2, 3), 2), ((2, 0), 1)])
def test_an_axis_that_is_missing_or_empty_is_refused(shape, dim):
    with pytest.raises(IndexError, match=r"Dimension out of range|non-zero size"):
        L.logsumexp(torch.zeros(shape), dim)


@pytest.mark.nocheck
def test_rounding_in_half_precision_is_no_wrong_sum():
    q = torch.softmax(torch.randn(50, 1000), 1).bfloat16()
    z = torch.randn(50, 1000).bfloat16()
    assert L.cross_entropy(z, q).isfinite()


@pytest.mark.nocheck
def test_torch_broadcasts_where_ours_refuses():
    input, target = torch.zeros(3, 1), torch.tensor([0.0, 1.0, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert F.mse_loss(input, target, reduction="none").shape == (3, 3)
    with pytest.raises(ValueError, match="of one shape"):
        L.mse_loss(input, target)
