"""LeNet, two recipes to train it, and ways to look at what it has learnt.

:class:`LeNet` is the convolutional network of 1998 in its usual modern form. A :class:`Recipe` says
what it is made of and how it learns: :data:`CLASSIC` as in its first years, :data:`TODAY` as one
would do it now. :func:`feature_maps` looks between its layers. :func:`shift` and :func:`occlude`
change its input, and :func:`occlusion_map` shows which parts of an image an answer rests on.

Images are tensors (..., channels, height, width). Each function works on the device of its input.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.optimizer import Optimizer

from companion.optim import SGD, AdamW


def _checked_layer(init: Callable) -> Callable:
    """Refuse a mean that is no number and a deviation by which one cannot divide."""

    @functools.wraps(init)
    def checked(self, mean, std):
        if not math.isfinite(mean):
            raise ValueError(f"mean must be a finite number, got {mean}")
        if not 0 < std < math.inf:
            raise ValueError(f"std must be positive and finite, got {std}")
        init(self, mean, std)

    return checked


class Standardize(nn.Module):
    r"""The first layer of a network that takes raw pixels: :math:`(x - \mu) / \sigma`.

    The two numbers are part of the state dict, so whoever loads the weights has them too.

    Args:
        mean: :math:`\mu`, of the training set.
        std: :math:`\sigma`, likewise.

    Raises:
        ValueError: if ``mean`` is not finite or ``std`` not positive and finite.

    Example:
        >>> Standardize(0.5, 0.25)(torch.tensor([0.0, 1.0]))
        tensor([-2.,  2.])
    """

    @_checked_layer
    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(float(mean)))
        self.register_buffer("std", torch.tensor(float(std)))

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Subtract the mean and divide by the standard deviation."""
        return (input - self.mean) / self.std


def _checked_parts(init: Callable) -> Callable:
    """Refuse parts of a network that are no classes (or functions) of layers."""

    @functools.wraps(init)
    def checked(self, activation=nn.ReLU, pooling=nn.MaxPool2d, maps=(6, 16)):
        for name, part in (("activation", activation), ("pooling", pooling)):
            if not callable(part) or isinstance(part, nn.Module):
                raise TypeError(f"{name} must be a class of layers such as nn.ReLU, got {part!r}")
        if len(maps) != 2 or min(maps) < 1:
            raise ValueError(f"maps must be two numbers from 1 on, got {maps!r}")
        init(self, activation, pooling, maps)

    return checked


def _checked_forward(forward: Callable) -> Callable:
    """Refuse images of a size that the linear layers are not made for."""

    @functools.wraps(forward)
    def checked(self, input):
        if input.dim() != 4 or input.shape[1:] != (1, 28, 28):
            raise ValueError(f"input must have the shape (n, 1, 28, 28), got {tuple(input.shape)}")
        return forward(self, input)

    return checked


class LeNet(nn.Module):
    """Two convolutions, each with an activation and pooling, and three linear layers.

    For images of 28 by 28 pixels. The weights start as :func:`torch.nn.init.xavier_uniform_` draws
    them. Against the paper: every map of the second convolution sees all maps of the first; pooling
    has no weights of its own; the last layer gives logits.

    Args:
        activation: makes an activation, such as ``nn.ReLU`` or ``nn.Sigmoid``.
        pooling: makes a pooling of the size it is called with, such as ``nn.MaxPool2d``.
        maps: how many maps the two convolutions make.

    Raises:
        TypeError: if a part cannot be called, or is a layer itself.
        ValueError: if ``maps`` are not two numbers from 1 on; in the forward pass, if the images do
            not have the shape (n, 1, 28, 28).

    Example:
        >>> model = LeNet()
        >>> sum(p.numel() for p in model.parameters())
        61706
        >>> model.features(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 16, 5, 5])

    Reference:
        LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition"
        (1998), section II.B, LeNet-5.
    """

    @_checked_parts
    def __init__(
        self,
        activation: Callable[[], nn.Module] = nn.ReLU,
        pooling: Callable[[int], nn.Module] = nn.MaxPool2d,
        maps: tuple[int, int] = (6, 16),
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, maps[0], 5, padding=2), activation(), pooling(2),
            nn.Conv2d(*maps, 5), activation(), pooling(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(maps[1] * 5 * 5, 120), activation(),
            nn.Linear(120, 84), activation(),
            nn.Linear(84, 10),
        )  # fmt: skip
        for layer in (*self.features, *self.classifier):
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)

    @_checked_forward
    def forward(self, input: Float[Tensor, "n 1 28 28"]) -> Float[Tensor, "n 10"]:
        """Return ten logits for each image."""
        return self.classifier(self.features(input))


