r"""Segmentation: a class for every pixel.

:func:`conv_transpose2d` makes an image larger; it is the gradient of a convolution with respect to
its input. :class:`UNet` goes down, to see much, and up again, to say where, with skips between the
two sides. :func:`scenes` composes images whose every pixel has a known class,
:func:`confusion_matrix` counts what became of them; :func:`iou`, :func:`mean_iou` and
:func:`dice_loss` judge regions instead of pixels.
"""

import functools
import inspect
import numbers
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, nn

from companion.convolution import pair

Whole = int | Sequence[int]  # one number for both directions, or (vertical, horizontal)
WAYS_UP = "transpose", "nearest", "bilinear"
Images = Float[Tensor, "n c h w"]


def _check_whole(name: str, value: object, least: int) -> None:
    """Refuse what is no whole number from ``least`` on."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def _checked_transpose(function: Callable) -> Callable:
    """Refuse shapes and sizes that do not fit."""

    @functools.wraps(function)
    def checked(input, weight, bias=None, stride=1, padding=0, output_padding=0):
        sizes = {"stride": stride, "padding": padding, "output_padding": output_padding}
        for name, value in sizes.items():
            both = tuple(value) if isinstance(value, tuple | list) else (value, value)
            if len(both) != 2:
                raise ValueError(f"{name} must be a number or a pair, got {value!r}")
            for v in both:
                _check_whole(name, v, int(name == "stride"))
        for s, o in zip(pair(stride), pair(output_padding), strict=True):
            if o >= s:
                raise ValueError(f"output_padding must be less than the stride, {s}, got {o}")
        for name, value in (("input", input), ("weight", weight), ("bias", bias)):
            if value is not None and not (isinstance(value, Tensor) and value.is_floating_point()):
                got = value.dtype if isinstance(value, Tensor) else type(value).__name__
                raise TypeError(f"{name} must be a tensor of floating-point numbers, got {got}")
            if value is not None and value.dtype != input.dtype:
                raise TypeError(f"{name} must have the type {input.dtype}, got {value.dtype}")
        if input.dim() < 3 or weight.dim() != 4:
            raise ValueError(
                "expected an input (n, C_in, h, w) and a weight (C_in, C_out, F_h, F_w), "
                f"got {tuple(input.shape)} and {tuple(weight.shape)}"
            )
        if input.shape[-3] != weight.shape[0]:
            raise ValueError(
                f"the weight is for {weight.shape[0]} channels, {tuple(weight.shape)}, "
                f"got {input.shape[-3]}, {tuple(input.shape)}"
            )
        if bias is not None and bias.shape != weight.shape[1:2]:
            raise ValueError(
                f"bias must have the shape ({weight.shape[1]},), got {tuple(bias.shape)}"
            )
        both = zip(input.shape[-2:], weight.shape[2:], *map(pair, sizes.values()), strict=True)
        for n, k, s, p, o in both:
            size = (n - 1) * s - 2 * p + k + o
            if n < 1 or size < 1:
                raise ValueError(
                    f"nothing is left: expected an output of at least 1 pixel, got {size} "
                    f"(size={n}, kernel_size={k}, stride={s}, padding={p})"
                )
        return function(input, weight, bias, stride, padding, output_padding)

    return checked


@_checked_transpose
def conv_transpose2d(
    input: Float[Tensor, "*batch C_in h w"],
    weight: Float[Tensor, "C_in C_out F_h F_w"],
    bias: Float[Tensor, " C_out"] | None = None,
    stride: Whole = 1,
    padding: Whole = 0,
    output_padding: Whole = 0,
) -> Float[Tensor, "*batch C_out H W"]:
    r"""Let every pixel paint a kernel, ``stride`` apart, and add up where they overlap.

    .. math:: y[m,\; iS + u - P,\; jS + v - P] \mathrel{+}= x[c, i, j]\; k[c, m, u, v]

    It is the gradient of a convolution with the same weight, stride and padding with respect to its
    input. Its output has :math:`(N - 1) S - 2P + F` pixels along a direction, and as many more as
    ``output_padding`` says, since a convolution with a stride takes several sizes to the same one.

    Against torch's function of that name, ``groups`` and ``dilation`` are left out, any number of
    axes may stand before the channels, and ``output_padding`` must be less than the stride.

    Args:
        input: images.
        weight: a kernel for each pair of an input and an output channel; the first axis is that of
            the input, other than in a convolution.
        bias: a number for each output channel.
        stride: S, how far apart the kernels are painted.
        padding: P, how many pixels are cut off on each side.
        output_padding: how many more there are at the bottom and on the right; less than S.

    Raises:
        TypeError: if a size is no whole number, or a tensor not one of floating-point numbers of
            the type of ``input``.
        ValueError: if shapes or sizes do not fit.

    Example:
        >>> x = torch.tensor([[[[1.0, 2.0]]]])
        >>> conv_transpose2d(x, torch.ones(1, 1, 1, 3), stride=2)  # overlap in the middle
        tensor([[[[1., 1., 3., 2., 2.]]]])

    Reference:
        Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016),
        arXiv:1603.07285, chapter 4.
    """
    (h, w), (kh, kw) = input.shape[-2:], weight.shape[2:]
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    oh, ow = pair(output_padding)
    painted = torch.einsum("...chw,cmuv->...muvhw", input, weight)
    H, W = (h - 1) * sh + kh + oh, (w - 1) * sw + kw + ow
    y = painted.new_zeros(*painted.shape[:-4], H, W)
    for u in range(kh):
        for v in range(kw):
            at = ..., slice(u, u + h * sh, sh), slice(v, v + w * sw, sw)
            y[at] += painted[..., u, v, :, :]
    y = y[..., ph : H - ph, pw : W - pw]
    return y if bias is None else y + bias[:, None, None]


def _checked_parts(init: Callable) -> Callable:
    """Refuse counts that are none, and ways up that there are not."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def checked(self, *args, **kwargs):
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        for name in ("in_channels", "out_channels", "num_classes", "width", "depth"):
            if name in bound.arguments:
                _check_whole(name, bound.arguments[name], 1)
        if bound.arguments.get("up", "nearest") not in WAYS_UP:
            raise ValueError(f"up must be one of {WAYS_UP}, got {bound.arguments['up']!r}")
        init(self, *args, **kwargs)

    return checked


