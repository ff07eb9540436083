r"""ResNet: blocks that compute :math:`z = F(x) + x`, and the networks that are made of them.

:class:`BasicBlock` and :class:`Bottleneck` are the two blocks of the paper; :class:`PlainBlock` is
the first of them without its shortcut. :class:`ResNet` stacks them for photographs, and
:func:`resnet18` and :func:`resnet50` are the best known of the family; their weights have
torchvision's names and shapes. :class:`SmallResNet` is the same idea for small images; with
``block=PlainBlock`` it is the plain network to compare it with, of the same weights.

Where a block changes the shape, its shortcut must change it too: by :func:`projection`, which
learns, or by :class:`PadShortcut`, which has nothing to learn.
"""

import functools
import inspect
import math
import numbers
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

COUNTS = (
    "inplanes",
    "planes",
    "in_planes",
    "out_planes",
    "blocks",
    "stride",
    "num_classes",
    "n",
    "in_channels",
)


def _checked(function: Callable) -> Callable:
    """Refuse counts that are none, and blocks that are no blocks."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        named = given.arguments
        for name in COUNTS:
            if name in named:
                _check_count(name, named[name])
        for name in ("layers", "channels"):
            if name in named:
                _check_counts(name, named[name])
        if "layers" in named and len(named["layers"]) != 4:
            raise ValueError(f"layers must have 4 counts, one a stage, got {len(named['layers'])}")
        if "block" in named and not hasattr(named["block"], "expansion"):
            got = named["block"]
            raise TypeError(f"block must be a class of blocks such as BasicBlock, got {got!r}")
        if not isinstance(named.get("downsample"), nn.Module | None):
            raise TypeError(f"downsample must be a module or None, got {named['downsample']!r}")
        return function(*args, **kwargs)

    return checked


def _checked_sum(function: Callable) -> Callable:
    """Refuse two shapes that differ, though + might broadcast them."""

    @functools.wraps(function)
    def checked(residual, shortcut):
        if residual.shape != shortcut.shape:
            raise ValueError(
                f"the shortcut must have the shape {tuple(residual.shape)} of the residual, got "
                f"{tuple(shortcut.shape)}: a block that changes the shape needs a downsample"
            )
        return function(residual, shortcut)

    return checked


def _checked_input(forward: Callable) -> Callable:
    """Refuse images, or the values of a layer, with other channels than the first layer takes."""

    @functools.wraps(forward)
    def checked(self, x):
        first = next(m for m in self.modules() if isinstance(m, nn.Conv2d))
        shape, channels = tuple(x.shape), first.in_channels
        if len(shape) != 4 or shape[1] != channels or 0 in shape[2:]:
            raise ValueError(f"expected the shape (n, {channels}, height, width), got {shape}")
        if isinstance(self, ResNet | SmallResNet):
            halvings = getattr(self, "halvings", 5)
            places = math.prod(math.ceil(size / 2**halvings) for size in shape[2:])
            norms = [m for m in self.modules() if isinstance(m, nn.BatchNorm2d)]
            if any(norm.training for norm in norms) and shape[0] * places < 2:
                raise ValueError(
                    "expected 2 images or more in training mode, or images of more than "
                    f"{2**halvings} by {2**halvings} pixels, so that batch norm has 2 values to "
                    f"compare in the last stage, got {shape}"
                )
        return forward(self, x)

    return checked


@_checked_sum
def add(
    residual: Float[Tensor, "n c h w"], shortcut: Float[Tensor, "n c h w"]
) -> Float[Tensor, "n c h w"]:
    """Add two tensors of the same shape; ``+`` alone would broadcast others.

    Args:
        residual: :math:`F(x)`.
        shortcut: :math:`x`, or what a projection makes of it.

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> add(torch.ones(1, 1, 1, 2), torch.ones(1, 1, 1, 2))
        tensor([[[[2., 2.]]]])
    """
    return residual + shortcut


@_checked
def conv3x3(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """Make a 3 by 3 convolution that keeps height and width, or divides them by ``stride``.

    It has no bias, since a batch norm, which has one, comes behind it.

    Raises:
        TypeError: if a count is no whole number.
        ValueError: if one is less than 1.

    Example:
        >>> conv3x3(4, 8, stride=2)(torch.zeros(1, 4, 7, 6)).shape
        torch.Size([1, 8, 4, 3])
    """
    return nn.Conv2d(in_planes, out_planes, 3, stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    r"""Two 3 by 3 convolutions, and a shortcut around them.

    .. math:: z = \mathrm{ReLU}(F(x) + x), \qquad
              F = \mathrm{norm} \circ \mathrm{conv} \circ \mathrm{ReLU} \circ \mathrm{norm}
                  \circ \mathrm{conv}

    Args:
        inplanes: channels that come in.
        planes: channels that go out.
        stride: of the first convolution.
        downsample: makes of :math:`x` what has the shape of :math:`F(x)`. None if it has it.

    Raises:
        TypeError: if a count is no whole number or ``downsample`` no module.
        ValueError: if a count is less than 1; in the forward pass, if the input has other channels,
            or the shortcut another shape than the residual.

    Example:
        >>> BasicBlock(8, 8)(torch.zeros(2, 8, 14, 14)).shape
        torch.Size([2, 8, 14, 14])

    Reference:
        He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition" (2016),
        arXiv:1512.03385, figure 2 and equation 1; names as in torchvision 0.28,
        ``torchvision/models/resnet.py``.
    """

    expansion = 1

    @_checked
    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def residual(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d height width"]:
        """Return F(x)."""
        x = self.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(x))

    @_checked_input
    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d height width"]:
        """Return z."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(add(self.residual(x), shortcut))


