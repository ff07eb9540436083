r"""Convolution and pooling: one small set of weights, used at every place.

In one dimension :func:`convolve` is the convolution of the textbooks, which turns one of its two
signals round. In two dimensions :func:`cross_correlate2d` is what the libraries call convolution: a
kernel slides over an image without being turned. It is written with loops, to be read.
:func:`conv2d` does the same for batches, channels, strides, padding, dilation and groups, with one
matrix product; :func:`max_pool2d` and :func:`avg_pool2d` cut the image into the same
:func:`windows`. :func:`conv_output_size` and :func:`receptive_field` say how many windows there
are and how much of the input one of them sees.

Names, arguments and defaults of ``conv2d``, ``max_pool2d`` and ``avg_pool2d`` are those of
``torch.nn.functional`` (less ``return_indices``). Here any number of axes may stand before
(channels, height, width), none too; torch takes one or none.
"""

import functools
import inspect
import math
import numbers
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Whole = int | Sequence[int]  # one number for both directions, or (vertical, horizontal)
Images = Float[Tensor, "*batch C H W"]


def _checked_size(function: Callable) -> Callable:
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        for name, least in _LEAST.items():
            _check_whole(name, given[name], least)
        size, kernel, padding = given["size"], given["kernel_size"], given["padding"]
        reach = given["dilation"] * (kernel - 1) + 1
        over = given["stride"] - 1 if given["ceil_mode"] else 0  # how far it may reach over the end
        count = function(*args, **kwargs)
        if count < 1:
            raise ValueError(
                "the kernel must fit into the padded input: expected a size of at least "
                f"{max(1, reach - over)} (kernel_size={kernel}, dilation={given['dilation']}), "
                f"got {size + 2 * padding} (size={size}, padding={padding})"
            )
        return count

    return checked


