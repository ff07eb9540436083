r"""How wrong a prediction is, in one number that has a gradient.

Each function has the name, the arguments, the value and the gradient of its counterpart in
``torch.nn.functional`` (``logsumexp``: in ``torch``). Left out are torch's outdated
``size_average`` and ``reduce`` and the latecomer ``weight`` of ``mse_loss``; what stands behind
them in torch's signatures is passed by keyword. Logarithms are natural: losses of probabilities are
in nats.

Unlike torch, these functions refuse shapes that differ (torch's ``mse_loss`` warns and broadcasts)
and targets that are no probabilities. On a GPU looking at the values costs a synchronisation.

Symbols: :math:`y` a target, :math:`\hat y` a prediction, :math:`z` a logit, :math:`C` the number of
classes, :math:`N` that of samples.
"""

import functools
import inspect
from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from companion.activations import log_softmax


def _checking(check: Callable) -> Callable:
    """Make a decorator that hands a function's name and arguments to ``check`` at every call."""

    def decorate(function: Callable) -> Callable:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*args, **kwargs):
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            check(function.__name__, **bound.arguments)
            return function(*args, **kwargs)

        return checked

    return decorate


def _check_floats(name: str, **tensors: object) -> None:
    for argument, x in tensors.items():
        if not (isinstance(x, Tensor) and x.is_floating_point()):
            got = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(f"{name} expected a floating-point tensor as {argument}, got {got}")


def _check_reduction(name: str, reduction: str, **_) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'{name} expected reduction "mean", "sum" or "none", got {reduction!r}')


def _check_probabilities(name: str, **tensors: Tensor) -> None:
    for argument, p in tensors.items():
        if not ((p >= 0) & (p <= 1)).all():  # so put, NaN is refused too
            low, high = p.min().item(), p.max().item()
            raise ValueError(
                f"{name} expected {argument} between 0 and 1, "
                f"got values from {low:.4g} to {high:.4g}"
            )


def _check_pair(name: str, input: Tensor, target: Tensor, reduction: str, **weights) -> None:
    _check_floats(name, input=input, target=target)
    _check_reduction(name, reduction)
    if input.shape != target.shape:
        raise ValueError(
            f"{name} expected input and target of one shape, "
            f"got {tuple(input.shape)} and {tuple(target.shape)}"
        )
    for argument, weight in weights.items():
        if weight is None:
            continue
        _check_floats(name, **{argument: weight})
        # from the right, each axis of the weight must be 1 or the input's
        pairs = zip(reversed(weight.shape), reversed(input.shape), strict=False)
        if weight.dim() > input.dim() or any(a not in (1, b) for a, b in pairs):
            raise ValueError(
                f"{name} expected {argument} to broadcast to {tuple(input.shape)}, "
                f"got {tuple(weight.shape)}"
            )


def _check_binary(name: str, input: Tensor, target: Tensor, **others) -> None:
    _check_pair(name, input, target, **others)
    _check_probabilities(name, input=input, target=target)


def _check_binary_logits(name: str, input: Tensor, target: Tensor, **others) -> None:
    _check_pair(name, input, target, **others)
    _check_probabilities(name, target=target)


def _check_axes(name: str, input: Tensor, dim: int | tuple[int, ...], **_) -> None:
    _check_floats(name, input=input)
    if dim == ():
        raise ValueError(f"{name} expected at least one axis as dim, got ()")


def _check_classes(
    name: str, input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, **others
) -> None:
    _check_scores(name, input, weight, **others)
    expected = input.shape[:1] + input.shape[2:] if input.dim() > 1 else ()
    if not (isinstance(target, Tensor) and target.dtype == torch.int64):
        got = target.dtype if isinstance(target, Tensor) else type(target).__name__
        raise TypeError(f"{name} expected int64 class indices as target, got {got}")
    if target.shape != torch.Size(expected):
        raise ValueError(
            f"{name} expected target of shape {tuple(expected)} for input of shape "
            f"{tuple(input.shape)}, got {tuple(target.shape)}"
        )
    classes = input.shape[min(input.dim() - 1, 1)]
    wrong = target[((target < 0) | (target >= classes)) & (target != ignore_index)]
    if wrong.numel():
        raise ValueError(
            f"{name} expected classes from 0 to {classes - 1} (or {ignore_index}, to be ignored) "
            f"as target, got {wrong[0].item()}"
        )


