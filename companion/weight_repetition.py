r"""Weight repetition: where weights are equal, add their inputs first and multiply once.

:func:`kmeans` finds a few values that stand for many weights, :func:`quantize` gives every weight
of a network one of them. :func:`factorized_conv2d` is a convolution that multiplies once for each
*different* weight of a kernel, and :func:`operation_counts` says what that saves.

The idea is that of the accelerator UCNN. In PyTorch it shows the principle and saves no time: the
gain is there for chips on which a multiplier is dear.
"""

import copy
import functools
import inspect
import numbers
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from companion.convolution import Whole, windows


def _checked_weights(function: Callable) -> Callable:
    """Refuse weights that cannot be grouped, and counts of values that are none."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        named = given.arguments
        if "weight" in named:
            _check_floats("weight", named["weight"])
            if named["weight"].numel() == 0:
                raise ValueError(
                    "weight must have at least one value, "
                    f"got the shape {tuple(named['weight'].shape)}"
                )
            if not named["weight"].isfinite().all():
                raise ValueError("weight must be finite, got NaN or infinity")
        for name in ("n", "steps", "together"):
            if name in named:
                _check_count(name, named[name])
        return function(*args, **kwargs)

    return checked


@_checked_weights
def kmeans(
    weight: Float[Tensor, "*shape"], n: int, steps: int = 500
) -> tuple[Float[Tensor, " values"], Int64[Tensor, "*shape"]]:
    r"""Find n values that stand for all weights, each for those nearest to it.

    .. math:: \min_{v_1 \dots v_n} \sum_i \min_u (w_i - v_u)^2

    Lloyd's rounds: give each weight to the nearest value, move each value to the mean of its
    weights. Each round lowers the sum or ends the search; the end need not be the lowest of all.
    The values start in the middle of n parts of the sorted weights, all parts equally large.

    Args:
        weight: any shape.
        n: how many values. If there are no more different weights than that, these are returned.
        steps: at most so many rounds, should the search not have ended.

    Returns:
        The values in rising order, at most n, and for each weight the number of its value.

    Raises:
        TypeError: if ``weight`` holds no floating-point numbers or a count is no whole number.
        ValueError: if ``weight`` is empty or not finite, or a count less than 1.

    Example:
        >>> values, index = kmeans(torch.tensor([0.0, 1.0, 9.0, 11.0]), 2)
        >>> values, index
        (tensor([ 0.5000, 10.0000]), tensor([0, 0, 1, 1]))

    Reference:
        Lloyd, "Least squares quantization in PCM" (1982), doi:10.1109/TIT.1982.1056489, method I;
        for weights: Han, Mao and Dally, "Deep Compression" (2016), arXiv:1510.00149, section 3.
    """
    values, index = weight.unique(return_inverse=True)
    if len(values) <= n:
        return values, index
    w = weight.flatten().to(torch.promote_types(weight.dtype, torch.float32))
    starts = (torch.arange(n, device=w.device) + 0.5) / n * len(w)
    values = w.sort().values[starts.long()].unique()
    for _ in range(steps):
        index = torch.bucketize(w, (values[1:] + values[:-1]) / 2)  # nearest
        sums = torch.zeros_like(values).index_add(0, index, w)
        counts = index.bincount(minlength=len(values))
        means = (sums / counts)[counts > 0]
        if means.equal(values):
            break
        values = means
    index = torch.bucketize(w, (values[1:] + values[:-1]) / 2)
    return values.to(weight.dtype), index.reshape(weight.shape)


@_checked_weights
def quantize(model: nn.Module, n: int) -> nn.Module:
    """Copy a network and give the weights of each of its layers at most n different values.

    Args:
        model: is left as it is.
        n: see :func:`kmeans`; each ``Conv2d`` and each ``Linear`` has values of its own, and other
            layers keep their weights.

    Returns:
        The copy. Biases and norms are as they were.

    Raises:
        TypeError: if ``n`` is no whole number.
        ValueError: if it is less than 1, or if a layer's weights are not finite.

    Example:
        >>> layer = quantize(nn.Linear(100, 10), 4)
        >>> len(layer.weight.unique())
        4
    """
    model = copy.deepcopy(model)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            values, index = kmeans(layer.weight.detach(), n)
            layer.weight.data = values[index]
    return model


def _checked_dot(function: Callable) -> Callable:
    @functools.wraps(function)
    def checked(input, weight):
        for name, value in (("input", input), ("weight", weight)):
            _check_floats(name, value)
            if value.dim() != 1:
                raise ValueError(f"{name} must be a vector, got the shape {tuple(value.shape)}")
        if len(input) != len(weight):
            raise ValueError(
                f"input must be as long as weight, {len(weight)} numbers, got {len(input)}"
            )
        return function(input, weight)

    return checked


@_checked_dot
def factorized_dot(input: Float[Tensor, " n"], weight: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    r"""Multiply two vectors with one multiplication for each different weight.

    .. math:: \sum_i w_i x_i = \sum_u v_u \Big( \sum_{i:\, w_i = v_u} x_i \Big)

    Args:
        input: x.
        weight: w, with the different values v.

    Returns:
        ``input @ weight``, up to rounding: the sum has another order.

    Raises:
        TypeError: if an argument holds no floating-point numbers.
        ValueError: if one is no vector or their lengths differ.

    Example:
        >>> factorized_dot(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([5.0, 7.0, 5.0]))
        tensor(34.)

    Reference:
        Hegde et al., "UCNN: Exploiting Computational Reuse in Deep Neural Networks via Weight
        Repetition" (2018), arXiv:1804.06508, section III.A.
    """
    values, group = weight.unique(return_inverse=True)
    sums = input.new_zeros(len(values)).index_add(0, group, input)
    return values @ sums


def _checked_conv(function: Callable) -> Callable:
    """Refuse kernels that do not fit the images; sizes are checked by ``windows``."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        input, weight, bias = (given.arguments[k] for k in ("input", "weight", "bias"))
        _check_floats("input", input)
        _check_floats("weight", weight)
        if input.dim() != 4:
            raise ValueError(
                f"input must have the shape (n, channels, height, width), got {tuple(input.shape)}"
            )
        if weight.dim() != 4 or weight.shape[1] != input.shape[1] or 0 in weight.shape:
            raise ValueError(
                f"weight must have the shape (outputs, {input.shape[1]}, height, width), "
                f"got {tuple(weight.shape)}"
            )
        if bias is not None and tuple(bias.shape) != (len(weight),):
            raise ValueError(f"bias must have the shape ({len(weight)},), got {tuple(bias.shape)}")
        return function(*args, **kwargs)

    return checked