@_checked_size
def conv_output_size(
    size: int,
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> int:
    r"""Count the places of a kernel along one direction of an image.

    .. math:: N = \left\lfloor \frac{W + 2P - D(F - 1) - 1}{S} \right\rfloor + 1

    Args:
        size: W, of the image without padding.
        kernel_size: F.
        stride: S, how far the kernel moves from place to place.
        padding: P, how much is added at each end.
        dilation: D, the distance of neighbouring taps of the kernel.
        ceil_mode: pooling's: let one more window count that begins inside and reaches over the end.

    Returns:
        N, at least 1.

    Raises:
        TypeError: if a size is no whole number.
        ValueError: if one is too small, or if the kernel does not fit into the padded image (with
            ``ceil_mode`` it may reach over the end by less than a stride).

    Example:
        >>> conv_output_size(28, kernel_size=5), conv_output_size(28, 3, stride=2, padding=1)
        (24, 14)

    Reference:
        Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016),
        arXiv:1603.07285, relationships 6 and 15.
    """
    reach = dilation * (kernel_size - 1) + 1  # from end to end
    way = size + 2 * padding - reach  # how far the kernel can move
    count = way // stride + 1
    start = count * stride  # of one more window; it must see some pixel
    if ceil_mode and way % stride and start < size + padding:
        count += 1
    return count


def _checked_layers(function: Callable) -> Callable:
    @functools.wraps(function)
    def checked(layers):
        layers = list(layers)
        for layer in layers:
            if not isinstance(layer, Sequence) or len(layer) not in (2, 3):
                raise ValueError(
                    "each layer must be (kernel_size, stride) or (kernel_size, stride, dilation), "
                    f"got {layer!r}"
                )
            for name, value in zip(("kernel_size", "stride", "dilation"), layer, strict=False):
                _check_whole(name, value, 1)
        return function(layers)

    return checked


@_checked_layers
def receptive_field(layers: Sequence[Sequence[int]]) -> int:
    r"""Count how many inputs, along one direction, one output of a stack of layers can see.

    .. math:: r = 1 + \sum_l (F_l - 1)\, D_l \prod_{i < l} S_i

    Args:
        layers: convolutions and poolings from the input on, each as (kernel_size, stride) or
            (kernel_size, stride, dilation).

    Raises:
        TypeError: if a size is no whole number.
        ValueError: if one is less than 1, or if a layer has fewer than two or more than three.

    Example:
        >>> receptive_field([(3, 1), (3, 1)]), receptive_field([(3, 1), (2, 2), (3, 1)])
        (5, 8)

    Reference:
        Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks"
        (2019), doi:10.23915/distill.00021, equation 2, with dilation.
    """
    field, jump = 1, 1  # jump: how many inputs lie between two neighbours
    for layer in layers:
        kernel_size, stride, dilation = (*layer, 1)[:3]
        field += (kernel_size - 1) * dilation * jump
        jump *= stride
    return field


def _checked_signals(function: Callable) -> Callable:
    """Refuse what are no signals (or images, of two axes) of floating-point numbers."""
    signature = inspect.signature(function)
    axes = 2 if "kernel" in signature.parameters else 1

    @functools.wraps(function)
    def checked(*args, **kwargs):
        given = signature.bind(*args, **kwargs).arguments
        for name, value in given.items():
            _check_floats(function.__name__, name, value)
            if value.dim() != axes or 0 in value.shape:
                raise ValueError(
                    f"{name} must have {axes} dimension(s) and at least one value, "
                    f"got the shape {tuple(value.shape)}"
                )
        kinds = [value.dtype for value in given.values()]
        if kinds[0] != kinds[1]:
            raise TypeError(f"{function.__name__} expected one type for both, got {kinds}")
        image, kernel = (tuple(value.shape) for value in given.values())
        if axes == 2 and (kernel[0] > image[0] or kernel[1] > image[1]):
            raise ValueError(f"kernel must be at most as large as input, {image}, got {kernel}")
        return function(*args, **kwargs)

    return checked


@_checked_signals
def convolve(f: Float[Tensor, " n"], g: Float[Tensor, " m"]) -> Float[Tensor, " n_plus_m_minus_1"]:
    r"""Let every value of ``f`` start an echo of the shape ``g``, and add up the echoes.

    .. math:: (f * g)[t] = \sum_s f[s]\, g[t - s]

    Both signals are zero outside of what is given. It does not matter which comes first. The same
    as ``numpy.convolve``.

    Args:
        f: what comes in, over time.
        g: the response to a 1 that came in, from that moment on.

    Returns:
        All n + m - 1 values that can differ from zero.

    Raises:
        TypeError: if an argument is no floating-point tensor.
        ValueError: if one has no values or more than one axis.

    Example:
        >>> convolve(torch.tensor([1.0, 0.0, 2.0]), torch.tensor([1.0, 0.5]))
        tensor([1.0000, 0.5000, 2.0000, 1.0000])

    Reference:
        Oppenheim and Willsky, "Signals and Systems", section 2.1.
    """
    y = f.new_zeros(len(f) + len(g) - 1)
    for s in range(len(f)):
        y[s : s + len(g)] += f[s] * g
    return y


@_checked_signals
def cross_correlate2d(
    input: Float[Tensor, "H W"], kernel: Float[Tensor, "F_h F_w"]
) -> Float[Tensor, "H_out W_out"]:
    r"""Slide a kernel over an image; at each place multiply what lies over each other, and add.

    .. math:: y[i, j] = \sum_u \sum_v x[i + u,\, j + v]\; k[u, v]

    With the kernel turned by 180°, ``kernel.flip(0, 1)``, it is the convolution of mathematics.

    Args:
        input: an image.
        kernel: no larger than the image.

    Returns:
        One number for each place where the whole kernel lies on the image.

    Raises:
        TypeError: if an argument is no floating-point tensor.
        ValueError: if one is no matrix or empty, or if the kernel is larger than the image.

    Example:
        >>> image = torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
        >>> cross_correlate2d(image, torch.tensor([[1.0, -1.0]]))
        tensor([[-1., -1.],
                [-1., -1.]])

    Reference:
        Goodfellow, Bengio and Courville, "Deep Learning" (2016), equation 9.6.
    """
    kh, kw = kernel.shape
    rows, columns = input.shape[0] - kh + 1, input.shape[1] - kw + 1
    y = input.new_zeros(rows, columns)
    for i in range(rows):
        for j in range(columns):
            y[i, j] = (input[i : i + kh, j : j + kw] * kernel).sum()
    return y


def _checked_pair(function: Callable) -> Callable:
    @functools.wraps(function)
    def checked(value):
        _check_pair("value", value)
        return function(value)

    return checked


@_checked_pair
def pair(value: Whole) -> tuple[int, int]:
    """Make (vertical, horizontal) of one number for both directions; leave a pair as it is.

    Raises:
        TypeError: if ``value`` is neither a whole number nor a pair of them.

    Example:
        >>> pair(3), pair((1, 2))
        ((3, 3), (1, 2))
    """
    return tuple(value) if isinstance(value, tuple | list) else (value, value)


def _checked_windows(function: Callable) -> Callable:
    """Refuse what is no image, and sizes that are no whole numbers or too small."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        _check_image(function.__name__, given["input"])
        for name, least in _LEAST.items():
            if name in given and (name, given[name]) != ("stride", None):
                _check_pair(name, given[name], least)
        if function.__name__ != "windows":
            for k, p in zip(pair(given["kernel_size"]), pair(given["padding"]), strict=True):
                if 2 * p > k:
                    raise ValueError(f"padding must be at most half of kernel_size, {k}, got {p}")
        divisor = given.get("divisor_override")
        if divisor is not None and not isinstance(divisor, numbers.Integral):
            raise TypeError(f"divisor_override must be a whole number, got {divisor!r}")
        if divisor == 0:
            raise ValueError("divisor_override must not be zero, got 0")
        return function(*args, **kwargs)

    return checked


@_checked_windows
def windows(
    input: Images,
    kernel_size: Whole,
    stride: Whole = 1,
    padding: Whole = 0,
    dilation: Whole = 1,
    ceil_mode: bool = False,
    value: float = 0.0,
) -> Float[Tensor, "*batch C taps H_out W_out"]:
    r"""Collect what each tap of a kernel meets on its way over the image: a shifted copy of it.

    .. math:: \text{windows}[\dots, c, (u, v), i, j] = x[\dots, c,\; iS + uD,\; jS + vD]

    where x is the padded image. For (N, C, H, W) it is ``torch.nn.functional.unfold`` with its
    second and third axes unflattened.

    Args:
        input: images, with any axes before their channels.
        kernel_size: of the window.
        stride: how far it moves.
        padding: how much is added on each side.
        dilation: the distance of neighbouring taps.
        ceil_mode: see :func:`conv_output_size`.
        value: what is added.

    Returns:
        The taps, row by row, in an axis of their own, and behind it the places.

    Raises:
        TypeError: if ``input`` is no floating-point tensor or a size no whole number or pair.
        ValueError: if ``input`` has fewer than three axes, a size is too small, or the kernel does
            not fit into the padded image.

    Example:
        >>> x = torch.arange(9.0).reshape(1, 3, 3)
        >>> windows(x, 2)[0, :, 0, 0]  # the four numbers at the first place
        tensor([0., 1., 3., 4.])
    """
    (kh, kw), (sh, sw) = pair(kernel_size), pair(stride)
    (ph, pw), (dh, dw) = pair(padding), pair(dilation)
    H = conv_output_size(input.shape[-2], kh, sh, ph, dh, ceil_mode)
    W = conv_output_size(input.shape[-1], kw, sw, pw, dw, ceil_mode)
    around = pw, pw + sw - 1, ph, ph + sh - 1  # left, right, top, bottom
    x = F.pad(input, around, value=value)
    rows = [x[..., i * dh :: sh, :][..., :H, :] for i in range(kh)]
    x = torch.stack(rows, -3)  # (*batch, C, kh, H, padded W)
    taps = [x[..., j * dw :: sw][..., :W] for j in range(kw)]
    return torch.stack(taps, -3).flatten(-4, -3)  # (*batch, C, kh·kw, H, W)


def _checked_conv(function: Callable) -> Callable:
    """Refuse shapes that do not fit, and turn ``padding`` in words into numbers."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        input, weight, bias, groups = (
            given[name] for name in ("input", "weight", "bias", "groups")
        )
        _check_image(function.__name__, input)
        for name in ("weight", "bias"):
            if name == "bias" and bias is None:
                continue
            _check_floats(function.__name__, name, given[name])
            if given[name].dtype != input.dtype:
                raise TypeError(
                    f"{name} must have the type of input, {input.dtype}, got {given[name].dtype}"
                )
        if weight.dim() != 4 or 0 in weight.shape:
            raise ValueError(
                "weight must have the axes (out_channels, in_channels / groups, height, width), "
                f"none empty, got the shape {tuple(weight.shape)}"
            )
        _check_whole("groups", groups, 1)
        channels, (outputs, inputs) = input.shape[-3], weight.shape[:2]
        for name, count in (("input", channels), ("weight", outputs)):
            if count % groups:
                what = "channels" if name == "input" else "output channels"
                raise ValueError(
                    f"the {what} of {name} must be divisible by groups={groups}, got {count}"
                )
        if inputs != channels // groups:
            raise ValueError(
                f"weight must have {channels // groups} input channels, the {channels} of input "
                f"over groups={groups}, got {inputs}"
            )
        if bias is not None and tuple(bias.shape) != (outputs,):
            raise ValueError(
                f"bias must have the shape ({outputs},), a number for each output channel, "
                f"got {tuple(bias.shape)}"
            )
        for name in ("stride", "dilation"):
            _check_pair(name, given[name], 1)
        if isinstance(given["padding"], str):
            _pad_as_told(given)
        _check_pair("padding", given["padding"], 0)
        return function(**given)

    return checked


