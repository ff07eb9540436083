import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.optim import lr_scheduler

from companion import normalization as N

INITS = ["xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_"]


def both(*shape):
    """The same random numbers twice, in float64 and recorded."""
    x = torch.randn(shape, dtype=torch.float64)
    return x.clone().requires_grad_(), x.requires_grad_()


def assert_same_gradients(ours, torchs, our_inputs, torch_inputs):
    torch.testing.assert_close(ours, torchs)
    weights = torch.randn_like(ours)
    torch.testing.assert_close(
        torch.autograd.grad(ours, our_inputs, weights),
        torch.autograd.grad(torchs, torch_inputs, weights),
    )


# Initialisation


def generator():
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("name", INITS)
@pytest.mark.parametrize("shape", [(7, 5), (1, 9), (4, 3, 2), (4, 3, 5, 2)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_same_numbers_as_torch(name, shape, dtype):
    settings = [{"gain": 0.3}, {"gain": 2.0}]
    if name.startswith("kaiming"):
        settings = [
            {"mode": mode, "nonlinearity": nonlinearity, "a": a}
            for mode in ("fan_in", "fan_out")
            for nonlinearity, a in [("relu", 0), ("leaky_relu", 0.2), ("linear", 0), ("tanh", 1)]
        ]
    for more in [{}, *settings]:
        ours = torch.zeros(shape, dtype=dtype)
        returned = getattr(N, name)(ours, **more, generator=generator())
        theirs = getattr(nn.init, name)(
            torch.zeros(shape, dtype=dtype), **more, generator=generator()
        )
        assert returned is ours
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", INITS)
def test_without_a_generator_the_global_one_is_used_as_in_torch(name):
    drawn = []
    for module in (N, nn.init):
        torch.manual_seed(5)
        drawn.append(getattr(module, name)(nn.Parameter(torch.zeros(5, 4))))
    torch.testing.assert_close(*drawn)
    assert drawn[0].is_leaf
    assert drawn[0].requires_grad


@pytest.mark.parametrize(
    ("name", "variance"),
    [("xavier", 2 / (400 + 300)), ("kaiming", 2 / 300)],
)
def test_mean_variance_and_shape_of_the_distributions(name, variance):
    for kind, kurtosis in (("normal", 3.0), ("uniform", 1.8)):
        w = torch.empty(400, 300, dtype=torch.float64)
        getattr(N, f"{name}_{kind}_")(w, generator=generator())
        assert abs(w.mean()) < 5 * math.sqrt(variance / w.numel())
        assert w.var().item() == pytest.approx(variance, rel=0.03)
        assert (w.pow(4).mean() / w.var() ** 2).item() == pytest.approx(kurtosis, rel=0.03)
        if kind == "uniform":
            assert w.abs().max().item() == pytest.approx(math.sqrt(3 * variance), rel=0.001)


def test_mode_chooses_the_fan():
    w = N.kaiming_normal_(torch.empty(100, 900), mode="fan_out", generator=generator())
    assert w.var().item() == pytest.approx(2 / 100, rel=0.05)
    assert N.calculate_fan_in_and_fan_out(torch.empty(8, 3, 5, 2)) == (30, 80)


@pytest.mark.parametrize("nonlinearity", N.GAINS)
@pytest.mark.parametrize("param", [None, 0.3, 1])
def test_gains_are_torchs(nonlinearity, param):
    ours = N.calculate_gain(nonlinearity, param)
    assert ours == pytest.approx(nn.init.calculate_gain(nonlinearity, param))


@pytest.mark.parametrize(("name", "f"), [("relu", F.relu), ("leaky_relu", F.leaky_relu)])
def test_the_gain_keeps_the_variance_of_sums(name, f):
    z = torch.randn(1_000_000, dtype=torch.float64, generator=generator())
    assert N.calculate_gain(name) ** 2 * f(z).square().mean() == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("name", INITS)
def test_size_is_kept_through_twenty_layers(name):
    gain = {"gain": math.sqrt(2)} if name.startswith("xavier") else {}
    h = torch.randn(200, 400, generator=generator())
    random = generator()
    start = h.square().mean()
    for _ in range(20):
        h = (h @ getattr(N, name)(torch.empty(400, 400), **gain, generator=random).T).relu()
    assert 0.3 < h.square().mean() / start < 3


def test_torchs_linear_layer_starts_with_slope_root_five():
    torch.manual_seed(1)
    layer = nn.Linear(30, 20)
    torch.manual_seed(1)
    torch.testing.assert_close(
        N.kaiming_uniform_(torch.empty(20, 30), a=math.sqrt(5)), layer.weight.detach()
    )


@pytest.mark.parametrize("name", INITS)
def test_a_tensor_without_elements_stays(name):
    w = torch.empty(0, 3)
    assert getattr(N, name)(w) is w


# Batch norm


def buffers():
    return torch.randn(4, dtype=torch.float64), torch.rand(4, dtype=torch.float64) + 0.5


@pytest.mark.parametrize("rest", [(), (3,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", ["both", "weight", "bias", "none"])
def test_batch_norm_equals_torch_in_value_gradient_and_memory(rest, training, affine):
    x, x_torch = both(5, 4, *rest)
    (weight, weight_torch), (bias, bias_torch) = both(4), both(4)
    ours, torchs = [x], [x_torch]
    kept = {"weight": None, "bias": None}
    kept_torch = dict(kept)
    if affine in ("both", "weight"):
        kept["weight"], kept_torch["weight"] = weight, weight_torch
        ours, torchs = [*ours, weight], [*torchs, weight_torch]
    if affine in ("both", "bias"):
        kept["bias"], kept_torch["bias"] = bias, bias_torch
        ours, torchs = [*ours, bias], [*torchs, bias_torch]
    memory = buffers()
    memory_torch = tuple(v.clone() for v in memory)
    more = {"training": training, "momentum": 0.3, "eps": 1e-3}
    for _ in range(3):  # the memory moves on each time
        y = N.batch_norm(x, *memory, **kept, **more)
        y_torch = F.batch_norm(x_torch, *memory_torch, **kept_torch, **more)
        assert_same_gradients(y, y_torch, ours, torchs)
        torch.testing.assert_close(memory, memory_torch)
    assert not any(v.requires_grad for v in memory)


def test_batch_norm_without_memory_and_with_torchs_defaults():
    x, x_torch = both(6, 4)
    assert_same_gradients(
        N.batch_norm(x, None, None, training=True),
        F.batch_norm(x_torch, None, None, training=True),
        [x],
        [x_torch],
    )
    memory = buffers()
    torch.testing.assert_close(N.batch_norm(x, *memory), F.batch_norm(x, *memory))


@settings(deadline=None, max_examples=30)
@given(
    n=st.integers(2, 6),
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-100, 100),
    momentum=st.floats(0, 1),
)
def test_batch_norm_equals_torch_anywhere(n, scale, shift, momentum):
    x = scale * torch.randn(n, 4, dtype=torch.float64) + shift
    memory, memory_torch = buffers(), None
    memory_torch = tuple(v.clone() for v in memory)
    more = {"training": True, "momentum": momentum}
    y, y_torch = N.batch_norm(x, *memory, **more), F.batch_norm(x, *memory_torch, **more)
    torch.testing.assert_close(y, y_torch, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(memory, memory_torch)


def test_batch_norm_passes_finite_differences_twice():
    x, weight, bias = (
        torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((4, 2), 2, 2)
    )

    def normed(x, weight, bias):
        return N.batch_norm(x, None, None, weight, bias, training=True)

    assert torch.autograd.gradcheck(normed, (x, weight, bias))
    assert torch.autograd.gradgradcheck(normed, (x, weight, bias))


class ByHand(torch.autograd.Function):
    """Batch norm with the companion's hand-written backward pass."""

    @staticmethod
    def forward(ctx, x, weight, bias, eps):
        ctx.save_for_backward(x, weight)
        ctx.eps = eps
        return N.batch_norm(x, None, None, weight, bias, training=True, eps=eps)

    @staticmethod
    def backward(ctx, g):
        return *N.batch_norm_backward(g, *ctx.saved_tensors, ctx.eps), None


@pytest.mark.parametrize("rest", [(), (3,), (2, 2)])
@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_backward_by_hand(rest, eps):
    x, weight, bias = (
        torch.randn(shape, dtype=torch.float64, requires_grad=True)
        for shape in ((4, 2, *rest), 2, 2)
    )
    assert torch.autograd.gradcheck(lambda *inputs: ByHand.apply(*inputs, eps), (x, weight, bias))
    g = torch.randn_like(x)
    y = F.batch_norm(x, None, None, weight, bias, training=True, eps=eps)
    by_hand = N.batch_norm_backward(g, x.detach(), weight.detach(), eps)
    torch.testing.assert_close(by_hand, torch.autograd.grad(y, (x, weight, bias), g))


def test_the_batch_is_divided_by_the_biased_deviation_and_the_unbiased_variance_kept():
    x = torch.tensor([[1.0], [2.0], [3.0], [6.0]], dtype=torch.float64)
    mean, var = torch.zeros(1).double(), torch.ones(1).double()
    y = N.batch_norm(x, mean, var, training=True, momentum=1.0, eps=1e-12)
    assert y.var(correction=0).item() == pytest.approx(1)
    assert mean.item() == 3
    assert var.item() == pytest.approx(3.5 * 4 / 3)


def test_shift_and_scale_before_batch_norm_are_taken_back():
    x = torch.randn(8, 3, dtype=torch.float64)
    normed = [
        N.batch_norm(v, None, None, training=True, eps=1e-12) for v in (x, 100 * x + 7, -0.01 * x)
    ]
    torch.testing.assert_close(normed[0], normed[1])
    torch.testing.assert_close(normed[0], -normed[2])


MODULES = [
    (N.BatchNorm1d, nn.BatchNorm1d, (6, 4)),
    (N.BatchNorm1d, nn.BatchNorm1d, (6, 4, 3)),
    (N.BatchNorm2d, nn.BatchNorm2d, (2, 4, 3, 2)),
]


@pytest.mark.parametrize(("ours", "torchs", "shape"), MODULES)
@pytest.mark.parametrize("momentum", [0.1, 0.7, 1.0, 0.0, None])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("track", [True, False])
def test_batch_norm_modules_live_like_torchs(ours, torchs, shape, momentum, affine, track):
    pair = [
        module(4, 1e-3, momentum, affine, track, None, torch.float64) for module in (ours, torchs)
    ]
    for t in range(6):
        for module in pair:
            module.train(t % 3 != 2)
        x, x_torch = both(*shape)
        y, y_torch = pair[0](3 * x + t), pair[1](3 * x_torch + t)
        assert_same_gradients(
            y, y_torch, [x, *pair[0].parameters()], [x_torch, *pair[1].parameters()]
        )
        torch.testing.assert_close(dict(pair[0].state_dict()), dict(pair[1].state_dict()))


@pytest.mark.parametrize(("ours", "torchs", "shape"), MODULES)
def test_batch_norm_state_dicts_go_both_ways(ours, torchs, shape):
    for first, second in ((ours, torchs), (torchs, ours)):
        trained, fresh = first(4).double(), second(4).double()
        for _ in range(3):
            trained(torch.randn(shape, dtype=torch.float64))
        nn.init.normal_(trained.weight)
        fresh.load_state_dict(trained.state_dict())
        x = torch.randn(shape, dtype=torch.float64)
        torch.testing.assert_close(fresh.eval()(x), trained.eval()(x))
        assert fresh.num_batches_tracked == 3


def test_evaluation_changes_nothing_and_looks_at_no_other_sample():
    module = N.BatchNorm1d(4)
    module(torch.randn(8, 4))
    module.eval()
    before = {name: v.clone() for name, v in module.state_dict().items()}
    x = torch.randn(8, 4)
    torch.testing.assert_close(module(x)[:1], module(x[:1]))
    torch.testing.assert_close(before, dict(module.state_dict()))


def test_a_mean_of_all_batches_for_momentum_none():
    module = N.BatchNorm1d(4, momentum=None)
    batches = torch.randn(7, 5, 4)
    for batch in batches:
        module(batch)
    torch.testing.assert_close(module.running_mean, batches.mean((0, 1)))
    torch.testing.assert_close(module.running_var, batches.var(1).mean(0))


def test_a_parameter_of_another_type_or_device_is_made_there():
    module = N.BatchNorm1d(3, device="meta", dtype=torch.float16)
    assert {v.device.type for v in module.state_dict().values()} == {"meta"}
    assert module.running_var.dtype == module.weight.dtype == torch.float16
    assert N.LayerNorm(3, dtype=torch.float16).bias.dtype == torch.float16


@pytest.mark.parametrize(
    ("ours", "torchs"),
    [
        (N.BatchNorm2d(3, momentum=None), "BatchNorm2d(3, eps=1e-05, momentum=None, affine=True"),
        (N.LayerNorm((2, 3), bias=False), "LayerNorm((2, 3), eps=1e-05, elementwise_affine=True"),
    ],
)
def test_the_settings_are_printed(ours, torchs):
    assert repr(ours).startswith(torchs)


# Layer norm


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (1, 4)])
@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_layer_norm_equals_torch_in_value_and_gradient(shape, axes, eps):
    normalized_shape = shape[-axes:]
    (x, x_torch), (w, w_torch), (b, b_torch) = (
        both(*size) for size in (shape, normalized_shape, normalized_shape)
    )
    for ours, torchs in (
        ((x, w, b), (x_torch, w_torch, b_torch)),
        ((x, w), (x_torch, w_torch)),
        ((x,), (x_torch,)),
    ):
        y = N.layer_norm(ours[0], normalized_shape, *ours[1:], eps=eps)
        y_torch = F.layer_norm(torchs[0], normalized_shape, *torchs[1:], eps=eps)
        assert_same_gradients(y, y_torch, ours, torchs)
    y = N.layer_norm(x, list(normalized_shape), None, b)
    torch.testing.assert_close(y, F.layer_norm(x, normalized_shape, None, b))


def test_layer_norm_passes_finite_differences_twice():
    x, weight, bias = (
        torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 4), 4, 4)
    )

    def normed(x, weight, bias):
        return N.layer_norm(x, (4,), weight, bias)

    assert torch.autograd.gradcheck(normed, (x, weight, bias))
    assert torch.autograd.gradgradcheck(normed, (x, weight, bias))


@pytest.mark.parametrize("shape", [4, (4,), [3, 4], torch.Size([2, 3, 4])])
@pytest.mark.parametrize(("affine", "bias"), [(True, True), (True, False), (False, True)])
def test_layer_norm_modules_and_their_state_dicts(shape, affine, bias):
    for first, second in itertools.permutations((N.LayerNorm, nn.LayerNorm)):
        one, other = (m(shape, 1e-3, affine, bias, None, torch.float64) for m in (first, second))
        for p in one.parameters():
            nn.init.normal_(p)
        other.load_state_dict(one.state_dict())
        x, x_other = both(5, 2, 3, 4)
        assert_same_gradients(
            one(x), other(x_other), [x, *one.parameters()], [x_other, *other.parameters()]
        )
        torch.testing.assert_close(one.eval()(x), one.train()(x))


def test_layer_norm_looks_at_no_other_sample_and_takes_one_value():
    x = torch.randn(5, 3)
    torch.testing.assert_close(N.layer_norm(x, (3,))[2:3], N.layer_norm(x[2:3], (3,)))
    assert N.layer_norm(torch.ones(2, 1), (1,)).equal(torch.zeros(2, 1))
    assert N.layer_norm(torch.empty(0, 3), (3,)).shape == (0, 3)


# Schedules


def torchs_rates(scheduler, steps, lr=0.3, **settings):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=lr)
    schedule, rates = scheduler(optimizer, **settings), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(rates) < steps:
            schedule.step()
    return rates


