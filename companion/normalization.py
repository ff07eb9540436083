r"""Numbers of the right size: how weights start, how layers normalise, how the learning rate moves.

Three remedies for deep networks in which values or gradients die out or blow up:

- initialisation, :func:`xavier_normal_`, :func:`kaiming_normal_` and their uniform twins;
- normalisation, :func:`batch_norm` and :func:`layer_norm`, as functions and as modules;
- schedules, which say what the learning rate is at step 0, 1, 2 …

Names, arguments and defaults are those of ``torch.nn.init``, ``torch.nn.functional``, ``torch.nn``
and ``torch.optim.lr_scheduler``. The state dicts of the modules fit torch's; left out is the
keyword ``bias`` of torch's newest batch norms. A schedule here is a plain function of the step.
"""

import functools
import inspect
import math
import numbers
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

LINEAR = ("linear", "conv1d", "conv2d", "conv3d")
LINEAR += tuple(f"conv_transpose{d}d" for d in (1, 2, 3))
GAINS = (*LINEAR, "sigmoid", "tanh", "relu", "leaky_relu", "selu")
Batch = Float[Tensor, "N C *rest"]  # samples, channels, and any number of positions
Channels = Float[Tensor, " C"]


def _checked_init(function: Callable) -> Callable:
    """Refuse what has no fans or no gain; leave a tensor without elements as it is."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        tensor = given.arguments.get("tensor")
        mode = given.arguments.get("mode", "fan_in")
        nonlinearity = given.arguments.get("nonlinearity", "linear")
        if "tensor" in given.arguments:
            if not isinstance(tensor, Tensor):
                raise TypeError(f"expected a tensor, got {type(tensor).__name__}")
            if tensor.dim() < 2:
                raise ValueError(
                    "expected a tensor of at least two dimensions (outputs, inputs, ...), "
                    f"got the shape {tuple(tensor.shape)}"
                )
        if mode not in ("fan_in", "fan_out"):
            raise ValueError(f'mode must be "fan_in" or "fan_out", got {mode!r}')
        if nonlinearity not in GAINS:
            known = ", ".join(GAINS)
            raise ValueError(f"nonlinearity must be one of {known}, got {nonlinearity!r}")
        if tensor is not None and tensor.numel() == 0 and "generator" in given.arguments:
            return tensor
        return function(*args, **kwargs)

    return checked


@_checked_init
def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    r"""How much wider the weights must be drawn to make up for what an activation takes away.

    .. math:: g = \frac{1}{\sqrt{\mathrm{E}[f(z)^2]}}, \qquad z \sim \mathcal N(0, 1)

    That gives :math:`\sqrt 2` for ReLU and :math:`\sqrt{2 / (1 + a^2)}` for a leaky ReLU of slope
    a. The others are conventions of torch: for tanh 5/3 (the formula gives 1.59), for the sigmoid
    1, for SELU 3/4.

    Args:
        nonlinearity: one of :data:`GAINS`.
        param: the slope of ``"leaky_relu"`` on the negative side; 0.01 if None.

    Raises:
        ValueError: if ``nonlinearity`` has no gain here.

    Example:
        >>> calculate_gain("relu") ** 2
        2.0000000000000004
    """
    slope = 0.01 if param is None else param
    return {
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + slope**2)),
        "selu": 3 / 4,
    }.get(nonlinearity, 1.0)


@_checked_init
def calculate_fan_in_and_fan_out(tensor: Float[Tensor, "..."]) -> tuple[int, int]:
    """Count how many numbers enter a neuron, and how many neurons a number enters.

    Args:
        tensor: a weight: (outputs, inputs), or (outputs, inputs, height, width) of a convolution.

    Raises:
        ValueError: if ``tensor`` has fewer than two dimensions.

    Example:
        >>> calculate_fan_in_and_fan_out(torch.empty(5, 3)), calculate_fan_in_and_fan_out(
        ...     torch.empty(5, 3, 2, 2)
        ... )
        ((3, 5), (12, 20))
    """
    outputs, inputs, *kernel = tensor.shape
    return inputs * math.prod(kernel), outputs * math.prod(kernel)


@_checked_init
def xavier_uniform_(
    tensor: Float[Tensor, "*shape"], gain: float = 1.0, generator: Generator | None = None
) -> Float[Tensor, "*shape"]:
    r"""Fill a weight evenly from an interval, with the variance of :func:`xavier_normal_`.

    .. math:: w \sim \mathcal U(-a, a), \qquad a = g \sqrt{\frac{6}{n_\text{in} + n_\text{out}}}

    Args:
        tensor: the weight, changed in place.
        gain: g, from :func:`calculate_gain`.
        generator: where the random numbers come from.

    Returns:
        The same tensor.

    Raises:
        ValueError: if ``tensor`` has fewer than two dimensions.

    Example:
        >>> w = xavier_uniform_(torch.empty(100, 200))
        >>> bool(w.abs().max() <= math.sqrt(6 / 300))
        True

    Reference:
        Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
        networks" (2010), equation 16.
    """
    fan_in, fan_out = calculate_fan_in_and_fan_out(tensor)
    a = gain * math.sqrt(6 / (fan_in + fan_out))
    with torch.no_grad():
        return tensor.uniform_(-a, a, generator=generator)


@_checked_init
def xavier_normal_(
    tensor: Float[Tensor, "*shape"], gain: float = 1.0, generator: Generator | None = None
) -> Float[Tensor, "*shape"]:
    r"""Fill a weight so that neither values nor gradients change their size much on the way.

    .. math:: w \sim \mathcal N(0, \sigma^2), \qquad
              \sigma = g \sqrt{\frac{2}{n_\text{in} + n_\text{out}}}

    Args:
        tensor: the weight, changed in place.
        gain: g, from :func:`calculate_gain`.
        generator: where the random numbers come from.

    Returns:
        The same tensor.

    Raises:
        ValueError: if ``tensor`` has fewer than two dimensions.

    Example:
        >>> w = xavier_normal_(torch.empty(100, 300), generator=Generator().manual_seed(0))
        >>> print(f"{w.std():.3f}")  # sqrt(2 / 400) = 0.071
        0.071

    Reference:
        Glorot and Bengio (2010), equation 12.
    """
    fan_in, fan_out = calculate_fan_in_and_fan_out(tensor)
    std = gain * math.sqrt(2 / (fan_in + fan_out))
    with torch.no_grad():
        return tensor.normal_(0, std, generator=generator)


@_checked_init
def kaiming_uniform_(
    tensor: Float[Tensor, "*shape"],
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Float[Tensor, "*shape"]:
    r"""Fill a weight evenly from an interval, with the variance of :func:`kaiming_normal_`.

    .. math:: w \sim \mathcal U(-b, b), \qquad b = g \sqrt{\frac{3}{n}}

    With :math:`a = \sqrt 5` the gain is :math:`1/\sqrt 3` and the bound :math:`1/\sqrt{n}`: so
    ``torch.nn.Linear`` draws its weights.

    Args:
        tensor: the weight, changed in place.
        a: the slope of the leaky ReLU on the negative side.
        mode: ``"fan_in"`` keeps the size of values, ``"fan_out"`` that of gradients.
        nonlinearity: the activation that follows, for :func:`calculate_gain`.
        generator: where the random numbers come from.

    Returns:
        The same tensor.

    Raises:
        ValueError: if ``tensor`` has fewer than two dimensions, or ``mode`` or ``nonlinearity`` is
            unknown.

    Example:
        >>> w = kaiming_uniform_(torch.empty(3, 100), a=math.sqrt(5))
        >>> bool(w.abs().max() <= 0.1)
        True

    Reference:
        He, Zhang, Ren and Sun, "Delving Deep into Rectifiers" (2015), equations 10, 14 and 15.
    """
    fan_in, fan_out = calculate_fan_in_and_fan_out(tensor)
    fan = fan_in if mode == "fan_in" else fan_out
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3 / fan)
    with torch.no_grad():
        return tensor.uniform_(-bound, bound, generator=generator)


@_checked_init
def kaiming_normal_(
    tensor: Float[Tensor, "*shape"],
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Float[Tensor, "*shape"]:
    r"""Fill a weight so that a layer with ReLU keeps the size of its values.

    .. math:: w \sim \mathcal N(0, \sigma^2), \qquad \sigma = \frac{g}{\sqrt n}

    With the defaults (slope 0) :math:`g = \sqrt 2`.

    Args:
        tensor: the weight, changed in place.
        a: the slope of the leaky ReLU on the negative side.
        mode: ``"fan_in"`` keeps the size of values, ``"fan_out"`` that of gradients.
        nonlinearity: the activation that follows, for :func:`calculate_gain`.
        generator: where the random numbers come from.

    Returns:
        The same tensor.

    Raises:
        ValueError: if ``tensor`` has fewer than two dimensions, or ``mode`` or ``nonlinearity`` is
            unknown.

    Example:
        >>> w = kaiming_normal_(torch.empty(300, 200), generator=Generator().manual_seed(0))
        >>> print(f"{w.std():.3f}")  # sqrt(2 / 200) = 0.1
        0.100

    Reference:
        He, Zhang, Ren and Sun (2015), equations 10, 14 and 15.
    """
    fan_in, fan_out = calculate_fan_in_and_fan_out(tensor)
    fan = fan_in if mode == "fan_in" else fan_out
    std = calculate_gain(nonlinearity, a) / math.sqrt(fan)
    with torch.no_grad():
        return tensor.normal_(0, std, generator=generator)


def standardize(
    x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    r"""The standard score, then a scale and a shift: what all normalisations share.

    .. math:: y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    Args:
        x: any shape.
        mean: :math:`\mu`; this and what follows must broadcast with ``x``.
        var: :math:`\sigma^2`.
        weight: :math:`\gamma`, 1 if None.
        bias: :math:`\beta`, 0 if None.
        eps: :math:`\epsilon`, what keeps the denominator from zero.

    Example:
        >>> mean, var = torch.tensor(3.0), torch.tensor(4.0)
        >>> standardize(torch.tensor([1.0, 5.0]), mean, var, None, None, eps=0.0)
        tensor([-1.,  1.])
    """
    y = (x - mean) / torch.sqrt(var + eps)
    y = y if weight is None else weight * y
    return y if bias is None else y + bias


def _checked_batch_norm(function: Callable) -> Callable:
    """Refuse what does not fit; ``training`` is True where the function has no such argument."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        input = given["input"]
        _check_floats(function.__name__, input)
        shape = tuple(input.shape)
        if len(shape) < 2:
            raise ValueError(f"input must have the shape (N, C, ...), got {shape}")
        for name in ("running_mean", "running_var", "weight", "bias"):
            value = given.get(name)
            if value is not None and tuple(value.shape) != shape[1:2]:
                raise ValueError(
                    f"{name} must have one value for each of the {shape[1]} channels of an input "
                    f"of shape {shape}, got the shape {tuple(value.shape)}"
                )
        if "grad_output" in given and given["grad_output"].shape != input.shape:
            got = tuple(given["grad_output"].shape)
            raise ValueError(f"grad_output must have the shape of input, {shape}, got {got}")
        training, eps = given.get("training", True), given["eps"]
        if (given.get("running_mean") is None) != (given.get("running_var") is None):
            raise ValueError("running_mean and running_var must be given both or neither")
        if not training and given["running_mean"] is None:
            raise ValueError("running_mean and running_var must be given in evaluation, got None")
        if training and shape[0] * math.prod(shape[2:]) < 2:
            raise ValueError(
                f"Expected more than 1 value per channel when training, got input size {shape}"
            )
        if not eps >= 0 or (training and eps == 0):
            raise ValueError(f"eps must be positive (or, in evaluation, 0), got {eps}")
        momentum = given.get("momentum", 0)
        if not isinstance(momentum, numbers.Real):
            raise TypeError(f"momentum must be a number, got {momentum}; None is for the modules")
        return function(*args, **kwargs)

    return checked


