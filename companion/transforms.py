r"""What happens to a sample between the disk and the network: images into tensors, and scaling.

``Compose``, ``ToTensor``, ``Normalize``, ``RandomCrop`` and ``RandomHorizontalFlip`` have the
arguments of their counterparts in ``torchvision.transforms`` and give the same results, number for
number; the random ones draw the same numbers from torch's global generator, so equal seeds give
equal images. They are plain objects that can be called, not ``nn.Module``. Images are PIL images or
tensors (..., height, width). :class:`StandardScaler` is scikit-learn's, for tensors.
"""

import functools
from collections.abc import Callable, Sequence
from numbers import Integral

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps
from torch import Tensor

__all__ = [
    "Compose",
    "Normalize",
    "RandomCrop",
    "RandomHorizontalFlip",
    "StandardScaler",
    "ToTensor",
]

PADDING_MODES = ("constant", "edge", "reflect", "symmetric")
PIL_MODES = ("1", "L", "P", "I", "F", "LA", "RGB", "RGBA", "CMYK", "YCbCr")


def _images(method: Callable) -> Callable:
    """Make a transform refuse what is neither a PIL image nor a tensor (..., height, width)."""

    @functools.wraps(method)
    def checked(self, img):
        name = type(self).__name__
        if not isinstance(img, Image.Image | Tensor):
            raise TypeError(f"{name} expected a PIL image or a tensor, got {type(img).__name__}")
        if isinstance(img, Tensor) and (img.dim() < 2 or 0 in img.shape):
            raise ValueError(
                f"{name} expected an image (..., height, width), got a tensor {tuple(img.shape)}"
            )
        return method(self, img)

    return checked


def _pictures(method: Callable) -> Callable:
    """Make ToTensor refuse what is neither a PIL image nor an array of two or three axes."""

    @functools.wraps(method)
    def checked(self, pic):
        if isinstance(pic, Image.Image):
            if pic.mode not in PIL_MODES:
                known = ", ".join(PIL_MODES)
                raise ValueError(f"ToTensor expected a PIL image of mode {known}, got {pic.mode}")
        elif not isinstance(pic, np.ndarray):
            raise TypeError(
                f"ToTensor expected a PIL image or a NumPy array, got {type(pic).__name__}"
            )
        elif pic.ndim not in (2, 3):
            raise ValueError(
                f"ToTensor expected (height, width) or (height, width, channels), got {pic.shape}"
            )
        return method(self, pic)

    return checked


def _float_images(method: Callable) -> Callable:
    """Make Normalize refuse images that its mean and deviation do not fit, before any change."""

    @functools.wraps(method)
    def checked(self, tensor):
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            got = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"Normalize expected a floating-point tensor, got {got}")
        if tensor.dim() < 3:
            raise ValueError(
                f"Normalize expected (..., channels, height, width), got {tuple(tensor.shape)}"
            )
        for name in ("mean", "std"):
            numbers = torch.as_tensor(getattr(self, name), dtype=tensor.dtype)
            if numbers.numel() not in (1, tensor.shape[-3]):
                raise ValueError(
                    f"{name} must have 1 number or one for each of the {tensor.shape[-3]} "
                    f"channels, got {numbers.numel()}"
                )
            if name == "std" and (numbers == 0).any():
                raise ValueError(f"std must not be zero in {tensor.dtype}, got {self.std}")
        return method(self, tensor)

    return checked


def _tables(method: Callable) -> Callable:
    """Make a scaler's method refuse what is no table, or no table like the one it has seen."""

    @functools.wraps(method)
    def checked(self, X):
        if not isinstance(X, Tensor) or not X.is_floating_point():
            got = X.dtype if isinstance(X, Tensor) else type(X).__name__
            raise TypeError(f"X must be a floating-point tensor, got {got}")
        if X.dim() != 2:
            raise ValueError(f"X must have the shape (samples, features), got {tuple(X.shape)}")
        if method.__name__ == "fit":
            if len(X) == 0:
                raise ValueError("X must hold at least one sample, got none")
            if not X.isfinite().all():
                raise ValueError("X must be finite, got NaN or infinity")
        elif not hasattr(self, "mean_"):
            raise ValueError(f"call fit before {method.__name__}: there are no statistics yet")
        elif X.shape[1] != len(self.mean_):
            raise ValueError(f"X must have {len(self.mean_)} features, got {X.shape[1]}")
        return method(self, X)

    return checked