def _checked_way(function: Callable) -> Callable:
    """Refuse ways up that there are not."""

    @functools.wraps(function)
    def checked(in_channels, out_channels, up="transpose"):
        if up not in WAYS_UP:
            raise ValueError(f"up must be one of {WAYS_UP}, got {up!r}")
        return function(in_channels, out_channels, up)

    return checked


class DoubleConv(nn.Sequential):
    """Two 3 by 3 convolutions, each with a batch norm and a ReLU behind it.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        padding: True to keep height and width; else each convolution takes 2 off.
        norm: False for convolutions with a bias and no batch norm, as in the paper.

    Raises:
        TypeError: if a number is no whole number.
        ValueError: if one is less than 1.

    Example:
        >>> DoubleConv(1, 8)(torch.zeros(2, 1, 6, 6)).shape
        torch.Size([2, 8, 6, 6])
        >>> DoubleConv(1, 8, padding=False)(torch.zeros(2, 1, 6, 6)).shape
        torch.Size([2, 8, 2, 2])
    """

    @_checked_parts
    def __init__(
        self, in_channels: int, out_channels: int, padding: bool = True, norm: bool = True
    ) -> None:
        layers: list[nn.Module] = []
        for c in (in_channels, out_channels):
            layers.append(nn.Conv2d(c, out_channels, 3, padding=int(padding), bias=not norm))
            layers += [nn.BatchNorm2d(out_channels)] * norm
            layers.append(nn.ReLU())
        super().__init__(*layers)


@_checked_way
def make_up(in_channels: int, out_channels: int, up: str = "transpose") -> nn.Module:
    """Make what doubles height and width: a transposed convolution, or copies and a convolution.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        up: ``"transpose"`` for a 2 by 2 transposed convolution with stride 2; ``"nearest"`` to
            repeat each pixel and ``"bilinear"`` to interpolate, both with a 1 by 1 convolution
            behind.

    Raises:
        ValueError: if there is no such way.

    Example:
        >>> make_up(16, 8, "nearest")(torch.zeros(1, 16, 4, 5)).shape
        torch.Size([1, 8, 8, 10])
    """
    if up == "transpose":
        return nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
    smooth = {"align_corners": False} if up == "bilinear" else {}
    grow = nn.Upsample(scale_factor=2, mode=up, **smooth)
    return nn.Sequential(grow, nn.Conv2d(in_channels, out_channels, 1))