@_checked_batch_norm
def batch_norm(
    input: Batch,
    running_mean: Channels | None,
    running_var: Channels | None,
    weight: Channels | None = None,
    bias: Channels | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Batch:
    r"""Bring every channel to mean 0 and variance 1 over the batch, then scale and shift it.

    .. math:: \hat x &= \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad y = \gamma \hat x + \beta

    In training :math:`\mu` and :math:`\sigma^2` are the mean and the variance (divided by n) of
    each channel over the batch and all positions, n values in all. They also move the running
    statistics, in place:

    .. math:: \bar\mu &\leftarrow (1 - m)\,\bar\mu + m\,\mu \\
              \bar\sigma^2 &\leftarrow (1 - m)\,\bar\sigma^2 + m\,\tfrac{n}{n-1} \sigma^2

    Otherwise the running statistics take the place of :math:`\mu` and :math:`\sigma^2`.

    Args:
        input: samples, channels, and any number of positions.
        running_mean: :math:`\bar\mu`; None if nothing is to be remembered.
        running_var: :math:`\bar\sigma^2`.
        weight: :math:`\gamma`, 1 if None.
        bias: :math:`\beta`, 0 if None.
        training: whether the batch's own statistics are used.
        momentum: m, the share of the new batch (torch's word; an optimiser's momentum is the share
            of the old).
        eps: :math:`\epsilon`, what keeps the denominator from zero.

    Returns:
        Shaped like ``input``.

    Raises:
        TypeError: if ``input`` is no floating-point tensor or ``momentum`` no number.
        ValueError: if shapes do not fit; in training, if there are fewer than two values per
            channel (torch lets an empty batch pass); otherwise, if the running statistics are None.

    Example:
        >>> x = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
        >>> batch_norm(x, None, None, training=True)
        tensor([[-1.0000, -1.0000],
                [ 1.0000,  1.0000]])

    Reference:
        Ioffe and Szegedy, "Batch Normalization" (2015), arXiv:1502.03167, algorithms 1 and 2.
    """
    x = input.movedim(1, -1)  # (N, *rest, C)
    mean, var = running_mean, running_var
    if training:
        rows = x.flatten(0, -2)  # (n, C)
        mean, var = rows.mean(0), rows.var(0, correction=0)
        if running_mean is not None:
            running_mean.add_(momentum * (mean.detach() - running_mean))
            running_var.add_(momentum * (rows.detach().var(0) - running_var))
    return standardize(x, mean, var, weight, bias, eps).movedim(-1, 1)


@_checked_batch_norm
def batch_norm_backward(
    grad_output: Batch, input: Batch, weight: Channels, eps: float = 1e-5
) -> tuple[Batch, Channels, Channels]:
    r"""The gradients of :func:`batch_norm` in training, by hand.

    .. math:: \frac{\partial L}{\partial x} = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}}
              \left(g - \overline{g} - \hat x\, \overline{g \hat x}\right), \qquad
              \frac{\partial L}{\partial \gamma} = \sum g \hat x, \qquad
              \frac{\partial L}{\partial \beta} = \sum g

    A bar is the mean over the n values of a channel: what moves all of them alike, or stretches
    them about their mean, is taken back by the normalisation, so it gets no gradient.

    Args:
        grad_output: g, the gradient at the output.
        input: what :func:`batch_norm` got.
        weight: :math:`\gamma`.
        eps: :math:`\epsilon`.

    Returns:
        The gradients for the input, the weight and the bias.

    Raises:
        TypeError: if ``input`` is no floating-point tensor.
        ValueError: if shapes do not fit or there are fewer than two values per channel.

    Example:
        >>> x, g = torch.randn(5, 2), torch.randn(5, 2)
        >>> dx, dweight, dbias = batch_norm_backward(g, x, torch.ones(2))
        >>> dx.sum(0).abs().max() < 1e-5
        tensor(True)

    Reference:
        Ioffe and Szegedy (2015), section 3; their six lines, put together.
    """
    x, g = input.movedim(1, -1), grad_output.movedim(1, -1)
    over = tuple(range(x.dim() - 1))  # all but the channels, now last
    std = torch.sqrt(x.var(over, correction=0) + eps)
    x_hat = (x - x.mean(over)) / std
    dx = g - g.mean(over) - x_hat * (g * x_hat).mean(over)
    dx = weight / std * dx
    return dx.movedim(-1, 1), (g * x_hat).sum(over), g.sum(over)


class BatchNorm1d(nn.Module):
    """Batch norm with its own scale, shift and running statistics, for vectors or sequences.

    In training (``module.train()``) the batch's statistics are used and remembered, in evaluation
    (``module.eval()``) the remembered ones are used: see :func:`batch_norm`.

    Args:
        num_features: C, the number of channels.
        eps: what keeps the denominator from zero.
        momentum: the share of a new batch in the running statistics; None for the plain mean of
            all batches so far.
        affine: whether there are a weight and a bias to learn.
        track_running_stats: False for the batch's statistics in evaluation too.
        device: where to put the tensors.
        dtype: their type.

    Raises:
        ValueError: if the input is not (N, C) or (N, C, length), or as :func:`batch_norm`.

    Example:
        >>> norm = BatchNorm1d(2)
        >>> norm(torch.tensor([[1.0, 10.0], [3.0, 30.0]])).detach()
        tensor([[-1.0000, -1.0000],
                [ 1.0000,  1.0000]])
        >>> norm.running_mean, norm.running_var  # a tenth of the way from 0 to 2, from 1 to 2 ...
        (tensor([0.2000, 2.0000]), tensor([ 1.1000, 20.9000]))

    Reference:
        Ioffe and Szegedy (2015), arXiv:1502.03167.
    """

    dimensions = (2, 3)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        one = torch.ones(num_features, device=device, dtype=dtype)
        self.register_parameter("weight", nn.Parameter(one) if affine else None)
        self.register_parameter("bias", nn.Parameter(0 * one) if affine else None)
        count = torch.tensor(0, device=device)
        self.register_buffer("running_mean", 0 * one if track_running_stats else None)
        self.register_buffer("running_var", one.clone() if track_running_stats else None)
        self.register_buffer("num_batches_tracked", count if track_running_stats else None)

    def forward(self, input: Batch) -> Batch:
        """Normalise with the batch's statistics in training, else with the running ones."""
        self.check(input)
        momentum = self.momentum
        if self.training and self.track_running_stats:
            self.num_batches_tracked += 1
            if momentum is None:  # the mean of all batches so far
                momentum = 1 / self.num_batches_tracked.item()
        return batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            momentum or 0.0,
            self.eps,
        )

    def check(self, input: Tensor) -> None:
        """Refuse an input of the wrong number of dimensions."""
        if input.dim() not in self.dimensions:
            expected = " or ".join(f"{d}D" for d in self.dimensions)
            raise ValueError(f"expected {expected} input (got {input.dim()}D input)")

    def extra_repr(self) -> str:
        """Say the settings."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm2d(BatchNorm1d):
    """Batch norm for images (N, C, height, width): each channel over all samples and pixels.

    Example:
        >>> BatchNorm2d(3)(torch.randn(1, 3, 2, 2)).mean((0, 2, 3)).abs().max() < 1e-6
        tensor(True)
    """

    dimensions = (4,)


def _checked_layer_norm(function: Callable) -> Callable:
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        input, shape = given["input"], given["normalized_shape"]
        _check_floats(function.__name__, input)
        if not isinstance(shape, Sequence):
            raise TypeError(f"normalized_shape must be a tuple of integers, got {shape!r}")
        shape = tuple(shape)
        if not shape:
            raise ValueError("normalized_shape must have at least one dimension, got ()")
        if tuple(input.shape[-len(shape) :]) != shape:
            raise ValueError(
                f"input must end in the dimensions {shape}, got the shape {tuple(input.shape)}"
            )
        for name in ("weight", "bias"):
            value = given[name]
            if value is not None and tuple(value.shape) != shape:
                raise ValueError(f"{name} must have the shape {shape}, got {tuple(value.shape)}")
        if not given["eps"] >= 0:
            raise ValueError(f"eps must be at least 0, got {given['eps']}")
        return function(*args, **kwargs)

    return checked


@_checked_layer_norm
def layer_norm(
    input: Float[Tensor, "*batch_and_shape"],
    normalized_shape: Sequence[int],
    weight: Float[Tensor, "*shape"] | None = None,
    bias: Float[Tensor, "*shape"] | None = None,
    eps: float = 1e-5,
) -> Float[Tensor, "*batch_and_shape"]:
    r"""Bring every sample to mean 0 and variance 1 over its own values, then scale and shift.

    .. math:: y = \gamma \odot \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    Here :math:`\mu` and :math:`\sigma^2` (divided by n) are taken over the last dimensions of each
    sample. No other sample has a part in it, so training and evaluation are the same.

    Args:
        input: any leading dimensions, then ``normalized_shape``.
        normalized_shape: the sizes of the last dimensions, over which is averaged.
        weight: :math:`\gamma`, one number for each of the n values, 1 if None.
        bias: :math:`\beta`, likewise, 0 if None.
        eps: :math:`\epsilon`, what keeps the denominator from zero.

    Returns:
        Shaped like ``input``. In float16 and bfloat16 the sums are rounded to 16 bits on the way;
        torch's take float32 for them.

    Raises:
        TypeError: if ``input`` is no floating-point tensor or ``normalized_shape`` no tuple.
        ValueError: if shapes do not fit or ``eps`` is negative.

    Example:
        >>> layer_norm(torch.tensor([[1.0, 3.0], [10.0, 30.0]]), (2,))
        tensor([[-1.0000,  1.0000],
                [-1.0000,  1.0000]])

    Reference:
        Ba, Kiros and Hinton, "Layer Normalization" (2016), arXiv:1607.06450, equations 3 and 4.
    """
    over = tuple(range(-len(normalized_shape), 0))
    mean = input.mean(over, keepdim=True)
    var = (input - mean).square().mean(over, keepdim=True)
    return standardize(input, mean, var, weight, bias, eps)


class LayerNorm(nn.Module):
    """Layer norm with its own scale and shift; it remembers nothing.

    Args:
        normalized_shape: the sizes of the last dimensions, or one number for the last.
        eps: what keeps the denominator from zero.
        elementwise_affine: whether there are a weight and a bias to learn.
        bias: False for a weight alone.
        device: where to put the tensors.
        dtype: their type.

    Raises:
        ValueError: as :func:`layer_norm`.

    Example:
        >>> LayerNorm(2)(torch.tensor([[1.0, 3.0], [10.0, 30.0]])).detach()
        tensor([[-1.0000,  1.0000],
                [-1.0000,  1.0000]])

    Reference:
        Ba, Kiros and Hinton (2016), arXiv:1607.06450.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if isinstance(normalized_shape, numbers.Integral):
            normalized_shape = (normalized_shape,)
        self.normalized_shape, self.eps = tuple(normalized_shape), eps
        self.elementwise_affine = elementwise_affine
        one = torch.ones(self.normalized_shape, device=device, dtype=dtype)
        self.register_parameter("weight", nn.Parameter(one) if elementwise_affine else None)
        self.register_parameter(
            "bias", nn.Parameter(0 * one) if elementwise_affine and bias else None
        )

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Normalise every sample by itself."""
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Say the settings."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


def _checked_schedule(function: Callable) -> Callable:
    """Refuse steps before the first, lengths below one, and factors that torch refuses."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        for name in ("step", "lr", "max_lr", "eta_min", "gamma", "warmup_steps"):
            if name in given and not given[name] >= 0:
                raise ValueError(f"{name} must be at least 0, got {given[name]}")
        for name in ("step_size", "total_iters", "total_steps"):
            if name in given and not given[name] >= 1:
                raise ValueError(f"{name} must be at least 1, got {given[name]}")
        for name in ("T_max", "start_factor", "div_factor", "final_div_factor"):
            if name in given and not given[name] > 0:
                raise ValueError(f"{name} must be positive, got {given[name]}")
        for name in ("start_factor", "end_factor", "pct_start"):
            if name in given and not 0 <= given[name] <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {given[name]}")
        if "total_steps" in given and given["step"] >= given["total_steps"]:
            total = given["total_steps"]
            raise ValueError(f"step must be below total_steps, {total}, got {given['step']}")
        if given.get("warmup_steps", 0) > given.get("total_steps", math.inf):
            raise ValueError(
                f"warmup_steps must be at most total_steps, {given['total_steps']}, "
                f"got {given['warmup_steps']}"
            )
        return function(*args, **kwargs)

    return checked


