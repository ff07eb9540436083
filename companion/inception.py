r"""GoogLeNet: blocks that look at an image through several kernels at once.

An :class:`Inception` block has four branches, with kernels of 1 by 1, 3 by 3 and 5 by 5 and with a
pooling, and puts their channels one behind the other. Before the large kernels a 1 by 1 convolution
makes the channels fewer. :class:`GoogLeNet` is nine such blocks, whose sizes are in
:data:`GOOGLENET`, and in training two :class:`InceptionAux` heads, whose losses
:func:`loss_with_aux` adds. :func:`fade_branch` takes a branch out of what a block has computed, to
see what the network loses.

The names of layers are torchvision's. The layers are the paper's: 5 by 5 where torchvision has 3 by
3, and no batch norm. With ``conv_block=ConvNormReLU`` and ``large_kernel=3`` the state dict fits
torchvision's, though the logits differ: there the last max pooling is 2 by 2, the heads pool
adaptively to 4 by 4, and pretrained models rescale their input (``transform_input``).
"""

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

GOOGLENET = {  # the channels: in, 1×1, 3×3 reduced, 3×3, 5×5 reduced, 5×5, pooling
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}
SMALLEST = 31  # pixels on a side; for fewer the last pooling has nothing to pool
COUNTS = "in_", "out_", "ch", "pool_", "num_", "kernel_", "large_", "stride", "padding"
Images = Float[Tensor, "N C H W"]


def _check_whole(name: str, value: object, least: int) -> None:
    """Refuse what is no whole number from ``least`` on."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def _checked_channels(init: Callable) -> Callable:
    """Refuse numbers of channels or classes that are no whole numbers from 1 on."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def checked(self, *args, **kwargs):
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            if name.startswith(COUNTS):
                _check_whole(name, value, least=0 if name == "padding" else 1)
            if name == "large_kernel" and value % 2 == 0:
                raise ValueError(f"large_kernel must be odd, to keep the size, got {value}")
            if name.startswith("dropout"):
                if not isinstance(value, int | float) or isinstance(value, bool):
                    raise TypeError(f"{name} must be a number, got {value!r}")
                if not 0 <= value < 1:
                    raise ValueError(f"{name} must be at least 0 and below 1, got {value}")
            if name == "conv_block" and not callable(value):
                raise TypeError(f"conv_block must be a class of layers, got {value!r}")
        init(self, *args, **kwargs)

    return checked


def _checked_images(forward: Callable) -> Callable:
    """Refuse what is no batch of images with the channels and the size that the block takes."""

    @functools.wraps(forward)
    def checked(self, input):
        name, shape = type(self).__name__, tuple(input.shape)
        expected = f"(N, {self.in_channels}, H, W)"
        if input.dim() != 4:
            raise ValueError(f"{name} expected a batch {expected}, got the shape {shape}")
        if shape[1] != self.in_channels:
            raise ValueError(
                f"{name} expected {self.in_channels} channels, {expected}, got {shape[1]}, {shape}"
            )
        least, most = self.sizes()
        if min(shape[2:]) < least:
            raise ValueError(
                f"{name} expected images of at least {least} by {least}, "
                f"got {shape[2]} by {shape[3]}"
            )
        if max(shape[2:]) > most:
            raise ValueError(
                f"{name} expected images of at most {most:g} by {most:g}, "
                f"got {shape[2]} by {shape[3]}"
            )
        return forward(self, input)

    return checked


class ConvReLU(nn.Sequential):
    """A convolution with a bias, and a ReLU: what GoogLeNet is made of.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        kernel_size: on each side.
        stride: how far the kernel moves.
        padding: how many zeros are added on each side.

    Raises:
        TypeError: if a number is no whole number.
        ValueError: if one is less than 1, or the padding negative.

    Example:
        >>> ConvReLU(3, 8, 5, padding=2)(torch.zeros(1, 3, 10, 10)).shape
        torch.Size([1, 8, 10, 10])
    """

    @_checked_channels
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
    ) -> None:
        conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding)
        super().__init__(conv, nn.ReLU())