@_checked_conv
def factorized_conv2d(
    input: Float[Tensor, "n C H W"],
    weight: Float[Tensor, "C_out C F_h F_w"],
    bias: Float[Tensor, " C_out"] | None = None,
    stride: Whole = 1,
    padding: Whole = 0,
    dilation: Whole = 1,
) -> Float[Tensor, "n C_out H_out W_out"]:
    r"""Convolve with one multiplication for each different weight of a kernel, at each place.

    It gives what ``torch.nn.functional.conv2d`` gives, up to rounding. It is meant for trained
    networks: the gradient reaches ``input`` and ``bias``, and not ``weight``, since which weights
    are equal has none. There are no ``groups``, and ``padding`` is no word.

    Args:
        input: a batch of images.
        weight: one kernel for each output channel.
        bias: a number for each output channel.
        stride: how far the kernels move from place to place.
        padding: how many zeros are added on each side.
        dilation: the distance of neighbouring taps.

    Raises:
        TypeError: if a tensor holds no floating-point numbers or a size is no whole number or pair.
        ValueError: if shapes or sizes do not fit.

    Example:
        >>> x, weight = torch.ones(1, 3, 4, 4), torch.full((2, 3, 3, 3), 0.5)
        >>> factorized_conv2d(x, weight)[0, :, 0, 0]
        tensor([13.5000, 13.5000])

    Reference:
        Hegde et al. (2018), arXiv:1804.06508, section III.A.
    """
    x = windows(input, weight.shape[2:], stride, padding, dilation)
    x, outputs = x.flatten(1, 2), []  # (n, C·taps, H, W)
    for kernel in weight.detach().flatten(1):
        values, group = kernel.unique(return_inverse=True)
        sums = x.new_zeros(len(x), len(values), *x.shape[2:])
        sums = sums.index_add(1, group, x)  # equal weights: add first
        outputs.append(torch.einsum("u,nuhw->nhw", values, sums))
    y = torch.stack(outputs, 1)
    return y if bias is None else y + bias[:, None, None]


