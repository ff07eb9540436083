r"""Back-propagation by hand: the gradient of a loss, from the last layer to the first, no autograd.

Twice the same idea. For whole layers: :func:`forward` keeps what every layer computed,
:func:`backward` carries :math:`\delta = \partial L / \partial z` from layer to layer, and
:class:`MLP` is a network that learns with them. For single numbers: a :class:`Value` remembers the
operations it came from, and its ``backward`` is reverse-mode automatic differentiation in a few
lines. :func:`numerical_gradient` checks either.

A batch stands in rows. ``W[layer]`` has torch's shape (to, from), so the weight from node i to
node j, :math:`w_{ij}` in the formulas, is ``W[layer][j, i]``. ``o[layer]`` is what goes into layer
number ``layer``: ``o[0]`` is the input of the network and ``o[-1]`` its output. Losses are means
over the batch, in nats where they are logarithms.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from companion.activations import log_softmax, relu, sigmoid, softmax, tanh

Function = Callable[[Tensor], Tensor]
Batch = Float[Tensor, "batch m"]
Labels = Int64[Tensor, " batch"]
Matrices = list[Float[Tensor, "_ _"]]
Vectors = list[Float[Tensor, " _"]]
Layers = list[Float[Tensor, "batch _"]]  # what every layer computed


def _fitting_layers(function: Callable) -> Callable:
    """Make :func:`forward` refuse a batch, weights, biases or activations that do not fit."""

    @functools.wraps(function)
    def checked(x, W, b, f):
        if not (isinstance(x, Tensor) and x.is_floating_point()):
            got = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(f"expected x to be a floating-point tensor, got {got}")
        if not (W and len(W) == len(b) == len(f)):
            raise ValueError(
                "expected as many biases and activations as weight matrices, and at least one, "
                f"got {len(b)} and {len(f)} for {len(W)}"
            )
        if x.dtype != W[0].dtype:
            raise TypeError(f"expected x of {W[0].dtype}, as the weights are, got {x.dtype}")
        n = W[0].shape[-1]
        if x.ndim != 2 or x.shape[1] != n or len(x) == 0:
            raise ValueError(
                f"expected x of shape (batch, {n}) with at least one sample, got {tuple(x.shape)}"
            )
        for layer, (W_l, b_l) in enumerate(zip(W, b, strict=True)):
            if W_l.ndim != 2 or W_l.shape[1] != n or b_l.shape != W_l.shape[:1]:
                raise ValueError(
                    f"expected W[{layer}] of shape (m, {n}) and b[{layer}] of shape (m,), "
                    f"got {tuple(W_l.shape)} and {tuple(b_l.shape)}"
                )
            n = len(W_l)
        return function(x, W, b, f)

    return checked


def _fitting_delta(function: Callable) -> Callable:
    """Make :func:`backward` refuse a δ, weights or outputs that do not fit."""

    @functools.wraps(function)
    def checked(delta, W, o, slope):
        if not W or len(o) != len(W) + 1:
            raise ValueError(
                f"expected one o more than the {len(W)} weight matrices, and at least one of them, "
                f"got {len(o)}"
            )
        if delta.shape != o[-1].shape:
            raise ValueError(
                f"expected delta of shape {tuple(o[-1].shape)}, as the last o, "
                f"got {tuple(delta.shape)}"
            )
        for layer, o_l in enumerate(o):
            if o_l.ndim != 2 or o_l.shape[0] != delta.shape[0]:
                raise ValueError(
                    f"expected o[{layer}] with one row a sample, as delta of shape "
                    f"{tuple(delta.shape)} has, got {tuple(o_l.shape)}"
                )
        for layer, W_l in enumerate(W):
            wanted = (o[layer + 1].shape[-1], o[layer].shape[-1])
            if W_l.shape != wanted:
                raise ValueError(
                    f"expected W[{layer}] of shape {wanted}, as the o before and behind it, "
                    f"got {tuple(W_l.shape)}"
                )
        return function(delta, W, o, slope)

    return checked


def _fitting_targets(function: Callable) -> Callable:
    """Make a squared error refuse targets that are not shaped and typed like the outputs."""

    @functools.wraps(function)
    def checked(z, o, t, *slope):
        _check_outputs(z, o)
        if not (isinstance(t, Tensor) and t.is_floating_point()):
            got = t.dtype if isinstance(t, Tensor) else type(t).__name__
            raise TypeError(f"expected t to be a floating-point tensor, got {got}")
        if t.shape != o.shape:
            raise ValueError(
                f"expected t of shape {tuple(o.shape)}, as the outputs, got {tuple(t.shape)}"
            )
        return function(z, o, t, *slope)

    return checked


def _fitting_labels(function: Callable) -> Callable:
    """Make a cross entropy refuse what is not one class number for each sample."""

    @functools.wraps(function)
    def checked(z, o, t, *slope):
        _check_outputs(z, o)
        if not (isinstance(t, Tensor) and t.dtype == torch.int64):
            got = t.dtype if isinstance(t, Tensor) else type(t).__name__
            raise TypeError(f"expected t to be a tensor of class numbers, torch.int64, got {got}")
        batch, classes = o.shape
        if t.shape != (batch,):
            raise ValueError(
                f"expected t of shape ({batch},), one class number a sample, got {tuple(t.shape)}"
            )
        low, high = t.aminmax()
        if low < 0 or high >= classes:
            wrong = (high if low >= 0 else low).item()
            raise ValueError(f"expected class numbers from 0 to {classes - 1}, got {wrong}")
        return function(z, o, t, *slope)

    return checked


def _check_outputs(z: Tensor, o: Tensor) -> None:
    if o.ndim != 2 or len(o) == 0 or z.shape != o.shape:
        raise ValueError(
            "expected z and o of one shape (batch, m) with at least one sample, "
            f"got {tuple(z.shape)} and {tuple(o.shape)}"
        )


@_fitting_layers
def forward(
    x: Float[Tensor, "batch n"], W: Matrices, b: Vectors, f: list[Function]
) -> tuple[Layers, Layers]:
    r"""Go through all layers and keep what each of them computed.

    .. math:: o^0 = x, \qquad z^l = o^{l-1} W^{l\top} + b^l, \qquad o^l = f^l(z^l)

    Args:
        x: the samples.
        W: the weights of each layer, (to, from).
        b: the biases of each layer.
        f: the activation of each layer.

    Returns:
        ``z``, one for each layer, and ``o``, one more, because it begins with ``x``.

    Raises:
        TypeError: if ``x`` is no floating-point tensor, or not of the weights' type.
        ValueError: if there is no sample, or shapes or numbers of layers do not fit.

    Example:
        >>> z, o = forward(torch.ones(1, 2), [torch.ones(3, 2)], [torch.zeros(3)], [torch.tanh])
        >>> z[0], len(o)
        (tensor([[2., 2., 2.]]), 2)
    """
    z, o = [], [x]
    for W_l, b_l, f_l in zip(W, b, f, strict=True):
        z.append(o[-1] @ W_l.T + b_l)
        o.append(f_l(z[-1]))
    return z, o


@_fitting_delta
def backward(delta: Batch, W: Matrices, o: Layers, slope: Function) -> tuple[Matrices, Vectors]:
    r"""Carry δ from the last layer to the first, and read off every gradient on the way.

    .. math:: \frac{\partial L}{\partial W^l} = \delta^{l\top} o^{l-1}, \qquad
              \frac{\partial L}{\partial b^l} = \sum_\text{batch} \delta^l, \qquad
              \delta^{l-1} = \delta^l W^l \odot f'(z^{l-1})

    Args:
        delta: :math:`\partial L / \partial z` of the last layer.
        W: the weights of each layer, (to, from).
        o: the second list that :func:`forward` returned.
        slope: the slope of the hidden layers' activation, as a function of its output.

    Returns:
        ``dW`` and ``db``, the gradients of each layer, the first layer first.

    Raises:
        ValueError: if shapes or numbers of layers do not fit.

    Example:
        >>> o = [torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0]])]
        >>> backward(torch.tensor([[3.0]]), [torch.ones(1, 2)], o, torch.ones_like)
        ([tensor([[3., 6.]])], [tensor([3.])])

    Reference:
        Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors"
        (Nature 323, 1986), equations 4 to 7.
    """
    dW, db = [], []
    for layer in reversed(range(len(W))):
        dW.insert(0, delta.T @ o[layer])
        db.insert(0, delta.sum(0))
        if layer > 0:
            delta = delta @ W[layer] * slope(o[layer])
    return dW, db


@_fitting_targets
def squared_error(z: Batch, o: Batch, t: Batch) -> Float[Tensor, ""]:
    r"""Half the squared error of a sample, summed over its outputs; the mean over the batch.

    .. math:: L = \frac{1}{B} \sum_{n=1}^{B} \tfrac12 \sum_k (o_{nk} - t_{nk})^2

    Args:
        z: the sums of the last layer; not used.
        o: the outputs.
        t: the targets.

    Raises:
        TypeError: if ``t`` is no floating-point tensor.
        ValueError: if the shapes differ or there is no sample.

    Example:
        >>> o, t = torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2)
        >>> squared_error(o, o, t)
        tensor(12.5000)
    """
    return (o - t).square().sum(1).mean() / 2


@_fitting_targets
def squared_error_delta(z: Batch, o: Batch, t: Batch, slope: Function) -> Batch:
    r"""δ of the last layer for :func:`squared_error` behind an activation.

    .. math:: \delta_k = \frac{1}{B} (o_k - t_k)\, f'(z_k)

    Args:
        z: the sums of the last layer; not used.
        o: the outputs.
        t: the targets.
        slope: :math:`f'`, as a function of the outputs.

    Raises:
        TypeError: as :func:`squared_error`.
        ValueError: as :func:`squared_error`.

    Example:
        >>> z, t = torch.zeros(1, 2), torch.tensor([[0.0, 1.0]])
        >>> squared_error_delta(z, z.sigmoid(), t, lambda o: o * (1 - o))
        tensor([[ 0.1250, -0.1250]])
    """
    return (o - t) * slope(o) / len(t)


@_fitting_labels
def cross_entropy(z: Batch, o: Batch, t: Labels) -> Float[Tensor, ""]:
    r"""Cross entropy of softmax outputs and class numbers, in nats; the mean over the batch.

    .. math:: L = -\frac{1}{B} \sum_{n=1}^{B} \log o_{n t_n}, \qquad o = \mathrm{softmax}(z)

    Args:
        z: the sums of the last layer, the logits. The logarithm is taken from these, for in ``o``
            a small probability may have rounded to 0.
        o: the outputs, the probabilities; not used.
        t: the class of each sample.

    Raises:
        TypeError: if ``t`` is no tensor of int64.
        ValueError: if ``t`` is not one class number a sample, from 0 on, or there is no sample.

    Example:
        >>> z = torch.zeros(1, 2)
        >>> cross_entropy(z, z.softmax(1), torch.tensor([1]))  # log 2
        tensor(0.6931)
    """
    return -log_softmax(z, 1).gather(1, t[:, None]).mean()


@_fitting_labels
def cross_entropy_delta(z: Batch, o: Batch, t: Labels, slope: Function) -> Batch:
    r"""δ of the last layer for :func:`cross_entropy` behind a softmax: output minus target.

    .. math:: \delta_k = \frac{1}{B} (o_k - y_k), \qquad y_k = 1 \text{ for } k = t, \text{ else } 0

    Args:
        z: the sums of the last layer; not used.
        o: the outputs, the probabilities.
        t: the class of each sample.
        slope: not used: the slopes of softmax are in the formula.

    Raises:
        TypeError: as :func:`cross_entropy`.
        ValueError: as :func:`cross_entropy`.

    Example:
        >>> z = torch.tensor([[1.0, 3.0]]).log()
        >>> cross_entropy_delta(z, z.softmax(1), torch.tensor([0]), torch.ones_like)
        tensor([[-0.7500,  0.7500]])
    """
    y = torch.zeros_like(o).scatter_(1, t[:, None], 1)
    return (o - y) / len(t)


#: The hidden layers' activation, and its slope as a function of its own output.
ACTIVATIONS: dict[str, tuple[Function, Function]] = {
    "sigmoid": (sigmoid, lambda o: o * (1 - o)),
    "tanh": (tanh, lambda o: 1 - o * o),
    "relu": (relu, lambda o: (o > 0).to(o.dtype)),
}
#: The last layer's activation (None: the hidden layers'), the loss, and δ of the last layer.
LOSSES: dict[str, tuple[Function | None, Callable, Callable]] = {
    "squared_error": (None, squared_error, squared_error_delta),
    "cross_entropy": (functools.partial(softmax, dim=1), cross_entropy, cross_entropy_delta),
}


def _known_settings(init: Callable) -> Callable:
    """Make ``MLP`` refuse sizes, an activation or a loss that it cannot have."""

    @functools.wraps(init)
    def checked(self, sizes, activation="relu", loss="cross_entropy", **kind):
        whole = all(isinstance(n, Integral) for n in sizes)
        if not (whole and len(sizes) >= 2 and min(sizes) >= 1):
            raise ValueError(
                f"expected sizes to be two or more whole numbers, each at least 1, got {sizes}"
            )
        for name, value, known in (("activation", activation, ACTIVATIONS), ("loss", loss, LOSSES)):
            if value not in known:
                raise ValueError(f"expected {name} to be one of {', '.join(known)}, got {value!r}")
        return init(self, sizes, activation, loss, **kind)

    return checked


def _after_forward(method: Callable) -> Callable:
    """Make a method of ``MLP`` refuse to work before the first forward pass."""

    @functools.wraps(method)
    def checked(self, t):
        if not hasattr(self, "o"):
            raise ValueError(f"expected a call of forward before {method.__name__}, got none")
        return method(self, t)

    return checked


class MLP:
    r"""A multi-layer perceptron whose backward pass is written out by hand.

    .. math:: o^l = f(o^{l-1} W^{l\top} + b^l)

    With the loss ``"squared_error"`` the activation stands behind every layer, the last one too.
    With ``"cross_entropy"`` a softmax stands behind the last layer, and its outputs are
    probabilities. Nothing is recorded by autograd: ``W`` and ``b`` are plain tensors, to be changed
    in place.

    Args:
        sizes: the number of inputs, of neurons in each hidden layer, and of outputs.
        activation: ``"sigmoid"``, ``"tanh"`` or ``"relu"``.
        loss: ``"squared_error"`` (half of it, summed over the outputs) or ``"cross_entropy"`` (in
            nats); both are means over the batch.
        **kind: the ``dtype`` and the ``device`` of the weights; torch's defaults if not given.

    Attributes:
        W: the weights of each layer, (to, from); at first normal with variance 1/from.
        b: the biases of each layer; at first zero.
        z: the sums of each layer in the last forward pass.
        o: what went into each layer in the last forward pass, and the output behind them.

    Raises:
        ValueError: if a size, the activation or the loss is none of these.

    Example:
        >>> net = MLP([2, 1], activation="sigmoid", loss="squared_error")
        >>> net.W[0][:] = 0
        >>> net.forward(torch.tensor([[1.0, 2.0]]))
        tensor([[0.5000]])
        >>> net.loss(torch.tensor([[1.0]]))
        tensor(0.1250)
        >>> net.backward(torch.tensor([[1.0]]))  # (0.5 - 1) · 0.5 · 0.5, times the inputs
        ([tensor([[-0.1250, -0.2500]])], [tensor([-0.1250])])

    Reference:
        Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors"
        (Nature 323, 1986).
    """

    @_known_settings
    def __init__(
        self, sizes: list[int], activation: str = "relu", loss: str = "cross_entropy", **kind: Any
    ) -> None:
        pairs = list(itertools.pairwise(sizes))
        self.W = [torch.randn(m, n, **kind) / n**0.5 for n, m in pairs]
        self.b = [torch.zeros(m, **kind) for _, m in pairs]
        f, self.slope = ACTIVATIONS[activation]
        f_last, self.loss_of, self.delta_of = LOSSES[loss]
        self.f = [f] * (len(pairs) - 1) + [f_last or f]

    def forward(self, x: Float[Tensor, "batch n"]) -> Batch:
        """Return the outputs for a batch, and keep ``z`` and ``o`` of every layer.

        Raises:
            TypeError: as :func:`forward`.
            ValueError: as :func:`forward`.
        """
        self.z, self.o = forward(x, self.W, self.b, self.f)
        return self.o[-1]

    @_after_forward
    def loss(self, t: Batch | Labels) -> Float[Tensor, ""]:
        """Return the loss of the last forward pass for the targets or class numbers ``t``.

        Raises:
            TypeError: as :func:`squared_error` or :func:`cross_entropy`.
            ValueError: as these, or if there was no forward pass.
        """
        return self.loss_of(self.z[-1], self.o[-1], t)

    @_after_forward
    def backward(self, t: Batch | Labels) -> tuple[Matrices, Vectors]:
        """Return ``dW`` and ``db``, the gradients of ``self.loss(t)``, one of each per layer.

        Raises:
            TypeError: as :func:`squared_error` or :func:`cross_entropy`.
            ValueError: as these, or if there was no forward pass.
        """
        delta = self.delta_of(self.z[-1], self.o[-1], t, self.slope)
        return backward(delta, self.W, self.o, self.slope)


def _sensible_step(function: Callable) -> Callable:
    """Make :func:`numerical_gradient` refuse what cannot be stepped along."""

    @functools.wraps(function)
    def checked(f, x, h=1e-5):
        if not (isinstance(x, Tensor) and x.is_floating_point()):
            got = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(f"expected x to be a floating-point tensor, got {got}")
        if not h > 0:
            raise ValueError(f"expected h to be positive, got {h}")
        return function(f, x.detach(), h).detach()

    return checked


@_sensible_step
def numerical_gradient(
    f: Callable[[Tensor], Tensor | float], x: Float[Tensor, "*shape"], h: float = 1e-5
) -> Float[Tensor, "*shape"]:
    r"""Measure a gradient by central differences: go a step both ways along each element.

    .. math:: \frac{\partial f}{\partial x_i} \approx \frac{f(x + h e_i) - f(x - h e_i)}{2h}

    The formula's own error is :math:`h^2 f'''/6`, and rounding adds about :math:`\epsilon |f| / h`.
    The default suits float64; for float32 take about 5e-3.

    Args:
        f: a function of a tensor shaped like ``x`` that returns one number. It is called twice for
            each element.
        x: where; it is not changed.
        h: the length of a step.

    Raises:
        TypeError: if ``x`` is no floating-point tensor.
        ValueError: if ``h`` is not positive.

    Example:
        >>> x = torch.tensor([1.0, 2.0], dtype=torch.float64)
        >>> numerical_gradient(lambda x: x[0] * x[1] ** 2, x)
        tensor([4.0000, 4.0000], dtype=torch.float64)

    Reference:
        Press, Teukolsky, Vetterling and Flannery, "Numerical Recipes" (3rd edition, 2007),
        section 5.7.
    """
    gradient = torch.zeros_like(x)
    for i in itertools.product(*map(range, x.shape)):
        step = torch.zeros_like(x)
        step[i] = h
        gradient[i] = (f(x + step) - f(x - step)) / (2 * h)
    return gradient


def _numbers_only(init: Callable) -> Callable:
    """Make a node refuse data that is no real number."""

    @functools.wraps(init)
    def checked(self, data, parents=()):
        if not isinstance(data, Real):
            raise TypeError(f"expected data to be a real number, got {type(data).__name__}")
        init(self, float(data), parents)

    return checked


def _operands_only(method: Callable) -> Callable:
    """Make an operation refuse what is neither a number nor a node."""

    @functools.wraps(method)
    def checked(self, other):
        if not (isinstance(other, Real) or hasattr(other, "parents")):
            raise TypeError(f"expected a number or a Value, got {type(other).__name__}")
        return method(self, float(other) if isinstance(other, Real) else other)

    return checked


def _powers_only(method: Callable) -> Callable:
    """Make the power refuse what has no real value or no slope."""

    @functools.wraps(method)
    def checked(self, n):
        if not isinstance(n, Real):
            raise TypeError(f"expected the exponent to be a number, got {type(n).__name__}")
        n = float(n)
        if (self.data < 0 and not n.is_integer()) or (self.data == 0 and n < 1 and n != 0):
            raise ValueError(f"expected a power with a real slope, got {self.data:g} to the {n:g}")
        return method(self, n)

    return checked


def _positive_only(method: Callable) -> Callable:
    """Make the logarithm refuse what has none."""

    @functools.wraps(method)
    def checked(self):
        if not self.data > 0:
            raise ValueError(f"expected a positive number, got {self.data:g}")
        return method(self)

    return checked


def topological_order(root: "Node") -> list["Node"]:
    """List a node and all it was made from, so that each stands before everything it was made from.

    Args:
        root: the node that comes first.

    Returns:
        Every node once, however often it was used.

    Example:
        >>> a = Value(2.0)
        >>> b = a * a
        >>> topological_order(b + a)[-1] is a
        True

    Reference:
        Tarjan, "Edge-disjoint spanning trees and depth-first search" (1976), the reverse of the
        order in which a depth-first search leaves the nodes.
    """
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        node, parents_done = stack.pop()
        if parents_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(parent, False) for parent, _ in node.parents]
    return order[::-1]


class Node:
    r"""A number that remembers what it was made from, and how steeply it answers to each of that.

    Args:
        data: the number.
        parents: pairs of a node that this one was made from and the slope
            :math:`\partial\,\text{this}/\partial\,\text{parent}`.

    Attributes:
        grad: the sum of what the calls of :meth:`backward` have added.

    Raises:
        TypeError: if ``data`` is no real number.

    Example:
        >>> a = Node(2.0)
        >>> Node(6.0, [(a, 3.0)]).backward()
        >>> a
        Node(data=2, grad=3)
    """

    @_numbers_only
    def __init__(self, data: float, parents: Sequence[tuple["Node", float]] = ()) -> None:
        self.data, self.parents, self.grad = float(data), parents, 0.0

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}(data={self.data:g}, grad={self.grad:g})"

    def backward(self) -> None:
        r"""Add to the ``grad`` of every node the derivative of this one with respect to it.

        .. math:: \bar v = \sum_{\text{children } u \text{ of } v}
                  \bar u\, \frac{\partial u}{\partial v}, \qquad \bar{\text{this}} = 1

        Unlike torch, this also fills the ``grad`` of nodes in the middle; like torch, it adds.

        Reference:
            Griewank and Walther, "Evaluating Derivatives" (2nd edition, 2008), section 3.2.
        """
        arrived = {self: 1.0}
        for node in topological_order(self):
            node.grad += arrived[node]
            for parent, slope in node.parents:
                before = arrived.get(parent, 0.0)
                arrived[parent] = before + slope * arrived[node]


class Arithmetic(Node):
    """A node with the operations that Python writes as signs; see :class:`Value`."""

    @_operands_only
    def __add__(self, other: "Node | float") -> "Value":
        if isinstance(other, Real):
            other = Value(other)
        return Value(self.data + other.data, [(self, 1.0), (other, 1.0)])

    @_operands_only
    def __mul__(self, other: "Node | float") -> "Value":
        if isinstance(other, Real):
            other = Value(other)
        slopes = [(self, other.data), (other, self.data)]
        return Value(self.data * other.data, slopes)

    @_powers_only
    def __pow__(self, n: float) -> "Value":
        slope = n * self.data ** (n - 1) if n else 0.0
        return Value(self.data**n, [(self, slope)])

    def __neg__(self) -> "Value":
        return self * -1

    __radd__, __rmul__ = __add__, __mul__


class Value(Arithmetic):
    r"""A number that can be computed with, and then differentiated by ``backward()``.

    ``+``, ``-``, ``*``, ``/`` with Values and numbers, ``**`` with a number as the exponent, and
    the functions below. The numbers are Python's: where they overflow, Python raises
    OverflowError or goes to infinity.

    Args:
        data: the number.
        parents: for a new operation: what it was made from, with the slopes.

    Raises:
        TypeError: if ``data``, or what it is computed with, is no number.
        ValueError: for a power or a logarithm that is not real or has no slope.
        ZeroDivisionError: for a division by the plain number 0.

    Example:
        >>> a, b = Value(2.0), Value(3.0)
        >>> loss = (a * b - 5) ** 2
        >>> loss.backward()
        >>> loss.data, a.grad, b.grad
        (1.0, 6.0, 4.0)

    Reference:
        Karpathy, micrograd (2020), https://github.com/karpathy/micrograd, from which the interface
        is taken.
    """

    @_operands_only
    def __sub__(self, other: "Node | float") -> "Value":
        return self + other * -1

    @_operands_only
    def __rsub__(self, other: float) -> "Value":
        return self * -1 + other

    @_operands_only
    def __truediv__(self, other: "Node | float") -> "Value":
        return self * other**-1

    @_operands_only
    def __rtruediv__(self, other: float) -> "Value":
        return self**-1 * other

    def exp(self) -> "Value":
        """Return e to the power of this, which is its own slope."""
        e = math.exp(self.data)
        return Value(e, [(self, e)])

    @_positive_only
    def log(self) -> "Value":
        """Return the natural logarithm, with the slope 1/x."""
        return Value(math.log(self.data), [(self, 1 / self.data)])

    def tanh(self) -> "Value":
        """Return the hyperbolic tangent, with the slope 1 - tanh²."""
        o = math.tanh(self.data)
        return Value(o, [(self, 1 - o**2)])

    def relu(self) -> "Value":
        """Return what is positive and 0 for the rest, with the slope 1 or 0."""
        return Value(max(self.data, 0.0), [(self, float(self.data > 0))])
