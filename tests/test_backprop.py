import itertools
import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from companion import backprop as B
from companion.backprop import MLP, Node, Value, numerical_gradient, topological_order

F64 = {"dtype": torch.float64}
TORCHS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}
SIZES = [[3, 2], [1, 1], [5, 7, 4], [4, 6, 5, 3], [2, 8, 8, 8, 8, 5]]

every_network = pytest.mark.parametrize(
    ("activation", "loss"), list(itertools.product(B.ACTIVATIONS, B.LOSSES))
)


def samples(sizes, loss, batch=6):
    x = torch.randn(batch, sizes[0], **F64)
    if loss == "cross_entropy":
        return x, torch.randint(sizes[-1], (batch,))
    return x, torch.randn(batch, sizes[-1], **F64)


def torchs(net, x, t, activation, loss):
    """The same network by torch's own functions: outputs, loss and gradients."""
    leaves = [p.clone().requires_grad_() for p in net.W + net.b]
    n, o = len(net.W), x
    for W, b in zip(leaves[:n], leaves[n:], strict=True):
        z = F.linear(o, W, b)
        o = TORCHS[activation](z)
    if loss == "cross_entropy":
        o, value = z.softmax(1), F.cross_entropy(z, t)
    else:
        value = F.mse_loss(o, t, reduction="sum") / (2 * len(t))
    return o, value, torch.autograd.grad(value, leaves)