def _check_scores(name: str, input: Tensor, weight: Tensor | None, reduction: str, **_) -> None:
    _check_floats(name, input=input)
    _check_reduction(name, reduction)
    if input.dim() == 0:
        raise ValueError(f"{name} expected input of shape (C,) or (N, C, ...), got ()")
    classes = input.shape[min(input.dim() - 1, 1)]
    if classes == 0:
        raise ValueError(f"{name} expected at least one class, got shape {tuple(input.shape)}")
    if weight is not None:
        _check_floats(name, weight=weight)
        if weight.shape != (classes,):
            raise ValueError(
                f"{name} expected weight of shape ({classes},), one for each class, "
                f"got {tuple(weight.shape)}"
            )


def _check_cross_entropy(
    name: str, target: Tensor, ignore_index: int, label_smoothing: float, **others
) -> None:
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{name} expected label_smoothing from 0 to 1, got {label_smoothing}")
    if not (isinstance(target, Tensor) and target.is_floating_point()):
        _check_classes(name, target=target, ignore_index=ignore_index, **others)
        return
    _check_scores(name, **others)
    input = others["input"]
    if target.shape != input.shape:
        raise ValueError(
            f"{name} expected probabilities of shape {tuple(input.shape)}, like input, or int64 "
            f"class indices as target, got {target.dtype} of shape {tuple(target.shape)}"
        )
    if ignore_index >= 0:
        raise ValueError(
            f"{name} expected class indices as target with ignore_index={ignore_index}, "
            "got probabilities"
        )
    _check_probabilities(name, target=target)
    totals = target.detach().double().sum(min(input.dim() - 1, 1)).flatten()
    off = (totals - 1).abs()
    if off.numel() and off.max() > 4 * max(torch.finfo(target.dtype).eps, 1e-4):
        raise ValueError(
            f"{name} expected the target's probabilities to sum to 1, "
            f"got a sum of {totals[off.argmax()].item():.4g}"
        )


_known_reduction = _checking(_check_reduction)
_float_and_axes = _checking(_check_axes)
_equal_shapes = _checking(_check_pair)
_probabilities = _checking(_check_binary)
_binary_targets = _checking(_check_binary_logits)
_class_indices = _checking(_check_classes)
_classes = _checking(_check_cross_entropy)


@_known_reduction
def reduce_loss(losses: Float[Tensor, "..."], reduction: str) -> Float[Tensor, "..."]:
    r"""Make one number of many losses, or leave them as they are.

    .. math:: \text{mean: } \frac1N \sum_n \ell_n, \qquad \text{sum: } \sum_n \ell_n

    Args:
        losses: one for each element, of any shape.
        reduction: ``"mean"``, ``"sum"``, or ``"none"`` to leave them.

    Returns:
        A single number for ``"mean"`` (NaN if there are no losses) and ``"sum"``.

    Raises:
        ValueError: if ``reduction`` is none of the three.

    Example:
        >>> reduce_loss(torch.tensor([1.0, 2.0, 6.0]), "mean")
        tensor(3.)
    """
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


@_equal_shapes
def mse_loss(
    input: Float[Tensor, "..."], target: Float[Tensor, "..."], *, reduction: str = "mean"
) -> Float[Tensor, "..."]:
    r"""The squared error.

    .. math:: \ell_n = (\hat y_n - y_n)^2, \qquad
              \frac{\partial \ell_n}{\partial \hat y_n} = 2\,(\hat y_n - y_n)

    Args:
        input: the predictions :math:`\hat y`.
        target: what they should be, of the same shape.
        reduction: ``"mean"`` over all elements, ``"sum"``, or ``"none"``.

    Returns:
        One number, or with ``"none"`` one for each element.

    Raises:
        TypeError: if one of the two is no floating-point tensor.
        ValueError: if their shapes differ, or ``reduction`` is unknown.

    Example:
        >>> mse_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0]))
        tensor(4.5000)

    Reference:
        Gauss, "Theoria combinationis observationum erroribus minimis obnoxiae" (1823).
    """
    return reduce_loss((input - target) ** 2, reduction)


