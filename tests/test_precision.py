import copy
import itertools
import math
import pickle
import struct
import warnings

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from companion import precision
from companion.precision import all_finite, float_parts, float_value, gradients, watch

FORMATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


# --- bits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_every_pattern_of_16_bits_stands_for_torchs_number(dtype):
    k = 5 if dtype == torch.float16 else 8
    patterns = torch.arange(-(2**15), 2**15, 7, dtype=torch.int16)
    for pattern, number in zip(patterns.tolist(), patterns.view(dtype).tolist(), strict=True):
        bits = f"{pattern % 2**16:016b}"
        value = float_value(bits[0], bits[1 : 1 + k], bits[1 + k :])
        assert value == number or (math.isnan(value) and math.isnan(number))
        if not math.isnan(number):
            assert float_parts(number, dtype) == (bits[0], bits[1 : 1 + k], bits[1 + k :])


@settings(deadline=None)
@given(st.floats(allow_nan=False), st.sampled_from(FORMATS))
def test_taking_apart_and_putting_together_rounds_to_the_format(x, dtype):
    assert float_value(*float_parts(x, dtype)) == torch.tensor(x, dtype=dtype).item()


@given(st.floats(width=32))
@settings(deadline=None)
def test_the_bits_of_float32_are_those_of_the_standard_library(x):
    expected = f"{struct.unpack('>I', struct.pack('>f', x))[0]:032b}"
    if not math.isnan(x):
        assert "".join(float_parts(x)) == expected


@pytest.mark.parametrize(
    ("dtype", "lengths"),
    list(zip(FORMATS, [(5, 10), (8, 7), (8, 23), (11, 52)], strict=True)),
)
def test_lengths_special_values_and_the_smallest(dtype, lengths):
    sign, exponent, fraction = float_parts(1, dtype)
    assert (sign, len(exponent), len(fraction)) == ("0", *lengths)
    zeros = "0" * lengths[1]
    assert float_parts(math.inf, dtype) == ("0", "1" * lengths[0], zeros)
    assert float_parts(-0.0, dtype) == ("1", "0" * lengths[0], zeros)
    assert math.isnan(float_value(*float_parts(math.nan, dtype)))
    info = torch.finfo(dtype)
    smallest = float_value("0", "0" * lengths[0], zeros[:-1] + "1")
    assert smallest == info.smallest_normal * info.eps
    assert float_value("0", "0" * (lengths[0] - 1) + "1", zeros) == info.smallest_normal
    assert float_value("0", "1" * (lengths[0] - 1) + "0", "1" * lengths[1]) == info.max


# --- finite or not ------------------------------------------------------------------------------


def test_all_finite():
    assert all_finite([])
    assert all_finite([torch.zeros(0), torch.tensor(3), torch.tensor([1e38])])
    for bad in (math.nan, math.inf, -math.inf):
        assert not all_finite([torch.ones(2), torch.tensor([[1.0], [bad]])])
    assert not all_finite(iter([torch.tensor(70000.0).half()]))


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def network(function):
    inner = nn.Sequential(nn.Linear(4, 4), Apply(function))
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), inner, nn.Linear(4, 2))


def bad_forward(x):
    return torch.where(torch.arange(4) == 2, x / 0, x)


@pytest.mark.parametrize("grad", [True, False])
def test_watch_names_the_innermost_module_whose_output_is_bad(grad):
    model = network(bad_forward)
    expected = r"the output of 2\.1 \(Apply\) is not finite \(5 of 20 values\)"
    with (
        torch.set_grad_enabled(grad),
        pytest.raises(FloatingPointError, match=expected),
        watch(model),
    ):
        model(torch.ones(5, 3))


class BadBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return g * math.inf


def test_watch_names_both_sides_of_a_bad_derivative():
    model = network(BadBackward.apply)
    with pytest.raises(FloatingPointError) as caught, watch(model):
        model(torch.ones(5, 3)).sum().backward()
    text = str(caught.value)
    assert "the gradient at the output of 2.0 (Linear) is not finite" in text
    assert "last finite: the output of 2.1 (Apply)" in text


