r"""How surprising is an outcome, and what does it cost to believe the wrong probabilities?

Everything here works on discrete distributions: the last axis of a tensor of floating-point numbers
holds the probabilities of the outcomes and sums to one (to within 1e-4; half precision, to within
its own rounding). The other axes are a batch; those of two arguments are broadcast. ``base=2``
gives bits, ``base=math.e`` nats. What cannot happen, p = 0, counts for nothing:
:math:`0 \log 0 = 0`.

The signatures are those of the textbooks: the truth ``p`` first, then the belief ``q``.
``torch.nn.functional.kl_div`` takes log q first and p second.
"""

import functools
import heapq
import inspect
import math
import numbers
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


def _checked(function: Callable) -> Callable:
    """Make ``function`` refuse p, q or a base that cannot be what they are taken for."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        given = signature.bind(*args, **kwargs).arguments
        one_by_one = function.__name__ == "surprisal"
        for name in given.keys() & {"p", "q"}:
            _check_probabilities(name, given[name], one_by_one)
        if "q" in given:
            _check_fit(given["p"], given["q"])
        base = given.get("base", 2)
        if not isinstance(base, numbers.Real):
            raise TypeError(f"base must be a number, got {base!r}")
        if not 1 < base < math.inf:
            raise ValueError(f"base must be finite and above 1, got {base}")
        return function(*args, **kwargs)

    return checked


@_checked
def surprisal(p: Float[Tensor, "*shape"], base: float = 2) -> Float[Tensor, "*shape"]:
    r"""Information of an outcome: the rarer it was, the more its happening tells.

    .. math:: I(p) = -\log p

    For one of N equally likely outcomes it is :math:`\log N`; for two independent outcomes it adds
    up.

    Args:
        p: probabilities of any outcomes, in any shape; they need not sum to one.
        base: 2 for bits, ``math.e`` for nats.

    Returns:
        Values from 0 (up to rounding), for what is certain, to infinity, for what is impossible.

    Raises:
        TypeError: if ``p`` is no floating-point tensor or ``base`` no number.
        ValueError: if a probability is negative, above 1 or NaN, or ``base`` not above 1.

    Example:
        >>> surprisal(torch.tensor([1.0, 0.5, 0.25]))
        tensor([0., 1., 2.])

    Reference:
        Hartley, "Transmission of Information" (1928), for equally likely outcomes; Shannon,
        "A Mathematical Theory of Communication" (1948), section 6.
    """
    return 0 - p.log() / math.log(base)  # a plain minus would make -0.


@_checked
def entropy(p: Float[Tensor, "*batch n"], base: float = 2) -> Float[Tensor, "*batch"]:
    r"""Average information of an outcome drawn from ``p``.

    .. math:: H(p) = \sum_i p_i I(p_i) = -\sum_i p_i \log p_i

    It equals ``torch.distributions.Categorical(p).entropy()`` for ``base=math.e``. Where
    :math:`p_i = 0` the slope is infinite, and the gradient given is 0.

    Args:
        p: probabilities over ``n`` outcomes.
        base: 2 for bits, ``math.e`` for nats.

    Returns:
        From 0, for an outcome that is certain, to :math:`\log n`, for n equally likely ones.

    Raises:
        TypeError: if ``p`` is no floating-point tensor or ``base`` no number.
        ValueError: if ``p`` has no axis, a probability is negative or NaN, a distribution does not
            sum to one, or ``base`` is not above 1.

    Example:
        >>> entropy(torch.tensor([0.5, 0.25, 0.25]))
        tensor(1.5000)

    Reference:
        Shannon, "A Mathematical Theory of Communication" (1948), section 6.
    """
    possible = torch.where(p > 0, p, 1)  # 0 · log 0 = 0
    return (p * surprisal(possible, base)).sum(-1)


@_checked
def cross_entropy(
    p: Float[Tensor, "*#batch n"], q: Float[Tensor, "*#batch n"], base: float = 2
) -> Float[Tensor, "..."]:
    r"""Average information when outcomes follow ``p`` but are believed to follow ``q``.

    .. math:: H(p, q) = \sum_i p_i I(q_i) = -\sum_i p_i \log q_i

    Not symmetric. ``torch.nn.functional.cross_entropy`` takes logits in place of ``q``, and takes
    them first.

    Args:
        p: the true probabilities over ``n`` outcomes.
        q: the believed ones.
        base: 2 for bits, ``math.e`` for nats.

    Returns:
        One number for each pair of distributions: at least :math:`H(p)`, and infinite where ``q``
        rules out what ``p`` allows.

    Raises:
        TypeError: if ``p`` or ``q`` is no floating-point tensor or ``base`` no number.
        ValueError: as :func:`entropy`, for either argument, and if their shapes do not fit.

    Example:
        >>> cross_entropy(torch.tensor([1.0, 0.0]), torch.tensor([0.25, 0.75]))
        tensor(2.)

    Reference:
        Goodfellow, Bengio and Courville, "Deep Learning" (2016), equation 3.51.
    """
    q = torch.where((p > 0) | (q > 0), q, 1)  # where both are 0: 0 · log 0 = 0
    return (p * surprisal(q, base)).sum(-1)


@_checked
def log_ratio(
    p: Float[Tensor, "*#batch n"], q: Float[Tensor, "*#batch n"]
) -> Float[Tensor, "... n"]:
    r"""The natural logarithm of p/q, with all its digits also where p and q are close.

    .. math:: \log \frac{p_i}{q_i} = -\log\left(1 + \frac{q_i - p_i}{p_i}\right)

    The left form serves where p and q are far apart, the right one where they are close: there the
    quotient is near 1, and rounding it would cost most of the digits.

    Args:
        p: probabilities over ``n`` outcomes.
        q: others.

    Returns:
        One number for each outcome: 0 where :math:`p_i = 0` (it is to be multiplied by
        :math:`p_i`), infinity where only :math:`q_i = 0`.

    Raises:
        TypeError: if ``p`` or ``q`` is no floating-point tensor.
        ValueError: as :func:`cross_entropy`.

    Example:
        >>> log_ratio(torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.25, 0.5, 0.25]))
        tensor([0.6931, 0.0000, 0.0000])
    """
    possible = p > 0
    p, q = torch.where(possible, p, 1), torch.where(possible, q, 1)
    close = (q - p).abs() < p / 2
    x = torch.where(close, q - p, 0) / p
    return p.log() - torch.where(close, p, q).log() - torch.log1p(x)


@_checked
def kl_divergence(
    p: Float[Tensor, "*#batch n"], q: Float[Tensor, "*#batch n"], base: float = 2
) -> Float[Tensor, "..."]:
    r"""What it costs, on average, to believe ``q`` when ``p`` is true.

    .. math:: D(p \,\|\, q) = \sum_i p_i \log \frac{p_i}{q_i} = H(p, q) - H(p)

    Also known as relative entropy. It is no distance: it is not symmetric and breaks the triangle
    inequality. For p and q with equal sums value and gradient are those of
    ``torch.distributions.kl_divergence`` and, with log q first, of ``torch.nn.functional.kl_div``;
    but where p and q are close, float32 keeps more digits here. If the sums differ, the value has
    :math:`\sum_i (q_i - p_i)` more, in nats. Where :math:`p_i = 0` the gradient of that term is 0.

    Args:
        p: the true probabilities over ``n`` outcomes.
        q: the believed ones.
        base: 2 for bits, ``math.e`` for nats.

    Returns:
        One number for each pair of distributions: zero only for p = q, otherwise positive (up to
        rounding), and infinite where ``q`` rules out what ``p`` allows.

    Raises:
        TypeError: if ``p`` or ``q`` is no floating-point tensor or ``base`` no number.
        ValueError: as :func:`cross_entropy`.

    Example:
        >>> kl_divergence(torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75]))
        tensor(0.2075)

    Reference:
        Kullback and Leibler, "On Information and Sufficiency" (1951), equation 2.4.
    """
    rounding = (q - p).sum(-1).detach()  # 0, had p and q not been rounded
    nats = (p * log_ratio(p, q)).sum(-1) + rounding
    return nats / math.log(base)


def _checked_frequencies(function: Callable) -> Callable:
    """Make ``function`` refuse frequencies that are none."""

    @functools.wraps(function)
    def checked(frequencies):
        if not frequencies:
            raise ValueError("frequencies must have at least one symbol, got none")
        for symbol, frequency in frequencies.items():
            if not 0 <= frequency < math.inf:
                raise ValueError(
                    f"frequencies must be finite and at least 0, got {frequency} for {symbol!r}"
                )
        return function(frequencies)

    return checked


@_checked_frequencies
def huffman_code(frequencies: dict[str, float]) -> dict[str, str]:
    r"""The binary code with the shortest average length that can be read without separators.

    Join the two rarest symbols to one, whose frequency is their sum; give one a leading 0, the
    other a leading 1; go on until one is left. No code word begins another. With the relative
    frequencies p, all positive, and the lengths l of the code words,

    .. math:: H(p) \le \sum_i p_i l_i < H(p) + 1

    Args:
        frequencies: how often each symbol occurs: counts, or probabilities.

    Returns:
        A string of zeros and ones for each symbol; the empty string for the only one.

    Raises:
        ValueError: if there is no symbol, or a frequency is negative, infinite or NaN.

    Example:
        >>> huffman_code({"a": 2, "b": 1, "c": 1})
        {'a': '0', 'b': '10', 'c': '11'}

    Reference:
        Huffman, "A Method for the Construction of Minimum-Redundancy Codes" (1952).
    """
    heap = [(f, i, [s]) for i, (s, f) in enumerate(frequencies.items())]
    heapq.heapify(heap)  # i decides between equal frequencies
    code = dict.fromkeys(frequencies, "")
    for i in range(len(heap), 2 * len(heap) - 1):
        f_0, _, zeros = heapq.heappop(heap)  # the rarest
        f_1, _, ones = heapq.heappop(heap)  # and the next
        code |= {s: "0" + code[s] for s in zeros}
        code |= {s: "1" + code[s] for s in ones}
        heapq.heappush(heap, (f_0 + f_1, i, zeros + ones))
    return code


def _check_probabilities(name: str, p: object, one_by_one: bool) -> None:
    if not (isinstance(p, Tensor) and p.is_floating_point()):
        got = p.dtype if isinstance(p, Tensor) else type(p).__name__
        raise TypeError(f"{name} must be a floating-point tensor, got {got}")
    if p.isnan().any():
        raise ValueError(f"{name} must hold probabilities, got NaN")
    if (p < 0).any():
        raise ValueError(f"{name} must not be negative, got a minimum of {p.min():.3g}")
    tolerance = max(1e-4, torch.finfo(p.dtype).eps)
    if one_by_one:
        if (p > 1 + tolerance).any():
            raise ValueError(f"{name} must not be above 1, got a maximum of {p.max():.4g}")
        return
    if p.ndim == 0:
        raise ValueError(f"{name} must have an axis of outcomes, got a single number")
    total = p.sum(-1)
    if not ((total - 1).abs() <= tolerance).all():
        off = total.flatten()[(total - 1).abs().argmax()]
        raise ValueError(f"{name} must sum to 1 along its last axis, got a sum of {off:.5g}")


def _check_fit(p: Tensor, q: Tensor) -> None:
    if p.shape[-1] != q.shape[-1]:
        raise ValueError(f"p and q must have as many outcomes, got {p.shape[-1]} and {q.shape[-1]}")
    try:
        torch.broadcast_shapes(p.shape, q.shape)
    except RuntimeError:
        shapes = f"{tuple(p.shape)} and {tuple(q.shape)}"
        raise ValueError(f"p and q must have shapes that can be broadcast, got {shapes}") from None