class Compose:
    """Apply several transforms, one after the other.

    Args:
        transforms: functions, or objects that can be called, each taking what the last one gives.

    Raises:
        TypeError: if ``transforms`` is no list or tuple, or if one of them cannot be called.

    Example:
        >>> transform = Compose([RandomHorizontalFlip(p=1.0), Normalize([0.5], [0.5])])
        >>> transform(torch.tensor([[[0.0, 0.5, 1.0]]]))
        tensor([[[ 1.,  0., -1.]]])
    """

    def __init__(self, transforms: Sequence[Callable]) -> None:
        if not isinstance(transforms, list | tuple):
            raise TypeError(f"transforms must be a list, got {type(transforms).__name__}")
        for transform in transforms:
            if not callable(transform):
                raise TypeError(f"transforms must be callable, got {transform!r}")
        self.transforms = transforms

    def __call__(self, img):
        """Return what the last transform gives."""
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return "\n".join(["Compose(", *(f"    {t}" for t in self.transforms), ")"])


class ToTensor:
    """Turn a picture into a tensor: channels first, and bytes into numbers from 0 to 1.

    A NumPy array (height, width, channels) or (height, width) becomes a tensor (channels, height,
    width). Only bytes (``uint8``, and PIL's modes of bytes and bits) are divided by 255 and become
    floats; all other types of numbers are left as they are.

    Raises:
        TypeError: if ``pic`` is no PIL image and no array, tensors included.
        ValueError: if an array has another number of axes, or a PIL image another mode.

    Example:
        >>> image = ToTensor()(np.array([[0, 51, 255]], dtype="uint8"))
        >>> image, image.shape
        (tensor([[[0.0000, 0.2000, 1.0000]]]), torch.Size([1, 1, 3]))
    """

    @_pictures
    def __call__(
        self, pic: Image.Image | np.ndarray
    ) -> Float[Tensor, "channels height width"] | Tensor:
        """Return the picture as a tensor that shares no memory with it."""
        if isinstance(pic, Image.Image) and pic.mode == "1":
            pic = pic.convert("L")  # bits become the bytes 0 and 255
        pixels = np.array(pic)  # a copy
        if pixels.ndim == 2:
            pixels = pixels[:, :, None]
        image = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
        if image.dtype == torch.uint8:
            image = image.to(torch.get_default_dtype()) / 255
        return image

    def __repr__(self) -> str:
        return "ToTensor()"


class Normalize:
    r"""Subtract a mean and divide by a standard deviation, for each channel its own.

    .. math:: z_c = \frac{x_c - \mu_c}{\sigma_c}

    Args:
        mean: :math:`\mu`, one number or one for each channel.
        std: :math:`\sigma`, likewise.
        inplace: overwrite the tensor instead of returning a new one.

    Raises:
        TypeError: if called with anything but a floating-point tensor.
        ValueError: if ``std`` holds a zero, if the number of channels differs, or if the tensor
            has fewer than three axes. The tensor is then unchanged, in place too.

    Example:
        >>> Normalize(mean=[0.5], std=[0.25])(torch.tensor([[[0.0, 0.5, 1.0]]]))
        tensor([[[-2.,  0.,  2.]]])
    """

    def __init__(
        self,
        mean: Sequence[float] | Tensor | float,
        std: Sequence[float] | Tensor | float,
        inplace: bool = False,
    ) -> None:
        self.mean, self.std, self.inplace = mean, std, inplace

    @_float_images
    def __call__(
        self, tensor: Float[Tensor, "*batch channels height width"]
    ) -> Float[Tensor, "*batch channels height width"]:
        """Return the standard scores of an image or of a batch of images."""
        mean = torch.as_tensor(self.mean).to(tensor).view(-1, 1, 1)
        std = torch.as_tensor(self.std).to(tensor).view(-1, 1, 1)
        if not self.inplace:
            tensor = tensor.clone()
        return tensor.sub_(mean).div_(std)

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"