def test_watch_looks_at_inputs_given_by_name():
    model = nn.Linear(3, 1)
    expected = "the input of the model"
    with pytest.raises(FloatingPointError, match=expected), watch(model):
        model(input=torch.full((1, 3), math.nan))


def test_watch_sees_a_bad_gradient_that_comes_from_the_loss():
    model = network(torch.tanh)
    expected = r"gradient at the output of 3 \(Linear\).*last finite: nowhere"
    with pytest.raises(FloatingPointError, match=expected), watch(model):
        (model(torch.ones(5, 3)) * 0).pow(0.5).sum().backward()


def test_watch_sees_a_parameters_gradient_that_overflows():
    model = nn.Linear(1, 1)
    with (
        pytest.raises(
            FloatingPointError,
            match=r"the gradient of weight .* the output of the model \(Linear\)",
        ),
        watch(model),
    ):
        (model(torch.full((2, 1), 1e30)) * 1e10).sum().backward()


def test_watch_looks_at_inputs_and_parameters_first():
    model = network(torch.tanh)
    with pytest.raises(FloatingPointError, match="the input of the model"), watch(model):
        model(torch.full((1, 3), math.nan))
    with torch.no_grad():
        model[2][0].bias[1] = math.inf
    with pytest.raises(FloatingPointError, match=r"the parameter 2\.0\.bias .*\(1 of 4"):
        watch(model).__enter__()


def test_watch_goes_into_tuples_and_leaves_nothing_behind():
    model = nn.LSTM(2, 3, num_layers=2)
    x = torch.randn(5, 1, 2)
    model(x)[0].sum().backward()
    expected = model.weight_hh_l0.grad.clone()
    model.zero_grad()
    with watch(model):
        output, _ = model(x)
        output.sum().backward()
    torch.testing.assert_close(model.weight_hh_l0.grad, expected)
    assert not model._forward_hooks
    assert not model._forward_pre_hooks
    output, _ = model(torch.full((5, 1, 2), math.nan))  # nobody looks any more
    output.sum().backward()
    assert model.weight_hh_l0.grad.isnan().any()


def test_watch_leaves_no_hook_behind_on_tensors():
    model = nn.Linear(2, 2)
    with watch(model):
        output = model(torch.ones(1, 2))
    (output * math.inf).sum().backward()
    assert not all_finite([model.weight.grad])


# --- clipping -----------------------------------------------------------------------------------