class PlainBlock(BasicBlock):
    r"""The same layers as :class:`BasicBlock`, with the same weights, and no shortcut.

    .. math:: z = \mathrm{ReLU}(F(x))

    The ``downsample`` is kept and not used, so that the two blocks have the same parts.

    Example:
        >>> PlainBlock(8, 16, stride=2)(torch.zeros(2, 8, 14, 14)).shape
        torch.Size([2, 16, 7, 7])

    Reference:
        He et al. (2016), section 3.3, "plain network".
    """

    @_checked_input
    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d height width"]:
        """Return z."""
        return self.relu(self.residual(x))


class Bottleneck(nn.Module):
    r"""A 1 by 1 convolution to few channels, a 3 by 3 one, and a 1 by 1 one back to many.

    As in torchvision the stride is that of the 3 by 3 convolution ("version 1.5"); in the paper it
    is that of the first 1 by 1 one, which then leaves three of four places unread.

    Args:
        inplanes: channels that come in.
        planes: channels in the middle; four times as many go out.
        stride: of the second convolution.
        downsample: as in :class:`BasicBlock`.

    Raises:
        TypeError, ValueError: as :class:`BasicBlock`.

    Example:
        >>> Bottleneck(256, 64)(torch.zeros(2, 256, 14, 14)).shape
        torch.Size([2, 256, 14, 14])

    Reference:
        He et al. (2016), arXiv:1512.03385, figure 5, right.
    """

    expansion = 4

    @_checked
    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = conv3x3(planes, planes, stride)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def residual(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d height width"]:
        """Return F(x)."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x))

    @_checked_input
    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d height width"]:
        """Return z."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(add(self.residual(x), shortcut))


@_checked
def projection(
    inplanes: int,
    planes: int,
    stride: int = 1,
) -> nn.Sequential:
    r"""Make a shortcut that learns: a 1 by 1 convolution, and a norm ("option B").

    .. math:: z = \mathrm{ReLU}(F(x) + W_s x)

    Args:
        inplanes: channels that come in.
        planes: channels that go out.
        stride: of the convolution.

    Raises:
        TypeError, ValueError: if a count is no whole number from 1 on.

    Example:
        >>> projection(8, 16, stride=2)(torch.zeros(1, 8, 7, 7)).shape
        torch.Size([1, 16, 4, 4])

    Reference:
        He et al. (2016), arXiv:1512.03385, equation 2 and section 3.3.
    """
    conv = nn.Conv2d(inplanes, planes, 1, stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(planes))


def _checked_pad(init: Callable) -> Callable:
    """Refuse to take channels away."""

    @functools.wraps(init)
    def checked(self, inplanes, planes, stride=1):
        for name, value in (("inplanes", inplanes), ("planes", planes), ("stride", stride)):
            _check_count(name, value)
        if planes < inplanes:
            raise ValueError(f"planes must be at least inplanes, {inplanes}, got {planes}")
        init(self, inplanes, planes, stride)

    return checked


class PadShortcut(nn.Module):
    """A shortcut with nothing to learn: every so-many-th place, and zeros as new channels.

    ("Option A" of the paper.)

    Args:
        inplanes: channels that come in.
        planes: channels that go out.
        stride: how many places further the next one is.

    Raises:
        TypeError: if a count is no whole number.
        ValueError: if one is less than 1, or ``planes`` is less than ``inplanes``.

    Example:
        >>> PadShortcut(1, 2, stride=2)(torch.arange(1.0, 5).reshape(1, 1, 1, 4))
        tensor([[[[1., 3.]],
        <BLANKLINE>
                 [[0., 0.]]]])

    Reference:
        He et al. (2016), arXiv:1512.03385, section 3.3.
    """

    @_checked_pad
    def __init__(self, inplanes: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.new, self.stride = planes - inplanes, stride

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d height width"]:
        """Return the shortcut."""
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.new))


