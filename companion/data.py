"""The data of the book: real, small, and there without a network. And how they come in batches.

The first functions return tensors: images as numbers from 0 to 1 in the order channel, height,
width; labels as int64. None depends on the folder you are in or touches the global random state.
All check what they read against :data:`SOURCES`, the one table of where data come from, under which
licence, and what their SHA-256 is. ``python -m companion.data`` prints that table.

:func:`one_epoch` and :func:`pad_collate` make batches of samples. What changes the samples
themselves is in ``companion.transforms`` and can be imported from here too.
"""

import functools
import gzip
import hashlib
import http.client
import io
import lzma
import math
import os
import struct
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, Shaped, UInt8
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset, default_collate

from companion.transforms import (
    Compose,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    StandardScaler,
    ToTensor,
)

__all__ = [
    "FASHION_MNIST_CLASSES",
    "SOURCES",
    "Compose",
    "DiabetesDataset",
    "Normalize",
    "RandomCrop",
    "RandomHorizontalFlip",
    "Source",
    "Split",
    "StandardScaler",
    "ToTensor",
    "TransformedDataset",
    "diabetes",
    "digits",
    "fashion_mnist",
    "nuclei",
    "one_epoch",
    "packaged",
    "pad_collate",
    "photo",
    "sea_temperature",
    "sources_table",
]

# scikit-learn takes a second to import: the loaders that need it do that themselves.

FASHION_MNIST_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
FASHION_MNIST_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
FASHION_MNIST_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

FILES = resources.files("companion") / "files"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")

_REINSTALL = "Install scikit-learn again, in the version that the book's requirements.txt names."


@dataclass(frozen=True)
class Source:
    """Where data come from.

    Attributes:
        name: of the file or, for tables that scikit-learn reads for us, of the data set.
        what: what is in it.
        source: who made it, and where it is to be had.
        licence: what it may be used for.
        sha256: of the contents, uncompressed (a file packed anew still holds the same data); for
            scikit-learn's tables of the numbers, all inputs and then all answers, as bytes.
    """

    name: str
    what: str
    source: str
    licence: str
    sha256: str