@every_network
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("batch", [1, 6])
def test_loss_and_gradients_equal_autograd(activation, loss, sizes, batch):
    net = MLP(sizes, activation, loss, **F64)
    for b in net.b:
        b.normal_()
    x, t = samples(sizes, loss, batch)
    mine = net.forward(x)
    dW, db = net.backward(t)
    o, value, gradients = torchs(net, x, t, activation, loss)
    torch.testing.assert_close(mine, o, rtol=0, atol=1e-12)
    torch.testing.assert_close(net.loss(t), value, rtol=0, atol=1e-10)
    for ours, theirs in zip(dW + db, gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@every_network
@settings(deadline=None, max_examples=15)
@given(sizes=st.lists(st.integers(1, 6), min_size=2, max_size=5), seed=st.integers(0, 999))
def test_any_shape_equals_autograd(activation, loss, sizes, seed):
    torch.manual_seed(seed)
    net = MLP(sizes, activation, loss, **F64)
    x, t = samples(sizes, loss, batch=1 + seed % 5)
    net.forward(3 * x)  # some of it far out, where activations are flat
    dW, db = net.backward(t)
    _, _, gradients = torchs(net, 3 * x, t, activation, loss)
    for ours, theirs in zip(dW + db, gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


@every_network
def test_gradients_equal_central_differences(activation, loss):
    net = MLP([4, 5, 3], activation, loss, **F64)
    x, t = samples([4, 5, 3], loss)
    net.forward(x)
    dW, db = net.backward(t)
    for parameters, gradients in ((net.W, dW), (net.b, db)):
        for layer in range(2):

            def loss_at(p, parameters=parameters, layer=layer):
                kept, parameters[layer] = parameters[layer], p
                net.forward(x)
                value = net.loss(t)
                parameters[layer] = kept
                return value

            measured = numerical_gradient(loss_at, parameters[layer])
            torch.testing.assert_close(gradients[layer], measured, rtol=0, atol=1e-6)


@every_network
def test_the_backward_pass_passes_gradcheck(activation, loss):
    net = MLP([3, 4, 2], activation, loss, **F64)
    x, t = samples([3, 4, 2], loss)

    class Network(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *parameters):
            net.W, net.b = list(parameters[:2]), list(parameters[2:])
            net.forward(x)
            return net.loss(t)

        @staticmethod
        def backward(ctx, g):
            dW, db = net.backward(t)
            return tuple(g * gradient for gradient in dW + db)

    assert torch.autograd.gradcheck(
        Network.apply, [p.clone().requires_grad_() for p in net.W + net.b]
    )


def test_relu_has_no_slope_at_the_kink_as_in_torch():
    net = MLP([2, 3, 2], "relu", "squared_error", **F64)
    for W in net.W:
        W.zero_()
    x, t = torch.ones(1, 2, **F64), torch.ones(1, 2, **F64)
    net.forward(x)
    dW, db = net.backward(t)
    *_, gradients = torchs(net, x, t, "relu", "squared_error")
    for ours, theirs in zip(dW + db, gradients, strict=True):
        assert ours.equal(theirs)
        assert ours.abs().max() == 0


def test_saturated_probabilities_have_a_finite_loss_and_the_right_gradient():
    net = MLP([1, 2], loss="cross_entropy")
    net.W[0][:] = torch.tensor([[1000.0], [-1000.0]])
    x, t = torch.ones(1, 1), torch.tensor([1])
    assert net.forward(x).tolist() == [[1.0, 0.0]]
    assert net.loss(t).item() == 2000
    dW, db = net.backward(t)
    assert dW[0].tolist() == [[1.0], [-1.0]]
    assert db[0].tolist() == [1.0, -1.0]


def test_the_batch_is_averaged():
    net = MLP([3, 4, 2], "tanh", "squared_error", **F64)
    x, t = samples([3, 4, 2], "squared_error", batch=4)
    net.forward(x)
    together = net.backward(t)[0][0]
    apart = []
    for n in range(4):
        net.forward(x[n : n + 1])
        apart.append(net.backward(t[n : n + 1])[0][0])
    torch.testing.assert_close(torch.stack(apart).mean(0), together)


def test_nothing_is_recorded_and_nothing_is_changed():
    net = MLP([3, 4, 2])
    x, t = torch.randn(5, 3), torch.randint(2, (5,))
    before = [p.clone() for p in net.W + net.b]
    net.forward(x)
    dW, db = net.backward(t)
    again = net.backward(t)
    assert not any(v.requires_grad for v in net.z + net.o + dW + db)
    assert all(p.equal(q) for p, q in zip(net.W + net.b, before, strict=True))
    assert all(p.equal(q) for p, q in zip(dW + db, again[0] + again[1], strict=True))
    assert [v.shape for v in net.o] == [(5, 3), (5, 4), (5, 2)]
    assert net.o[0] is x


def test_the_weights_start_at_random_with_variance_one_over_n():
    torch.manual_seed(0)
    net = MLP([400, 300, 10])
    assert net.W[0].shape == (300, 400)
    assert net.W[0].std().item() == pytest.approx(400**-0.5, rel=0.02)
    assert net.W[1].std().item() == pytest.approx(300**-0.5, rel=0.05)
    assert all(b.eq(0).all() for b in net.b)
    assert MLP([2, 2], dtype=torch.float64).b[0].dtype == torch.float64
    assert MLP([2, 2], device="meta").W[0].device.type == "meta"


def test_the_notes_rules_index_by_index():
    """δ of the output layer, the second-last and the third-last, as plain sums."""
    n_n, n_i, n_j, n_k = 3, 4, 2, 3
    net = MLP([n_n, n_i, n_j, n_k], "sigmoid", "squared_error", **F64)
    x, t = samples([n_n, n_i, n_j, n_k], "squared_error", batch=1)
    net.forward(x)
    dW, db = net.backward(t)
    o_n, o_i, o_j, o_k = (o[0].tolist() for o in net.o)
    w_ij, w_jk = net.W[1].T.tolist(), net.W[2].T.tolist()  # (from, to)
    d_k = [(o - y) * o * (1 - o) for o, y in zip(o_k, t[0].tolist(), strict=True)]
    d_j = [o_j[j] * (1 - o_j[j]) * sum(d_k[k] * w_jk[j][k] for k in range(n_k)) for j in range(n_j)]
    d_i = [o_i[i] * (1 - o_i[i]) * sum(d_j[j] * w_ij[i][j] for j in range(n_j)) for i in range(n_i)]
    for layer, (delta, o) in enumerate([(d_i, o_n), (d_j, o_i), (d_k, o_j)]):
        torch.testing.assert_close(db[layer], torch.tensor(delta, **F64))
        outer = torch.tensor([[d * v for v in o] for d in delta], **F64)
        torch.testing.assert_close(dW[layer], outer)


def test_it_learns_digits():
    from companion.data import digits

    train_x, train_t, test_x, test_t = digits()
    net = MLP([64, 128, 10])
    for _ in range(20):
        for rows in torch.randperm(len(train_x)).split(64):
            net.forward(train_x[rows].flatten(1))
            dW, db = net.backward(train_t[rows])
            for p, g in zip(net.W + net.b, dW + db, strict=True):
                p -= 0.3 * g
    right = net.forward(test_x.flatten(1)).argmax(1) == test_t
    assert right.float().mean() >= 0.96


def test_numerical_gradient_of_what_is_known():
    x = torch.tensor([[0.5, -1.0], [2.0, 3.0]], **F64)
    torch.testing.assert_close(
        numerical_gradient(lambda x: x.sin().sum(), x), x.cos(), rtol=0, atol=1e-9
    )
    turned = x.T  # not contiguous
    torch.testing.assert_close(
        numerical_gradient(lambda x: (x**2).sum(), turned), 2 * turned, rtol=0, atol=1e-8
    )
    assert numerical_gradient(lambda x: 3 * x.item(), torch.tensor(1.0, **F64)).item() == (
        pytest.approx(3)
    )
    assert numerical_gradient(lambda x: x.sum(), torch.empty(0, 2)).shape == (0, 2)
    assert x.tolist() == [[0.5, -1.0], [2.0, 3.0]]


def test_numerical_gradient_is_a_plain_tensor():
    """Also where autograd would record: at a leaf, and in a function of one."""
    x, w = (torch.tensor([1.0, 2.0], requires_grad=True, **F64) for _ in range(2))
    measured = numerical_gradient(lambda x: (w * x**2).sum(), x)
    assert not measured.requires_grad
    torch.testing.assert_close(measured, (2 * w * x).detach(), rtol=0, atol=1e-8)


# The engine for single numbers

UNARY = (
    lambda a: -a,
    lambda a: (a * 0.3).exp(),
    lambda a: (a**2 + 0.1).log(),
    lambda a: a.tanh(),
    lambda a: a.relu(),
    lambda a: 2 - a,
    lambda a: 1 / (a**2 + 1),
    lambda a: 3 * a + 1,
    lambda a: (a**2 + 1) ** -0.5,
)
BINARY = (
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b.tanh(),
    lambda a, b: a / (b**2 + 1),
    lambda a, b: a.relu() * b.tanh() - a,
)


@settings(deadline=None, max_examples=100)
@given(
    inputs=st.lists(st.floats(-2, 2), min_size=1, max_size=3),
    choices=st.lists(st.tuples(*[st.integers(0, 99)] * 3), min_size=1, max_size=12),
)
def test_random_expressions_equal_torch(inputs, choices):
    def expression(numbers):
        numbers = list(numbers)
        for i, j, k in choices:
            a, b = numbers[i % len(numbers)], numbers[j % len(numbers)]
            k = k % (len(UNARY) + len(BINARY))
            numbers.append(UNARY[k](a) if k < len(UNARY) else BINARY[k - len(UNARY)](a, b))
        return sum(numbers)

    tensor = torch.tensor(inputs, **F64).requires_grad_()
    values = [Value(v) for v in inputs]
    theirs, ours = expression(tensor.unbind()), expression(values)
    theirs.backward()
    ours.backward()
    assert ours.data == pytest.approx(theirs.item(), rel=1e-10, abs=1e-12)
    gradient = torch.tensor([v.grad for v in values], **F64)
    torch.testing.assert_close(gradient, tensor.grad, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("n", [2, 3, 1, -1, 0.5, -0.5, 0, 1.5])
def test_powers_and_their_slopes_equal_torch(n):
    a, x = Value(1.7), torch.tensor(1.7, requires_grad=True, **F64)
    y = a**n
    y.backward()
    (x**n).backward()
    assert y.data == pytest.approx(1.7**n)
    assert a.grad == pytest.approx(x.grad.item())


@pytest.mark.parametrize(("x", "n"), [(0, 0), (-2, 0), (0, 1), (0, 2), (-2, 3), (-2, -1), (0, 1.5)])
def test_powers_at_and_below_zero_equal_torch(x, n):
    a, tensor = Value(x), torch.tensor(float(x), requires_grad=True, **F64)
    y = a**n
    y.backward()
    (tensor**n).backward()
    assert (y.data, a.grad) == (float(x) ** n, tensor.grad.item())


def test_a_number_used_twice_gets_both_contributions():
    a = Value(3)
    (a * a + a).backward()
    assert a.grad == 7


def test_the_order_makes_a_shared_node_wait():
    a, b = Value(2), Value(3)
    c = a * b
    d = c + a
    loss = c * d
    order = topological_order(loss)
    assert len(order) == 5
    assert order.index(loss) < order.index(d) < order.index(c) < order.index(a)
    loss.backward()
    assert (a.grad, b.grad, c.grad, d.grad, loss.grad) == (48, 28, 14, 6, 1)


def test_backward_adds_as_torch_does_and_may_be_called_again():
    a = Value(2)
    y = (a * 3) ** 2
    y.backward()
    assert a.grad == 36
    y.backward()
    assert a.grad == 72
    assert y.grad == 2


def test_a_long_chain_does_not_exhaust_the_stack():
    a = Value(1)
    y = a
    for _ in range(3000):
        y = y + 1
    y.backward()
    assert y.data == 3001
    assert a.grad == 1


def test_relu_and_the_kink():
    for x, slope in ((-1, 0), (0, 0), (2, 1)):
        a = Value(x)
        a.relu().backward()
        assert a.grad == slope


def test_numbers_of_any_kind_are_taken():
    import numpy as np

    assert (Value(np.float64(2)) + True).data == 3
    for two in (np.float32(2), np.int64(2), Fraction(2)):
        assert Value(two).data == 2
        results = [Value(5) + two, Value(5) - two, Value(5) * two, Value(5) / two, Value(5) ** two]
        assert [result.data for result in results] == [7, 3, 10, 2.5, 25]
        assert [type(result.data) for result in results] == [float] * 5
        results = [two + Value(5), two - Value(5), two * Value(5), two / Value(5)]
        assert [result.data for result in results] == [7, -3, 10, 0.4]
    assert (Value(1.7) ** np.float32(2)).data == 1.7**2  # not rounded to float32
    assert repr(Value(2) / 4) == "Value(data=0.5, grad=0)"


def test_what_overflows_is_python_s_affair():
    with pytest.raises(OverflowError):
        Value(1000).exp()
    assert (Value(1e308) * 10).data == math.inf
    with pytest.raises(ZeroDivisionError):
        Value(1) / 0


def test_a_network_of_values_learns_exclusive_or():
    torch.manual_seed(0)
    w = [Value(v) for v in torch.randn(17).tolist()]

    def answer(a, b):
        hidden = [(w[k] * a + w[4 + k] * b + w[8 + k]).tanh() for k in range(4)]
        return sum((w[12 + k] * h for k, h in enumerate(hidden)), w[16])

    corners = [(-1, -1, -1), (-1, 1, 1), (1, -1, 1), (1, 1, -1)]
    for _ in range(150):
        loss = sum((answer(a, b) - t) ** 2 / 2 for a, b, t in corners)
        for v in w:
            v.grad = 0.0
        loss.backward()
        for v in w:
            v.data -= 0.1 * v.grad
    assert loss.data < 0.05


# What is refused, and how


X, T = torch.ones(2, 3), torch.tensor([0, 1])
W, b = [torch.ones(2, 3)], [torch.ones(2)]


def after_forward(*settings):
    net = MLP([3, 2], *settings)
    net.forward(X)
    return net


def squared():
    return after_forward("tanh", "squared_error")


BAD = {
    "one size": (lambda: MLP([3]), ValueError, r"two or more whole numbers, .* got \[3\]"),
    "no neurons": (lambda: MLP([3, 0, 2]), ValueError, r"at least 1, got \[3, 0, 2\]"),
    "half a neuron": (lambda: MLP([3, 1.5]), ValueError, r"whole numbers, .*1\.5"),
    "activation": (
        lambda: MLP([3, 2], "swish"),
        ValueError,
        "activation to be one of sigmoid, tanh, relu, got 'swish'",
    ),
    "loss": (
        lambda: MLP([3, 2], loss="mse"),
        ValueError,
        "loss to be one of squared_error, cross_entropy, got 'mse'",
    ),
    "loss before forward": (
        lambda: MLP([3, 2]).loss(T),
        ValueError,
        "a call of forward before loss, got none",
    ),
    "backward before forward": (
        lambda: MLP([3, 2]).backward(T),
        ValueError,
        "a call of forward before backward, got none",
    ),
    "too many inputs": (
        lambda: MLP([3, 2]).forward(torch.ones(2, 4)),
        ValueError,
        r"x of shape \(batch, 3\) .*got \(2, 4\)",
    ),
    "one sample without its batch": (
        lambda: MLP([3, 2]).forward(torch.ones(3)),
        ValueError,
        r"x of shape \(batch, 3\) .*got \(3,\)",
    ),
    "an empty batch": (
        lambda: MLP([3, 2]).forward(torch.ones(0, 3)),
        ValueError,
        r"at least one sample, got \(0, 3\)",
    ),
    "integers": (
        lambda: MLP([3, 2]).forward(torch.ones(2, 3, dtype=torch.long)),
        TypeError,
        "x to be a floating-point tensor, got torch.int64",
    ),
    "a list": (
        lambda: MLP([3, 2]).forward([[1.0, 2.0, 3.0]]),
        TypeError,
        "x to be a floating-point tensor, got list",
    ),
    "another type": (
        lambda: MLP([3, 2]).forward(X.double()),
        TypeError,
        "x of torch.float32, as the weights are, got torch.float64",
    ),
    "a label too large": (
        lambda: after_forward().backward(torch.tensor([0, 2])),
        ValueError,
        "class numbers from 0 to 1, got 2",
    ),
    "a negative label": (
        lambda: after_forward().loss(torch.tensor([-1, 1])),
        ValueError,
        "class numbers from 0 to 1, got -1",
    ),
    "labels as floats": (
        lambda: after_forward().backward(torch.tensor([0.0, 1.0])),
        TypeError,
        "class numbers, torch.int64, got torch.float32",
    ),
    "labels as a list": (
        lambda: after_forward().loss([0, 1]),
        TypeError,
        "class numbers, torch.int64, got list",
    ),
    "one label for two": (
        lambda: after_forward().backward(torch.tensor([1])),
        ValueError,
        r"t of shape \(2,\), one class number a sample, got \(1,\)",
    ),
    "labels one-hot": (
        lambda: after_forward().backward(torch.eye(2, dtype=torch.long)),
        ValueError,
        r"t of shape \(2,\), one class number a sample, got \(2, 2\)",
    ),
    "targets of another shape": (
        lambda: squared().backward(torch.ones(2)),
        ValueError,
        r"t of shape \(2, 2\), as the outputs, got \(2,\)",
    ),
    "targets for one too many": (
        lambda: squared().loss(torch.ones(3, 2)),
        ValueError,
        r"t of shape \(2, 2\), as the outputs, got \(3, 2\)",
    ),
    "labels for a squared error": (
        lambda: squared().backward(T),
        TypeError,
        "t to be a floating-point tensor, got torch.int64",
    ),
    "no layers": (
        lambda: B.forward(X, [], [], []),
        ValueError,
        "at least one, got 0 and 0 for 0",
    ),
    "a bias too few": (
        lambda: B.forward(X, W, [], [torch.tanh]),
        ValueError,
        "got 0 and 1 for 1",
    ),
    "weights that do not chain": (
        lambda: B.forward(X, W * 2, b * 2, [torch.tanh] * 2),
        ValueError,
        r"W\[1\] of shape \(m, 2\) and b\[1\] of shape \(m,\), got \(2, 3\) and \(2,\)",
    ),
    "a bias of another size": (
        lambda: B.forward(X, W, [torch.ones(3)], [torch.tanh]),
        ValueError,
        r"W\[0\] of shape \(m, 3\) .*got \(2, 3\) and \(3,\)",
    ),
    "outputs too few": (
        lambda: B.backward(torch.ones(2, 2), W, [X], torch.sign),
        ValueError,
        "one o more than the 1 weight matrices.*got 1",
    ),
    "a delta of another shape": (
        lambda: B.backward(torch.ones(2, 3), W, [X, torch.ones(2, 2)], torch.sign),
        ValueError,
        r"delta of shape \(2, 2\), as the last o, got \(2, 3\)",
    ),
    "a batch of another size": (
        lambda: B.backward(torch.ones(2, 2), W, [torch.ones(3, 3), torch.ones(2, 2)], torch.sign),
        ValueError,
        r"o\[0\] with one row a sample, as delta of shape \(2, 2\) has, got \(3, 3\)",
    ),
    "inputs without a batch": (
        lambda: B.backward(torch.ones(2, 2), W, [torch.ones(3), torch.ones(2, 2)], torch.sign),
        ValueError,
        r"o\[0\] with one row a sample, .*got \(3,\)",
    ),
    "weights the wrong way": (
        lambda: B.backward(torch.ones(2, 2), [W[0].T], [X, torch.ones(2, 2)], torch.sign),
        ValueError,
        r"W\[0\] of shape \(2, 3\), .*got \(3, 2\)",
    ),
    "no samples in a loss": (
        lambda: B.squared_error(*[torch.ones(0, 2)] * 3),
        ValueError,
        r"at least one sample, got \(0, 2\) and \(0, 2\)",
    ),
    "sums unlike outputs": (
        lambda: B.cross_entropy(torch.ones(2, 3), torch.ones(2, 2), T),
        ValueError,
        r"z and o of one shape .*got \(2, 3\) and \(2, 2\)",
    ),
    "a step of zero": (
        lambda: numerical_gradient(torch.sum, X, h=0),
        ValueError,
        "h to be positive, got 0",
    ),
    "a step that is no number": (
        lambda: numerical_gradient(torch.sum, X, h=math.nan),
        ValueError,
        "h to be positive, got nan",
    ),
    "whole numbers cannot be nudged": (
        lambda: numerical_gradient(torch.sum, T),
        TypeError,
        "x to be a floating-point tensor, got torch.int64",
    ),
    "a value of text": (lambda: Value("2"), TypeError, "data to be a real number, got str"),
    "a node of a tensor": (
        lambda: Node(torch.tensor(2.0)),
        TypeError,
        "data to be a real number, got Tensor",
    ),
    "a sum with text": (lambda: Value(2) + "3", TypeError, "a number or a Value, got str"),
    "a product with nothing": (
        lambda: Value(2) * None,
        TypeError,
        "a number or a Value, got NoneType",
    ),
    "a difference with nothing": (
        lambda: Value(2) - None,
        TypeError,
        "a number or a Value, got NoneType",
    ),
    "text less a value": (lambda: "3" - Value(2), TypeError, "a number or a Value, got str"),
    "a quotient with text": (lambda: Value(2) / "3", TypeError, "a number or a Value, got str"),
    "text over a value": (lambda: "3" / Value(2), TypeError, "a number or a Value, got str"),
    "a value as exponent": (
        lambda: Value(2) ** Value(3),
        TypeError,
        "the exponent to be a number, got Value",
    ),
    "a root of a negative": (
        lambda: Value(-4) ** 0.5,
        ValueError,
        "a power with a real slope, got -4 to the 0.5",
    ),
    "an endless power of a negative": (
        lambda: Value(-2) ** math.inf,
        ValueError,
        "a power with a real slope, got -2 to the inf",
    ),
    "a division by zero": (
        lambda: 1 / Value(0),
        ValueError,
        "a power with a real slope, got 0 to the -1",
    ),
    "a root at zero": (lambda: Value(0) ** 0.5, ValueError, "got 0 to the 0.5"),
    "a logarithm of zero": (lambda: Value(0).log(), ValueError, "a positive number, got 0"),
    "a logarithm of a negative": (lambda: Value(-2).log(), ValueError, "positive number, got -2"),
}


@pytest.mark.nocheck
@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=f"^expected .*{message}"):
        call()