@_checked
def make_layer(
    block: type[nn.Module],
    inplanes: int,
    planes: int,
    blocks: int,
    stride: int = 1,
    *,
    shortcut: Callable[[int, int, int], nn.Module] = projection,
) -> nn.Sequential:
    """Make a stage: blocks of the same size, of which the first may change the shape.

    Args:
        block: such as :class:`BasicBlock`.
        inplanes: channels that come in.
        planes: the blocks' width; ``planes * block.expansion`` channels go out.
        blocks: how many.
        stride: of the first block.
        shortcut: makes the downsample of the first block, if its shape changes.

    Raises:
        TypeError, ValueError: if a count is no whole number from 1 on.

    Example:
        >>> make_layer(BasicBlock, 8, 16, 3, stride=2)(torch.zeros(2, 8, 14, 14)).shape
        torch.Size([2, 16, 7, 7])
    """
    outplanes, downsample = planes * block.expansion, None
    if stride != 1 or inplanes != outplanes:
        downsample = shortcut(inplanes, outplanes, stride)
    layers = [block(inplanes, planes, stride, downsample)]
    for _ in range(blocks - 1):
        layers.append(block(outplanes, planes))
    return nn.Sequential(*layers)


def init_weights(model: nn.Module, zero_init_residual: bool = False) -> None:
    """Draw the first weights of all convolutions by He's rule, with the fan of the outputs.

    Batch norms start at scale 1 and shift 0, as they do in torch anyway.

    Args:
        model: its linear layers are left as they are.
        zero_init_residual: start the last norm of each block that has a shortcut at scale 0, so
            that F(x) = 0.

    Example:
        >>> block = BasicBlock(4, 4)
        >>> init_weights(block, zero_init_residual=True)
        >>> x = torch.rand(2, 4, 3, 3)
        >>> bool((block(x) == x).all())
        True

    Reference:
        He et al., "Delving Deep into Rectifiers" (2015), arXiv:1502.01852, section 2.2; for the
        zeros Goyal et al., "Accurate, Large Minibatch SGD" (2017), arXiv:1706.02677, section 5.1.
    """
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        with_shortcut = isinstance(m, BasicBlock | Bottleneck) and not isinstance(m, PlainBlock)
        if zero_init_residual and with_shortcut:
            last = m.bn2 if isinstance(m, BasicBlock) else m.bn3
            nn.init.zeros_(last.weight)


