"""Exercises on convolution."""

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.convolution import convolve
from companion.notebook.checks import Exercise


def doses_taken(stock: Tensor, g: Tensor) -> Tensor:
    """Return the f whose convolution with g begins with ``stock``."""
    n = len(stock)
    row = torch.arange(n)
    M = torch.where(row[:, None] >= row, g[(row[:, None] - row).clamp(min=0)], 0)
    return torch.linalg.solve_triangular(M, stock[:, None], upper=False)[:, 0]


def input_sizes(
    n: int, kernel_size: int, stride: int, padding: int, dilation: int
) -> tuple[int, int]:
    """Return the smallest and the largest size for which the output has the size n."""
    smallest = (n - 1) * stride + dilation * (kernel_size - 1) + 1 - 2 * padding
    return smallest, smallest + stride - 1


def factors(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Return a column and a row whose outer product is the kernel."""
    u, v = divmod(kernel.abs().argmax().item(), kernel.shape[1])
    return kernel[:, v], kernel[u] / kernel[u, v]


def merged(k1: Tensor, k2: Tensor) -> Tensor:
    """Return the kernel that does what k1 and then k2 do."""
    rows = k1.shape[0] + k2.shape[0] - 1, k1.shape[1] + k2.shape[1] - 1
    both = k1.new_zeros(rows)
    for u, v in ((u, v) for u in range(k2.shape[0]) for v in range(k2.shape[1])):
        both[u : u + k1.shape[0], v : v + k1.shape[1]] += k2[u, v] * k1
    return both


def image_gradient(delta: Tensor, kernel: Tensor, stride: int, size: tuple[int, int]) -> Tensor:
    """Return the gradient for the image of a cross-correlation with a stride."""
    image = delta.new_zeros(size, requires_grad=True)
    y = F.conv2d(image[None, None], kernel[None, None], stride=stride)[0, 0]
    return torch.autograd.grad(y, image, delta)[0]


def without_groups(weight: Tensor, groups: int) -> Tensor:
    """Return the weight for one group that does what ``weight`` does in several."""
    same = torch.arange(groups)[:, None] == torch.arange(groups)  # (of the output, of the input)
    parts = weight.unflatten(0, (groups, -1))[:, :, None] * same[:, None, :, None, None, None]
    return parts.flatten(2, 3).flatten(0, 1)


def _observe_factors(answer: object, arguments: tuple) -> object:
    """See the outer product; leave what is no pair of vectors for the verdict."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return answer
    a, b = (torch.as_tensor(v) for v in answer)
    if a.dim() != 1 or b.dim() != 1:
        return answer
    return {"the outer product": torch.outer(a, b)}


def _stocks():
    generator = torch.Generator().manual_seed(1)
    yield torch.tensor([3.0]), torch.tensor([1.5])
    yield torch.tensor([8.0, 4.0, 6.0, 5.0]), torch.tensor([1.0, 0.5, 0.25, 0.125])
    yield torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 0.0, -1.0])
    for n in (5, 12):
        f = torch.randint(0, 9, (n,), generator=generator).float()
        g = torch.rand(n, generator=generator) + torch.tensor([1.0] + [0.0] * (n - 1))
        g = g * 0.6 ** torch.arange(n)
        yield convolve(f, g)[:n], g


def _layers():
    yield 1, 1, 1, 0, 1
    yield 24, 5, 1, 0, 1
    yield 14, 3, 2, 1, 1
    yield 1, 3, 4, 0, 1
    yield 5, 2, 3, 1, 1
    yield 7, 3, 2, 2, 3
    yield 112, 7, 2, 3, 1
    yield 3, 1, 5, 0, 4


def _outer_products():
    yield (torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]),)
    yield (torch.tensor([[0.0, 0.0], [0.0, -3.0]]),)
    yield (torch.tensor([[4.0]]),)
    generator = torch.Generator().manual_seed(2)
    for h, w in ((1, 4), (3, 2), (5, 5)):
        a, b = torch.randn(h, generator=generator), torch.randn(w, generator=generator)
        yield (torch.outer(a, b),)


def _pairs_of_kernels():
    yield torch.tensor([[2.0]]), torch.tensor([[1.0, 3.0]])
    yield torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [5.0]])
    generator = torch.Generator().manual_seed(3)
    for first, second in (((3, 3), (3, 3)), ((2, 3), (4, 1)), ((1, 5), (3, 2))):
        yield torch.randn(first, generator=generator), torch.randn(second, generator=generator)


def _strides():
    generator = torch.Generator().manual_seed(4)
    for size, kernel, stride in (
        ((3, 3), (3, 3), 1),
        ((4, 5), (2, 3), 1),
        ((6, 6), (3, 3), 2),
        ((8, 7), (2, 2), 3),
        ((5, 9), (1, 4), 2),
    ):
        places = [(n - k) // stride + 1 for n, k in zip(size, kernel, strict=True)]
        delta = torch.randn(places, generator=generator)
        yield delta, torch.randn(kernel, generator=generator), stride, size


def _grouped():
    generator = torch.Generator().manual_seed(5)
    for shape, groups in (
        ((2, 1, 1, 1), 2),
        ((3, 2, 2, 2), 1),
        ((4, 1, 3, 3), 4),
        ((6, 2, 1, 3), 3),
        ((4, 3, 2, 1), 2),
    ):
        yield torch.randn(shape, generator=generator), groups


EXERCISES = {
    "doses_taken": Exercise(doses_taken, _stocks),
    "input_sizes": Exercise(input_sizes, _layers),
    "factors": Exercise(factors, _outer_products, observe=_observe_factors),
    "merged": Exercise(merged, _pairs_of_kernels, atol=1e-5),
    "image_gradient": Exercise(image_gradient, _strides, atol=1e-5),
    "without_groups": Exercise(without_groups, _grouped),
}
