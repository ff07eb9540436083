"""Exercises on U-Net."""

import torch
from torch import Tensor

from companion.notebook.checks import Exercise
from companion.unet import confusion_matrix, iou


def times_painted(size: int, kernel_size: int, stride: int) -> Tensor:
    """Return how many kernels reach each pixel of a transposed convolution in one dimension."""
    ones = torch.ones(1, 1, size), torch.ones(1, 1, kernel_size)
    return torch.nn.functional.conv_transpose1d(*ones, stride=stride)[0, 0].long()


def size_after(size: int, depth: int) -> int:
    """Return the output size of the paper's U-Net, 0 if it does not take the image."""
    for _ in range(depth):
        size -= 4
        if size < 2 or size % 2:
            return 0
        size //= 2
    for _ in range(depth):
        size = 2 * (size - 4)
    return max(size - 4, 0)


def mean_iou(predicted: Tensor, target: Tensor, num_classes: int) -> float:
    """Return the mean IoU over the classes that occur in either map."""
    return iou(confusion_matrix(predicted, target, num_classes)).nanmean().item()


def dice_gradient(p: Tensor, t: Tensor) -> Tensor:
    """Return the gradient of one minus the soft Dice coefficient with respect to p."""
    p = p.clone().requires_grad_()
    loss = 1 - 2 * (p * t).sum() / (p.sum() + t.sum())
    return torch.autograd.grad(loss, p)[0]


def _painted():
    yield from ((3, 2, 2), (1, 4, 3), (4, 3, 2), (5, 5, 1), (3, 1, 3), (6, 4, 2))


def _sizes():
    yield from ((572, 4), (570, 4), (188, 4), (172, 4), (20, 1), (7, 1), (68, 2), (92, 3), (4, 1))


def _maps():
    generator = torch.Generator().manual_seed(1)
    yield torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 3
    yield torch.tensor([[2, 2]]), torch.tensor([[2, 2]]), 5
    yield torch.tensor([0, 0]), torch.tensor([1, 1]), 2
    for shape, classes in (((2, 5, 6), 3), ((40,), 6)):
        predicted, target = torch.randint(classes, (2, *shape), generator=generator)
        yield predicted, target, classes


def _probabilities():
    generator = torch.Generator().manual_seed(2)
    yield torch.tensor([0.5]), torch.tensor([1.0])
    yield torch.tensor([0.2, 0.9]), torch.tensor([0.0, 0.0])
    for shape in ((6,), (3, 4)):
        p = torch.rand(shape, generator=generator)
        yield p, (torch.rand(shape, generator=generator) < 0.4).float()


EXERCISES = {
    "times_painted": Exercise(times_painted, _painted),
    "size_after": Exercise(size_after, _sizes),
    "mean_iou": Exercise(mean_iou, _maps),
    "dice_gradient": Exercise(dice_gradient, _probabilities),
}