def parameters(dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = (3, 2), (), (4,), (1,)
    params = [torch.randn(s, generator=generator).to(dtype).requires_grad_() for s in shapes]
    for p in params[:-1]:  # the last has no gradient
        p.grad = (10 * torch.randn(p.shape, generator=generator)).to(dtype)
    return params


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("norm_type", [1, 2, 3.5, math.inf, 0])
@pytest.mark.parametrize("max_norm", [0, 1e-3, 1.0, 25, 1e6, math.inf])
def test_clipping_by_norm_equals_torch(dtype, norm_type, max_norm):
    ours, torchs = parameters(dtype), parameters(dtype)
    norm = precision.clip_grad_norm_(ours, max_norm, norm_type)
    expected = nn.utils.clip_grad_norm_(torchs, max_norm, norm_type)
    torch.testing.assert_close(norm, expected)
    for p, q in zip(ours, torchs, strict=True):
        torch.testing.assert_close(p.grad, q.grad, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("clip_value", [0, 0.5, 6e4, math.inf])
def test_clipping_by_value_equals_torch(dtype, clip_value):
    ours, torchs = parameters(dtype), parameters(dtype)
    for params in (ours, torchs):
        params[0].grad[0, 0], params[2].grad[1] = math.inf, math.nan
    assert precision.clip_grad_value_(ours, clip_value) is None
    nn.utils.clip_grad_value_(torchs, clip_value)
    for p, q in zip(ours, torchs, strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_clipping_a_gradient_that_is_not_finite_equals_torch(bad):
    ours, torchs = parameters(), parameters()
    for params in (ours, torchs):
        params[0].grad[2, 1] = bad
    norm = precision.clip_grad_norm_(ours, 1.0)
    torch.testing.assert_close(norm, nn.utils.clip_grad_norm_(torchs, 1.0), equal_nan=True)
    for p, q in zip(ours[:-1], torchs[:-1], strict=True):
        torch.testing.assert_close(p.grad, q.grad, equal_nan=True)
    with pytest.raises(RuntimeError):
        nn.utils.clip_grad_norm_(torchs, 1.0, error_if_nonfinite=True)
    with pytest.raises(RuntimeError, match=r"the norm of the gradients is"):
        precision.clip_grad_norm_(ours, 1.0, error_if_nonfinite=True)


def test_clipping_takes_what_torch_takes():
    params = parameters()
    single = params[0]
    expected = single.grad.norm()
    assert precision.clip_grad_norm_(single, max_norm=1.0, norm_type=2) == expected
    assert single.grad.norm() <= 1
    precision.clip_grad_value_(parameters=(p for p in params), clip_value=0.1)
    assert max(p.grad.abs().max() for p in params[:-1]) <= 0.1
    assert precision.clip_grad_norm_([], 1.0) == 0
    assert precision.clip_grad_norm_(params[-1:], 1.0) == 0  # no gradient at all


def test_clipping_keeps_the_direction_by_norm_and_not_by_value():
    w = torch.zeros(2, requires_grad=True)
    w.grad = torch.tensor([8.0, 1.0])
    precision.clip_grad_norm_(w, 2.0)
    torch.testing.assert_close(w.grad / w.grad[1], torch.tensor([8.0, 1.0]))
    w.grad = torch.tensor([8.0, 1.0])
    precision.clip_grad_value_(w, 2.0)
    torch.testing.assert_close(w.grad, torch.tensor([2.0, 1.0]))


# --- the loss scaler ----------------------------------------------------------------------------

SETTINGS = [
    (300, {}),
    (150, dict(init_scale=3.0, growth_factor=1.7, backoff_factor=0.3, growth_interval=3)),
    (80, dict(init_scale=2.0**120, growth_factor=16.0, backoff_factor=0.9, growth_interval=1)),
    (80, dict(init_scale=2.0**-140, backoff_factor=0.5, growth_interval=4)),
]


def play(scaler, seed, steps, begin=0, count=2, dtype=torch.float64, bad=0.15):
    """Train with gradients that are random and sometimes not finite; return all that can be seen.

    In some steps an optimizer's gradients are unscaled early and clipped, in some it has no turn.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(3, generator=generator, dtype=dtype) for _ in range(count)]
    optimizers = [torch.optim.SGD([w.requires_grad_()], lr=0.1, momentum=0.9) for w in weights]
    seen = []
    for t in range(steps):
        for w in weights:
            target = torch.randn(3, generator=generator, dtype=dtype)
            factor = 1.0
            if torch.rand((), generator=generator) < bad:
                kind = int(torch.randint(3, (), generator=generator))
                factor = (math.inf, -math.inf, math.nan)[kind]
            w.grad = None
            scaler.scale(((w - target) * factor).square().sum().float()).backward()
        chances = torch.rand(2, generator=generator)
        for i, (w, optimizer) in enumerate(zip(weights, optimizers, strict=True)):
            if i == 1 and chances[0] < 0.2:
                continue  # no turn
            if chances[1] < 0.5:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(w, 1.0)
            result = scaler.step(optimizer, *([lambda: 7.0] if chances[1] > 0.9 else []))
            if t >= begin:
                seen.append((w.detach().clone(), w.grad.clone(), torch.tensor(result or 0.0)))
        scaler.update()
        if t >= begin:
            seen.append((scaler.get_scale(), *scaler.state_dict().values()))
    return seen


def assert_same(ours, torchs):
    assert len(ours) == len(torchs)
    for mine, theirs in zip(ours, torchs, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            if isinstance(a, torch.Tensor):
                torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)
            else:
                assert a == b


@pytest.mark.parametrize(("steps", "setting"), SETTINGS)
@pytest.mark.parametrize("seed", range(2))
def test_every_step_is_torchs_to_the_last_bit(seed, steps, setting):
    ours = play(precision.GradScaler("cpu", **setting), seed, steps)
    assert_same(ours, play(torch.amp.GradScaler("cpu", **setting), seed, steps))
    scales = [entry[0] for entry in ours if len(entry) == 6]
    assert min(scales) < scales[0]  # some steps were left out


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bad", [0.0, 0.5])
def test_other_formats_of_weights_and_other_shares_of_bad_gradients(dtype, bad):
    setting = {"init_scale": 100.0, "growth_interval": 5}
    runs = [
        play(module.GradScaler("cpu", **setting), 9, 80, dtype=dtype, bad=bad)
        for module in (precision, torch.amp)
    ]
    assert_same(*runs)


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.sampled_from([1.0, -3e4, 1e-30, 0.0, math.inf, math.nan]), min_size=1, max_size=40),
    st.floats(1e-3, 1e6),
    st.floats(1.01, 5),
    st.floats(0.01, 0.99),
    st.integers(1, 6),
)
def test_any_sequence_of_gradients(values, scale, growth, backoff, interval):
    runs = []
    for module in (precision, torch.amp):
        scaler = module.GradScaler("cpu", scale, growth, backoff, interval)
        w = torch.ones(1, requires_grad=True)
        optimizer = torch.optim.SGD([w], lr=0.01)
        seen = []
        for value in values:
            w.grad = None
            scaler.scale((w * value).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
            seen.append((w.detach().clone(), w.grad.clone(), scaler.get_scale()))
        runs.append(seen)
    assert_same(*runs)


def test_a_training_in_float16_is_torchs_to_the_last_bit():
    runs = []
    for module in (precision, torch.amp):
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        scaler = module.GradScaler("cpu", init_scale=2.0**26, growth_interval=7)
        x, t = torch.randn(32, 8), torch.randint(4, (32,))
        seen = []
        for _ in range(40):
            with torch.autocast("cpu", dtype=torch.float16):
                loss = F.cross_entropy(model(x).float(), t)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            seen.append((*(p.detach().clone() for p in model.parameters()), scaler.get_scale()))
        runs.append(seen)
    assert_same(*runs)
    scales = [entry[-1] for entry in runs[0]]
    assert min(scales) < 2.0**26  # it had to shrink
    assert any(b > a for a, b in itertools.pairwise(scales))  # and it grew


@pytest.mark.parametrize("first", [precision, torch.amp])
def test_the_state_passes_between_ours_and_torchs(first):
    second = torch.amp if first is precision else precision
    setting = {"init_scale": 5.0, "growth_factor": 3.0, "growth_interval": 7}
    halfway = first.GradScaler("cpu", **setting)
    play(halfway, 3, 20)
    resumed = second.GradScaler("cpu")
    resumed.load_state_dict(halfway.state_dict())
    assert resumed.state_dict() == halfway.state_dict()
    assert halfway.get_scale() != setting["init_scale"]

    def scales(scaler, begin):
        w = torch.ones(1, requires_grad=True)
        optimizer = torch.optim.SGD([w], lr=0.0)
        path = []
        for t in range(begin, begin + 40):
            w.grad = None
            scaler.scale((w * (math.inf if t % 11 == 0 else 1.0)).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
            path.append(scaler.get_scale())
        return path

    assert scales(resumed, 20) == scales(copy.deepcopy(halfway), 20)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_a_gpu_steps_and_clipping_are_torchs():
    runs = []
    for module, clipping in ((precision, precision), (torch.amp, nn.utils)):
        torch.manual_seed(0)
        model = nn.Linear(8, 4).cuda()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scaler = module.GradScaler("cuda", init_scale=2.0**40, growth_interval=5)
        seen = []
        for _ in range(60):
            with torch.autocast("cuda", torch.float16):
                loss = model(torch.randn(16, 8, device="cuda")).square().mean()
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            norm = clipping.clip_grad_norm_(model.parameters(), 0.5)
            clipping.clip_grad_value_(model.parameters(), 0.3)
            scaler.step(optimizer)
            scaler.update()
            seen.append((norm, model.weight.detach().clone(), scaler.get_scale()))
        runs.append(seen)
    for (norm, weight, scale), (norm_2, weight_2, scale_2) in zip(*runs, strict=True):
        torch.testing.assert_close((norm, weight), (norm_2, weight_2), equal_nan=True)
        assert scale == scale_2
    assert runs[0][-1][2] < 2.0**40


def test_names_order_and_defaults_are_torchs():
    for values in ((), (8.0, 4.0, 0.25, 10)):
        ours = precision.GradScaler("cpu", *values)
        assert ours.state_dict() == torch.amp.GradScaler("cpu", *values).state_dict()
    assert precision.GradScaler(device="cpu", enabled=True).is_enabled()


@pytest.mark.parametrize("module", [precision, torch.amp])
def test_switched_off_it_only_steps(module):
    scaler = module.GradScaler("cpu", enabled=False)
    w = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.5)
    loss = (w * math.inf).sum()
    assert scaler.scale(loss) is loss
    w.grad = torch.ones(1)
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert w.item() == 0.5
    assert scaler.get_scale() == 1.0
    assert scaler.state_dict() == {}
    assert not scaler.is_enabled()
    scaler.load_state_dict({})


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize("module", [precision, torch.amp])
def test_without_cuda_the_default_warns_and_switches_itself_off(module):
    with pytest.warns(UserWarning, match="CUDA is not available"):
        assert not module.GradScaler().is_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module.GradScaler("cuda", enabled=False)


@pytest.mark.parametrize("module", [precision, torch.amp])
def test_scale_takes_lists_and_keeps_types(module):
    scaler = module.GradScaler("cpu", init_scale=4.0)
    one, half = torch.tensor(1.5, requires_grad=True), torch.ones(2).half()
    scaled = scaler.scale([one, (half, half)])
    assert isinstance(scaled, list)
    assert isinstance(scaled[1], tuple)
    assert scaled[0].item() == 6.0
    assert scaled[0].requires_grad
    assert scaled[1][1].dtype == torch.float16
    assert scaler.scale(torch.tensor(1.0).half()).dtype == torch.float32  # as torch's


@pytest.mark.parametrize("module", [precision, torch.amp])
def test_a_scale_set_by_hand(module):
    scaler = module.GradScaler("cpu")
    w = torch.ones(1, requires_grad=True)
    scaler.scale(w.sum()).backward()
    scaler.step(torch.optim.SGD([w], lr=0.1))
    scaler.update(32.0)
    assert scaler.state_dict()["scale"] == 32.0
    assert scaler.state_dict()["_growth_tracker"] == 0


def test_a_scaler_can_be_pickled():
    scaler = precision.GradScaler("cpu", init_scale=8.0, growth_interval=3)
    assert pickle.loads(pickle.dumps(scaler)).state_dict() == scaler.state_dict()


def test_gradients_lists_what_is_there():
    params = parameters()
    optimizer = torch.optim.SGD([{"params": params[:2]}, {"params": params[2:]}], lr=0.1)
    found = gradients(optimizer)
    assert len(found) == 3
    assert all(g is p.grad for g, p in zip(found, params[:-1], strict=True))


# --- misuse -------------------------------------------------------------------------------------


def used(scaler, *calls):
    """Scale a loss, go backward, and make the calls one after the other."""
    w = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1)
    scaler.scale(w.sum()).backward()
    for call in calls:
        getattr(scaler, call)(*([] if call == "update" else [optimizer]))


@pytest.mark.parametrize("module", [precision, torch.amp])
@pytest.mark.parametrize(
    "calls",
    [
        ("unscale_", "unscale_"),
        ("step", "step"),
        ("step", "unscale_"),
        ("unscale_", "step", "step"),
    ],
)
def test_calling_twice_is_refused_as_torch_does(module, calls):
    with pytest.raises(RuntimeError):
        used(module.GradScaler("cpu"), *calls)


@pytest.mark.parametrize("module", [precision, torch.amp])
def test_after_an_update_all_may_be_called_again(module):
    used(module.GradScaler("cpu"), "unscale_", "step", "update", "unscale_", "step", "update")


@pytest.mark.parametrize("module", [precision, torch.amp])
def test_float16_gradients_and_closures_by_name_are_refused_as_torch_does(module):
    w = torch.ones(2, dtype=torch.float16, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1)
    scaler = module.GradScaler("cpu", init_scale=1.0)
    scaler.scale(w.sum()).backward()
    with pytest.raises(ValueError, match=r"FP16|float16"):
        scaler.step(optimizer)
    with pytest.raises(RuntimeError, match=r"[Cc]losure"):
        scaler.step(optimizer, closure=lambda: 0.0)


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: float_parts("1"), TypeError, "expected a number as x, got str"),
        (lambda: float_parts(1.0, torch.int32), ValueError, "float64 as dtype, got torch.int32"),
        (lambda: float_value(0, "01", "1"), TypeError, "expected a string as sign, got 0"),
        (lambda: float_value("0", "2", "1"), ValueError, "zeros and ones as exponent, got '2'"),
        (lambda: float_value("0", "01", ""), ValueError, "zeros and ones as fraction, got ''"),
        (lambda: float_value("00", "01", "1"), ValueError, "one bit as sign, got '00'"),
        (lambda: watch(3).__enter__(), TypeError, "expected a module as model, got int"),
        (lambda: precision.clip_grad_norm_([1.0], 1.0), TypeError, "expected tensors, got float"),
        (
            lambda: precision.clip_grad_norm_([], -1.0),
            ValueError,
            "clip_grad_norm_ expected max_norm to be at least 0, got -1.0",
        ),
        (
            lambda: precision.clip_grad_value_([], clip_value=math.nan),
            ValueError,
            "clip_grad_value_ expected clip_value to be at least 0, got nan",
        ),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"init_scale": -1.0}, "a scale to be finite in float32 and not negative, got -1.0"),
        ({"init_scale": math.inf}, "a scale to be finite in float32 and not negative, got inf"),
        ({"growth_factor": 1.0}, "growth_factor to be above 1, got 1.0"),
        ({"backoff_factor": 1.0}, "backoff_factor to be between 0 and 1, got 1.0"),
        ({"growth_interval": 0}, "growth_interval to be at least 1, got 0"),
    ],
)
def test_bad_settings_of_the_scaler_are_named(setting, message):
    with pytest.raises(ValueError, match=f"GradScaler expected {message}"):
        precision.GradScaler("cpu", **setting)


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s, o: s.scale(3.0), TypeError, "scale expected tensors, got float"),
        (lambda s, o: s.step(o), RuntimeError, "step expected scale.loss..backward.. before it"),
        (lambda s, o: s.unscale_(o), RuntimeError, "unscale_ expected scale.loss..backward.."),
        (lambda s, o: s.update(), RuntimeError, "update expected step.optimizer. before it"),
        (lambda s, o: s.update(math.nan), ValueError, "update expected a scale, finite"),
        (lambda s, o: (s.scale(torch.ones(1)), s.step(o)), RuntimeError, "expected gradients"),
        (lambda s, o: s.load_state_dict({}), RuntimeError, "expected a state, got an empty one"),
        (lambda s, o: s.load_state_dict({"scale": 1.0}), ValueError, "expected growth_factor, "),
    ],
)
def test_misuse_of_the_scaler_is_explained(call, error, message):
    w = torch.ones(1, requires_grad=True)
    with pytest.raises(error, match=message):
        call(precision.GradScaler("cpu"), torch.optim.SGD([w], lr=0.1))