@_checked_conv
def conv2d(
    input: Images,
    weight: Float[Tensor, "C_out C_in F_h F_w"],
    bias: Float[Tensor, " C_out"] | None = None,
    stride: Whole = 1,
    padding: Whole | str = 0,
    dilation: Whole = 1,
    groups: int = 1,
) -> Float[Tensor, "*batch C_out H_out W_out"]:
    r"""Slide C_out kernels over images of C channels; each sums over all channels that it sees.

    .. math:: y[m, i, j] = b[m] + \sum_c \sum_u \sum_v
              x[c,\; iS + uD,\; jS + vD]\; k[m, c, u, v]

    where x is the padded image, S the stride and D the dilation. It is a cross-correlation: no
    kernel is turned. What the kernels meet stands in the columns of one matrix, the kernels stand
    in the rows of another, and their product is the result.

    Args:
        input: images, with any axes before their channels.
        weight: one kernel for each output channel, with a slice for each input channel it sees.
        bias: a number for each output channel.
        stride: how far the kernels move from place to place.
        padding: how many zeros are added on each side; ``"valid"`` for none, ``"same"`` for as many
            as keep the size (with a stride of 1; an odd one goes to the right and to the bottom).
        dilation: the distance of neighbouring taps.
        groups: how many parts the channels are cut into; each output channel sees only its part.

    Returns:
        As many axes as ``input`` has. In float16 and bfloat16 the sum is rounded before the bias is
        added.

    Raises:
        TypeError: if a tensor is none of floating-point numbers, or not of the type of ``input``,
            or if a size is no whole number or pair.
        ValueError: if shapes, groups or sizes do not fit.

    Example:
        >>> x, weight = torch.ones(1, 3, 4, 4), torch.ones(2, 3, 3, 3)
        >>> conv2d(x, weight, torch.tensor([0.0, 0.5]))[0, :, 0, 0]
        tensor([27.0000, 27.5000])

    Reference:
        LeCun et al., "Gradient-based learning applied to document recognition" (1998), section II;
        as a matrix product: Chellapilla, Puri and Simard, "High Performance Convolutional Neural
        Networks for Document Processing" (2006).
    """
    x = windows(input, weight.shape[2:], stride, padding, dilation)
    columns = x.flatten(-2).flatten(-3, -2)  # (*batch, C·kh·kw, H·W)
    columns = columns.unflatten(-2, (groups, -1))
    kernels = weight.flatten(1).unflatten(0, (groups, -1))
    y = kernels @ columns  # (*batch, groups, C_out / groups, H·W)
    y = y.flatten(-3, -2).unflatten(-1, x.shape[-2:])
    return y if bias is None else y + bias[:, None, None]