def crop(images: Images, size: Sequence[int]) -> Float[Tensor, "n c H W"]:
    """Cut out the middle of images.

    Args:
        images: at least as high and wide as ``size``.
        size: (height, width). If the rest is odd, one pixel more is cut off at the bottom or right.

    Raises:
        ValueError: if the images are smaller.

    Example:
        >>> crop(torch.arange(5.0).expand(1, 1, 4, 5), (2, 3))[0, 0]
        tensor([[1., 2., 3.],
                [1., 2., 3.]])
    """
    (h, w), (height, width) = images.shape[-2:], size
    if h < height or w < width:
        raise ValueError(f"expected images of at least {height} by {width}, got {h} by {w}")
    top, left = (h - height) // 2, (w - width) // 2
    return images[..., top : top + height, left : left + width]


def _checked_images(forward: Callable) -> Callable:
    """Refuse what is no batch of images that the net can halve and double again."""

    @functools.wraps(forward)
    def checked(self, x):
        shape = tuple(x.shape)
        if x.dim() != 4 or shape[1] != self.in_channels:
            raise ValueError(f"expected images (n, {self.in_channels}, height, width), got {shape}")
        for n in shape[2:]:
            if not self.takes(n):
                fit = [m for m in range(max(1, n - 400), n + 400) if self.takes(m)]
                near = sorted(sorted(fit, key=lambda m: abs(m - n))[:2])
                raise ValueError(
                    f"the images must be halved {len(self.ups)} times without a rest: "
                    f"expected sizes such as {' and '.join(map(str, near))}, "
                    f"got {shape[2]} by {shape[3]}"
                )
        return forward(self, x)

    return checked


class UNet(nn.Module):
    """Down by poolings and up again, with skips from each height of the one side to the other.

    Args:
        in_channels: of the images.
        num_classes: how many logits each pixel gets.
        width: channels at full size; twice as many after each pooling. 64 in the paper.
        depth: how many poolings there are. 4 in the paper.
        up: as in :func:`make_up`.
        skips: False to leave the skips out; the decoder then sees only what comes from below.
        padding: False for convolutions without padding, as in the paper: the output is smaller.
        norm: False to leave the batch norms out, as in the paper.

    Raises:
        TypeError: if a number is no whole number.
        ValueError: if one is less than 1 or ``up`` is none of the ways; in the forward pass, if the
            images have other channels or a size that cannot be halved so often.

    Example:
        >>> model = UNet(in_channels=1, num_classes=5, width=8)
        >>> model(torch.zeros(2, 1, 64, 48)).shape
        torch.Size([2, 5, 64, 48])

    Reference:
        Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image
        Segmentation" (2015), arXiv:1505.04597, figure 1.
    """

    @_checked_parts
    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        width: int = 16,
        depth: int = 3,
        *,
        up: str = "transpose",
        skips: bool = True,
        padding: bool = True,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.in_channels, self.skips, self.padding = in_channels, skips, padding
        widths = [width * 2**i for i in range(depth + 1)]
        pairs = list(zip(widths[1:], widths[:-1], strict=True))[::-1]
        double = functools.partial(DoubleConv, padding=padding, norm=norm)
        self.downs = nn.ModuleList(map(double, [in_channels, *widths], widths))
        self.ups = nn.ModuleList(make_up(wide, slim, up) for wide, slim in pairs)
        doubles = (double((1 + skips) * slim, slim) for _, slim in pairs)
        self.doubles = nn.ModuleList(doubles)
        self.head = nn.Conv2d(width, num_classes, 1)

    def takes(self, size: int) -> bool:
        """Tell whether images of this height or width can be halved at each pooling."""
        less = 0 if self.padding else 4  # two convolutions of 3 by 3
        for _ in self.ups:
            size -= less
            if size < 2 or size % 2:
                return False
            size //= 2
        for _ in self.ups:  # and whether anything is left
            size = 2 * (size - less)
        return size - less > 0

    @_checked_images
    def forward(self, x: Images) -> Float[Tensor, "n classes H W"]:
        """Return logits for every pixel."""
        sides = []
        for down in self.downs[:-1]:
            sides.append(down(x))
            x = F.max_pool2d(sides[-1], 2)
        x = self.downs[-1](x)
        for up, double in zip(self.ups, self.doubles, strict=True):
            x, side = up(x), sides.pop()
            if self.skips:
                x = torch.cat([crop(side, x.shape[2:]), x], dim=1)
            x = double(x)
        return self.head(x)


def _checked_counts(function: Callable) -> Callable:
    """Refuse maps of different shapes, and classes that are not there."""

    @functools.wraps(function)
    def checked(predicted, target, num_classes):
        _check_whole("num_classes", num_classes, 1)
        if predicted.shape != target.shape:
            raise ValueError(
                "predicted and target must have the same shape, "
                f"got {tuple(predicted.shape)} and {tuple(target.shape)}"
            )
        for name, values in (("predicted", predicted), ("target", target)):
            if values.numel() and not 0 <= values.min() <= values.max() < num_classes:
                raise ValueError(
                    f"{name} must hold classes from 0 to {num_classes - 1}, "
                    f"got {values.min().item()} to {values.max().item()}"
                )
        return function(predicted, target, num_classes)

    return checked


