"""How to keep a network from learning what is only chance in its training data.

``l2_penalty`` and weight decay pull the weights towards zero, ``dropout`` leaves out units at
random, ``random_shift`` varies the images, ``early_stop`` says which epoch to keep.
"""

import functools
import math
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def _penalty_arguments(function: Callable) -> Callable:
    """Make ``function`` refuse a negative weight decay and an empty list of parameters."""

    @functools.wraps(function)
    def checked(parameters: Iterable[Tensor], weight_decay: float) -> Tensor:
        parameters = list(parameters)
        if not weight_decay >= 0:  # so put, NaN is refused too
            raise ValueError(f"weight_decay must be at least 0, got {weight_decay}")
        if not parameters:
            raise ValueError("parameters must hold at least one tensor, got none")
        return function(parameters, weight_decay)

    return checked


@_penalty_arguments
def l2_penalty(parameters: Iterable[Tensor], weight_decay: float) -> Float[Tensor, ""]:
    r"""Price of large weights, to be added to the loss.

    .. math:: R(\theta) = \frac{\lambda}{2} \sum_i \theta_i^2

    Its gradient is :math:`\lambda\theta`: with plain gradient descent it does what the optimiser's
    ``weight_decay`` does. With Adam it does not, since Adam divides the gradient by its size.

    Args:
        parameters: the tensors that are to stay small.
        weight_decay: :math:`\lambda`, not negative.

    Raises:
        ValueError: if ``weight_decay`` is negative or there are no parameters.

    Example:
        >>> l2_penalty([torch.tensor([3.0, 4.0])], weight_decay=0.1)
        tensor(1.2500)

    Reference:
        Krogh and Hertz, "A Simple Weight Decay Can Improve Generalization" (1991).
    """
    return weight_decay / 2 * sum(theta.square().sum() for theta in parameters)


def _probability(function: Callable) -> Callable:
    """Make ``function`` refuse a ``p`` outside [0, 1] and an input that is not of floats."""

    @functools.wraps(function)
    def checked(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
        _check_p(p)
        if not input.is_floating_point():
            raise TypeError(f"dropout expected a floating-point tensor as input, got {input.dtype}")
        return function(input, p, training)

    return checked


@_probability
def dropout(
    input: Float[Tensor, "*shape"], p: float = 0.5, training: bool = True
) -> Float[Tensor, "*shape"]:
    r"""Set each element to zero with probability ``p`` and enlarge the others to keep the mean.

    .. math:: y_i = \frac{m_i}{1 - p}\, x_i, \qquad m_i \sim \text{Bernoulli}(1 - p)

    On a CPU it takes the random numbers that ``torch.nn.functional.dropout`` takes.

    Args:
        input: any shape.
        p: the probability that an element is dropped.
        training: without it, ``input`` is returned as it is.

    Raises:
        ValueError: if ``p`` is not in [0, 1].
        TypeError: if ``input`` is no floating-point tensor.

    Example:
        >>> dropout(torch.ones(4), p=0.5, training=False)
        tensor([1., 1., 1., 1.])

    Reference:
        Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting"
        (2014), section 4; there p is the probability of keeping a unit, and the weights are scaled
        down after training instead.
    """
    if not training or p == 0:
        return input
    if p == 1:
        return input * 0
    mask = torch.empty_like(input).bernoulli_(1 - p)
    return input * mask / (1 - p)


class Dropout(nn.Module):
    """:func:`dropout` as a layer: active after ``train()``, silent after ``eval()``.

    Args:
        p: the probability that an element is dropped.

    Raises:
        ValueError: if ``p`` is not in [0, 1].
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        _check_p(p)
        self.p = p

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Drop elements if the layer is in training mode."""
        return dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        """Say ``p`` when the layer is printed."""
        return f"p={self.p}"


def random_shift(
    images: Float[Tensor, "n c h w"], most: int = 1, generator: torch.Generator | None = None
) -> Float[Tensor, "n c h w"]:
    """Move each image by a whole number of pixels, its own for each, and fill up with zeros.

    Args:
        images: a batch.
        most: the largest move up, down, left or right; each move is equally likely.
        generator: where the moves come from; torch's global one if None.

    Raises:
        ValueError: if ``most`` is negative or ``images`` has no four dimensions.

    Example:
        >>> random_shift(torch.ones(2, 1, 3, 3), most=0).sum()
        tensor(18.)
    """
    if images.dim() != 4:
        raise ValueError(f"images must have the shape (n, c, h, w), got {tuple(images.shape)}")
    if most < 0:
        raise ValueError(f"most must not be negative, got {most}")
    n, _, height, width = images.shape
    padded = F.pad(images, (most, most, most, most))
    top, left = torch.randint(0, 2 * most + 1, (2, n), generator=generator).to(images.device)
    rows = top[:, None] + torch.arange(height, device=images.device)  # (n, h)
    columns = left[:, None] + torch.arange(width, device=images.device)  # (n, w)
    image = torch.arange(n, device=images.device)[:, None, None]
    moved = padded[image, :, rows[:, :, None], columns[:, None, :]]  # (n, h, w, c)
    return moved.permute(0, 3, 1, 2)


def _stop_arguments(function: Callable) -> Callable:
    """Make ``function`` refuse an empty list of losses and a patience below 1."""

    @functools.wraps(function)
    def checked(losses: Sequence[float], patience: float) -> tuple[int, int]:
        if not len(losses):
            raise ValueError("losses must hold at least one value, got none")
        if not patience >= 1:
            raise ValueError(f"patience must be at least 1, got {patience}")
        return function(losses, patience)

    return checked


@_stop_arguments
def early_stop(losses: Sequence[float], patience: float) -> tuple[int, int]:
    """Say which epoch to keep, and after which to stop, given the losses on held-out data.

    Training stops when ``patience`` epochs in a row have brought no new minimum. A loss that is NaN
    is never one.

    Args:
        losses: the loss on the validation set after each epoch.
        patience: how many epochs to wait for a better one, at least 1.

    Returns:
        The number of the best epoch seen before the stop, and of the last epoch run, from 0.

    Raises:
        ValueError: if ``losses`` is empty or ``patience`` below 1.

    Example:
        >>> early_stop([0.9, 0.5, 0.6, 0.7, 0.1], patience=2)  # it never sees the 0.1
        (1, 3)

    Reference:
        Goodfellow, Bengio and Courville, "Deep Learning" (2016), algorithm 7.1; compare Prechelt,
        "Early Stopping, But When?" (1998), whose criterion UP counts rises instead.
    """
    best, lowest = 0, math.inf
    for epoch, loss in enumerate(losses):
        if loss < lowest:
            best, lowest = epoch, loss
        if epoch - best >= patience:
            return best, epoch
    return best, len(losses) - 1


def _check_p(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"p must be in [0, 1], got {p}")