@_checked_windows
def max_pool2d(
    input: Images,
    kernel_size: Whole,
    stride: Whole | None = None,
    padding: Whole = 0,
    dilation: Whole = 1,
    ceil_mode: bool = False,
) -> Float[Tensor, "*batch C H_out W_out"]:
    r"""Keep the largest number of each window, in each channel by itself.

    .. math:: y[c, i, j] = \max_{u, v} x[c,\; iS + uD,\; jS + vD]

    Its gradient goes to the largest number alone, to the first of them if there are several.

    Args:
        input: images, with any axes before their channels.
        kernel_size: of the window.
        stride: how far it moves; None for its own size, so that windows do not overlap.
        padding: how much is added on each side, as numbers that are never the largest.
        dilation: the distance of neighbouring taps.
        ceil_mode: let a last window count that reaches over the end.

    Returns:
        As many channels as ``input`` has. NaN wins over everything, as in torch. Minus infinity for
        a window, cut by dilation, of which no tap lies on the image. (Where a window holds nothing
        but minus infinity, or several NaN, torch may give the gradient to another of them.)

    Raises:
        TypeError: if ``input`` is no floating-point tensor or a size no whole number or pair.
        ValueError: if sizes do not fit, or if ``padding`` is more than half the kernel.

    Example:
        >>> max_pool2d(torch.arange(16.0).reshape(1, 4, 4), 2)
        tensor([[[ 5.,  7.],
                 [13., 15.]]])

    Reference:
        Scherer, Müller and Behnke, "Evaluation of Pooling Operations in Convolutional Architectures
        for Object Recognition" (2010), doi:10.1007/978-3-642-15825-4_10, section 3.
    """
    stride = kernel_size if stride is None else stride
    low = -math.inf  # never the largest
    x = windows(input, kernel_size, stride, padding, dilation, ceil_mode, low)
    return x.max(-3).values


