"""What a neuron does with its sum: activation functions, and how steeply each one answers.

Without an activation many linear layers equal one. Each function here has the name and the
arguments of its counterpart in ``torch.nn.functional`` (less ``inplace`` and ``dtype``) and, at
every point, its value and gradient. Beside it stands its derivative, written out by hand; that of
softmax is a matrix.

All take a tensor of floating-point numbers of any shape. Anything else, integers too, is a
``TypeError``; torch is of two minds: its sigmoid turns integers into floats, its softmax refuses.
"""

import functools
import inspect
import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


def _floats_only(function: Callable) -> Callable:
    """Make ``function`` refuse a first argument that is no tensor of floating-point numbers."""
    name = next(iter(inspect.signature(function).parameters))

    @functools.wraps(function)
    def checked(*args, **kwargs):
        x = args[0] if args else kwargs.get(name)
        if not (isinstance(x, Tensor) and x.is_floating_point()):
            got = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(
                f"{function.__name__} expected a floating-point tensor as {name}, got {got}"
            )
        return function(*args, **kwargs)

    return checked


@_floats_only
def step(input: Float[Tensor, "*shape"], threshold: float = 0.0) -> Float[Tensor, "*shape"]:
    r"""The neuron that fires or does not.

    .. math:: f(x) = \begin{cases} 1 & x \ge \text{threshold} \\ 0 & \text{otherwise} \end{cases}

    At threshold 0 it is ``torch.heaviside(input, torch.ones_like(input))``. Its slope is zero
    wherever it has one, so nothing can be learned through it: autograd ends here.

    Args:
        input: any shape.
        threshold: where the neuron begins to fire; at the threshold itself it fires.

    Returns:
        0 or 1, of the type of ``input``; 0 for NaN.

    Raises:
        TypeError: if ``input`` is no floating-point tensor.

    Example:
        >>> step(torch.tensor([-1.0, 0.0, 2.0]))
        tensor([0., 1., 1.])

    Reference:
        McCulloch and Pitts, "A Logical Calculus of the Ideas Immanent in Nervous Activity" (1943).
    """
    return (input >= threshold).to(input.dtype)