class OperationCounts(NamedTuple):
    """How many operations a layer takes at one place, over all of its kernels.

    Attributes:
        multiplications: of numbers by weights.
        additions: of numbers.
    """

    multiplications: int
    additions: int


def _checked_counts(function: Callable) -> Callable:
    """Refuse weights without kernels."""

    @functools.wraps(function)
    def checked(weight, together=1):
        if isinstance(weight, Tensor) and weight.dim() < 2:
            raise ValueError(
                "weight must have an axis for the outputs and one or more behind it, "
                f"got the shape {tuple(weight.shape)}"
            )
        return function(weight, together)

    return checked


@_checked_counts
@_checked_weights
def operation_counts(weight: Float[Tensor, "C_out ..."], together: int = 1) -> OperationCounts:
    r"""Count the operations of a layer whose equal weights share a multiplication.

    Inputs that have the same weight are added, each sum is multiplied once, and the products are
    added. Where a weight is zero nothing is done. With ``together`` kernels at a time, inputs that
    have the same weights in all of these kernels are added once for all of them: for n inputs in P
    such groups and G kernels without zeros that is :math:`n - P + G (P - 1)` additions, against
    :math:`G (n - 1)`. (Each kernel starts from these groups; to join groups in stages, for fewer
    and fewer kernels, would save more.)

    Args:
        weight: of a convolution or a linear layer: a kernel for each output.
        together: G. The last kernels may be fewer.

    Returns:
        The counts for one place, all outputs together, without biases.

    Raises:
        TypeError: if ``weight`` holds no floating-point numbers or ``together`` is no whole number.
        ValueError: if ``weight`` has one axis only, is empty or not finite, or ``together`` is less
            than 1.

    Example:
        >>> weight = torch.tensor([[2.0, 3.0, 2.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
        >>> operation_counts(weight)  # 2 + 1 multiplications, 2 + 3 additions
        OperationCounts(multiplications=3, additions=5)

    Reference:
        Hegde et al. (2018), arXiv:1804.06508, sections III.A and III.B.
    """
    multiplications = additions = 0
    for kernels in weight.flatten(1).split(together):
        groups, sizes = kernels.unique(dim=1, return_counts=True)
        used = groups != 0  # (kernels, groups)
        additions += int((sizes - 1)[used.any(0)].sum())
        for group, some in zip(groups, used, strict=True):
            multiplications += len(group[some].unique())
            additions += max(int(some.sum()) - 1, 0)
    return OperationCounts(multiplications, additions)


def weight_bits(n: int) -> int:
    r"""Count the bits that say which of n values a weight has.

    .. math:: \lceil \log_2 n \rceil

    Args:
        n: how many values there are.

    Raises:
        TypeError: if ``n`` is no whole number.
        ValueError: if it is less than 1.

    Example:
        >>> weight_bits(1), weight_bits(4), weight_bits(5)
        (0, 2, 3)
    """
    _check_count("n", n)
    return (n - 1).bit_length()


def _check_floats(name: str, value: object) -> None:
    if not (isinstance(value, Tensor) and value.is_floating_point()):
        got = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"{name} must be a floating-point tensor, got {got}")


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
