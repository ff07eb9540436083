import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from companion import convolution as C

many = settings(deadline=None, max_examples=200)
some = settings(deadline=None, max_examples=60)
CLOSE = {"atol": 1e-10, "rtol": 1e-9}


def draws(seed, *shapes):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def values_and_gradients(function, *tensors):
    """The result, and the gradients of a sum of its elements, each with a weight of its own."""
    tensors = [t.detach().clone().requires_grad_() for t in tensors]
    y = function(*tensors)
    weight = torch.arange(1.0, y.numel() + 1, dtype=y.dtype).reshape(y.shape).cos()
    return [y.detach(), *torch.autograd.grad(y, tensors, weight)]


def assert_same(ours, torchs, *tensors, **tolerance):
    for mine, theirs in zip(
        values_and_gradients(ours, *tensors), values_and_gradients(torchs, *tensors), strict=True
    ):
        torch.testing.assert_close(mine, theirs, **(tolerance or CLOSE))


def both(value):
    """C.pair without its type checks, which draw at random, as a strategy must not."""
    return value if isinstance(value, tuple) else (value, value)


def whole(low, high):
    """A number, or a pair of two that may differ."""
    number = st.integers(low, high)
    return st.one_of(number, st.tuples(number, number))


@st.composite
def convolutions(draw):
    groups = draw(st.integers(1, 3))
    inputs, outputs = (groups * draw(st.integers(1, 2)) for _ in range(2))
    kernel = both(draw(whole(1, 4)))
    options = {
        "stride": draw(whole(1, 3)),
        "padding": draw(whole(0, 3)),
        "dilation": draw(whole(1, 3)),
        "groups": groups,
    }
    padding, dilation = both(options["padding"]), both(options["dilation"])
    size = []
    for k, p, d in zip(kernel, padding, dilation, strict=True):
        least = max(1, d * (k - 1) + 1 - 2 * p)
        size.append(draw(st.integers(least, least + 6)))
    batch = draw(st.sampled_from([(), (1,), (2,), (3,)]))
    shapes = [(*batch, inputs, *size), (outputs, inputs // groups, *kernel)]
    if draw(st.booleans()):
        shapes.append((outputs,))
    return draw(st.integers(0, 99)), shapes, options


@many
@given(convolutions())
def test_conv2d_and_its_gradients_equal_torch(case):
    seed, shapes, options = case
    assert_same(
        lambda *t: C.conv2d(*t, **options),
        lambda *t: F.conv2d(*t, **options),
        *draws(seed, *shapes),
    )


@some
@given(
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    dilation=whole(1, 3),
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    groups=st.integers(1, 2),
)
def test_same_keeps_the_size_and_equals_torch(kernel, dilation, size, groups):
    x, w = draws(0, (2, 2, *size), (4, 2 // groups, *kernel))
    options = {"padding": "same", "dilation": dilation, "groups": groups}
    assert C.conv2d(x, w, **options).shape == (2, 4, *size)
    # torch warns of even kernels, which want one more zero at one end: so pad by hand
    (kh, kw), (dh, dw) = kernel, both(dilation)
    (above, below), (left, right) = (
        (d * (k - 1) // 2, d * (k - 1) - d * (k - 1) // 2) for k, d in ((kh, dh), (kw, dw))
    )

    def padded(x, w):
        x = F.pad(x, (left, right, above, below))
        return F.conv2d(x, w, dilation=dilation, groups=groups)

    assert_same(lambda x, w: C.conv2d(x, w, **options), padded, x, w)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (3, 4), (4, 5), (5, 2)])
@pytest.mark.parametrize("dilation", [1, 2, (2, 3)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_padding_in_words_equals_torchs_words(kernel, dilation, padding):
    x, w = draws(1, (2, 3, 14, 15), (2, 3, *kernel))
    options = {"padding": padding, "dilation": dilation}
    assert_same(
        lambda x, w: C.conv2d(x, w, **options), lambda x, w: F.conv2d(x, w, **options), x, w
    )


@st.composite
def poolings(draw, average):
    kernel, stride = draw(whole(1, 4)), draw(st.one_of(st.none(), whole(1, 4)))
    dilation = 1 if average else draw(whole(1, 3))
    reaches = [d * (k - 1) + 1 for k, d in zip(both(kernel), both(dilation), strict=True)]
    padding = tuple(draw(st.integers(0, k // 2)) for k in both(kernel))
    options = {"stride": stride, "padding": padding, "ceil_mode": draw(st.booleans())}
    if average:
        options["count_include_pad"] = draw(st.booleans())
        options["divisor_override"] = draw(st.sampled_from([None, None, 1, 3, -2]))
    else:
        options["dilation"] = dilation
    size = [
        draw(st.integers(max(1, r - 2 * p - 2 * options["ceil_mode"]), r + 7))
        for r, p in zip(reaches, padding, strict=True)
    ]
    batch = draw(st.sampled_from([(), (2,)]))
    shape = (*batch, 2, *size)
    try:
        (F.avg_pool2d if average else F.max_pool2d)(torch.zeros(shape), kernel, **options)
    except RuntimeError:  # not even a window that reaches over the end
        assume(False)
    return shape, draw(st.booleans()), kernel, options


def test_layers_may_come_from_a_generator():
    assert C.receptive_field((3, 1) for _ in range(3)) == 7
    assert C.receptive_field(zip([3, 3], [2, 1], strict=True)) == 7


@pytest.mark.nocheck
def test_whole_numbers_of_any_kind_are_sizes():
    x, three = torch.randn(1, 2, 9, 9), np.int64(3)
    assert C.pair(three) == (3, 3)
    torch.testing.assert_close(C.max_pool2d(x, three), C.max_pool2d(x, 3))


@many
@given(poolings(average=False))
def test_max_pool2d_and_its_gradient_equal_torch(case):
    shape, rounded, kernel, options = case
    (x,) = draws(9, shape)
    x = x.round() if rounded else x  # then many values come more than once
    # torch's gradient writes out of bounds where no tap of a window lies on the image
    assume(C.max_pool2d(x, kernel, **options).isfinite().all())
    assert_same(
        lambda x: C.max_pool2d(x, kernel, **options),
        lambda x: F.max_pool2d(x, kernel, **options),
        x,
    )


@many
@given(poolings(average=True))
def test_avg_pool2d_and_its_gradient_equal_torch(case):
    shape, rounded, kernel, options = case
    (x,) = draws(9, shape)
    x = x.round() if rounded else x  # then many values come more than once
    assert_same(
        lambda x: C.avg_pool2d(x, kernel, **options),
        lambda x: F.avg_pool2d(x, kernel, **options),
        x,
    )


@some
@given(
    size=st.integers(0, 12),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    padding=st.integers(0, 4),
    dilation=st.integers(1, 4),
)
def test_output_size_counts_the_places(size, kernel, stride, padding, dilation):
    line = [True] * (size + 2 * padding)
    places = [
        start
        for start in range(0, len(line), stride)
        if start + dilation * (kernel - 1) < len(line)
    ]
    assume(places)
    assert C.conv_output_size(size, kernel, stride, padding, dilation) == len(places)


@some
@given(
    size=st.integers(1, 12),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    share=st.floats(0, 0.5),
    dilation=st.integers(1, 3),
)
def test_output_size_in_ceil_mode_is_torchs(size, kernel, stride, share, dilation):
    padding = int(share * kernel)
    x = torch.zeros(1, 1, size)
    try:
        expected = F.max_pool1d(x, kernel, stride, padding, dilation, ceil_mode=True).shape[-1]
    except RuntimeError:
        assume(False)
    ours = C.conv_output_size(size, kernel, stride, padding, dilation, ceil_mode=True)
    assert ours == expected


@some
@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3)), min_size=0, max_size=4
    )
)
def test_receptive_field_is_where_the_gradient_is(layers):
    field = C.receptive_field(layers)
    x = torch.ones(1, 1, 1, field, dtype=torch.float64, requires_grad=True)
    y = x
    for kernel, stride, dilation in layers:
        weight = torch.ones(1, 1, 1, kernel, dtype=torch.float64)
        y = F.conv2d(y, weight, stride=stride, dilation=dilation)
    assert y.shape[-1] == 1  # there is room for just one
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert gradient[0, 0, 0, 0] > 0
    assert gradient[0, 0, 0, -1] > 0


def test_a_layer_without_dilation_has_a_dilation_of_one():
    assert C.receptive_field([(5, 2), (3, 1)]) == C.receptive_field([(5, 2, 1), (3, 1, 1)]) == 9
    assert C.receptive_field([]) == 1


signals = st.lists(st.floats(-9, 9), min_size=1, max_size=7)


@some
@given(signals, signals)
def test_convolve_equals_numpy_and_does_not_mind_the_order(f, g):
    f, g = (torch.tensor(v, dtype=torch.float64) for v in (f, g))
    expected = torch.from_numpy(np.convolve(f.numpy(), g.numpy()))
    torch.testing.assert_close(C.convolve(f, g), expected, **CLOSE)
    torch.testing.assert_close(C.convolve(g, f), expected, **CLOSE)


def test_convolve_equals_torchs_conv1d_with_a_turned_kernel():
    f, g = draws(2, (6,), (3,))

    def torchs(f, g):
        return F.conv1d(f[None, None], g.flip(0)[None, None], padding=len(g) - 1).flatten()

    assert_same(C.convolve, torchs, f, g)
    assert torch.autograd.gradcheck(C.convolve, [f.requires_grad_(), g.requires_grad_()])


@some
@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    more=st.tuples(st.integers(0, 4), st.integers(0, 4)),
)
def test_cross_correlate2d_and_its_gradients_equal_torch(kernel, more):
    size = [k + m for k, m in zip(kernel, more, strict=True)]
    x, k = draws(3, size, kernel)
    assert_same(
        C.cross_correlate2d, lambda x, k: F.conv2d(x[None, None], k[None, None])[0, 0], x, k
    )


@pytest.mark.parametrize("kernel", [2, (3, 1), (1, 4)])
@pytest.mark.parametrize("stride", [1, 2, (1, 3)])
@pytest.mark.parametrize("padding", [0, (1, 2)])
@pytest.mark.parametrize("dilation", [1, (2, 1)])
def test_windows_are_torchs_unfold(kernel, stride, padding, dilation):
    (x,) = draws(4, (2, 3, 7, 8))

    def flat(x):
        return C.windows(x, kernel, stride, padding, dilation).flatten(-2).flatten(1, 2)

    assert_same(
        flat,
        lambda x: F.unfold(x, kernel, dilation=dilation, padding=padding, stride=stride),
        x,
    )


def test_windows_are_padded_with_the_value():
    x = torch.ones(1, 2, 2)
    assert C.windows(x, 3, padding=1, value=7.0).eq(7).sum() == 4 * 5
    assert C.windows(x, 3, padding=1).eq(0).sum() == 4 * 5


FUNCTIONS = {
    "conv2d": (lambda x: C.conv2d(x, x.new_ones(2, 3, 2, 2)), (2, 3, 3)),
    "max_pool2d": (lambda x: C.max_pool2d(x, 2, 1), (3, 3, 3)),
    "avg_pool2d": (lambda x: C.avg_pool2d(x, 2, 1), (3, 3, 3)),
    "windows": (lambda x: C.windows(x, 2), (3, 4, 3, 3)),
}
each = pytest.mark.parametrize(("function", "shape"), FUNCTIONS.values(), ids=FUNCTIONS)


@each
@pytest.mark.parametrize("batch", [(), (1,), (5,), (2, 5), (0,), (2, 0, 1)])
def test_any_axes_may_stand_before_the_channels(function, shape, batch):
    x = torch.randn(*batch, 3, 4, 4)
    y = function(x)
    assert y.shape == (*batch, *shape)
    if x.numel():
        one = function(x.reshape(-1, 3, 4, 4)[-1])
        torch.testing.assert_close(y.reshape(-1, *shape)[-1], one)


@each
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_type_is_kept(function, shape, dtype):
    x = torch.randn(2, 3, 4, 4)
    y = function(x.to(dtype))
    assert y.dtype == dtype
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(y.double(), function(x.double()), atol=40 * eps, rtol=4 * eps)


@each
def test_device_is_kept(function, shape):
    y = function(torch.zeros(2, 3, 4, 4, device="meta"))
    assert y.device.type == "meta"
    assert y.shape == (2, *shape)


@each
def test_memory_may_lie_as_it_likes(function, shape):
    x = torch.randn(2, 3, 4, 4)
    expected = function(x)
    lies = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(function(lies), expected)
    turned = x.transpose(-1, -2).contiguous().transpose(-1, -2)
    torch.testing.assert_close(function(turned), expected)
    everyother = torch.stack([x, -x], -1)[..., 0]
    torch.testing.assert_close(function(everyother), expected)


@each
def test_what_comes_in_stays_as_it_is(function, shape):
    x = torch.randn(2, 3, 4, 4)
    before = x.clone()
    function(x).add_(1)
    assert x.equal(before)


def test_finite_differences_agree_twice():
    x, w, b = (t.requires_grad_() for t in draws(5, (1, 2, 4, 4), (2, 1, 2, 2), (2,)))

    def conv(x, w, b):
        return C.conv2d(x, w, b, stride=2, padding=1, groups=2)

    assert torch.autograd.gradcheck(conv, (x, w, b))
    assert torch.autograd.gradgradcheck(conv, (x, w, b))
    for pool in (C.max_pool2d, C.avg_pool2d):
        assert torch.autograd.gradcheck(lambda x, pool=pool: pool(x, 3, 2, 1), x)


def test_gradient_of_a_window_of_equals_goes_to_the_first():
    x = torch.zeros(1, 4, 4, requires_grad=True)
    C.max_pool2d(x, 2).sum().backward()
    assert x.grad[0].nonzero().tolist() == [[0, 0], [0, 2], [2, 0], [2, 2]]


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_infinity_and_nan_go_the_way_of_torch(bad):
    x = torch.randn(1, 2, 5, 5)
    x[0, 1, 2, 2] = bad
    for ours, torchs in (
        (C.max_pool2d(x, 2, 1, 1), F.max_pool2d(x, 2, 1, 1)),
        (C.avg_pool2d(x, 2, 1, 1), F.avg_pool2d(x, 2, 1, 1)),
    ):
        torch.testing.assert_close(ours, torchs, equal_nan=True)
    # a window of minus infinities
    low = torch.full((1, 4, 4), -math.inf)
    assert C.max_pool2d(low, 3, 1, 1).equal(low)


def test_arguments_stand_in_torchs_order():
    x, w, b = draws(6, (1, 4, 9, 9), (6, 2, 3, 2), (6,))
    torch.testing.assert_close(
        C.conv2d(x, w, b, 2, 1, (2, 1), 2), F.conv2d(x, w, b, 2, 1, (2, 1), 2)
    )
    arguments = (3, 2, 1, 2, True)
    torch.testing.assert_close(C.max_pool2d(x, *arguments), F.max_pool2d(x, *arguments))
    arguments = (3, 2, 1, True, False, 5)
    torch.testing.assert_close(C.avg_pool2d(x, *arguments), F.avg_pool2d(x, *arguments))
    torch.testing.assert_close(
        C.conv2d(input=x, weight=w, bias=b, groups=2),
        F.conv2d(input=x, weight=w, bias=b, groups=2),
    )


def test_average_pooling_is_a_convolution_of_each_channel():
    (x,) = draws(7, (2, 3, 6, 6))
    weight = torch.full((3, 1, 2, 2), 0.25, dtype=torch.float64)
    torch.testing.assert_close(C.avg_pool2d(x, 2), C.conv2d(x, weight, stride=2, groups=3))


def test_a_convolution_commutes_with_shifts():
    x, w = draws(8, (1, 1, 12, 12), (1, 1, 3, 3))
    for down, right in itertools.product((0, 2), (1, 3)):
        moved = C.conv2d(x.roll((down, right), (-2, -1)), w)
        expected = C.conv2d(x, w).roll((down, right), (-2, -1))
        torch.testing.assert_close(moved[..., down:, right:], expected[..., down:, right:])


def image(*shape):
    return torch.zeros(*shape)


CONV = [
    (((1, 3, 2, 5), (4, 3, 3, 3)), {}, "expected a size of at least 3 .* got 2 .size=2, padding=0"),
    (((1, 3, 5, 4), (4, 3, 3, 3)), {"dilation": 2}, r"at least 5 \(kernel_size=3, dilation=2\)"),
    (((1, 3, 5, 5), (4, 3, 8, 8)), {"padding": 1}, "at least 8 .* got 7"),
    (((1, 3, 5, 5), (4, 1, 3, 3)), {}, "weight must have 3 input channels, .* got 1"),
    (((1, 4, 5, 5), (4, 4, 3, 3)), {"groups": 2}, "weight must have 2 input channels, .* got 4"),
    (((1, 3, 5, 5), (4, 1, 3, 3)), {"groups": 2}, "channels of input .* by groups=2, got 3"),
    (((1, 4, 5, 5), (3, 2, 3, 3)), {"groups": 2}, "output channels of weight .* groups=2, got 3"),
    (((1, 3, 5, 5), (4, 3, 3, 3), (3,)), {}, r"bias must have the shape \(4,\), .* got \(3,\)"),
    (((1, 3, 5, 5), (4, 3, 3, 3), (4, 1)), {}, r"bias must have the shape \(4,\), .* got \(4, 1\)"),
    (((5, 5), (4, 3, 3, 3)), {}, r"input must have the axes .* got the shape \(5, 5\)"),
    (((1, 3, 5, 5), (3, 3, 3)), {}, r"weight must have the axes .* got the shape \(3, 3, 3\)"),
    (((1, 3, 5, 5), (4, 3, 0, 3)), {}, "none empty, got the shape"),
    (((1, 3, 5, 5), (0, 3, 3, 3)), {}, "none empty, got the shape"),
    (((1, 3, 5, 5), (4, 3, 3, 3)), {"stride": 0}, "stride must be at least 1, got 0"),
    (((1, 3, 5, 5), (4, 3, 3, 3)), {"stride": (1, 0)}, r"stride must be at least 1, got \(1, 0\)"),
    (((1, 3, 5, 5), (4, 3, 3, 3)), {"padding": -1}, "padding must be at least 0, got -1"),
    (((1, 3, 5, 5), (4, 3, 3, 3)), {"dilation": 0}, "dilation must be at least 1, got 0"),
    (((1, 3, 5, 5), (4, 3, 3, 3)), {"groups": 0}, "groups must be at least 1, got 0"),
    (((1, 3, 5, 5), (4, 3, 3, 3)), {"padding": "full"}, '"valid" or "same", got \'full\''),
    (((1, 3, 5, 5), (4, 3, 3, 3)), {"padding": "same", "stride": 2}, "stride of 1, got 2"),
]


@pytest.mark.nocheck
@pytest.mark.parametrize(("shapes", "options", "message"), CONV)
def test_a_convolution_that_does_not_fit_is_refused(shapes, options, message):
    with pytest.raises(ValueError, match=message):
        C.conv2d(*map(torch.zeros, shapes), **options)


POOL = [
    ((1, 3, 4, 4), (5,), {}, "at least 5 .* got 4"),
    ((1, 3, 4, 4), ((2, 6), 1, (0, 2)), {}, None),  # reaches over both ends: allowed
    ((1, 3, 4, 4), (2, 1, 2), {}, "padding must be at most half of kernel_size, 2, got 2"),
    ((1, 3, 4, 4), (3, 1, (1, 2)), {}, "padding must be at most half of kernel_size, 3, got 2"),
    ((1, 3, 4, 4), (0,), {}, "kernel_size must be at least 1, got 0"),
    ((1, 3, 4, 4), (2, 0), {}, "stride must be at least 1, got 0"),
    ((1, 3, 4, 4), (2, 1, -1), {}, "padding must be at least 0, got -1"),
    ((4, 4), (2,), {}, r"input must have the axes .* got the shape \(4, 4\)"),
    ((1, 3, 0, 4), (2,), {}, "at least 2 .* got 0"),
]


@pytest.mark.nocheck
@pytest.mark.parametrize("pool", [C.max_pool2d, C.avg_pool2d])
@pytest.mark.parametrize(("shape", "arguments", "options", "message"), POOL)
def test_a_pooling_that_does_not_fit_is_refused(pool, shape, arguments, options, message):
    if message is None:
        assert pool(torch.zeros(shape), *arguments, **options).numel()
        return
    with pytest.raises(ValueError, match=message):
        pool(torch.zeros(shape), *arguments, **options)


@pytest.mark.nocheck
def test_more_that_pooling_refuses():
    with pytest.raises(ValueError, match="dilation must be at least 1, got 0"):
        C.max_pool2d(torch.zeros(1, 4, 4), 2, dilation=0)
    with pytest.raises(ValueError, match="divisor_override must not be zero"):
        C.avg_pool2d(torch.zeros(1, 4, 4), 2, divisor_override=0)


TYPES = [
    (lambda: C.conv2d(image(1, 5, 5).int(), image(1, 1, 3, 3)), "as input, got torch.int32"),
    (lambda: C.conv2d([[1.0]], image(1, 1, 3, 3)), "as input, got list"),
    (lambda: C.conv2d(image(1, 5, 5), None), "as weight, got NoneType"),
    (lambda: C.conv2d(image(1, 5, 5), image(1, 1, 3, 3).double()), "torch.float32, got torch.flo"),
    (lambda: C.conv2d(image(1, 5, 5), image(1, 1, 3, 3), image(1).half()), "bias must have the t"),
    (lambda: C.conv2d(image(1, 5, 5), image(1, 1, 3, 3), stride=1.5), "stride .* got 1.5"),
    (lambda: C.conv2d(image(1, 5, 5), image(1, 1, 3, 3), stride=(1, 1, 1)), r"pair .* got \(1,"),
    (lambda: C.conv2d(image(1, 5, 5), image(1, 1, 3, 3), groups=1.0), "groups .* got 1.0"),
    (lambda: C.max_pool2d(image(1, 5, 5), 2.0), "kernel_size must be a whole number or a pair"),
    (lambda: C.max_pool2d(image(1, 5, 5), True), "kernel_size .* got True"),
    (lambda: C.avg_pool2d(image(1, 5, 5).long(), 2), "as input, got torch.int64"),
    (lambda: C.windows(image(1, 5, 5), "2"), "kernel_size .* got '2'"),
    (lambda: C.convolve(image(3), image(3).double()), "convolve expected one type for both"),
    (lambda: C.cross_correlate2d(image(3, 3), image(2, 2).double()), "expected one type for both"),
    (lambda: C.avg_pool2d(image(1, 5, 5), 2, divisor_override=2.5), "divisor_override .* got 2.5"),
    (lambda: C.pair(2.5), "pair of them, got 2.5"),
    (lambda: C.pair((1, 2, 3)), r"pair of them, got \(1, 2, 3\)"),
    (lambda: C.conv_output_size(5.0, 3), "size must be a whole number, got 5.0"),
    (lambda: C.receptive_field([(3.0, 1)]), "kernel_size must be a whole number, got 3.0"),
    (lambda: C.convolve([1.0], torch.ones(2)), "convolve expected .* as f, got list"),
    (lambda: C.convolve(torch.ones(2), torch.arange(2)), "as g, got torch.int64"),
    (lambda: C.cross_correlate2d(image(2, 2).int(), image(1, 1)), "as input, got torch.int32"),
]


@pytest.mark.nocheck
@pytest.mark.parametrize(("call", "message"), TYPES)
def test_a_wrong_type_is_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()


VALUES = [
    (lambda: C.conv_output_size(4, 5), r"at least 5 \(kernel_size=5, dilation=1\), got 4 \(size=4"),
    (lambda: C.conv_output_size(4, 3, dilation=3, padding=1), "at least 7 .* got 6"),
    (lambda: C.conv_output_size(1, 4, 2, ceil_mode=True), "at least 3 .* got 1"),
    (lambda: C.conv_output_size(-1, 1), "size must be at least 0, got -1"),
    (lambda: C.conv_output_size(4, 0), "kernel_size must be at least 1, got 0"),
    (lambda: C.conv_output_size(4, 2, 0), "stride must be at least 1, got 0"),
    (lambda: C.conv_output_size(4, 2, 1, -1), "padding must be at least 0, got -1"),
    (lambda: C.conv_output_size(4, 2, 1, 0, 0), "dilation must be at least 1, got 0"),
    (lambda: C.receptive_field([(3, 1), (3,)]), r"each layer must be .* got \(3,\)"),
    (lambda: C.receptive_field([3, 1]), "each layer must be .* got 3"),
    (lambda: C.receptive_field([(3, 0)]), "stride must be at least 1, got 0"),
    (lambda: C.receptive_field([(3, 1, 0)]), "dilation must be at least 1, got 0"),
    (lambda: C.convolve(torch.ones(0), torch.ones(2)), r"f must have 1 .* got the shape \(0,\)"),
    (lambda: C.convolve(torch.ones(2), image(1, 2)), r"g must have 1 .* got the shape \(1, 2\)"),
    (lambda: C.cross_correlate2d(image(2, 3), image(3, 3)), r"as large as input, \(2, 3\), got"),
    (lambda: C.cross_correlate2d(image(3), image(1, 1)), r"input must have 2 .* shape \(3,\)"),
    (lambda: C.cross_correlate2d(image(3, 3), image(0, 1)), "kernel must have 2 .* at least one"),
]


@pytest.mark.nocheck
@pytest.mark.parametrize(("call", "message"), VALUES)
def test_a_wrong_value_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
