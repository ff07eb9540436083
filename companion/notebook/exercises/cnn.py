"""Exercises on convolutional networks."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.cnn import occlude
from companion.notebook.checks import Exercise


def permuted_weight(W: Tensor, order: Tensor) -> Tensor:
    """Return the weight that gives for x[:, order] what W gives for x."""
    return W[:, order]


def everywhere(weight: Tensor, bias: Tensor, size: int, features: Tensor) -> Tensor:
    """Return what a linear layer says of every window of larger feature maps."""
    height, width = features.shape[-2:]
    rows = []
    for i in range(height - size + 1):
        windows = [features[:, :, i : i + size, j : j + size] for j in range(width - size + 1)]
        rows.append(torch.stack([F.linear(w.flatten(1), weight, bias) for w in windows], -1))
    return torch.stack(rows, -2)


def honest_and_not(validation: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean test accuracy at the rates that validation chooses, and at the best."""
    mean_validation = validation.nan_to_num(0).mean(-1)  # (settings, rates)
    mean_test = test.nan_to_num(0).mean(-1)
    at = mean_validation.argmax(1, keepdim=True)
    return mean_test.gather(1, at)[:, 0], mean_test.amax(1)


@torch.no_grad()
def smallest_cover(model: nn.Module, image: Tensor) -> int:
    """Return the side of the smallest black square that changes the answer, or 0."""
    height, width = image.shape[-2:]
    answer = model(image[None]).argmax()
    for size in range(1, min(height, width) + 1):
        for top in range(height - size + 1):
            for left in range(width - size + 1):
                if model(occlude(image, top, left, size)[None]).argmax() != answer:
                    return size
    return 0


def _weights():
    yield torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([0, 1, 2])
    yield torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), torch.tensor([2, 0, 1])
    generator = torch.Generator().manual_seed(1)
    for rows, columns in ((4, 4), (3, 9), (5, 20)):
        W = torch.randn(rows, columns, generator=generator)
        yield W, torch.randperm(columns, generator=generator)


def _maps():
    generator = torch.Generator().manual_seed(2)
    for n, channels, size, height, width, out in (
        (1, 1, 1, 1, 1, 1),
        (2, 1, 2, 2, 2, 3),
        (1, 1, 2, 3, 2, 1),
        (2, 3, 2, 4, 5, 4),
        (1, 16, 5, 7, 6, 12),
    ):
        weight = torch.randn(out, channels * size * size, generator=generator)
        bias = torch.randn(out, generator=generator)
        yield weight, bias, size, torch.randn(n, channels, height, width, generator=generator)


def _tables():
    yield torch.tensor([[[0.5]]]), torch.tensor([[[0.4]]])
    yield torch.tensor([[[0.8], [0.7]]]), torch.tensor([[[0.7], [0.9]]])
    # One seed alone would choose another rate than the mean does.
    yield (
        torch.tensor([[[0.9, 0.1, 0.2], [0.6, 0.6, 0.6]]]),
        torch.tensor([[[0.8, 0.2, 0.2], [0.5, 0.6, 0.7]]]),
    )
    nan = math.nan
    yield (
        torch.tensor([[[0.8, 0.8], [0.9, nan]], [[nan, nan], [0.3, 0.2]]]),
        torch.tensor([[[0.7, 0.8], [0.9, nan]], [[nan, nan], [0.2, 0.2]]]),
    )
    # A rate at which one of two trainings broke down is not the best; nor is the best median.
    yield torch.tensor([[[0.3, 0.3], [0.9, nan]]]), torch.tensor([[[0.5, 0.5], [0.8, nan]]])
    yield (
        torch.tensor([[[0.9, 0.9, 0.0], [0.7, 0.7, 0.7]]]),
        torch.tensor([[[0.8, 0.8, 0.1], [0.5, 0.5, 0.5]]]),
    )
    generator = torch.Generator().manual_seed(3)
    yield tuple(torch.rand(2, 4, 5, 3, generator=generator))


def _networks(seed: int, height: int, width: int):
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(height * width, 3, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.randn(model[1].weight.shape, generator=generator))
    return model, generator


def _covers():
    model, _ = _networks(0, 3, 3)
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].weight[0] += 1  # the first class, however much is covered
    yield model, torch.rand(1, 3, 3, generator=torch.Generator().manual_seed(9))
    # Only the last column decides; only the middle does, and a larger square changes nothing.
    for weights in (
        [[0.3, 0.3, 0.3, 0.3, -2.0]] * 2,
        [[-1.0, 1.2, -1.0], [1.2, -2.0, 1.2], [-1.0, 1.2, -1.0]],
    ):
        second = torch.tensor(weights)
        model, _ = _networks(0, *second.shape)
        with torch.no_grad():
            model[1].weight.zero_()
            model[1].weight[1] = second.flatten()
        yield model, torch.ones(1, *second.shape)
    places = ((1, 1, 1), (4, 6, 5), (13, 4, 6), (2, 6, 6), (9, 6, 5), (15, 6, 5))
    for seed, height, width in places:
        model, generator = _networks(seed, height, width)
        yield model, torch.rand(1, height, width, generator=generator)


EXERCISES = {
    "permuted_weight": Exercise(permuted_weight, _weights),
    "everywhere": Exercise(everywhere, _maps, atol=1e-4),
    "honest_and_not": Exercise(honest_and_not, _tables),
    "smallest_cover": Exercise(smallest_cover, _covers),
}