class ConvNormReLU(nn.Module):
    """A convolution, a batch norm and a ReLU; torchvision's ``BasicConv2d``.

    The norm subtracts each channel's mean, so the convolution needs no bias.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        kernel_size: on each side.
        stride: how far the kernel moves.
        padding: how many zeros are added on each side.

    Raises:
        TypeError: if a number is no whole number.
        ValueError: if one is less than 1, or the padding negative.

    Example:
        >>> sum(p.numel() for p in ConvNormReLU(3, 8, 5).parameters())  # 8 · 3 · 25 + 2 · 8
        616

    Reference:
        Ioffe and Szegedy, "Batch Normalization" (2015), arXiv:1502.03167, section 3.2.
    """

    @_checked_channels
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
    ) -> None:
        super().__init__()
        sizes = in_channels, out_channels, kernel_size, stride, padding
        self.conv = nn.Conv2d(*sizes, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, input: Images) -> Float[Tensor, "N D H2 W2"]:
        """Convolve, normalise, and cut off what is negative."""
        return F.relu(self.bn(self.conv(input)))


class Inception(nn.Module):
    """Four branches side by side, whose channels are put one behind the other.

    The branches are a 1 by 1 convolution; a 3 by 3 convolution and a 5 by 5 convolution, each
    behind a 1 by 1 convolution that makes the channels fewer; and a max pooling with a 1 by 1
    convolution behind it. All keep height and width.

    Args:
        in_channels: of the input.
        ch1x1: channels of the first branch.
        ch3x3red: channels between the two convolutions of the second.
        ch3x3: channels of the second branch.
        ch5x5red: channels between the two convolutions of the third.
        ch5x5: channels of the third branch.
        pool_proj: channels of the fourth branch.
        conv_block: makes a convolution with its activation, :class:`ConvReLU` or
            :class:`ConvNormReLU`.
        large_kernel: the size of the third branch's kernel; 3 as in torchvision.

    Attributes:
        widths: the channels of the four branches.

    Raises:
        TypeError: if a number is no whole number.
        ValueError: if one is less than 1, or ``large_kernel`` even; in the forward pass, if the
            input is no batch of images with ``in_channels`` channels.

    Example:
        >>> block = Inception(192, 64, 96, 128, 16, 32, 32)
        >>> block(torch.zeros(1, 192, 28, 28)).shape
        torch.Size([1, 256, 28, 28])
        >>> block.widths
        (64, 128, 32, 32)

    Reference:
        Szegedy et al., "Going Deeper with Convolutions" (2015), arXiv:1409.4842, figure 2(b).
    """

    @_checked_channels
    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
        conv_block: Callable[..., nn.Module] = ConvReLU,
        large_kernel: int = 5,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.widths = ch1x1, ch3x3, ch5x5, pool_proj
        conv, k = conv_block, large_kernel
        self.branch1 = conv(in_channels, ch1x1, 1)
        self.branch2 = nn.Sequential(
            conv(in_channels, ch3x3red, 1),
            conv(ch3x3red, ch3x3, 3, padding=1),
        )
        self.branch3 = nn.Sequential(
            conv(in_channels, ch5x5red, 1),
            conv(ch5x5red, ch5x5, k, padding=k // 2),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1),
            conv(in_channels, pool_proj, 1),
        )

    def sizes(self) -> tuple[int, float]:
        """The smallest and the largest height and width that the block takes."""
        return 1, float("inf")

    @_checked_images
    def forward(self, input: Images) -> Float[Tensor, "N D H W"]:
        """Run the four branches and put their channels one behind the other."""
        branches = self.branch1, self.branch2, self.branch3, self.branch4
        return torch.cat([branch(input) for branch in branches], dim=1)


class InceptionAux(nn.Module):
    """A classifier that stands halfway, and is used in training only.

    Args:
        in_channels: of the input, which must be 14 to 16 pixels high and wide, so that the pooling
            leaves 4 by 4.
        num_classes: how many logits there are.
        dropout: the share of the 1,024 features that is dropped in training.
        conv_block: as in :class:`Inception`.

    Raises:
        TypeError: if a number is no whole number.
        ValueError: if one is less than 1, or ``dropout`` no probability below 1; in the forward
            pass, if the input has another shape.

    Example:
        >>> InceptionAux(512, num_classes=10)(torch.zeros(2, 512, 14, 14)).shape
        torch.Size([2, 10])

    Reference:
        Szegedy et al. (2015), section 5.
    """

    @_checked_channels
    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        dropout: float = 0.7,
        conv_block: Callable[..., nn.Module] = ConvReLU,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.pool = nn.AvgPool2d(5, stride=3)
        self.conv = conv_block(in_channels, 128, 1)
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(1024, num_classes)

    def sizes(self) -> tuple[int, float]:
        """The smallest and the largest height and width that the head takes."""
        return 14, 16

    @_checked_images
    def forward(self, input: Images) -> Float[Tensor, "N classes"]:
        """Return the logits."""
        x = self.conv(self.pool(input)).flatten(1)
        return self.fc2(self.dropout(F.relu(self.fc1(x))))


class GoogLeNetOutputs(NamedTuple):
    """What :class:`GoogLeNet` returns in training: three logits for each class."""

    logits: Float[Tensor, "N classes"]
    aux_logits2: Float[Tensor, "N classes"]
    aux_logits1: Float[Tensor, "N classes"]


class GoogLeNet(nn.Module):
    """Nine :class:`Inception` blocks between a stem of three convolutions and one linear layer.

    Two max poolings stand between the blocks, and in training an :class:`InceptionAux` head behind
    4a and behind 4d. Left out are the paper's two local response normalisations, as in torchvision.

    Args:
        num_classes: how many logits there are.
        aux_logits: whether there are auxiliary heads.
        dropout: the share of the 1,024 features that is dropped in training.
        dropout_aux: the same in the auxiliary heads.
        conv_block: as in :class:`Inception`.
        large_kernel: as in :class:`Inception`.

    Raises:
        TypeError: if a number of classes or the kernel is no whole number, or a dropout no number.
        ValueError: if one is less than 1 or a dropout no probability below 1; in the forward pass,
            if the input is no batch of colour images of at least 31 by 31 pixels, or, in training
            with auxiliary heads, of 223 to 270 by 223 to 270.

    Example:
        >>> model = GoogLeNet(num_classes=10, aux_logits=False).eval()
        >>> model(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 10])

    Reference:
        Szegedy et al., "Going Deeper with Convolutions" (2015), arXiv:1409.4842, table 1.
    """

    @_checked_channels
    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        *,
        dropout: float = 0.4,
        dropout_aux: float = 0.7,
        conv_block: Callable[..., nn.Module] = ConvReLU,
        large_kernel: int = 5,
    ) -> None:
        super().__init__()
        self.in_channels, self.aux_logits = 3, aux_logits
        self.conv1 = conv_block(3, 64, 7, stride=2, padding=3)
        self.conv2 = conv_block(64, 64, 1)
        self.conv3 = conv_block(64, 192, 3, padding=1)
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        for name, channels in GOOGLENET.items():
            block = Inception(*channels, conv_block, large_kernel)
            self.add_module(f"inception{name}", block)
        if aux_logits:
            settings = {"dropout": dropout_aux, "conv_block": conv_block}
            self.aux1 = InceptionAux(512, num_classes, **settings)
            self.aux2 = InceptionAux(528, num_classes, **settings)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1024, num_classes)

    def sizes(self) -> tuple[int, float]:
        """The smallest and the largest height and width that the network takes."""
        with_heads = self.training and self.aux_logits
        return (223, 270) if with_heads else (SMALLEST, float("inf"))

    @_checked_images
    def forward(self, input: Images) -> Float[Tensor, "N classes"] | GoogLeNetOutputs:
        """Return the logits; in training, with auxiliary heads, :class:`GoogLeNetOutputs`."""
        x = self.pool(self.conv1(input))
        x = self.pool(self.conv3(self.conv2(x)))
        x = self.pool(self.inception3b(self.inception3a(x)))
        x = halfway = self.inception4a(x)
        x = later = self.inception4d(self.inception4c(self.inception4b(x)))
        x = self.pool(self.inception4e(x))
        x = self.inception5b(self.inception5a(x))
        logits = self.fc(self.dropout(x.mean((2, 3))))
        if not (self.training and self.aux_logits):
            return logits
        heads = self.aux2(later), self.aux1(halfway)
        return GoogLeNetOutputs(logits, *heads)