@_checked_counts
def confusion_matrix(
    predicted: Int64[Tensor, "*d"], target: Int64[Tensor, "*d"], num_classes: int
) -> Int64[Tensor, "classes classes"]:
    """Count the pixels of each class, by row, that were taken for each class, by column.

    Args:
        predicted: a class for each pixel.
        target: the right one.
        num_classes: how many there are.

    Raises:
        TypeError: if ``num_classes`` is no whole number.
        ValueError: if it is less than 1, the shapes differ, or a class is not from 0 to
            ``num_classes`` - 1.

    Example:
        >>> confusion_matrix(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2)
        tensor([[1, 1],
                [0, 1]])
    """
    pairs = (num_classes * target + predicted).flatten()
    return pairs.bincount(minlength=num_classes**2).unflatten(0, (num_classes, -1))


def _checked_square(function: Callable) -> Callable:
    """Refuse what is no square of counts."""

    @functools.wraps(function)
    def checked(confusion):
        if confusion.dim() != 2 or confusion.shape[0] != confusion.shape[1]:
            raise ValueError(f"confusion must be a square matrix, got {tuple(confusion.shape)}")
        return function(confusion)

    return checked


@_checked_square
def iou(confusion: Shaped[Tensor, "classes classes"]) -> Float[Tensor, " classes"]:
    r"""Return the intersection over union of each class; nan for one that nowhere occurs.

    .. math:: \mathrm{IoU}_k = \frac{|P_k \cap T_k|}{|P_k \cup T_k|}
              = \frac{C_{kk}}{\sum_j C_{kj} + \sum_j C_{jk} - C_{kk}}

    Args:
        confusion: counts, as from :func:`confusion_matrix`.

    Raises:
        ValueError: if it is not square.

    Example:
        >>> iou(torch.tensor([[1, 1], [0, 1]]))
        tensor([0.5000, 0.5000])
        >>> iou(torch.tensor([[3, 0], [0, 0]])).nanmean()  # the mean over classes that occur
        tensor(1.)

    Reference:
        Jaccard, "The distribution of the flora in the alpine zone" (1912),
        doi:10.1111/j.1469-8137.1912.tb05611.x.
    """
    both = confusion.diagonal()
    either = confusion.sum(0) + confusion.sum(1) - both
    return both / either


@_checked_square
def mean_iou(confusion: Shaped[Tensor, "classes classes"]) -> float:
    r"""Return the mean of :func:`iou` over the classes that occur, as truth or as answer.

    A class that neither is there nor is answered has no IoU and is left out. One that is answered
    and not there counts, with 0. The counts may be those of many images together, which is not the
    same as a mean of the images' means.

    Args:
        confusion: counts, as from :func:`confusion_matrix`.

    Raises:
        ValueError: if it is not square.

    Example:
        >>> mean_iou(torch.tensor([[3, 0, 0], [1, 1, 0], [0, 0, 0]]))  # of 3 / 4 and 1 / 2
        0.625
    """
    return iou(confusion).nanmean().item()


def _checked_dice(function: Callable) -> Callable:
    """Refuse logits and classes that do not fit each other."""

    @functools.wraps(function)
    def checked(logits, target, smooth=1.0):
        if logits.dim() < 2 or logits.shape[:1] + logits.shape[2:] != target.shape:
            raise ValueError(
                "expected logits (n, classes, ...) and a target (n, ...), "
                f"got {tuple(logits.shape)} and {tuple(target.shape)}"
            )
        if not 0 <= smooth < float("inf"):
            raise ValueError(f"smooth must be at least 0 and finite, got {smooth}")
        if target.numel() and not 0 <= target.min() <= target.max() < logits.shape[1]:
            raise ValueError(
                f"target must hold classes from 0 to {logits.shape[1] - 1}, "
                f"got {target.min().item()} to {target.max().item()}"
            )
        return function(logits, target, smooth)

    return checked