class RandomCrop:
    """Cut out a rectangle at random.

    Two numbers are drawn from torch's global generator, first the top row and then the left column,
    by ``torch.randint(0, places, (1,))``; none if the crop is as large as the image.

    Args:
        size: height and width of the crop, or one number for both.
        padding: how much to add around the image before: one number for all sides, two for left
            and right, top and bottom, or four for left, top, right, bottom.
        pad_if_needed: add to both sides what an image lacks, if it is smaller than the crop.
        fill: what is added, in the padding mode "constant"; for PIL images in colour also one
            number for each channel.
        padding_mode: "constant", "edge" (repeat the last pixel), "reflect" (mirror at the last
            pixel) or "symmetric" (mirror behind it).

    Raises:
        TypeError: if ``size``, ``padding`` or ``fill`` is no number and no sequence of them, or if
            called with anything but a PIL image or a tensor.
        ValueError: if a size is not positive, a padding is negative, there are too many of either,
            the padding mode is unknown, or the crop is larger than the image.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> RandomCrop(2)(torch.arange(16).view(1, 4, 4))
        tensor([[[ 8,  9],
                 [12, 13]]])
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: float | Sequence[float] = 0,
        padding_mode: str = "constant",
    ) -> None:
        if padding_mode not in PADDING_MODES:
            raise ValueError(
                f"padding_mode must be one of {', '.join(PADDING_MODES)}, got {padding_mode!r}"
            )
        if not isinstance(fill, int | float | list | tuple):
            raise TypeError(f"fill must be a number or one for each channel, got {fill!r}")
        if padding is not None:
            _whole_numbers("padding", padding, (1, 2, 4), lowest=0)
        height, *rest = _whole_numbers("size", size, (1, 2), lowest=1)
        self.size = (height, rest[0] if rest else height)
        self.padding, self.pad_if_needed = padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode

    @_images
    def __call__(self, img: Image.Image | Tensor) -> Image.Image | Tensor:
        """Return a part of the image, of the kind that the image is."""
        if self.padding is not None:
            img = self._pad(img, self.padding)
        height, width = _height_and_width(img)
        if self.pad_if_needed:
            lacking = max(self.size[1] - width, 0), max(self.size[0] - height, 0)
            img = self._pad(img, lacking)
            height, width = _height_and_width(img)
        h, w = self.size
        if h > height or w > width:
            raise ValueError(
                f"size must not exceed the image's height and width, {height} and {width}, "
                f"got {h} and {w}"
            )
        if (h, w) == (height, width):
            return img
        top = torch.randint(0, height - h + 1, (1,)).item()
        left = torch.randint(0, width - w + 1, (1,)).item()
        if isinstance(img, Image.Image):
            return img.crop((left, top, left + w, top + h))
        return img[..., top : top + h, left : left + w]

    def _pad(self, img: Image.Image | Tensor, padding: int | Sequence[int]) -> Image.Image | Tensor:
        numbers = [padding] if isinstance(padding, Integral) else list(padding)
        left, top, right, bottom = (numbers * 4)[:4]
        if isinstance(img, Image.Image):
            if self.padding_mode == "constant":
                return ImageOps.expand(img, (left, top, right, bottom), self._colour(img))
            pixels = np.asarray(img)
            widths = [(top, bottom), (left, right), (0, 0)][: pixels.ndim]
            padded = Image.fromarray(np.pad(pixels, widths, self.padding_mode))
            if img.mode == "P":  # its pixels are numbers of colours
                padded.putpalette(img.getpalette())
            return padded
        if self.padding_mode == "constant":
            if not isinstance(self.fill, int | float):
                raise TypeError(f"fill must be one number for tensors, got {self.fill!r}")
            sides = (left, right, top, bottom)
            return torch.nn.functional.pad(img, sides, value=float(self.fill))
        height, width = _height_and_width(img)
        rows = torch.tensor(np.pad(range(height), (top, bottom), self.padding_mode))
        columns = torch.tensor(np.pad(range(width), (left, right), self.padding_mode))
        return img[..., rows[:, None], columns]

    def _colour(self, img: Image.Image) -> int | tuple[int, ...]:
        bands = len(img.getbands())
        numbers = [self.fill] if isinstance(self.fill, int | float) else list(self.fill)
        if len(numbers) not in (1, bands):
            raise ValueError(
                f"fill must be 1 number or one for each of the {bands} channels, got {self.fill}"
            )
        kind = float if img.mode == "F" else int
        colour = tuple(kind(number) for number in numbers * (bands // len(numbers)))
        return colour if bands > 1 else colour[0]

    def __repr__(self) -> str:
        return f"RandomCrop(size={self.size}, padding={self.padding})"


class RandomHorizontalFlip:
    """Exchange left and right, with probability ``p``.

    One number is drawn from torch's global generator, by ``torch.rand(1)``, whatever ``p`` is.

    Args:
        p: the probability.

    Raises:
        ValueError: if ``p`` is not from 0 to 1.
        TypeError: if called with anything but a PIL image or a tensor.

    Example:
        >>> RandomHorizontalFlip(p=1.0)(torch.tensor([[1, 2, 3]]))
        tensor([[3, 2, 1]])
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"p must be a probability, from 0 to 1, got {p}")
        self.p = p

    @_images
    def __call__(self, img: Image.Image | Tensor) -> Image.Image | Tensor:
        """Return the image or its mirror image."""
        if torch.rand(1) >= self.p:
            return img
        return img.flip(-1) if isinstance(img, Tensor) else ImageOps.mirror(img)

    def __repr__(self) -> str:
        return f"RandomHorizontalFlip(p={self.p})"