@pytest.mark.parametrize(
    ("ours", "torchs", "settings"),
    [
        *((N.step_lr, "StepLR", {"step_size": s, "gamma": g}) for s in (1, 4) for g in (0.1, 0.7)),
        (N.step_lr, "StepLR", {"step_size": 3}),
        (N.linear_lr, "LinearLR", {}),
        (N.linear_lr, "LinearLR", {"start_factor": 0.01, "total_iters": 12}),
        (N.linear_lr, "LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 20}),
        (N.linear_lr, "LinearLR", {"start_factor": 0.5, "total_iters": 1}),
        (N.cosine_annealing_lr, "CosineAnnealingLR", {"T_max": 20}),
        (N.cosine_annealing_lr, "CosineAnnealingLR", {"T_max": 7, "eta_min": 0.05}),
        (N.cosine_annealing_lr, "CosineAnnealingLR", {"T_max": 1}),
    ],
)
def test_schedules_equal_torchs(ours, torchs, settings):
    rates = [ours(t, 0.3, **settings) for t in range(25)]
    expected = torchs_rates(getattr(lr_scheduler, torchs), 25, **settings)
    assert rates == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(
    total=st.integers(2, 40),
    pct_start=st.floats(0, 1),
    div_factor=st.floats(1, 100),
    final_div_factor=st.floats(1, 1e4),
)
def test_one_cycle_equals_torchs(total, pct_start, div_factor, final_div_factor):
    more = {"pct_start": pct_start, "div_factor": div_factor, "final_div_factor": final_div_factor}
    ours = [N.one_cycle_lr(t, 0.7, total, **more) for t in range(total)]
    assert max(ours) <= 0.7 * (1 + 1e-9)
    if abs(pct_start * total - 1) > 1e-6:  # there torch divides by zero
        assert ours == pytest.approx(
            torchs_rates(
                lr_scheduler.OneCycleLR,
                total,
                max_lr=0.7,
                total_steps=total,
                cycle_momentum=False,
                **more,
            ),
            rel=1e-6,
            abs=1e-9,
        )


def test_one_cycle_may_begin_at_its_peak_where_torch_divides_by_zero():
    assert N.one_cycle_lr(0, 1.0, 10, pct_start=0.1) == 1.0


@pytest.mark.parametrize(("warmup", "total"), [(1, 10), (4, 20), (19, 20), (0, 9)])
def test_warm_up_and_cosine_equal_torchs_two_in_a_row(warmup, total):
    def two(optimizer):
        rise = lr_scheduler.LinearLR(optimizer, 1 / warmup, total_iters=max(warmup - 1, 1))
        fall = lr_scheduler.CosineAnnealingLR(optimizer, total - warmup, eta_min=0.01)
        return lr_scheduler.SequentialLR(optimizer, [rise, fall], milestones=[warmup])

    ours = [N.warmup_cosine_lr(t, 0.3, warmup, total, eta_min=0.01) for t in range(total)]
    if warmup == 0:
        torchs = torchs_rates(lr_scheduler.CosineAnnealingLR, total, T_max=total, eta_min=0.01)
    else:
        torchs = torchs_rates(two, total)
    assert ours == pytest.approx(torchs)
    assert max(ours) == 0.3


def test_a_warm_up_all_the_way():
    assert [N.warmup_cosine_lr(t, 1.0, 4, 4) for t in range(4)] == [0.25, 0.5, 0.75, 1.0]


# Bad input

x_ = torch.randn(4, 3)
ones, zeros = torch.ones(3), torch.zeros(3)
WRONG = [
    (N.kaiming_normal_, ([[1.0]],), {}, TypeError, "expected a tensor, got list"),
    (N.kaiming_normal_, (torch.empty(3, 3),), {"mode": "fan"}, ValueError, "got 'fan'"),
    (N.kaiming_uniform_, (torch.empty(3, 3),), {"nonlinearity": "gelu"}, ValueError, "got 'gelu'"),
    (N.calculate_gain, ("swish",), {}, ValueError, "nonlinearity must be one of linear, .*'swish'"),
    *(
        (getattr(N, name), (torch.empty(5),), {}, ValueError, r"two dimensions .* shape \(5,\)")
        for name in (*INITS, "calculate_fan_in_and_fan_out")
    ),
    (N.batch_norm, ([1.0], zeros, ones), {}, TypeError, "batch_norm expected .* got list"),
    (N.batch_norm, (x_.long(), zeros, ones), {}, TypeError, "got torch.int64"),
    (
        N.batch_norm,
        (torch.ones(3), zeros, ones),
        {},
        ValueError,
        r"shape \(N, C, ...\), got \(3,\)",
    ),
    (
        N.batch_norm,
        (x_, torch.ones(4), ones),
        {},
        ValueError,
        r"running_mean .* 3 channels .*\(4,\)",
    ),
    (N.batch_norm, (x_, zeros, torch.ones(1)), {}, ValueError, r"running_var .* 3 .* shape \(1,\)"),
    (N.batch_norm, (x_, zeros, ones, torch.ones(2)), {}, ValueError, r"weight .* got .*\(2,\)"),
    (N.batch_norm, (x_, zeros, ones, ones, torch.ones(3, 1)), {}, ValueError, r"bias .*\(3, 1\)"),
    (N.batch_norm, (x_, None, None), {}, ValueError, "must be given in evaluation, got None"),
    (N.batch_norm, (x_, zeros, None), {"training": True}, ValueError, "both or neither"),
    (N.batch_norm, (x_, None, ones), {}, ValueError, "both or neither"),
    (N.batch_norm, (x_, zeros, ones), {"eps": -1e-5}, ValueError, "eps must be .* got -1e-05"),
    (N.batch_norm, (x_, zeros, ones), {"eps": 0.0, "training": True}, ValueError, "got 0.0"),
    (N.batch_norm, (x_, zeros, ones), {"eps": math.nan}, ValueError, "eps must be .* got nan"),
    (N.batch_norm, (x_, zeros, ones), {"momentum": None}, TypeError, "must be a number, got None"),
    *(
        (
            N.batch_norm,
            (torch.ones(shape), zeros, ones),
            {"training": True},
            ValueError,
            "Expected more than 1 value per channel when training, got input size",
        )
        for shape in ((1, 3), (1, 3, 1), (1, 3, 1, 1), (0, 3))
    ),
    (N.batch_norm_backward, (x_[:1], x_, ones), {}, ValueError, r"grad_output .*\(4, 3\), got \(1"),
    (
        N.batch_norm_backward,
        (x_, x_, torch.ones(2)),
        {},
        ValueError,
        r"weight must have one .*\(2,\)",
    ),
    (
        N.batch_norm_backward,
        (x_[:1], x_[:1], ones),
        {},
        ValueError,
        "more than 1 value per channel",
    ),
    (N.BatchNorm1d(3), (torch.ones(1, 3),), {}, ValueError, "more than 1 value per channel"),
    (N.BatchNorm1d(3), (torch.ones(3),), {}, ValueError, r"expected 2D or 3D input \(got 1D"),
    (N.BatchNorm1d(3), (torch.ones(2, 3, 1, 1),), {}, ValueError, r"2D or 3D input \(got 4D"),
    (N.BatchNorm2d(3), (torch.ones(2, 3),), {}, ValueError, r"expected 4D input \(got 2D input"),
    (N.BatchNorm2d(3), (torch.ones(2, 4, 1, 1),), {}, ValueError, r"of the 4 channels .* \(3,\)"),
    (N.layer_norm, (x_, 3), {}, TypeError, "tuple of integers, got 3"),
    (N.layer_norm, (x_, ()), {}, ValueError, r"at least one dimension, got \(\)"),
    (N.layer_norm, (x_, (4,)), {}, ValueError, r"end in the dimensions \(4,\), got .*\(4, 3\)"),
    (N.layer_norm, (ones, (4, 3)), {}, ValueError, r"dimensions \(4, 3\), got the shape \(3,\)"),
    (N.layer_norm, (x_, (3,), torch.ones(4)), {}, ValueError, r"weight must .*\(3,\), got \(4,\)"),
    (N.layer_norm, (x_, (3,), ones, torch.ones(1)), {}, ValueError, r"bias must .* got \(1,\)"),
    (N.layer_norm, (x_, (3,)), {"eps": -1.0}, ValueError, "eps must be at least 0, got -1.0"),
    (N.layer_norm, (x_.int(), (3,)), {}, TypeError, "layer_norm expected .* got torch.int32"),
    (N.LayerNorm(4), (x_,), {}, ValueError, r"end in the dimensions \(4,\)"),
    (N.step_lr, (-1, 0.1, 3), {}, ValueError, "step must be at least 0, got -1"),
    (N.step_lr, (0, 0.1, 0), {}, ValueError, "step_size must be at least 1, got 0"),
    (N.step_lr, (0, 0.1, 1, -0.1), {}, ValueError, "gamma must be at least 0, got -0.1"),
    (N.linear_lr, (0, -0.1), {}, ValueError, "lr must be at least 0, got -0.1"),
    (N.linear_lr, (0, 0.1), {"total_iters": 0}, ValueError, "total_iters must be at least 1"),
    (N.linear_lr, (0, 0.1, 0.0), {}, ValueError, "start_factor must be positive, got 0.0"),
    (N.linear_lr, (0, 0.1, 1.5), {}, ValueError, "start_factor must be from 0 to 1, got 1.5"),
    (N.linear_lr, (0, 0.1, 0.5, 2.0), {}, ValueError, "end_factor must be from 0 to 1, got 2.0"),
    (N.cosine_annealing_lr, (0, 0.1, 0), {}, ValueError, "T_max must be positive, got 0"),
    (N.cosine_annealing_lr, (0, math.nan, 5), {}, ValueError, "lr must be at least 0, got nan"),
    (N.warmup_cosine_lr, (0, 0.1, 9, 8), {}, ValueError, "at most total_steps, 8, got 9"),
    (N.warmup_cosine_lr, (0, 0.1, -1, 8), {}, ValueError, "warmup_steps must be at least 0"),
    (
        N.warmup_cosine_lr,
        (8, 0.1, 2, 8),
        {},
        ValueError,
        "step must be below total_steps, 8, got 8",
    ),
    (N.one_cycle_lr, (10, 0.1, 10), {}, ValueError, "below total_steps, 10, got 10"),
    (N.one_cycle_lr, (0, 0.1, 0), {}, ValueError, "total_steps must be at least 1, got 0"),
    (N.one_cycle_lr, (0, 0.1, 9, 1.2), {}, ValueError, "pct_start must be from 0 to 1, got 1.2"),
    (N.one_cycle_lr, (0, 0.1, 9, 0.3, 0.0), {}, ValueError, "div_factor must be positive, got 0.0"),
]


@pytest.mark.nocheck
@pytest.mark.parametrize(("function", "arguments", "more", "error", "message"), WRONG)
def test_what_does_not_fit_is_refused(function, arguments, more, error, message):
    with pytest.raises(error, match=message):
        function(*arguments, **more)


@pytest.mark.nocheck
def test_torch_refuses_one_value_per_channel_in_the_same_words():
    for norm in (N.BatchNorm1d(3), nn.BatchNorm1d(3)):
        with pytest.raises(
            ValueError, match="Expected more than 1 value per channel when training"
        ):
            norm(torch.ones(1, 3))


@pytest.mark.nocheck
def test_a_refused_batch_leaves_the_statistics_as_they_were():
    module = N.BatchNorm1d(3)
    with pytest.raises(ValueError, match="more than 1 value"):
        module(torch.ones(1, 3))
    torch.testing.assert_close(module.running_mean, zeros)
    torch.testing.assert_close(module.running_var, ones)
