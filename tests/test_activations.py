import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from companion import activations as A

# Ours, torch's, and ours for the derivative.
CURVES = {
    "sigmoid": (A.sigmoid, torch.sigmoid, A.sigmoid_derivative),
    "tanh": (A.tanh, torch.tanh, A.tanh_derivative),
    "relu": (A.relu, F.relu, A.relu_derivative),
    "leaky_relu": (A.leaky_relu, F.leaky_relu, A.leaky_relu_derivative),
    "leaky_relu, 0.3": (
        lambda x: A.leaky_relu(x, 0.3),
        lambda x: F.leaky_relu(x, 0.3),
        lambda x: A.leaky_relu_derivative(x, 0.3),
    ),
    "gelu": (A.gelu, F.gelu, A.gelu_derivative),
    "gelu, tanh": (
        lambda x: A.gelu(x, approximate="tanh"),
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: A.gelu_derivative(x, approximate="tanh"),
    ),
}
SOFT = {"softmax": (A.softmax, F.softmax), "log_softmax": (A.log_softmax, F.log_softmax)}
EVERY = [
    A.step,
    A.step_derivative,
    *(getattr(A, f"{name}{end}") for name in ("sigmoid", "tanh") for end in ("", "_derivative")),
    *(getattr(A, f"{name}{end}") for name in ("relu", "gelu") for end in ("", "_derivative")),
    A.leaky_relu,
    A.leaky_relu_derivative,
]
MATRICES = [A.softmax, A.log_softmax, A.softmax_jacobian, A.log_softmax_jacobian]
EDGES = [-1000.0, -40.0, -3.0, -1e-8, -0.0, 0.0, 1e-8, 3.0, 40.0, 1000.0]

curves = pytest.mark.parametrize(("ours", "torchs", "derivative"), CURVES.values(), ids=CURVES)
soft = pytest.mark.parametrize(("ours", "torchs"), SOFT.values(), ids=SOFT)


def value_and_gradient(function, x, weight=None):
    x = x.detach().requires_grad_()
    y = function(x)
    (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y) if weight is None else weight)
    return y.detach(), gradient


def assert_same(ours, torchs, x, weight=None, **tolerance):
    for mine, theirs in zip(
        value_and_gradient(ours, x, weight), value_and_gradient(torchs, x, weight), strict=True
    ):
        torch.testing.assert_close(mine, theirs, **tolerance)


@curves
def test_value_and_gradient_equal_torch_at_edges_and_kinks(ours, torchs, derivative):
    assert_same(ours, torchs, torch.tensor(EDGES, dtype=torch.float64), atol=1e-15, rtol=1e-12)


@curves
@settings(deadline=None, max_examples=30)
@given(x=st.lists(st.floats(-60, 60), min_size=1, max_size=6))
def test_value_and_gradient_equal_torch_anywhere(ours, torchs, derivative, x):
    assert_same(ours, torchs, torch.tensor(x, dtype=torch.float64), atol=1e-14, rtol=1e-12)


@curves
def test_derivative_equals_autograd_also_at_the_kink(ours, torchs, derivative):
    x = torch.cat([torch.tensor(EDGES), torch.linspace(-6, 6, 101)]).double()
    torch.testing.assert_close(
        derivative(x), value_and_gradient(torchs, x)[1], atol=1e-14, rtol=1e-12
    )


@curves
def test_finite_differences_agree_with_first_and_second_derivative(ours, torchs, derivative):
    x = torch.tensor([-2.0, -0.3, 0.4, 3.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ours, x)
    assert torch.autograd.gradgradcheck(ours, x)


@curves
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_type_is_kept(ours, torchs, derivative, dtype):
    x = torch.tensor([[-2.0, 0.0], [0.5, 3.0]], dtype=dtype)
    assert ours(x).dtype == derivative(x).dtype == dtype
    # Near 1 half precision is coarse: one unit in its last place, and a little.
    tolerance = {"atol": 1.5 * torch.finfo(dtype).eps, "rtol": 1.5 * torch.finfo(dtype).eps}
    torch.testing.assert_close(ours(x), torchs(x), **tolerance)


@curves
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (2, 1, 3)])
def test_shape_is_kept(ours, torchs, derivative, shape):
    x = torch.randn(shape)
    assert ours(x).shape == derivative(x).shape == shape
    torch.testing.assert_close(ours(x), torchs(x))


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "leaky_relu"])
def test_infinity_and_nan_go_the_way_of_torch(name):
    ours, torchs, _ = CURVES[name]
    x = torch.tensor([-math.inf, math.inf, math.nan], dtype=torch.float64)
    torch.testing.assert_close(ours(x), torchs(x), equal_nan=True)
    assert_same(ours, torchs, x[:2])