class BinaryCrossEntropy(torch.autograd.Function):
    r"""Cross entropy of a probability, with torch's two guards against dividing by zero.

    .. math:: \ell = -\bigl(y \log \hat y + (1 - y) \log(1 - \hat y)\bigr), \qquad
              \frac{\partial \ell}{\partial \hat y} = \frac{\hat y - y}{\hat y (1 - \hat y)}

    Logarithms below -100 count as -100, so a loss is 100 at most; the denominator is at least
    :math:`10^{-12}`, so a gradient is :math:`10^{12}` at most.

    Example:
        >>> BinaryCrossEntropy.apply(torch.tensor([0.5, 0.0]), torch.tensor([1.0, 1.0]))
        tensor([  0.6931, 100.0000])
    """

    @staticmethod
    def forward(ctx, p, y):
        """Return the losses."""
        ctx.save_for_backward(p, y)
        log_p = p.log().clamp(min=-100)
        log_not_p = torch.log1p(-p).clamp(min=-100)
        return -(y * log_p + (1 - y) * log_not_p)

    @staticmethod
    def backward(ctx, g):
        """Return the gradients on the prediction and on the target."""
        p, y = ctx.saved_tensors
        dp = (p - y) / (p * (1 - p)).clamp(min=1e-12)
        dy = torch.log1p(-p) - p.log()
        return g * dp, g * dy


