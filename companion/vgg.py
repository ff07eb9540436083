r"""VGG: a network of blocks, all of them made of 3 by 3 convolutions; and what its layers cost.

:func:`make_layers` stacks blocks after a plan such as those in :data:`PLANS`. :class:`VGG` puts the
three linear layers of the paper behind them, and :func:`vgg16` is the best known of the family; its
weights have torchvision's names and shapes. :class:`SmallVGG` is the same idea for small images.

:func:`layer_costs` runs any network once and says, layer by layer, how many parameters it has, how
many multiplications it takes and how many values it puts out. It works on the ``meta`` device too,
where tensors have shapes but no values, and then costs nothing.
"""

import functools
import inspect
import math
import numbers
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

POOL = "M"  # in a plan: max pooling; a number is a convolution with that many output channels
PLANS: dict[str, list[int | str]] = {
    "vgg11": [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "vgg13": [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "vgg16": [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3, "M"],
    "vgg19": [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"],
}
SMALL = (8, 8, "M", 16, 16, "M", 32, 32, "M")


def _checked_plan(function: Callable) -> Callable:
    """Refuse a plan that is no list of channel counts and poolings."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        _check_plan(given.arguments["cfg"])
        _check_count("in_channels", given.arguments["in_channels"])
        return function(*args, **kwargs)

    return checked


@_checked_plan
def make_layers(
    cfg: Sequence[int | str], batch_norm: bool = False, in_channels: int = 3
) -> nn.Sequential:
    """Stack 3 by 3 convolutions, each with a ReLU, and poolings that halve height and width.

    Args:
        cfg: the plan: a number for a convolution with that many output channels, ``"M"`` for max
            pooling. A *block* goes up to and including an ``"M"``.
        batch_norm: put a batch norm between convolution and ReLU.
        in_channels: of the images. (torchvision's function, of the same name, has no such argument;
            there they are 3.)

    Raises:
        TypeError: if a channel count is no whole number.
        ValueError: if one is less than 1, or if the plan is empty or holds another word.

    Example:
        >>> block = make_layers([64, 64, "M"])
        >>> block(torch.zeros(1, 3, 10, 10)).shape
        torch.Size([1, 64, 5, 5])

    Reference:
        Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition"
        (2015), arXiv:1409.1556, section 2.1 and table 1.
    """
    layers = []
    for v in cfg:
        if v == POOL:
            layers.append(nn.MaxPool2d(2))
            continue
        layers.append(nn.Conv2d(in_channels, v, 3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(v))
        layers.append(nn.ReLU(inplace=True))
        in_channels = v
    return nn.Sequential(*layers)


def start_weights(layer: nn.Module) -> None:
    """Draw a layer's first weights as torchvision does: He's rule, but 0.01 in linear layers.

    Convolutions: normal, with the variance 2 / (output channels · height · width of the kernel).
    Linear layers: normal, with the standard deviation 0.01. Biases: zero. Others stay as they are.

    Args:
        layer: any; use it as ``model.apply(start_weights)``.

    Example:
        >>> layer = nn.Linear(100, 100)
        >>> start_weights(layer)
        >>> bool(layer.bias.any()), 0.009 < layer.weight.std() < 0.011
        (False, tensor(True))

    Reference:
        He et al., "Delving Deep into Rectifiers" (2015), arXiv:1502.01852, section 2.2.
    """
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, 0, 0.01)
    if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _checked_parts(init: Callable) -> Callable:
    """Refuse a number of classes, or of whatever else is counted, that is none."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def checked(*args, **kwargs):
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        named = given.arguments
        for name in ("num_classes", "in_channels", "size"):
            if name in named:
                _check_count(name, named[name])
        if "cfg" in named:
            _check_plan(named["cfg"])
            least = 2 ** list(named["cfg"]).count(POOL)
            if named["size"] < least:
                poolings = list(named["cfg"]).count(POOL)
                raise ValueError(
                    f"expected images of at least {least} by {least} pixels for {poolings} "
                    f"poolings, got size={named['size']}"
                )
        if "features" in named and not isinstance(named["features"], nn.Module):
            got = type(named["features"]).__name__
            raise TypeError(f"features must be an nn.Module, got {got}")
        init(*args, **kwargs)

    return checked


def _checked_images(forward: Callable) -> Callable:
    """Refuse images of another shape than the network is made for."""

    @functools.wraps(forward)
    def checked(self, x):
        first = next((m for m in self.features.modules() if isinstance(m, nn.Conv2d)), None)
        channels = first.in_channels if first else "c"
        if x.dim() != 4 or (first and x.shape[1] != channels):
            raise ValueError(
                f"expected images of the shape (n, {channels}, height, width), got {tuple(x.shape)}"
            )
        size, got = getattr(self, "size", None), tuple(x.shape[2:])
        poolings = sum(isinstance(m, nn.MaxPool2d) for m in self.features.modules())
        if size is not None and got != (size, size):
            raise ValueError(f"expected images of {size} by {size} pixels, got {got}")
        if min(got) < 2**poolings:
            raise ValueError(
                f"expected images of at least {2**poolings} by {2**poolings} pixels for "
                f"{poolings} poolings, got {got}"
            )
        return forward(self, x)

    return checked


class VGG(nn.Module):
    """Blocks of convolutions, and behind them three linear layers.

    Args:
        features: makes 512 channels of an image; such as :func:`make_layers` of one of
            :data:`PLANS`.
        num_classes: how many logits come out.
        init_weights: draw the first weights by :func:`start_weights`, else by torch's defaults.
        dropout: probability, behind the first two linear layers.

    Raises:
        TypeError: if ``num_classes`` is no whole number or ``features`` no module.
        ValueError: if ``num_classes`` is less than 1, ``dropout`` no probability; in the forward
            pass, if the images have the wrong shape or are too small for the poolings (32 by 32
            pixels is the least for the paper's five).

    Example:
        >>> with torch.device("meta"):  # shapes only, so that it takes neither time nor memory
        ...     model = VGG(make_layers(PLANS["vgg11"]), num_classes=10)
        ...     model(torch.zeros(2, 3, 64, 48)).shape
        torch.Size([2, 10])

    Reference:
        Simonyan and Zisserman (2015), arXiv:1409.1556, table 1; names as in torchvision 0.28,
        ``torchvision/models/vgg.py``, whose adaptive pooling (for images of any size) the paper
        does not have.
    """

    @_checked_parts
    def __init__(
        self,
        features: nn.Module,
        num_classes: int = 1000,
        init_weights: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        hidden = 4096
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, hidden), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )  # fmt: skip
        if init_weights:
            self.apply(start_weights)

    @_checked_images
    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Return the logits of a batch of images."""
        x = self.avgpool(self.features(x))
        return self.classifier(x.flatten(1))


def vgg16(num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5) -> VGG:
    """Make the VGG with 13 convolutions and 3 linear layers.

    The names and shapes of its weights are torchvision's, so ``load_state_dict`` takes the file
    that torchvision offers.

    Args:
        num_classes: how many logits come out.
        init_weights: see :class:`VGG`.
        dropout: probability, behind the first two linear layers.

    Raises:
        TypeError, ValueError: as :class:`VGG`.

    Example:
        >>> with torch.device("meta"):
        ...     model = vgg16()
        >>> sum(p.numel() for p in model.parameters())
        138357544

    Reference:
        Simonyan and Zisserman (2015), arXiv:1409.1556, table 1, configuration D.
    """
    return VGG(make_layers(PLANS["vgg16"]), num_classes, init_weights, dropout)


class SmallVGG(nn.Module):
    """Blocks for small images, each convolution with a batch norm, and a single linear layer.

    Args:
        cfg: the plan, as in :func:`make_layers`.
        num_classes: how many logits come out.
        in_channels: of the images.
        size: their height and width.
        batch_norm: False to leave the batch norms out.

    Raises:
        TypeError: if a count is no whole number.
        ValueError: if one is less than 1, the plan is empty, or the size too small for its
            poolings; in the forward pass, if the images have another shape.

    Example:
        >>> model = SmallVGG()
        >>> model(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
        >>> sum(p.numel() for p in model.parameters())
        21154

    Reference:
        Simonyan and Zisserman (2015), with the batch norm of Ioffe and Szegedy (2015),
        arXiv:1502.03167.
    """

    @_checked_parts
    def __init__(
        self,
        cfg: Sequence[int | str] = SMALL,
        num_classes: int = 10,
        in_channels: int = 1,
        size: int = 28,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        self.size = size
        self.features = make_layers(cfg, batch_norm, in_channels)
        channels = [in_channels, *(v for v in cfg if v != POOL)][-1]
        places = (size // 2 ** list(cfg).count(POOL)) ** 2
        classify = nn.Linear(channels * places, num_classes)
        self.classifier = nn.Sequential(nn.Flatten(), classify)
        self.features.apply(start_weights)

    @_checked_images
    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Return the logits of a batch of images."""
        return self.classifier(self.features(x))


class LayerCost(NamedTuple):
    """What one layer costs, for one sample of a batch.

    Attributes:
        name: where the layer is in the network, such as ``"features.0"``.
        kind: its class, such as ``"Conv2d"``.
        shape: of its output, without the batch's axis.
        parameters: how many it has that no layer before it has used.
        multiplications: of weights by inputs, in convolutions and linear layers; 0 in others.
        values: how many numbers it puts out, the product of ``shape``.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiplications: int
    values: int


def _checked_layer(function: Callable) -> Callable:
    """Refuse a layer that does not make one tensor of another."""

    @functools.wraps(function)
    def checked(layer, input, output):
        for what, value in (("takes", input), ("puts out", output)):
            if not isinstance(value, Tensor):
                name, got = type(layer).__name__, type(value).__name__
                raise TypeError(f"expected a layer that {what} a tensor, got {name}, a {got}")
        return function(layer, input, output)

    return checked


@_checked_layer
def multiplications(layer: nn.Module, input: Tensor, output: Tensor) -> int:
    r"""Count how often a layer multiplies a weight by an input, for one sample.

    .. math:: \text{number of weights} \times \text{number of places}

    A convolution uses each weight once at every place of its output, and a transposed convolution
    once at every place of its input; a linear layer has one place, or as many as there are vectors
    in a sample. Products with the zeros of the padding count (a transposed convolution's padding
    cuts off results, and what is cut off counts too). Biases take no multiplication.

    Args:
        layer: any layer.
        input: a batch that goes in.
        output: what comes out.

    Returns:
        The number; 0 for layers that are neither convolutions nor linear, such as norms, whose one
        multiplication per value is left out.

    Raises:
        TypeError: if ``input`` or ``output`` is no tensor.

    Example:
        >>> layer, x = nn.Conv2d(3, 8, 3, padding=1), torch.zeros(1, 3, 10, 10)
        >>> multiplications(layer, x, layer(x))  # (8 · 3 · 3 · 3) · (10 · 10)
        21600

    Reference:
        Sze, Chen, Yang and Emer, "Efficient Processing of Deep Neural Networks: A Tutorial and
        Survey" (2017), arXiv:1703.09039, sections III and V.
    """
    if isinstance(layer, nn.Linear):
        places = output.shape[1:-1]
    elif isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        places = output.shape[2:]
    elif isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        places = input.shape[2:]
    else:
        return 0
    return layer.weight.numel() * math.prod(places)


def _checked_costs(function: Callable) -> Callable:
    """Refuse what is no network or no batch, and look at the network in eval mode."""

    @functools.wraps(function)
    def checked(model, input):
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be an nn.Module, got {type(model).__name__}")
        if not isinstance(input, Tensor):
            raise TypeError(f"input must be a tensor, a batch, got {type(input).__name__}")
        if input.dim() < 2:
            raise ValueError(
                "input must be a batch, with an axis for the samples and one or more behind it, "
                f"got the shape {tuple(input.shape)}"
            )
        modes = [(module, module.training) for module in model.modules()]
        try:
            return function(model.eval(), input)
        finally:
            for module, training in modes:
                module.training = training

    return checked


@_checked_costs
@torch.no_grad()
def layer_costs(model: nn.Module, input: Tensor) -> list[LayerCost]:
    """Run a network once, and note for each of its layers what it costs for one sample.

    A layer is a module that has parameters of its own or no modules inside it. What happens outside
    of layers, such as a ``+`` or a call of ``torch.nn.functional``, is not seen.

    Args:
        model: looked at in eval mode, and left as it was: modes, statistics and random numbers.
        input: a batch of any length, on the device of the model; the ``meta`` device will do.

    Returns:
        A :class:`LayerCost` for each run of a layer, in the order of the runs. A layer that runs
        twice is there twice, its parameters the first time only, so that they can be summed.

    Raises:
        TypeError: if ``model`` is no module, ``input`` no tensor, or a layer puts out none.
        ValueError: if ``input`` has fewer than two axes.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 2))
        >>> for cost in layer_costs(model, torch.zeros(1, 1, 4, 4)):
        ...     print(cost.name, cost.kind, cost.shape, cost.parameters, cost.multiplications)
        0 Conv2d (4, 2, 2) 40 144
        1 Flatten (16,) 0 0
        2 Linear (2,) 34 32
    """
    costs, known, hooks = [], set(), []
    for name, layer in model.named_modules():

        def note(layer, args, kwargs, y, name=name):
            x, *_ = *args, *kwargs.values()
            new = set(layer.parameters(False)) - known
            known.update(new)
            cost = sum(p.numel() for p in new), multiplications(layer, x, y)
            kind, size = type(layer).__name__, tuple(y.shape[1:])
            costs.append(LayerCost(name, kind, size, *cost, math.prod(size)))

        if list(layer.parameters(False)) or not list(layer.children()):
            hooks.append(layer.register_forward_hook(note, with_kwargs=True))
    try:
        model(input)
    finally:
        for hook in hooks:
            hook.remove()
    return costs


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")


def _check_plan(cfg: object) -> None:
    if isinstance(cfg, str) or not isinstance(cfg, Sequence):
        raise TypeError(f"the plan must be a list, got {cfg!r}")
    if not cfg:
        raise ValueError("the plan must have at least one layer, got none")
    for v in cfg:
        if isinstance(v, str):
            if v != POOL:
                raise ValueError(f'a plan holds channel counts and "{POOL}", got {v!r}')
        else:
            _check_count("each channel count", v)