class StandardScaler:
    r"""Turn each column of a table into standard scores, with statistics that stay as they are.

    .. math:: z = \frac{x - \mu}{\sigma}, \qquad
              \mu = \frac1n \sum_i x_i, \quad \sigma^2 = \frac1n \sum_i (x_i - \mu)^2

    ``fit`` on the training data alone, then ``transform`` these and all other data alike. The
    statistics are computed in float64. A column that is constant, up to rounding, is divided by 1,
    as scikit-learn does, and so becomes zeros.

    Attributes:
        mean_: :math:`\mu` of each column, after ``fit``.
        scale_: :math:`\sigma` of each column, or 1.

    Raises:
        TypeError: if ``X`` is no floating-point tensor.
        ValueError: if ``X`` is not (samples, features), if ``fit`` gets no sample or numbers that
            are not finite, if ``transform`` comes before ``fit`` or gets another number of
            features. Earlier statistics are kept.

    Example:
        >>> scaler = StandardScaler().fit(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
        >>> scaler.transform(torch.tensor([[2.0, 5.0], [5.0, 6.0]]))
        tensor([[0., 0.],
                [3., 1.]])
    """

    @_tables
    def fit(self, X: Float[Tensor, "samples features"]) -> "StandardScaler":
        """Compute the statistics of ``X``, keep them, and return the scaler."""
        mean = X.double().mean(0)
        scale = X.double().std(0, correction=0)
        rounding = len(X) * torch.finfo(mean.dtype).eps * mean.abs()
        self.mean_, self.scale_ = mean, torch.where(scale > rounding, scale, 1)
        return self

    @_tables
    def transform(self, X: Float[Tensor, "n features"]) -> Float[Tensor, "n features"]:
        """Return the standard scores of ``X``, in its own type of numbers."""
        return ((X - self.mean_) / self.scale_).to(X.dtype)

    @_tables
    def inverse_transform(self, X: Float[Tensor, "n features"]) -> Float[Tensor, "n features"]:
        """Return the numbers whose standard scores are ``X``."""
        return (X * self.scale_ + self.mean_).to(X.dtype)


def _height_and_width(img: Image.Image | Tensor) -> tuple[int, int]:
    return (img.height, img.width) if isinstance(img, Image.Image) else tuple(img.shape[-2:])


def _whole_numbers(name: str, given: object, counts: tuple, lowest: int) -> list[int]:
    """Return the whole numbers in ``given``, one or several, once they are seen to be that."""
    numbers = list(given) if isinstance(given, list | tuple) else [given]
    if not all(isinstance(n, Integral) and not isinstance(n, bool) for n in numbers):
        raise TypeError(f"{name} must be a whole number or a list of them, got {given!r}")
    if len(numbers) not in counts:
        allowed = " or ".join(map(str, counts))
        raise ValueError(f"{name} must have {allowed} numbers, got {len(numbers)}")
    if min(numbers) < lowest:
        raise ValueError(f"{name} must be at least {lowest}, got {given}")
    return numbers