@_checked_windows
def avg_pool2d(
    input: Images,
    kernel_size: Whole,
    stride: Whole | None = None,
    padding: Whole = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Float[Tensor, "*batch C H_out W_out"]:
    r"""Take the mean of each window, in each channel by itself.

    .. math:: y[c, i, j] = \frac{1}{F_h F_w} \sum_{u, v} x[c,\; iS + u,\; jS + v]

    It is a convolution of each channel with a kernel of equal weights.

    Args:
        input: images, with any axes before their channels.
        kernel_size: of the window.
        stride: how far it moves; None for its own size, so that windows do not overlap.
        padding: how many zeros are added on each side.
        ceil_mode: let a last window count that reaches over the end; what lies beyond does not
            count.
        count_include_pad: whether the added zeros count in the mean.
        divisor_override: divide the sums by this instead.

    Returns:
        As many channels as ``input`` has. In float16 a sum may overflow that torch, which sums in
        float32, can divide.

    Raises:
        TypeError: if ``input`` is no floating-point tensor or a size no whole number or pair.
        ValueError: if sizes do not fit, ``padding`` is more than half the kernel, or
            ``divisor_override`` is zero.

    Example:
        >>> avg_pool2d(torch.arange(16.0).reshape(1, 4, 4), 2)
        tensor([[[ 2.5000,  4.5000],
                 [10.5000, 12.5000]]])

    Reference:
        LeCun et al. (1998), section II, the subsampling layers, less their weights.
    """
    stride = kernel_size if stride is None else stride
    x = windows(input, kernel_size, stride, padding, 1, ceil_mode)
    if divisor_override is not None:
        return x.sum(-3) / divisor_override
    counted = input.new_ones(1, *input.shape[-2:])
    (ph, pw), inner = pair(padding), 0 if count_include_pad else padding
    if count_include_pad:
        counted = F.pad(counted, (pw, pw, ph, ph), value=1.0)
    n = windows(counted, kernel_size, stride, inner, 1, ceil_mode).sum(-3)
    return x.sum(-3) / n[..., : x.shape[-2], : x.shape[-1]]


_LEAST = {"size": 0, "kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1}


def _check_whole(name: str, value: object, least: int) -> None:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def _check_pair(name: str, value: object, least: int | None = None) -> None:
    values = tuple(value) if isinstance(value, tuple | list) else (value, value)
    whole = all(isinstance(v, numbers.Integral) and not isinstance(v, bool) for v in values)
    if len(values) != 2 or not whole:
        raise TypeError(f"{name} must be a whole number or a pair of them, got {value!r}")
    if least is not None and min(values) < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def _check_floats(function: str, name: str, value: object) -> None:
    if not (isinstance(value, Tensor) and value.is_floating_point()):
        got = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"{function} expected a floating-point tensor as {name}, got {got}")


def _check_image(function: str, input: object) -> None:
    _check_floats(function, "input", input)
    if input.dim() < 3:
        raise ValueError(
            "input must have the axes (channels, height, width) or more before them, "
            f"got the shape {tuple(input.shape)}"
        )


def _pad_as_told(given: dict) -> None:
    """Turn ``padding="same"`` or ``"valid"`` into padded images."""
    words = given["padding"]
    if words not in ("valid", "same"):
        raise ValueError(f'padding must be a size, "valid" or "same", got {words!r}')
    if words == "same":
        if pair(given["stride"]) != (1, 1):
            raise ValueError(f'padding "same" needs a stride of 1, got {given["stride"]}')
        kernel, dilation = given["weight"].shape[2:], pair(given["dilation"])
        around = []
        for k, d in reversed(list(zip(kernel, dilation, strict=True))):  # the last axis first
            before = d * (k - 1) // 2
            around += [before, d * (k - 1) - before]
        given["input"] = F.pad(given["input"], around)
    given["padding"] = 0