def _checked_loss(function: Callable) -> Callable:
    """Refuse a weight that is negative or no number."""

    @functools.wraps(function)
    def checked(output, target, aux_weight=0.3):
        if not 0 <= aux_weight < float("inf"):
            raise ValueError(f"aux_weight must be at least 0 and finite, got {aux_weight}")
        return function(output, target, aux_weight)

    return checked


@_checked_loss
def loss_with_aux(
    output: Float[Tensor, "N classes"] | GoogLeNetOutputs,
    target: Int64[Tensor, " N"],
    aux_weight: float = 0.3,
) -> Float[Tensor, ""]:
    r"""Add the auxiliary heads' cross entropies, at less weight, to that of the network.

    .. math:: L = L_\text{main} + 0.3\, (L_\text{aux1} + L_\text{aux2})

    Args:
        output: what :class:`GoogLeNet` returned; logits alone, as it returns in evaluation, give
            their cross entropy.
        target: the right classes.
        aux_weight: the weight of each auxiliary loss.

    Raises:
        ValueError: if ``aux_weight`` is negative or not finite.

    Example:
        >>> logits, target = torch.zeros(1, 2), torch.tensor([0])  # each of two classes: ln 2
        >>> loss_with_aux(GoogLeNetOutputs(logits, logits, logits), target)  # 1.6 · ln 2
        tensor(1.1090)

    Reference:
        Szegedy et al. (2015), section 5.
    """
    if isinstance(output, torch.Tensor):
        return F.cross_entropy(output, target)
    main, *heads = (F.cross_entropy(logits, target) for logits in output)
    return main + aux_weight * sum(heads)