@_checked_dice
def dice_loss(
    logits: Float[Tensor, "n classes *d"], target: Int64[Tensor, " n *d"], smooth: float = 1.0
) -> Float[Tensor, ""]:
    r"""Return one minus the soft Dice coefficient, the mean over the classes.

    .. math:: L = 1 - \frac{1}{K} \sum_k
              \frac{2 \sum_i p_{ik} t_{ik} + s}{\sum_i p_{ik} + \sum_i t_{ik} + s}

    where i runs over all pixels of the batch, p are the probabilities by softmax and t is 1 for the
    right class and 0 for the others. With s > 0 a class that neither occurs nor is expected costs
    nothing.

    Args:
        logits: for each pixel and class.
        target: the right class of each pixel.
        smooth: s.

    Raises:
        ValueError: if the shapes do not fit, a class is not there, or ``smooth`` is negative or not
            finite.

    Example:
        >>> dice_loss(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 0]]), smooth=0.0)
        tensor(0.6667)

    Reference:
        Milletari, Navab and Ahmadi, "V-Net" (2016), arXiv:1606.04797, section 3, who square p and t
        in the denominator.
    """
    p = logits.softmax(1).transpose(0, 1).flatten(1)  # (classes, pixels)
    t = F.one_hot(target.flatten(), logits.shape[1]).T.to(p.dtype)
    both, sizes = (p * t).sum(1), p.sum(1) + t.sum(1)
    return 1 - ((2 * both + smooth) / (sizes + smooth)).mean()


class Scenes(NamedTuple):
    """Images of several things, and the class of each pixel, 0 for the ground."""

    images: Float[Tensor, "n 1 h w"]
    classes: Int64[Tensor, "n h w"]


def _checked_scenes(function: Callable) -> Callable:
    """Refuse items that do not fit into a scene."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        items, classes = given["items"], given["classes"]
        if items.dim() != 4 or items.shape[1] != 1 or not len(items):
            raise ValueError(f"items must be images (n, 1, h, w), got {tuple(items.shape)}")
        if classes.shape != items.shape[:1]:
            raise ValueError(
                f"classes must have the shape ({len(items)},), got {tuple(classes.shape)}"
            )
        if classes.min() < 1:
            raise ValueError(
                f"classes must be from 1 on, 0 is the ground, got {classes.min().item()}"
            )
        _check_whole("n", given["n"], 0)
        _check_whole("size", given["size"], 1)
        _check_whole("most", given["most"], 1)
        if given["size"] < max(items.shape[2:]):
            raise ValueError(
                f"size must be at least that of an item, {max(items.shape[2:])}, "
                f"got {given['size']}"
            )
        if not 0 <= given["noise"] < float("inf"):
            raise ValueError(f"noise must be at least 0 and finite, got {given['noise']}")
        return function(*args, **kwargs)

    return checked


@_checked_scenes
def scenes(
    items: Float[Tensor, "m 1 h w"],
    classes: Int64[Tensor, " m"],
    n: int,
    size: int = 64,
    most: int = 4,
    noise: float = 0.25,
    generator: torch.Generator | None = None,
) -> Scenes:
    """Lay items on a noisy ground, a later one over an earlier one.

    Each scene gets from one to ``most`` items, drawn with all others, at places drawn evenly. An
    item covers the ground where it is brighter than 0.1.

    Args:
        items: images from 0 to 1, dark where nothing is.
        classes: the class of each, from 1 on.
        n: how many scenes.
        size: their height and width.
        most: how many items a scene has at most.
        noise: the standard deviation of the normal noise that is added to all pixels; the ground
            has a brightness of 0.3 before that.
        generator: draws the numbers.

    Raises:
        TypeError: if a count is no whole number.
        ValueError: if shapes, classes or sizes do not fit.

    Example:
        >>> bright = torch.ones(1, 1, 3, 3)
        >>> images, pixels = scenes(bright, torch.tensor([2]), n=5, size=8, most=1)
        >>> images.shape, pixels.unique(), (pixels == 2).sum().item()
        (torch.Size([5, 1, 8, 8]), tensor([0, 2]), 45)
    """
    images, pixels = torch.full((n, size, size), 0.3), torch.zeros(n, size, size).long()
    h, w = items.shape[2:]
    for image, where in zip(images, pixels, strict=True):
        for _ in range(int(torch.randint(1, most + 1, (), generator=generator))):
            i, top, left = (
                int(torch.randint(count, (), generator=generator))
                for count in (len(items), size - h + 1, size - w + 1)
            )
            part, thing = (slice(top, top + h), slice(left, left + w)), items[i, 0] > 0.1
            image[part] = torch.where(thing, items[i, 0], image[part])
            where[part] = torch.where(thing, classes[i], where[part])
    images = images[:, None] + noise * torch.randn(n, 1, size, size, generator=generator)
    return Scenes(images, pixels)