@_probabilities
def binary_cross_entropy(
    input: Float[Tensor, "..."],
    target: Float[Tensor, "..."],
    weight: Float[Tensor, "..."] | None = None,
    *,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""The cross entropy of yes and no, from a probability.

    .. math:: \ell_n = -w_n \bigl(y_n \log \hat y_n + (1 - y_n) \log(1 - \hat y_n)\bigr)

    As in torch a logarithm below -100 counts as -100, and the denominator of the gradient
    :math:`(\hat y - y) / (\hat y (1 - \hat y))` is at least :math:`10^{-12}`. From logits
    :func:`binary_cross_entropy_with_logits` needs neither.

    Args:
        input: the probabilities :math:`\hat y` of yes.
        target: 1 for yes, 0 for no, or a probability; of the same shape.
        weight: factors that broadcast to that shape. The mean still divides by the number of
            elements.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        One number, or with ``"none"`` one for each element.

    Raises:
        TypeError: if one of the tensors is no floating-point tensor.
        ValueError: if a probability lies outside [0, 1] or is NaN, if shapes do not fit, or if
            ``reduction`` is unknown.

    Example:
        >>> binary_cross_entropy(torch.tensor([0.5, 0.9]), torch.tensor([1.0, 0.0]))
        tensor(1.4979)

    Reference:
        Bishop, "Pattern Recognition and Machine Learning" (2006), equation 4.90.
    """
    losses = BinaryCrossEntropy.apply(input, target)
    if weight is not None:
        losses = weight * losses
    return reduce_loss(losses, reduction)


@_binary_targets
def binary_cross_entropy_with_logits(
    input: Float[Tensor, "..."],
    target: Float[Tensor, "..."],
    weight: Float[Tensor, "..."] | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Float[Tensor, "..."] | None = None,
) -> Float[Tensor, "..."]:
    r"""The cross entropy of yes and no, from a logit, however large.

    .. math:: \ell_n = w_n \bigl(\rho\, y_n \log(1 + e^{-z_n}) + (1 - y_n) \log(1 + e^{z_n})\bigr)

    For :math:`w = \rho = 1` the gradient on the logit is :math:`\sigma(z) - y`.

    Args:
        input: the logits :math:`z`.
        target: 1 for yes, 0 for no, or a probability; of the same shape.
        weight: factors that broadcast to that shape. The mean still divides by the number of
            elements.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        pos_weight: :math:`\rho`, how much more a yes counts; broadcasts to that shape.

    Returns:
        One number, or with ``"none"`` one for each element.

    Raises:
        TypeError: if one of the tensors is no floating-point tensor.
        ValueError: if a target lies outside [0, 1] or is NaN (torch lets these through), if shapes
            do not fit, or if ``reduction`` is unknown.

    Example:
        >>> z = torch.tensor([0.0, 1000.0])
        >>> binary_cross_entropy_with_logits(z, torch.tensor([1.0, 0.0]), reduction="none")
        tensor([6.9315e-01, 1.0000e+03])

    Reference:
        Bishop, "Pattern Recognition and Machine Learning" (2006), equations 4.90 and 4.91.
    """
    zero = torch.zeros_like(input)
    log_p = -torch.logaddexp(zero, -input)  # log σ(z)
    log_not_p = -torch.logaddexp(zero, input)  # log (1 − σ(z))
    if pos_weight is not None:
        log_p = pos_weight * log_p
    losses = -(target * log_p + (1 - target) * log_not_p)
    if weight is not None:
        losses = weight * losses
    return reduce_loss(losses, reduction)


@_float_and_axes
def logsumexp(
    input: Float[Tensor, "..."], dim: int | tuple[int, ...], keepdim: bool = False
) -> Float[Tensor, "..."]:
    r"""The logarithm of a sum of exponentials, none of which overflows.

    .. math:: \log \sum_j e^{z_j} = m + \log \sum_j e^{z_j - m}, \qquad m = \max_j z_j

    Its gradient is softmax.

    Args:
        input: any shape.
        dim: the axis, or axes, to sum over.
        keepdim: keep them, with length 1.

    Returns:
        ``input`` without the axes. ``-inf`` where all are ``-inf``, as in torch.

    Raises:
        TypeError: if ``input`` is no floating-point tensor.
        ValueError: if ``dim`` names no axis at all.
        IndexError: if ``input`` has no axis ``dim`` or that axis is empty.

    Example:
        >>> logsumexp(torch.tensor([200.0, 200.0]), dim=0)  # 200 + log 2
        tensor(200.6931)

    Reference:
        Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and softmax functions"
        (2021), section 1, https://doi.org/10.1093/imanum/draa038.
    """
    m = input.amax(dim, keepdim=True).detach()  # it cancels: no gradient
    m = m.where(m.isfinite(), 0)
    total = (input - m).exp().sum(dim, keepdim=True)
    result = m + total.log()
    return result if keepdim else result.squeeze(dim)


@_class_indices
def nll_loss(
    input: Float[Tensor, "..."],
    target: Int64[Tensor, "..."],
    weight: Float[Tensor, " C"] | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""Minus the logarithm of the probability that the right class was given.

    .. math:: \ell_n = -w_{y_n} \log \hat y_{n, y_n}, \qquad
              \text{mean: } \frac{\sum_n \ell_n}{\sum_n w_{y_n}}

    Args:
        input: **logarithms** of probabilities, (N, C), (N, C, d1, ...), or (C,) for one sample.
        target: the right classes, (N,), (N, d1, ...) or ().
        weight: one for each class; without it all are 1.
        ignore_index: targets of this value count nothing, in the mean too.
        reduction: ``"mean"`` (NaN, as in torch, if the weights sum to zero: where every target is
            ignored, say), ``"sum"`` or ``"none"``.

    Returns:
        One number, or with ``"none"`` one for each target, 0 for those ignored.

    Raises:
        TypeError: if ``input`` or ``weight`` is no floating-point tensor or ``target`` not int64.
        ValueError: if shapes do not fit, a class is out of range, or ``reduction`` is unknown.

    Example:
        >>> log_p = torch.tensor([[0.5, 0.5], [0.2, 0.8]]).log()
        >>> nll_loss(log_p, torch.tensor([0, 0]), reduction="none")
        tensor([0.6931, 1.6094])

    Reference:
        Goodfellow, Bengio and Courville, "Deep Learning" (2016), section 6.2.2.3.
    """
    dim = min(input.dim() - 1, 1)  # (N, C, ...), or (C,) for one sample
    kept = target != ignore_index
    c = target.where(kept, 0)  # where ignored, any class will do
    w = kept.to(input.dtype) if weight is None else weight[c] * kept
    log_p = input.gather(dim, c.unsqueeze(dim)).squeeze(dim)
    losses = (-w * log_p).where(kept, 0)
    if reduction == "mean":
        return losses.sum() / w.sum()
    return reduce_loss(losses, reduction)


@_classes
def cross_entropy(
    input: Float[Tensor, "..."],
    target: Int64[Tensor, "..."] | Float[Tensor, "..."],
    weight: Float[Tensor, " C"] | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Float[Tensor, "..."]:
    r"""Softmax, logarithm and negative log-likelihood in one, from logits, however large.

    .. math:: \ell_n = -\sum_k w_k\, q_{nk} \log \hat y_{nk}, \qquad
              q_{nk} = (1 - \epsilon)\, y_{nk} + \frac{\epsilon}{C}, \qquad
              \hat y_n = \mathrm{softmax}(z_n)

    For class indices :math:`y_{nk}` is 1 at the right class and 0 elsewhere. For :math:`w = 1` the
    gradient on the logits is :math:`\hat y - q`.

    Args:
        input: the logits :math:`z`, (N, C), (N, C, d1, ...), or (C,) for one sample.
        target: the right classes, (N,), (N, d1, ...) or (); or probabilities, of input's shape.
        weight: :math:`w`, one for each class; without it all are 1.
        ignore_index: class indices of this value count nothing, in the mean too.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``. As in torch the mean divides class indices'
            losses by the sum of their weights, and probabilities' losses by the number of samples.
        label_smoothing: :math:`\epsilon`, the share of each target that is spread over all classes.

    Returns:
        One number, or with ``"none"`` one for each sample, 0 for those ignored. NaN, as in torch,
        for a mean over no samples, or if all are ignored. (If the weights of all right classes are
        zero, the mean of smoothed losses is infinite here and NaN in torch.)

    Raises:
        TypeError: if ``input`` or ``weight`` is no floating-point tensor, or ``target`` neither
            that nor int64.
        ValueError: if shapes do not fit, a class is out of range, probabilities lie outside [0, 1]
            or do not sum to 1 (torch lets these through), if ``label_smoothing`` lies outside
            [0, 1], ``ignore_index`` is a class and the target probabilities, or ``reduction`` is
            unknown.

    Example:
        >>> z = torch.tensor([[1000.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        >>> cross_entropy(z, torch.tensor([1, 2]), reduction="none")
        tensor([1000.0000,    1.0986])

    Reference:
        Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs" (1990);
        label smoothing: Szegedy and others, "Rethinking the Inception Architecture for Computer
        Vision" (2016), arXiv:1512.00567, section 7.
    """
    dim = min(input.dim() - 1, 1)  # (N, C, ...), or (C,) for one sample
    w = input.new_ones(input.shape[dim]) if weight is None else weight
    shape = [-1] + [1] * (input.dim() - dim - 1)  # along the classes
    w_log_p = w.view(shape) * log_softmax(input, dim)
    eps = label_smoothing
    if target.is_floating_point():  # probabilities
        q = (1 - eps) * target + eps / len(w)
        return reduce_loss(-(q * w_log_p).sum(dim), reduction)
    if eps > 0:  # at every class, so that picking the right one suffices
        everywhere = w_log_p.mean(dim, keepdim=True)
        w_log_p = (1 - eps) * w_log_p + eps * everywhere
    losses = nll_loss(w_log_p, target, ignore_index=ignore_index, reduction="none")
    if reduction == "mean":  # by the weights of the right classes
        return losses.sum() / w[target[target != ignore_index]].sum()
    return reduce_loss(losses, reduction)