@_floats_only
def step_derivative(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Slope of :func:`step`: zero almost everywhere, and none at the threshold.

    .. math:: f'(x) = 0

    At the threshold, where there is no derivative, this returns zero too.

    Example:
        >>> step_derivative(torch.tensor([-1.0, 0.0, 2.0]))
        tensor([0., 0., 0.])
    """
    return torch.zeros_like(x)


@_floats_only
def sigmoid(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""The logistic function: a smooth step, and the probability whose log-odds are ``input``.

    .. math:: \sigma(x) = \frac{1}{1 + e^{-x}} = \frac{e^x}{1 + e^x}

    The left form serves :math:`x \ge 0`, the right one :math:`x < 0`, and no exponential overflows.

    Args:
        input: any shape.

    Returns:
        Values in the open interval (0, 1), though float32 rounds them to exactly 1 from about 17 on
        and to exactly 0 from about -104 down.

    Raises:
        TypeError: if ``input`` is no floating-point tensor.

    Example:
        >>> sigmoid(torch.tensor([-1000.0, 0.0, 1000.0]))
        tensor([0.0000, 0.5000, 1.0000])

    Reference:
        Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors"
        (Nature 323, 1986), equation 2.
    """
    # e^{-|x|}, without abs(), which has no slope at zero
    z = torch.exp(-torch.where(input < 0, -input, input))
    return torch.where(input < 0, z, 1) / (1 + z)


@_floats_only
def sigmoid_derivative(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Slope of :func:`sigmoid`: never more than a quarter, and next to nothing far from zero.

    .. math:: \sigma'(x) = \sigma(x)\,(1 - \sigma(x))

    Example:
        >>> sigmoid_derivative(torch.tensor([-2.0, 0.0, 2.0]))
        tensor([0.1050, 0.2500, 0.1050])
    """
    y = sigmoid(x)
    return y * (1 - y)


@_floats_only
def tanh(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""The hyperbolic tangent: a sigmoid stretched to the interval from -1 to 1.

    .. math:: \tanh x = \frac{e^x - e^{-x}}{e^x + e^{-x}} = 2\,\sigma(2x) - 1
              = \pm\frac{1 - e^{-2|x|}}{1 + e^{-2|x|}}

    The last form, with the sign of x, cannot overflow; ``expm1`` keeps its numerator exact near 0.

    Args:
        input: any shape.

    Returns:
        Values in the open interval (-1, 1), though float32 rounds them to exactly -1 and 1 from
        about 9 on.

    Raises:
        TypeError: if ``input`` is no floating-point tensor.

    Example:
        >>> tanh(torch.tensor([-1000.0, 0.0, 0.5]))
        tensor([-1.0000,  0.0000,  0.4621])

    Reference:
        LeCun, Bottou, Orr and Müller, "Efficient BackProp" (1998), section 4.4.
    """
    # e^{-2|x|} - 1, without abs(), which has no slope at zero
    z = torch.expm1(-2 * torch.where(input < 0, -input, input))
    return torch.where(input < 0, z, -z) / (2 + z)


@_floats_only
def tanh_derivative(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Slope of :func:`tanh`: at zero 1, four times the sigmoid's; far from it next to nothing.

    .. math:: \tanh'(x) = 1 - \tanh^2(x)

    Example:
        >>> tanh_derivative(torch.tensor([-2.0, 0.0, 2.0]))
        tensor([0.0707, 1.0000, 0.0707])
    """
    return 1 - tanh(x) ** 2


@_floats_only
def relu(input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""The rectified linear unit: what is positive passes, the rest is cut off.

    .. math:: \mathrm{ReLU}(x) = \max(0, x)

    Args:
        input: any shape.

    Returns:
        Values in [0, ∞).

    Raises:
        TypeError: if ``input`` is no floating-point tensor.

    Example:
        >>> relu(torch.tensor([-2.0, 0.0, 2.0]))
        tensor([0., 0., 2.])

    Reference:
        Nair and Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines" (2010).
    """
    return torch.where(input <= 0, 0, input)


@_floats_only
def relu_derivative(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Slope of :func:`relu`: it neither shrinks nor grows what passes.

    .. math:: \mathrm{ReLU}'(x) = \begin{cases} 1 & x > 0 \\ 0 & x \le 0 \end{cases}

    At the kink, where there is no derivative, zero by convention, as in torch.

    Example:
        >>> relu_derivative(torch.tensor([-2.0, 0.0, 2.0]))
        tensor([0., 0., 1.])
    """
    return (x > 0).to(x.dtype)


@_floats_only
def leaky_relu(
    input: Float[Tensor, "*shape"], negative_slope: float = 0.01
) -> Float[Tensor, "*shape"]:
    r"""A ReLU that lets a little of the negative side through, so that a unit cannot die.

    .. math:: f(x) = \begin{cases} x & x > 0 \\ \alpha x & x \le 0 \end{cases}

    Args:
        input: any shape.
        negative_slope: :math:`\alpha`, the slope on the negative side.

    Returns:
        Any real number, for a positive ``negative_slope``.

    Raises:
        TypeError: if ``input`` is no floating-point tensor.

    Example:
        >>> leaky_relu(torch.tensor([-2.0, 0.0, 2.0]), negative_slope=0.1)
        tensor([-0.2000,  0.0000,  2.0000])

    Reference:
        Maas, Hannun and Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models"
        (2013), section 2.
    """
    return torch.where(input > 0, input, negative_slope * input)


@_floats_only
def leaky_relu_derivative(
    x: Float[Tensor, "*shape"], negative_slope: float = 0.01
) -> Float[Tensor, "*shape"]:
    r"""Slope of :func:`leaky_relu`.

    .. math:: f'(x) = \begin{cases} 1 & x > 0 \\ \alpha & x \le 0 \end{cases}

    At the kink, where there is no derivative, ``negative_slope`` by convention, as in torch.

    Example:
        >>> leaky_relu_derivative(torch.tensor([-2.0, 0.0, 2.0]))
        tensor([0.0100, 0.0100, 1.0000])
    """
    return torch.where(x > 0, torch.ones_like(x), negative_slope)


@_floats_only
def gelu(input: Float[Tensor, "*shape"], approximate: str = "none") -> Float[Tensor, "*shape"]:
    r"""The Gaussian error linear unit: x times the chance that a standard normal is smaller than x.

    .. math:: \mathrm{GELU}(x) = x\,\Phi(x)
              = \frac{x}{2}\left(1 + \mathrm{erf}\frac{x}{\sqrt 2}\right)
              \approx \frac{x}{2}\left(1 + \tanh\left(\sqrt{\tfrac{2}{\pi}}\,
              (x + 0.044715\,x^3)\right)\right)

    Args:
        input: any shape.
        approximate: ``"none"`` for the form with erf, ``"tanh"`` for the one with tanh.

    Returns:
        Values from -0.17 (near x = -0.75) up; the curve turns back to zero on the left of it.

    Raises:
        TypeError: if ``input`` is no floating-point tensor.
        ValueError: if ``approximate`` is neither of the two.

    Example:
        >>> gelu(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([-0.1587,  0.0000,  0.8413])

    Reference:
        Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)" (2016), section 2,
        arXiv:1606.08415.
    """
    if approximate == "none":
        return input / 2 * (1 + torch.erf(input / math.sqrt(2)))
    if approximate == "tanh":
        u = math.sqrt(2 / math.pi) * (input + 0.044715 * input**3)
        return input / 2 * (1 + tanh(u))
    raise ValueError(f'approximate must be "none" or "tanh", got {approximate!r}')


@_floats_only
def gelu_derivative(
    x: Float[Tensor, "*shape"], approximate: str = "none"
) -> Float[Tensor, "*shape"]:
    r"""Slope of :func:`gelu`, by the product rule.

    .. math:: \mathrm{GELU}'(x) = \Phi(x) + x\,\varphi(x), \qquad
              \varphi(x) = \frac{1}{\sqrt{2\pi}} e^{-x^2/2}

    The approximation, with :math:`u = \sqrt{2/\pi}\,(x + 0.044715\,x^3)`, has the slope
    :math:`\frac12(1 + \tanh u) + \frac{x}{2}(1 - \tanh^2 u)\,u'`.

    Raises:
        TypeError: if ``x`` is no floating-point tensor.
        ValueError: if ``approximate`` is neither ``"none"`` nor ``"tanh"``.

    Example:
        >>> gelu_derivative(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([-0.0833,  0.5000,  1.0833])
    """
    if approximate == "none":
        Phi = (1 + torch.erf(x / math.sqrt(2))) / 2
        phi = torch.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
        return Phi + x * phi
    if approximate == "tanh":
        u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
        du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
        return (1 + tanh(u)) / 2 + x / 2 * tanh_derivative(u) * du
    raise ValueError(f'approximate must be "none" or "tanh", got {approximate!r}')


@_floats_only
def softmax(input: Float[Tensor, "*shape"], dim: int) -> Float[Tensor, "*shape"]:
    r"""Numbers into probabilities: positive, and along ``dim`` they sum to one.

    .. math:: s_i = \frac{e^{x_i}}{\sum_j e^{x_j}} = \frac{e^{x_i - m}}{\sum_j e^{x_j - m}},
              \qquad m = \max_j x_j

    Only differences count, so the maximum may be subtracted: then no exponential overflows.

    Args:
        input: any shape. ``-inf`` gets probability zero.
        dim: the axis of the outcomes; no default, for a wrong guess would go unnoticed.

    Returns:
        Values in the open interval (0, 1), though float32 rounds to 0 and 1. Where all outcomes are
        ``-inf`` there is no distribution: NaN, as in torch (attention treats such rows itself).

    Raises:
        TypeError: if ``input`` is no floating-point tensor.
        IndexError: if ``input`` has no axis ``dim`` or that axis is empty.

    Example:
        >>> softmax(torch.tensor([0.1, 0.2, 0.7]), dim=-1)
        tensor([0.2546, 0.2814, 0.4640])

    Reference:
        Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs" (1990).
    """
    z = torch.exp(input - input.amax(dim, keepdim=True))
    return z / z.sum(dim, keepdim=True)


@_floats_only
def softmax_jacobian(x: Float[Tensor, "*shape"], dim: int = -1) -> Float[Tensor, "*batch n n"]:
    r"""All slopes of :func:`softmax`: each output depends on each input, so they form a matrix.

    .. math:: J_{ij} = \frac{\partial s_i}{\partial x_j} = s_i\,(\delta_{ij} - s_j), \qquad
              J = \mathrm{diag}(s) - s s^\top

    Symmetric; each row sums to zero, for a number added to all inputs changes nothing.

    Args:
        x: any shape with at least one axis.
        dim: the axis of the outcomes. In the result it stands last, twice.

    Raises:
        TypeError: if ``x`` is no floating-point tensor.
        IndexError: if ``x`` has no axis ``dim`` or that axis is empty.

    Example:
        >>> softmax_jacobian(torch.tensor([0.0, 0.0]))
        tensor([[ 0.2500, -0.2500],
                [-0.2500,  0.2500]])
    """
    s = softmax(x, dim).movedim(dim, -1)  # (*batch, n)
    ss = s.unsqueeze(-1) * s.unsqueeze(-2)  # (*batch, n, n)
    return torch.diag_embed(s) - ss


@_floats_only
def log_softmax(input: Float[Tensor, "*shape"], dim: int) -> Float[Tensor, "*shape"]:
    r"""The natural logarithm of :func:`softmax`, exact also where softmax itself rounds to zero.

    .. math:: \log s_i = x_i - \log \sum_j e^{x_j}

    The maximum is subtracted first, as in softmax: the log-sum-exp trick.

    Args:
        input: any shape.
        dim: the axis of the outcomes.

    Returns:
        Values in (-∞, 0); ``-inf`` for ``-inf``, NaN where all outcomes are ``-inf``, as in torch.

    Raises:
        TypeError: if ``input`` is no floating-point tensor.
        IndexError: if ``input`` has no axis ``dim`` or that axis is empty.

    Example:
        >>> log_softmax(torch.tensor([0.0, 1000.0]), dim=-1)
        tensor([-1000.,     0.])

    Reference:
        Goodfellow, Bengio and Courville, "Deep Learning" (2016), section 6.2.2.3.
    """
    x = input - input.amax(dim, keepdim=True)
    return x - x.exp().sum(dim, keepdim=True).log()


@_floats_only
def log_softmax_jacobian(x: Float[Tensor, "*shape"], dim: int = -1) -> Float[Tensor, "*batch n n"]:
    r"""All slopes of :func:`log_softmax`, which every softmax classifier's gradient is made of.

    .. math:: J_{ij} = \frac{\partial \log s_i}{\partial x_j} = \delta_{ij} - s_j

    Args:
        x: any shape with at least one axis.
        dim: the axis of the outcomes. In the result it stands last, twice.

    Raises:
        TypeError: if ``x`` is no floating-point tensor.
        IndexError: if ``x`` has no axis ``dim`` or that axis is empty.

    Example:
        >>> log_softmax_jacobian(torch.tensor([0.0, 0.0]))
        tensor([[ 0.5000, -0.5000],
                [-0.5000,  0.5000]])
    """
    s = softmax(x, dim).movedim(dim, -1)  # (*batch, n)
    identity = torch.eye(s.shape[-1], dtype=s.dtype, device=s.device)
    return identity - s.unsqueeze(-2)  # (*batch, n, n)