@_checked_schedule
def step_lr(step: int, lr: float, step_size: int, gamma: float = 0.1) -> float:
    r"""Learning rate that falls by a factor every ``step_size`` steps.

    .. math:: \eta_t = \eta\, \gamma^{\lfloor t / s \rfloor}

    Args:
        step: t, from 0.
        lr: :math:`\eta`, where it starts.
        step_size: s.
        gamma: :math:`\gamma`.

    Raises:
        ValueError: if a number is negative or ``step_size`` below 1.

    Example:
        >>> [step_lr(t, 0.5, step_size=2, gamma=0.5) for t in range(5)]
        [0.5, 0.5, 0.25, 0.25, 0.125]
    """
    return lr * gamma ** (step // step_size)


@_checked_schedule
def linear_lr(
    step: int, lr: float, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
) -> float:
    r"""Learning rate that goes in a straight line from one share of ``lr`` to another, then stays.

    .. math:: \eta_t = \eta \left(a + (b - a) \min(t / T, 1)\right)

    With a below b it is a warm-up.

    Args:
        step: t, from 0.
        lr: :math:`\eta`.
        start_factor: a, in (0, 1].
        end_factor: b, in [0, 1].
        total_iters: T.

    Raises:
        ValueError: if a number is out of its range.

    Example:
        >>> [linear_lr(t, 1.0, start_factor=0.5, total_iters=2) for t in range(4)]
        [0.5, 0.75, 1.0, 1.0]
    """
    part = min(step / total_iters, 1)
    return lr * (start_factor + (end_factor - start_factor) * part)


@_checked_schedule
def cosine_annealing_lr(step: float, lr: float, T_max: float, eta_min: float = 0.0) -> float:
    r"""Learning rate that falls along half a cosine: slowly, fast, and slowly again.

    .. math:: \eta_t = \eta_\text{min} + \tfrac12 (\eta - \eta_\text{min})
              \left(1 + \cos \frac{\pi t}{T}\right)

    Args:
        step: t, from 0. Past T it rises again.
        lr: :math:`\eta`, where it starts.
        T_max: T, when it arrives.
        eta_min: :math:`\eta_\text{min}`, where it arrives.

    Raises:
        ValueError: if a number is negative or ``T_max`` not positive.

    Example:
        >>> [round(cosine_annealing_lr(t, 1.0, T_max=4), 3) for t in range(5)]
        [1.0, 0.854, 0.5, 0.146, 0.0]

    Reference:
        Loshchilov and Hutter, "SGDR" (2017), arXiv:1608.03983, equation 5, without restarts.
    """
    share = (1 + math.cos(math.pi * step / T_max)) / 2  # from 1 to 0
    return eta_min + share * (lr - eta_min)


@_checked_schedule
def warmup_cosine_lr(
    step: int, lr: float, warmup_steps: int, total_steps: int, eta_min: float = 0.0
) -> float:
    r"""Learning rate that rises in a straight line and then falls along half a cosine.

    .. math:: \eta_t = \begin{cases} \eta\,(t + 1) / w & t < w \\
              \text{cosine from } \eta \text{ at } t = w \text{ to } \eta_\text{min} \text{ at } T
              & t \ge w \end{cases}

    torch's ``SequentialLR`` of a ``LinearLR`` and a ``CosineAnnealingLR``.

    Args:
        step: t, from 0.
        lr: :math:`\eta`, the highest.
        warmup_steps: w; 0 for the cosine alone.
        total_steps: T.
        eta_min: :math:`\eta_\text{min}`.

    Raises:
        ValueError: if a number is negative, ``step`` not below ``total_steps``, or the warm-up
            longer than that.

    Example:
        >>> [round(warmup_cosine_lr(t, 1.0, 2, 6), 3) for t in range(6)]
        [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    if step < warmup_steps:
        return lr * (step + 1) / warmup_steps
    return cosine_annealing_lr(step - warmup_steps, lr, total_steps - warmup_steps, eta_min)


@_checked_schedule
def one_cycle_lr(
    step: int,
    max_lr: float,
    total_steps: int,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> float:
    r"""Learning rate that rises along half a cosine to its peak and falls to next to nothing.

    It starts at :math:`\eta / d`, reaches :math:`\eta` at step :math:`p T - 1` and ends, at step
    :math:`T - 1`, at :math:`\eta / (d f)`. torch's ``OneCycleLR`` with ``anneal_strategy="cos"``
    (it also moves the momentum, unless told otherwise).

    Args:
        step: t, from 0.
        max_lr: :math:`\eta`, the peak.
        total_steps: T.
        pct_start: p, the share of the steps that it rises.
        div_factor: d.
        final_div_factor: f.

    Raises:
        ValueError: if a number is out of its range or ``step`` not below ``total_steps``.

    Example:
        >>> [round(one_cycle_lr(t, 1.0, total_steps=10), 3) for t in (0, 1, 2, 5, 9)]
        [0.04, 0.52, 1.0, 0.611, 0.0]

    Reference:
        Smith and Topin, "Super-Convergence" (2018), arXiv:1708.07120; with two phases as in fastai.
    """
    peak, last = pct_start * total_steps - 1, total_steps - 1
    first, end = max_lr / div_factor, max_lr / div_factor / final_div_factor
    if step == peak:
        return max_lr
    if step < peak:
        return cosine_annealing_lr(step, first, peak, max_lr)
    return cosine_annealing_lr(step - peak, max_lr, last - peak, end)


def _check_floats(function: str, input: object) -> None:
    if not (isinstance(input, Tensor) and input.is_floating_point()):
        got = input.dtype if isinstance(input, Tensor) else type(input).__name__
        raise TypeError(f"{function} expected a floating-point tensor as input, got {got}")
