"""Make companion/files/fashion_mnist.xz: the first images of each class of Fashion-MNIST.

The full data set is found as companion.data.fashion_mnist(full=True) finds it, and checked. What is
packed are four arrays in the original's format (IDX), one after the other: training images and
labels, test images and labels. Two runs give the same bytes.
"""

import argparse
import hashlib
import lzma
import struct
from pathlib import Path

import torch
from torch import Tensor

from companion.data import FASHION_MNIST_CLASSES, fashion_mnist

OUTPUT = Path(__file__).parents[1] / "companion" / "files" / "fashion_mnist.xz"


def first_of_each_class(labels: Tensor, count: int) -> Tensor:
    """Return where the first ``count`` examples of each class stand, in their original order."""
    classes = range(len(FASHION_MNIST_CLASSES))
    return torch.cat([(labels == c).nonzero()[:count, 0] for c in classes]).sort().values


def idx(array: Tensor) -> bytes:
    """Return an array of whole numbers from 0 to 255 in the format of MNIST."""
    header = struct.pack(f">4B{array.dim()}I", 0, 0, 8, array.dim(), *array.shape)
    return header + array.to(torch.uint8).numpy().tobytes()


def main() -> None:
    """Pack the file and print the hash that companion.data.SOURCES must hold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the file to write")
    parser.add_argument("--train", type=int, default=1000, help="training images of each class")
    parser.add_argument("--test", type=int, default=200, help="test images of each class")
    arguments = parser.parse_args()

    data = fashion_mnist(full=True)
    contents = b""
    for images, labels, count in (
        (data.train_images, data.train_labels, arguments.train),
        (data.test_images, data.test_labels, arguments.test),
    ):
        chosen = first_of_each_class(labels, count)
        contents += idx(images[chosen, 0].mul(255).round()) + idx(labels[chosen])
    # Preset 7 looks back 16 MB, as far as there is to look: higher ones only need more memory.
    packed = lzma.compress(contents, preset=7 | lzma.PRESET_EXTREME)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_bytes(packed)
    print(f"{arguments.output}: {len(packed):,} bytes")
    print(f"SHA-256 of the contents: {hashlib.sha256(contents).hexdigest()}")


if __name__ == "__main__":
    main()