_ZALANDO = "Zalando SE, https://github.com/zalandoresearch/fashion-mnist"
_SCIKIT_LEARN = "comes with scikit-learn (BSD-3-Clause)"

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            "fashion_mnist.xz",
            "Fashion-MNIST, the first 1,000 training and 200 test images of each class",
            _ZALANDO,
            "MIT",
            "dc0289273c8bbcf299620bc123dadb811b6f04ead83d54641d1196c9bef7c4da",
        ),
        Source(
            "train-images-idx3-ubyte.gz",
            "Fashion-MNIST, 60,000 training images; not in the package",
            _ZALANDO,
            "MIT",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        Source(
            "train-labels-idx1-ubyte.gz",
            "their labels; not in the package",
            _ZALANDO,
            "MIT",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        Source(
            "t10k-images-idx3-ubyte.gz",
            "Fashion-MNIST, 10,000 test images; not in the package",
            _ZALANDO,
            "MIT",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        Source(
            "t10k-labels-idx1-ubyte.gz",
            "their labels; not in the package",
            _ZALANDO,
            "MIT",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        Source(
            "digits",
            "1,797 handwritten digits, 8 by 8 pixels: the test part of the UCI data set",
            f"E. Alpaydin and C. Kaynak (1998), https://doi.org/10.24432/C50P49; {_SCIKIT_LEARN}",
            "CC BY 4.0",
            "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826",
        ),
        Source(
            "diabetes",
            "442 patients: ten measurements, and the disease's progression a year later",
            "B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, Least Angle Regression (2004), "
            f"https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html; {_SCIKIT_LEARN}",
            "none stated by the authors",
            "70a45af6bc04fb77f713e6aca86019c4707501ef0cbd17c743d74f7a9ca8bf11",
        ),
        Source(
            "china.jpg",
            "photograph of a temple, 640 by 427",
            "danielbuechele, https://www.flickr.com/photos/danielbuechele/6061409035/; "
            + _SCIKIT_LEARN,
            "CC BY 2.0",
            "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
        ),
        Source(
            "flower.jpg",
            "photograph of a flower, 640 by 427",
            f"vultilion, https://www.flickr.com/photos/vultilion/6056698931/; {_SCIKIT_LEARN}",
            "CC BY 2.0",
            "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
        ),
        Source(
            "nuclei.xz",
            "micrograph of cell nuclei, 512 by 512, with a number for each nucleus at its pixels",
            "2018 Data Science Bowl (J. Caicedo and others, 2019, "
            "https://doi.org/10.1038/s41592-019-0612-7; image set BBBC038v1, "
            "https://bbbc.broadinstitute.org/BBBC038), as it comes with stardist 0.9.2 "
            "(BSD-3-Clause)",
            "CC0 1.0",
            "41b8ecdc2e15ce54c119cedc8b3de893a097abc95681109c456d13a46d56afc0",
        ),
        Source(
            "help_topics.xz",
            "what Python's help() prints on 77 topics, without tables, grammar and repetitions",
            "Python Software Foundation, module pydoc_data.topics of Python 3.11.7, "
            "https://docs.python.org/3.11/",
            "PSF-2.0",
            "948ba07c2cff10c3ce82b050b014fb0a7c9783b503d2d994dcf2c1f60f553999",
        ),
        Source(
            "interface_texts.xz",
            "3,670 short texts of user interfaces, each in English and in simplified Chinese",
            "Project Jupyter Contributors, package jupyterlab-language-pack-zh-CN 4.5.post3, "
            "https://github.com/jupyterlab/language-packs; Torchbox Ltd and contributors, package "
            "wagtail 8.0.1, https://github.com/wagtail/wagtail",
            "BSD-3-Clause",
            "6bd14ab0bdf37e7629194502e5cc7bc91197729282923abac56f75d1e6fbf231",
        ),
        Source(
            "sea_temperature.csv",
            "mean sea-surface temperature of each month from 1950 to 2010, in the Pacific at the "
            "coast of Peru and Ecuador (0 to 10 degrees south, 80 to 90 degrees west)",
            "National Oceanic and Atmospheric Administration, index Niño 1+2 of ERSST.V3B, "
            "http://www.cpc.ncep.noaa.gov/data/indices/, as it comes with statsmodels 0.15.0",
            "public domain",
            "0011eb5c3badfdc01cecfa919750aaa5c125d34a31defd56106392f455a576a0",
        ),
    )
}


class Split(NamedTuple):
    """Images to learn from and images to be tested with, each with its label."""

    train_images: Float[Tensor, "train 1 height width"]
    train_labels: Int64[Tensor, " train"]
    test_images: Float[Tensor, "test 1 height width"]
    test_labels: Int64[Tensor, " test"]


def fashion_mnist(full: bool = False) -> Split:
    """Load pictures of clothes: ten classes, 28 by 28 pixels, as white on black.

    Args:
        full: False for the 10,000 training and 2,000 test images in the package, the first ones of
            each class. True for all 60,000 and 10,000: from Debian's package
            ``dataset-fashion-mnist``; else from the folder ``fashion-mnist`` in ``COMPANION_DATA``
            (an environment variable; ``~/.cache/building-blocks-dl`` if it is not set); else
            downloaded into that folder, 30 MB.

    Returns:
        Images (n, 1, 28, 28), float32 from 0 to 1, and labels from 0 to 9, whose names are
        :data:`FASHION_MNIST_CLASSES`. In the order of the original.

    Raises:
        FileNotFoundError: if the package's file is missing.
        ValueError: if a file is cut short or is not what it should be.
        OSError: if the full set is nowhere and cannot be downloaded or kept.

    Example:
        >>> train_x, train_y, test_x, test_y = fashion_mnist()
        >>> train_x.shape, test_x.shape
        (torch.Size([10000, 1, 28, 28]), torch.Size([2000, 1, 28, 28]))
        >>> FASHION_MNIST_CLASSES[train_y[0]]
        'Ankle boot'

    Reference:
        Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
        Learning Algorithms" (2017), arXiv:1708.07747.
    """
    if full:
        contents = b"".join(_fashion_mnist_file(name) for name in FASHION_MNIST_FILES)
    else:
        contents = packaged("fashion_mnist.xz")  # the same four files, one after the other
    stream = io.BytesIO(contents)
    train_images, train_labels, test_images, test_labels = (_read_idx(stream) for _ in range(4))
    return Split(
        train_images.unsqueeze(1).float().div_(255),
        train_labels.long(),
        test_images.unsqueeze(1).float().div_(255),
        test_labels.long(),
    )


def digits(seed: int = 0, test_fraction: float = 0.2) -> Split:
    """Load handwritten digits of 8 by 8 pixels, split at random.

    Args:
        seed: decides which images are kept for the test.
        test_fraction: how large a part of the 1,797 images that is.

    Returns:
        Images (n, 1, 8, 8), float32 from 0 to 1 in steps of 1/16, and labels from 0 to 9.

    Raises:
        ValueError: if ``test_fraction`` is not in [0, 1), or if this scikit-learn has other data.

    Example:
        >>> train_x, train_y, test_x, test_y = digits()
        >>> train_x.shape, test_x.shape
        (torch.Size([1438, 1, 8, 8]), torch.Size([359, 1, 8, 8]))
    """
    if not 0 <= test_fraction < 1:
        raise ValueError(f"test_fraction must be at least 0 and below 1, got {test_fraction}")
    from sklearn.datasets import load_digits

    table = load_digits()
    pixels, labels = table.images.astype("uint8"), table.target.astype("uint8")
    _check("digits", pixels.tobytes() + labels.tobytes(), _REINSTALL)
    images = torch.tensor(pixels).unsqueeze(1).float() / 16
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    test, train = order.tensor_split([round(test_fraction * len(images))])
    labels = torch.tensor(labels).long()
    return Split(images[train], labels[train], images[test], labels[test])


def diabetes(scaled: bool = True) -> tuple[Float[Tensor, "442 10"], Float[Tensor, "442 1"]]:
    """Load ten measurements of 442 patients, and how far the disease has gone a year later.

    Args:
        scaled: True for columns of mean 0 and length 1 (their squares sum to 1, so each number is
            small, about 0.05); False for years, mm Hg, mg/dl and so on.

    Returns:
        The measurements (age, sex, body mass index, blood pressure, six blood values) and the
        progression, from 25 to 346, which is never scaled; both float32.

    Raises:
        ValueError: if this scikit-learn has other data.

    Example:
        >>> features, targets = diabetes(scaled=False)
        >>> features[0, :2], targets[0]  # the first patient: 59 years old, sex 2
        (tensor([59.,  2.]), tensor([151.]))
    """
    from sklearn.datasets import load_diabetes

    table = load_diabetes(scaled=False)
    numbers = table.data.astype("<f4").tobytes() + table.target.astype("<f4").tobytes()
    _check("diabetes", numbers, _REINSTALL)
    features, targets = torch.tensor(table.data), torch.tensor(table.target).unsqueeze(1)
    if scaled:
        features = features - features.mean(0)
        features = features / features.norm(dim=0)
    return features.float(), targets.float()


class DiabetesDataset(Dataset):
    """The diabetes data as a ``Dataset``: three methods, and a ``DataLoader`` can work with it.

    Args:
        scaled: as in :func:`diabetes`.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> loader = DataLoader(DiabetesDataset(), batch_size=32, shuffle=True)
        >>> x, y = next(iter(loader))
        >>> x.shape, y.shape
        (torch.Size([32, 10]), torch.Size([32, 1]))
    """

    def __init__(self, scaled: bool = True):
        self.features, self.targets = diabetes(scaled)

    def __getitem__(self, index):
        return self.features[index], self.targets[index]

    def __len__(self):
        return len(self.features)


def _transforming(init: Callable) -> Callable:
    """Refuse what is no dataset or no transform."""

    @functools.wraps(init)
    def checked(self, dataset, transform):
        _check_dataset(dataset)
        if not callable(transform):
            raise TypeError(f"transform must be callable, got {transform!r}")
        init(self, dataset, transform)

    return checked


class TransformedDataset(Dataset):
    """Another dataset of pairs, with a function applied to each input when it is asked for.

    Args:
        dataset: has pairs (input, target).
        transform: what to do with an input. If it is random, it gives something new each time.

    Raises:
        TypeError: if ``dataset`` has no length or cannot be indexed, or if ``transform`` cannot be
            called.

    Example:
        >>> dataset = TransformedDataset([(3, "odd"), (4, "even")], lambda x: x * x)
        >>> len(dataset), dataset[1]
        (2, (16, 'even'))
    """

    @_transforming
    def __init__(self, dataset: Dataset | Sequence, transform: Callable) -> None:
        self.dataset, self.transform = dataset, transform

    def __getitem__(self, index):
        x, y = self.dataset[index]
        return self.transform(x), y

    def __len__(self):
        return len(self.dataset)


def _loading(function: Callable) -> Callable:
    """Refuse what cannot be cut into batches at once, not only when a batch is asked for."""

    @functools.wraps(function)
    def checked(dataset, batch_size=1, shuffle=False, **settings):
        _check_dataset(dataset)
        if len(dataset) == 0:
            raise ValueError("dataset must hold at least one sample, got none")
        if not isinstance(batch_size, int) or isinstance(batch_size, bool):
            raise TypeError(f"batch_size must be a whole number, got {batch_size!r}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        return function(dataset, batch_size, shuffle, **settings)

    return checked


@_loading
def one_epoch(
    dataset: Dataset | Sequence,
    batch_size: int = 1,
    shuffle: bool = False,
    *,
    collate_fn: Callable = default_collate,
    drop_last: bool = False,
    generator: torch.Generator | None = None,
) -> Iterator[Any]:
    """Go through a dataset once, in batches: the heart of ``torch.utils.data.DataLoader``.

    The arguments are torch's, and so are the batches. (With ``shuffle``, torch takes the order from
    ``randperm`` too, but draws more numbers besides, such as a seed for its workers.)

    Args:
        dataset: knows its length and gives sample number ``i`` for ``dataset[i]``.
        batch_size: how many samples a batch has.
        shuffle: in a new random order, or as they stand.
        collate_fn: makes a batch of a list of samples; torch's ``default_collate`` stacks them.
        drop_last: leave out a last batch that is smaller than the others.
        generator: where the order is drawn from; None for torch's global generator.

    Yields:
        The batches. Every sample comes once, but for what ``drop_last`` leaves out.

    Raises:
        TypeError: if ``dataset`` has no length or cannot be indexed, or if ``batch_size`` is no
            whole number.
        ValueError: if the dataset is empty or ``batch_size`` is less than 1.

    Example:
        >>> list(one_epoch([10, 20, 30, 40, 50], batch_size=2))
        [tensor([10, 20]), tensor([30, 40]), tensor([50])]
    """
    n = len(dataset)
    order = range(n)
    if shuffle:
        order = torch.randperm(n, generator=generator).tolist()
    for start in range(0, n, batch_size):
        rows = order[start : start + batch_size]
        if len(rows) == batch_size or not drop_last:
            yield collate_fn([dataset[i] for i in rows])


def _sequences(function: Callable) -> Callable:
    """Make a collate function refuse what cannot be padded to one tensor."""

    @functools.wraps(function)
    def checked(batch, padding_value=0.0):
        if not isinstance(batch, list | tuple):
            raise TypeError(f"batch must be a list of tensors, got {type(batch).__name__}")
        if not batch:
            raise ValueError("batch must hold at least one sequence, got none")
        for x in batch:
            if not isinstance(x, Tensor):
                raise TypeError(f"batch must hold tensors only, got {type(x).__name__}")
            if x.dim() == 0:
                raise ValueError("batch must hold sequences, got a single number")
            if x.shape[1:] != batch[0].shape[1:] or x.dtype != batch[0].dtype:
                raise ValueError(
                    "batch must hold sequences that differ in length only, got "
                    f"{tuple(batch[0].shape)} of {batch[0].dtype} and {tuple(x.shape)} of {x.dtype}"
                )
        return function(batch, padding_value)

    return checked


@_sequences
def pad_collate(
    batch: Sequence[Shaped[Tensor, "_ ..."]], padding_value: float = 0.0
) -> tuple[Shaped[Tensor, "n longest *features"], Int64[Tensor, " n"], Bool[Tensor, "n longest"]]:
    """Make one tensor of sequences of different lengths: the shorter ones are filled up at the end.

    To be used as a loader's ``collate_fn``.

    Args:
        batch: sequences, each with its steps along the first axis.
        padding_value: what fills up.

    Returns:
        The padded sequences, the length of each, and a mask: True for what was there, False for
        what fills up. All three are on the sequences' device.

    Raises:
        TypeError: if ``batch`` is no list, or if not all of it are tensors.
        ValueError: if it is empty, or if the sequences differ in type or in more than the length.

    Example:
        >>> pad_collate([torch.tensor([1, 2, 3]), torch.tensor([4])])
        (tensor([[1, 2, 3],
                [4, 0, 0]]), tensor([3, 1]), tensor([[ True,  True,  True],
                [ True, False, False]]))
    """
    device = batch[0].device
    lengths = torch.tensor([len(x) for x in batch], device=device)
    padded = pad_sequence(batch, batch_first=True, padding_value=padding_value)
    mask = torch.arange(padded.shape[1], device=device) < lengths[:, None]
    return padded, lengths, mask


def photo(
    name: str = "china", size: int | tuple[int, int] | None = None, gray: bool = False
) -> Float[Tensor, "channels height width"]:
    """Load a photograph.

    Args:
        name: ``"china"`` (a temple) or ``"flower"``.
        size: None for 427 by 640; a number for the length of the shorter side, the other in
            proportion; or (height, width), stretched if need be.
        gray: True for one channel instead of three.

    Returns:
        float32 from 0 to 1.

    Raises:
        ValueError: if there is no such photograph, if ``size`` is not positive, or if this
            scikit-learn has another picture under that name.
        FileNotFoundError: if this scikit-learn does not have the photograph.

    Example:
        >>> photo("flower").shape, photo("china", size=64, gray=True).shape
        (torch.Size([3, 427, 640]), torch.Size([1, 64, 96]))
    """
    if name not in ("china", "flower"):
        raise ValueError(f'name must be "china" or "flower", got {name!r}')
    if size is not None and min((size,) if isinstance(size, int) else size) < 1:
        raise ValueError(f"size must be positive, got {size}")
    from PIL import Image

    file = f"{name}.jpg"
    contents = _read(resources.files("sklearn.datasets.images") / file, _REINSTALL)
    _check(file, contents, _REINSTALL)
    pixels = torch.tensor(np.asarray(Image.open(io.BytesIO(contents))))  # (427, 640, 3)
    image = pixels.permute(2, 0, 1).float() / 255  # (3, 427, 640)
    if gray:  # as bright as it looks: the eye sees green best (ITU-R BT.601)
        weights = torch.tensor([0.299, 0.587, 0.114])
        image = (weights[:, None, None] * image).sum(0, keepdim=True)
    if size is not None:
        if isinstance(size, int):
            height, width = image.shape[1:]
            shrink = size / min(height, width)
            size = round(height * shrink), round(width * shrink)
        image = torch.nn.functional.interpolate(
            image.unsqueeze(0), size, mode="bilinear", antialias=True
        ).squeeze(0)
    return image.clamp(0, 1)  # a weighted mean of ones may round to a little more


def nuclei() -> tuple[Float[Tensor, "1 512 512"], Int64[Tensor, "512 512"]]:
    """Load a micrograph of cell nuclei, stained so that they shine, and which pixel is whose.

    Returns:
        The image, float32 from 0 to 1, and for each pixel the number of its nucleus, 0 where there
        is none. The numbers have gaps.

    Raises:
        FileNotFoundError: if the package's file is missing.
        ValueError: if the file is cut short or is not what it should be.

    Example:
        >>> image, labels = nuclei()
        >>> image.shape, len(labels.unique()) - 1
        (torch.Size([1, 512, 512]), 125)

    Reference:
        Caicedo et al., "Nucleus segmentation across imaging experiments: the 2018 Data Science
        Bowl" (2019), doi:10.1038/s41592-019-0612-7.
    """
    pixels = np.frombuffer(packaged("nuclei.xz"), dtype=np.uint8).reshape(2, 512, 512)
    image, labels = torch.tensor(pixels)
    return image[None].float() / image.max(), labels.long()


def sea_temperature() -> Float[Tensor, " 732"]:
    """Load the temperature of the sea at the coast of Peru, month by month, from 1950 to 2010.

    There warm water comes and goes in events called El Niño and La Niña.

    Returns:
        The means of 732 months in degrees Celsius, float32; entry 0 is January 1950, and month
        ``m`` of year ``y`` is entry ``12 * (y - 1950) + m - 1``.

    Raises:
        FileNotFoundError: if the package's file is missing.
        ValueError: if the file is not what it should be.

    Example:
        >>> sea_temperature().reshape(61, 12)[0, :3]  # January to March 1950
        tensor([23.1100, 24.2000, 25.3700])

    Reference:
        Smith, Reynolds, Peterson and Lawrimore, "Improvements to NOAA's Historical Merged
        Land-Ocean Surface Temperature Analysis (1880-2006)" (2008), doi:10.1175/2007JCLI2100.1.
    """
    rows = packaged("sea_temperature.csv").decode("ascii").splitlines()[1:]
    months = [float(value) for row in rows for value in row.split(",")[1:]]  # without the year
    return torch.tensor(months)


def packaged(name: str) -> bytes:
    """Read a file that comes with the companion, unpack and check it.

    Args:
        name: of a file in ``companion/files`` that stands in :data:`SOURCES`; ``.xz`` and ``.gz``
            are unpacked.

    Raises:
        FileNotFoundError: if it is missing.
        ValueError: if it is cut short or changed.
    """
    remedy = f"Install the companion again or, in a clone, run: git checkout companion/files/{name}"
    return _unpacked(name, _read(FILES / name, remedy), remedy)


def sources_table() -> str:
    """Return :data:`SOURCES` as a table in Markdown."""
    rows = [
        "| name | what | source | licence | SHA-256 of the contents |",
        "|---|---|---|---|---|",
        *(
            f"| {s.name} | {s.what} | {s.source} | {s.licence} | `{s.sha256}` |"
            for s in SOURCES.values()
        ),
    ]
    return "\n".join(rows)


def _check_dataset(dataset: object) -> None:
    for method, use in (("__len__", "a length"), ("__getitem__", "samples by number")):
        if not hasattr(dataset, method):
            raise TypeError(
                f"dataset must have {use} ({method}), and {type(dataset).__name__} has not"
            )


def _read(path: Traversable, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} is missing. {remedy}") from error


def _check(name: str, contents: bytes, remedy: str) -> None:
    found, expected = hashlib.sha256(contents).hexdigest(), SOURCES[name].sha256
    if found != expected:
        raise ValueError(
            f"{name} is not what it should be: expected SHA-256 {expected}, got {found}. {remedy}"
        )


def _unpacked(name: str, packed: bytes, remedy: str) -> bytes:
    unpack = {".xz": lzma.decompress, ".gz": gzip.decompress}.get(Path(name).suffix, bytes)
    try:
        contents = unpack(packed)
    except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        raise ValueError(f"{name} is cut short or damaged ({error}). {remedy}") from error
    _check(name, contents, remedy)
    return contents


def _read_idx(stream: io.BytesIO) -> UInt8[Tensor, "..."]:
    """Read the next array of bytes in the format of MNIST: its shape, then its numbers."""
    n_axes = stream.read(4)[3]  # 0, 0, 8 for bytes, the number of axes
    shape = struct.unpack(f">{n_axes}I", stream.read(4 * n_axes))
    numbers = bytearray(stream.read(math.prod(shape)))  # a copy that may be written to
    return torch.frombuffer(numbers, dtype=torch.uint8).view(shape)


def _fashion_mnist_file(name: str) -> bytes:
    """Find one of the four original files or download it; return its contents."""
    cache = Path(os.environ.get("COMPANION_DATA") or "~/.cache/building-blocks-dl").expanduser()
    cached = cache / "fashion-mnist" / name
    if (DEBIAN / name).exists():
        remedy = "Run: apt install --reinstall dataset-fashion-mnist"
        return _unpacked(name, (DEBIAN / name).read_bytes(), f"It stands in {DEBIAN}. {remedy}")
    if cached.exists():
        try:
            return _unpacked(
                name,
                cached.read_bytes(),
                f"It stood in {cached.parent} and has been removed. Try again to download it.",
            )
        except ValueError:
            cached.unlink()
            raise
    return _download(name, cached)


def _download(name: str, target: Path) -> bytes:
    by_hand = (
        f"Put the four files {', '.join(FASHION_MNIST_FILES)} into {target.parent}, or set "
        "COMPANION_DATA to a folder that has them in its subfolder fashion-mnist, "
        "or on Debian and Ubuntu run: apt install dataset-fashion-mnist"
    )
    url = FASHION_MNIST_URL + name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url, timeout=60) as response:
            packed = response.read()
        contents = _unpacked(name, packed, f"It came from {url} and was not kept. {by_hand}")
        partial = target.with_name(f"{name}.{os.getpid()}.part")
        try:
            partial.write_bytes(packed)
            partial.replace(target)  # all at once: another process never sees half a file
        finally:
            partial.unlink(missing_ok=True)
    except (OSError, http.client.HTTPException) as error:
        raise OSError(
            f"could not download {url} into {target.parent} ({error}). {by_hand}"
        ) from error
    return contents


if __name__ == "__main__":
    print(sources_table())
