r"""VGG: a network of blocks, all of them made of 3 by 3 convolutions; and what its layers cost.

:func:`layer_costs` runs any network once and says, layer by layer, how many parameters it has, how
many multiplications it takes and how many values it puts out. It works on the ``meta`` device too,
where tensors have shapes but no values, and then costs nothing.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn


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

        def note(layer, inputs, output, name=name):
            products = multiplications(layer, inputs[0], output)
            new = set(layer.parameters(False)) - known
            known.update(new)
            parameters = sum(p.numel() for p in new)
            kind, shape = type(layer).__name__, tuple(output.shape[1:])
            sizes = parameters, products, math.prod(shape)
            costs.append(LayerCost(name, kind, shape, *sizes))

        if list(layer.parameters(False)) or not list(layer.children()):
            hooks.append(layer.register_forward_hook(note))
    try:
        model(input)
    finally:
        for hook in hooks:
            hook.remove()
    return costs