def test_open_intervals_close_by_rounding():
    # 0 and 1 are out of reach, and float32 prints them all the same.
    assert A.sigmoid(torch.tensor([-200.0, 200.0])).tolist() == [0, 1]
    assert A.tanh(torch.tensor([-20.0, 20.0])).tolist() == [-1, 1]
    assert A.sigmoid(torch.tensor(-200.0, dtype=torch.float64)) > 0


def test_small_values_keep_their_digits():
    x = torch.tensor([1e-6, -1e-6])
    torch.testing.assert_close(A.tanh(x), x, atol=0, rtol=1e-6)
    torch.testing.assert_close(A.sigmoid(torch.tensor(-80.0)), torch.tensor(math.exp(-80.0)))


def test_tanh_is_a_stretched_sigmoid():
    x = torch.linspace(-5, 5, 11, dtype=torch.float64)
    torch.testing.assert_close(A.tanh(x), 2 * A.sigmoid(2 * x) - 1)


@pytest.mark.parametrize("x", [torch.tensor(EDGES), torch.empty(0, 2), torch.tensor(-0.0)])
def test_step_equals_heaviside_and_has_no_gradient(x):
    assert A.step(x).equal(torch.heaviside(x, torch.ones_like(x)))
    assert A.step_derivative(x).equal(torch.zeros_like(x))
    assert not A.step(x.clone().requires_grad_()).requires_grad


def test_step_fires_at_its_threshold():
    x = torch.tensor([0.4, 0.5, 0.6, math.inf, -math.inf, math.nan], dtype=torch.float64)
    assert A.step(x, threshold=0.5).tolist() == [0, 1, 1, 1, 0, 0]


@soft
@pytest.mark.parametrize("dim", [0, 1, 2, -1, -3])
def test_softmax_and_its_gradient_equal_torch_along_every_axis(ours, torchs, dim):
    x, weight = torch.randn(2, 3, 4, 5, dtype=torch.float64).mul(5).unbind()
    assert_same(
        lambda x: ours(x, dim=dim),
        lambda x: torchs(x, dim=dim),
        x,
        weight,
        atol=1e-14,
        rtol=1e-12,
    )


@soft
@pytest.mark.parametrize(
    "x",
    [
        [1000.0, -1000.0, 0.0],
        [-1000.0, -1000.0, -1001.0],
        [3.0, 3.0, 3.0],
        [0.0, -math.inf, 1.0],
        [7.0],
    ],
)
def test_softmax_at_extremes(ours, torchs, x):
    x = torch.tensor(x, dtype=torch.float64)
    weight = torch.arange(1.0, len(x) + 1, dtype=torch.float64)
    assert_same(lambda x: ours(x, 0), lambda x: torchs(x, 0), x, weight, atol=1e-14, rtol=1e-12)


@soft
@pytest.mark.parametrize("row", [[-math.inf, -math.inf], [math.inf, 0.0], [math.nan, 0.0]])
def test_a_row_without_a_distribution_is_nan_and_leaves_the_others_alone(ours, torchs, row):
    x = torch.tensor([row, [1.0, 2.0]])
    assert ours(x, dim=-1)[0].isnan().all()
    torch.testing.assert_close(ours(x, dim=-1), torchs(x, dim=-1), equal_nan=True)


@soft
def test_softmax_of_one_number_and_of_no_rows(ours, torchs):
    for x in (torch.tensor(3.0), torch.empty(0, 3)):
        torch.testing.assert_close(ours(x, dim=-1), torchs(x, dim=-1))


@settings(deadline=None, max_examples=50)
@given(x=st.lists(st.floats(-50, 50), min_size=2, max_size=6), shift=st.floats(-1e3, 1e3))
def test_softmax_is_a_distribution_and_only_differences_count(x, shift):
    x = torch.tensor(x, dtype=torch.float64)
    s = A.softmax(x, dim=0)
    assert (s >= 0).all()
    assert s.sum().item() == pytest.approx(1)
    torch.testing.assert_close(A.softmax(x + shift, dim=0), s, atol=1e-11, rtol=1e-10)