def _checked_branch(function: Callable) -> Callable:
    """Refuse widths that are not those of the channels, and a branch that is not there."""

    @functools.wraps(function)
    def checked(features, widths, branch, share=0.0):
        if features.dim() < 2:
            raise ValueError(
                f"features must have the axes (samples, channels, ...), got {tuple(features.shape)}"
            )
        for width in widths:
            _check_whole("a width", width, least=0)
        _check_whole("branch", branch, least=0)
        if not math.isfinite(share):
            raise ValueError(f"share must be finite, got {share}")
        if sum(widths) != features.shape[1]:
            raise ValueError(
                f"widths must sum to the {features.shape[1]} channels of features, "
                f"got {tuple(widths)}, in all {sum(widths)}"
            )
        if branch >= len(widths):
            raise ValueError(f"branch must be from 0 to {len(widths) - 1}, got {branch}")
        return function(features, widths, branch, share)

    return checked


@_checked_branch
def fade_branch(
    features: Float[Tensor, "N C *places"],
    widths: Sequence[int],
    branch: int,
    share: float = 0.0,
) -> Float[Tensor, "N C *places"]:
    r"""Pull one branch's outputs towards their mean over the samples, the others left as they are.

    .. math:: x \leftarrow \bar x + s\, (x - \bar x)

    With a share s of 0 the branch says the same of every sample, and so nothing of any.

    Args:
        features: what a block has put out.
        widths: how many channels each branch has.
        branch: which one, from 0 on.
        share: s, how much is left of what distinguishes the samples; 1 leaves all.

    Raises:
        TypeError: if a width or the branch is no whole number.
        ValueError: if the widths do not sum to the channels, the branch is not there, or the share
            is not finite.

    Example:
        >>> features = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
        >>> fade_branch(features, (1, 1), branch=1)
        tensor([[ 1., 20.],
                [ 3., 20.]])

    Reference:
        Morcos et al., "On the importance of single directions for generalization" (2018),
        arXiv:1803.06959, section 2, who set to zero as well as to the mean.
    """
    parts = list(features.split(tuple(widths), dim=1))
    mean = parts[branch].mean(0, keepdim=True)
    parts[branch] = mean + share * (parts[branch] - mean)
    return torch.cat(parts, dim=1)