@dataclass(frozen=True)
class Recipe:
    """What a network is made of and how it learns.

    Attributes:
        activation: makes an activation.
        pooling: makes a pooling of the size it is called with.
        optimizer: the update rule.
        one_cycle: whether the learning rate rises and falls in one cycle; else it is constant.
        lr: the learning rate; of a cycle, its peak.
    """

    activation: Callable[[], nn.Module] = nn.ReLU
    pooling: Callable[[int], nn.Module] = nn.MaxPool2d
    optimizer: Callable[..., Optimizer] = AdamW
    one_cycle: bool = True
    lr: float = 0.005

    def __post_init__(self) -> None:
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr must be positive and finite, got {self.lr}")


TODAY = Recipe()
CLASSIC = Recipe(nn.Sigmoid, nn.AvgPool2d, SGD, one_cycle=False, lr=2.0)


def _checked_steps(function: Callable) -> Callable:
    """Refuse a training without steps."""

    @functools.wraps(function)
    def checked(model, recipe, steps):
        if not isinstance(steps, int) or steps < 1:
            raise ValueError(f"steps must be an integer from 1 on, got {steps!r}")
        return function(model, recipe, steps)

    return checked


@_checked_steps
def make_optimizer(model: nn.Module, recipe: Recipe, steps: int) -> Optimizer:
    """Make the optimizer of a recipe, with the schedule, if there is one, built in.

    With ``one_cycle`` the learning rate moves on after each step: ``optimizer.step()`` is all that
    a training loop has to call. Only the rate has a cycle; momentum and betas stay as they are.

    Args:
        model: whose parameters are to be learnt.
        recipe: says which rule, which rate and whether it has a cycle.
        steps: how many steps the whole training has. A cycle ends there; for a step more torch
            raises an error.

    Raises:
        ValueError: if ``steps`` is less than 1.

    Example:
        >>> optimizer = make_optimizer(nn.Linear(1, 1), Recipe(lr=0.5), steps=10)
        >>> round(optimizer.param_groups[0]["lr"], 6)  # a cycle starts at a 25th of its peak
        0.02

    Reference:
        Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large
        Learning Rates" (2019), arXiv:1708.07120.
    """
    optimizer = recipe.optimizer(model.parameters(), lr=recipe.lr)
    if recipe.one_cycle:
        settings = {"total_steps": steps, "cycle_momentum": False}
        schedule = OneCycleLR(optimizer, recipe.lr, **settings)
        optimizer.register_step_post_hook(lambda *_: schedule.step())
    return optimizer


def feature_maps(layers: nn.Sequential, input: Float[Tensor, " n *d"]) -> list[Tensor]:
    """Send a batch through the layers, and keep what comes out of each.

    Args:
        layers: such as the ``features`` of :class:`LeNet`. They are left in their mode.
        input: a batch.

    Returns:
        One tensor for each layer, without the input.

    Example:
        >>> maps = feature_maps(LeNet().features, torch.zeros(1, 1, 28, 28))
        >>> [tuple(m.shape[1:]) for m in maps[:3]]
        [(6, 28, 28), (6, 28, 28), (6, 14, 14)]
    """
    outputs = []
    for layer in layers:
        input = layer(input)
        outputs.append(input)
    return outputs


def _checked_images(function: Callable) -> Callable:
    """Refuse what is no image."""

    @functools.wraps(function)
    def checked(images, *args, **kwargs):
        _check_image("images", images)
        return function(images, *args, **kwargs)

    return checked


@_checked_images
def shift(
    images: Float[Tensor, "*batch h w"], right: int = 0, down: int = 0
) -> Float[Tensor, "*batch h w"]:
    """Move images by whole pixels; what comes in at the rim is zero.

    Args:
        images: with height and width as the last two axes.
        right: negative to the left.
        down: negative for up.

    Raises:
        ValueError: if ``images`` has fewer than two axes.

    Example:
        >>> shift(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), right=1)
        tensor([[0., 1.],
                [0., 3.]])
    """
    height, width = images.shape[-2:]
    down, right = max(-height, min(down, height)), max(-width, min(right, width))
    return F.pad(images, (right, -right, down, -down))