class ResNet(nn.Module):
    """Four stages of residual blocks, for photographs.

    Args:
        block: :class:`BasicBlock` or :class:`Bottleneck`.
        layers: how many blocks each of the four stages has.
        num_classes: how many logits come out.
        zero_init_residual: see :func:`init_weights`.

    Raises:
        TypeError: if a count is no whole number or ``block`` no class of blocks.
        ValueError: if a count is less than 1 or ``layers`` has not four; in the forward pass, if
            the images have not 3 channels, or are too few or too small for batch norm in training.

    Example:
        >>> model = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=10).eval()
        >>> model(torch.zeros(2, 3, 64, 48)).shape
        torch.Size([2, 10])

    Reference:
        He et al. (2016), arXiv:1512.03385, table 1; names as in torchvision 0.28,
        ``torchvision/models/resnet.py``. Left out are groups, widths, dilations and other norms.
    """

    @_checked
    def __init__(
        self,
        block: type[nn.Module],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        for i, blocks in enumerate(layers):
            c = 32 * 2**i * block.expansion if i else 64
            stage = make_layer(block, c, 64 * 2**i, blocks, 2 if i else 1)
            setattr(self, f"layer{i + 1}", stage)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        init_weights(self, zero_init_residual)

    @_checked_input
    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Return the logits of a batch of images."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def resnet18(num_classes: int = 1000, zero_init_residual: bool = False) -> ResNet:
    """Make the ResNet with 17 convolutions and a linear layer on the longest way.

    The names and shapes of its weights are torchvision's, so ``load_state_dict`` takes the file
    that torchvision offers.

    Args:
        num_classes: how many logits come out.
        zero_init_residual: see :func:`init_weights`.

    Raises:
        TypeError, ValueError: as :class:`ResNet`.

    Example:
        >>> with torch.device("meta"):  # shapes only
        ...     model = resnet18()
        >>> sum(p.numel() for p in model.parameters())
        11689512

    Reference:
        He et al. (2016), arXiv:1512.03385, table 1. The shortcuts are option B, as in
        torchvision; the paper's own 18 layers had option A.
    """
    return ResNet(BasicBlock, [2, 2, 2, 2], num_classes, zero_init_residual)


def resnet50(num_classes: int = 1000, zero_init_residual: bool = False) -> ResNet:
    """Make the ResNet with 49 convolutions and a linear layer on the longest way.

    The names and shapes of its weights are torchvision's; see :func:`resnet18`.

    Args:
        num_classes: how many logits come out.
        zero_init_residual: see :func:`init_weights`.

    Raises:
        TypeError, ValueError: as :class:`ResNet`.

    Example:
        >>> with torch.device("meta"):
        ...     model = resnet50()
        >>> sum(p.numel() for p in model.parameters())
        25557032

    Reference:
        He et al. (2016), arXiv:1512.03385, table 1, with the stride of :class:`Bottleneck`.
    """
    return ResNet(Bottleneck, [3, 4, 6, 3], num_classes, zero_init_residual)


class SmallResNet(nn.Module):
    """A stem and stages of ``n`` blocks each, for small images; with three stages 6n + 2 layers.

    Shortcuts that change the shape are :class:`PadShortcut`, so a net of :class:`PlainBlock` has
    the same parameters, and from the same seed the same first weights. Against the paper's network
    for small images: the first convolution has a stride of 2, and there are fewer channels.

    Args:
        n: blocks in each stage.
        block: :class:`BasicBlock` or :class:`PlainBlock`.
        num_classes: how many logits come out.
        in_channels: of the images.
        channels: of each stage; from stage to stage not fewer. Each after the first halves height
            and width.

    Raises:
        TypeError, ValueError: as :class:`ResNet`; and if ``channels`` fall.

    Example:
        >>> model = SmallResNet(3)
        >>> model(torch.zeros(2, 1, 28, 28)).shape, len(model.blocks)
        (torch.Size([2, 10]), 9)
        >>> sum(p.numel() for p in model.parameters())
        67906

    Reference:
        He et al. (2016), arXiv:1512.03385, section 4.2.
    """

    @_checked
    def __init__(
        self,
        n: int,
        block: type[nn.Module] = BasicBlock,
        num_classes: int = 10,
        in_channels: int = 1,
        channels: Sequence[int] = (8, 16, 32),
    ) -> None:
        super().__init__()
        c, blocks = channels[0], []
        stem = conv3x3(in_channels, c, 2), nn.BatchNorm2d(c), nn.ReLU()
        self.stem = nn.Sequential(*stem)
        for i, planes in enumerate(channels):
            blocks += make_layer(block, c, planes, n, 2 if i else 1, shortcut=PadShortcut)
            c = planes * block.expansion
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(c, num_classes)
        self.halvings = len(channels)
        init_weights(self)

    @_checked_input
    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Return the logits of a batch of images."""
        x = self.blocks(self.stem(x))
        return self.fc(x.mean((2, 3)))


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")


def _check_counts(name: str, values: object) -> None:
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise TypeError(f"{name} must be a list of whole numbers, got {values!r}")
    for value in values:
        _check_count(f"each of {name}", value)