def test_softmax_of_two_is_a_sigmoid_of_the_difference():
    x = torch.randn(7, 2, dtype=torch.float64)
    torch.testing.assert_close(A.softmax(x, dim=1)[:, 0], A.sigmoid(x[:, 0] - x[:, 1]))


@soft
def test_finite_differences_agree_with_softmax(ours, torchs):
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: ours(x, dim=-1), x)
    assert torch.autograd.gradgradcheck(lambda x: ours(x, dim=-1), x)


@pytest.mark.parametrize(
    ("jacobian", "torchs"),
    [(A.softmax_jacobian, F.softmax), (A.log_softmax_jacobian, F.log_softmax)],
)
def test_jacobian_equals_autograd(jacobian, torchs):
    x = torch.randn(4, dtype=torch.float64)
    expected = torch.autograd.functional.jacobian(lambda x: torchs(x, dim=0), x)
    torch.testing.assert_close(jacobian(x), expected)
    batch = torch.stack([x, x.flip(0), 1000 * x]).T  # (4, 3): the outcomes stand first
    assert jacobian(batch, dim=0).shape == (3, 4, 4)
    torch.testing.assert_close(jacobian(batch, dim=0)[0], expected)
    torch.testing.assert_close(jacobian(batch, dim=0)[1], expected.flip(0, 1))
    assert jacobian(batch, dim=0).isfinite().all()


def test_softmax_jacobian_is_symmetric_and_its_rows_sum_to_zero():
    J = A.softmax_jacobian(torch.randn(2, 3, 4, dtype=torch.float64), dim=1)
    assert J.shape == (2, 4, 3, 3)
    torch.testing.assert_close(J, J.mT)
    torch.testing.assert_close(J.sum(-1), torch.zeros(2, 4, 3, dtype=torch.float64))


def test_arguments_may_be_named_as_torch_names_them():
    x = torch.randn(2, 3)
    torch.testing.assert_close(A.leaky_relu(negative_slope=0.2, input=x), F.leaky_relu(x, 0.2))
    torch.testing.assert_close(A.softmax(dim=1, input=x), F.softmax(x, dim=1))


WRONG = [
    (torch.tensor([1, 2]), "got torch.int64"),
    (torch.tensor([True]), "got torch.bool"),
    (torch.tensor([1j]), "got torch.complex64"),
    ([1.0, 2.0], "got list"),
    (1.0, "got float"),
    (None, "got NoneType"),
]


@pytest.mark.nocheck
@pytest.mark.parametrize(("x", "got"), WRONG)
@pytest.mark.parametrize("function", EVERY + MATRICES)
def test_what_is_no_floating_point_tensor_is_refused(function, x, got):
    more = {"dim": 0} if function in MATRICES else {}
    message = f"{function.__name__} expected a floating-point tensor as (input|x), {got}"
    with pytest.raises(TypeError, match=message):
        function(x, **more)


@pytest.mark.nocheck
def test_a_misnamed_argument_is_pythons_own_error():
    with pytest.raises(TypeError, match="expected a floating-point tensor as input, got NoneType"):
        A.relu(tensor=torch.ones(1))
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'dim'"):
        A.softmax(torch.ones(2))


@pytest.mark.nocheck
@pytest.mark.parametrize("function", [A.gelu, A.gelu_derivative])
@pytest.mark.parametrize("approximate", ["erf", None, True])
def test_an_unknown_approximation_is_refused(function, approximate):
    with pytest.raises(ValueError, match=f'"none" or "tanh", got {approximate!r}'):
        function(torch.ones(1), approximate=approximate)


@pytest.mark.nocheck
@pytest.mark.parametrize("function", MATRICES)
@pytest.mark.parametrize(("shape", "dim"), [((2, 3), 2), ((2, 0), 1)])
def test_an_axis_that_is_missing_or_empty_is_refused(function, shape, dim):
    with pytest.raises(IndexError, match=r"Dimension out of range|non-zero size"):
        function(torch.zeros(shape), dim=dim)