def _checked_patch(function: Callable) -> Callable:
    """Refuse a patch that is not inside the image."""

    @functools.wraps(function)
    def checked(images, top, left, size, value=0.0):
        _check_image("images", images)
        _check_size(size, images.shape)
        height, width = images.shape[-2:]
        for name, start, most in (("top", top, height - size), ("left", left, width - size)):
            if not 0 <= start <= most:
                raise ValueError(
                    f"{name} must be from 0 to {most} for a patch of {size} in an image of "
                    f"{height} by {width}, got {start}"
                )
        return function(images, top, left, size, value)

    return checked


@_checked_patch
def occlude(
    images: Float[Tensor, "*batch h w"], top: int, left: int, size: int, value: float = 0.0
) -> Float[Tensor, "*batch h w"]:
    """Cover a square of the images; the originals stay as they are.

    Args:
        images: with height and width as the last two axes.
        top: the first row that is covered.
        left: the first column that is covered.
        size: side of the square.
        value: what the covered pixels become.

    Raises:
        ValueError: if the square is not inside the image, or ``images`` has fewer than two axes.

    Example:
        >>> occlude(torch.ones(2, 3), top=0, left=1, size=2)
        tensor([[1., 0., 0.],
                [1., 0., 0.]])
    """
    covered = images.clone()
    covered[..., top : top + size, left : left + size] = value
    return covered


def _checked_occlusion(function: Callable) -> Callable:
    """Refuse what cannot be mapped, and look at the model in eval mode."""

    @functools.wraps(function)
    def checked(model, image, target, size, stride=1, value=0.0):
        if image.dim() != 3 or 0 in image.shape:
            raise ValueError(f"image must have the shape (c, h, w), got {tuple(image.shape)}")
        _check_size(size, image.shape)
        if stride < 1:
            raise ValueError(f"stride must be at least 1, got {stride}")
        if isinstance(target, bool) or target < 0:
            raise ValueError(f"target must be a class of the model, got {target}")
        modes = [(module, module.training) for module in model.modules()]
        try:
            classes = model.eval()(image[None]).shape[1]
            if target >= classes:
                raise ValueError(
                    f"target must be a class of the model, from 0 to {classes - 1}, got {target}"
                )
            return function(model, image, target, size, stride, value)
        finally:
            for module, training in modes:
                module.training = training

    return checked


@torch.no_grad()
@_checked_occlusion
def occlusion_map(
    model: nn.Module,
    image: Float[Tensor, "c h w"],
    target: int,
    size: int,
    stride: int = 1,
    value: float = 0.0,
) -> Float[Tensor, "rows columns"]:
    """Cover one place after the other, and note the probability of a class.

    Args:
        model: gives logits for a batch; looked at in eval mode, and left in the mode it was in.
        image: one image.
        target: the class.
        size: side of the square that is covered.
        stride: how far the square moves each time.
        value: what the covered pixels become.

    Returns:
        The probability of ``target`` for every place of the square inside the image.

    Raises:
        ValueError: if ``image`` does not have three axes, or the square does not fit into it, or
            ``stride`` is less than 1, or the model has no class ``target``.

    Example:
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
        >>> occlusion_map(model, torch.rand(1, 2, 2), target=0, size=1).shape
        torch.Size([2, 2])

    Reference:
        Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2014), section
        4.2, arXiv:1311.2901.
    """
    height, width = image.shape[-2:]
    tops = range(0, height - size + 1, stride)
    lefts = range(0, width - size + 1, stride)
    covered = [occlude(image, i, j, size, value) for i in tops for j in lefts]
    p = model(torch.stack(covered)).softmax(1)[:, target]
    return p.reshape(len(tops), len(lefts))


def _check_image(name: str, images: Tensor) -> None:
    if images.dim() < 2 or 0 in images.shape[-2:]:
        raise ValueError(f"{name} must have the shape (..., h, w), got {tuple(images.shape)}")


def _check_size(size: int, shape: torch.Size) -> None:
    least = min(shape[-2:])
    if not 1 <= size <= least:
        raise ValueError(f"size must be from 1 to {least}, the image's shorter side, got {size}")
