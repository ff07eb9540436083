r"""Transfer learning: carry what one network has learnt over to another task.

A target task has few labels: :func:`only_classes` and :func:`few_labels` choose its images.
:func:`load_body` copies the weights of a trained network, all but its head, and
:func:`replace_head` gives a network a head for other classes. :func:`freeze` keeps a part exactly
as it is, its running statistics too, and :func:`unfreeze` undoes that; :func:`parameter_groups`
gives each part a learning rate of its own. A frozen part always makes the same features of an
image, so :func:`features` computes them once.
"""

import functools
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn


def _checked_classes(function: Callable) -> Callable:
    """Refuse images without labels, and a list of classes that is none."""

    @functools.wraps(function)
    def checked(images, labels, classes):
        _check_labels(labels)
        if len(images) != len(labels):
            raise ValueError(
                f"expected a label for each image, got {len(images)} images, {len(labels)} labels"
            )
        for c in classes:
            if isinstance(c, bool) or not isinstance(c, numbers.Integral):
                raise TypeError(f"each class must be an integer, got {c!r}")
        if len(classes) == 0 or len(set(classes)) < len(classes):
            raise ValueError(f"classes must be one or more different numbers, got {classes!r}")
        missing = sorted(set(classes) - set(labels.tolist()))
        if missing:
            raise ValueError(f"no image has the label {missing[0]}")
        return function(images, labels, classes)

    return checked


@_checked_classes
def only_classes(
    images: Float[Tensor, " n *shape"], labels: Int64[Tensor, " n"], classes: Sequence[int]
) -> tuple[Float[Tensor, " m *shape"], Int64[Tensor, " m"]]:
    """Keep the images of some classes, and number these classes anew: 0 is the first one named.

    Args:
        images: any tensor with an entry for each label.
        labels: the class of each.
        classes: which to keep.

    Returns:
        Images and their new labels, in the old order.

    Raises:
        TypeError: if a label or a class is no integer.
        ValueError: if ``classes`` is empty, names a class twice or one that no image has, or if
            there are not as many labels as images.

    Example:
        >>> x = torch.tensor([10.0, 11.0, 12.0, 13.0])
        >>> only_classes(x, torch.tensor([7, 5, 9, 5]), [9, 5])
        (tensor([11., 12., 13.]), tensor([1, 0, 1]))
    """
    matches = labels[:, None] == torch.tensor(classes, device=labels.device)
    keep = matches.any(1)
    return images[keep], matches[keep].int().argmax(1)


def _checked_few(function: Callable) -> Callable:
    """Refuse to draw more labels than there are, or none."""

    @functools.wraps(function)
    def checked(labels, per_class, generator=None):
        _check_labels(labels)
        _check_count("per_class", per_class)
        classes, counts = labels.unique(return_counts=True)
        for c, count in zip(classes.tolist(), counts.tolist(), strict=True):
            if count < per_class:
                raise ValueError(f"expected {per_class} labels of class {c}, got {count}")
        return function(labels, per_class, generator)

    return checked


@_checked_few
def few_labels(
    labels: Int64[Tensor, " n"], per_class: int, generator: Generator | None = None
) -> Int64[Tensor, " m"]:
    """Draw the same number of samples of each class that occurs, without putting any back.

    Args:
        labels: the class of each sample.
        per_class: how many of each.
        generator: where the random numbers come from; of the CPU.

    Returns:
        Their places in ``labels``, class by class.

    Raises:
        TypeError: if a label or ``per_class`` is no integer.
        ValueError: if a class has fewer samples than that, ``per_class`` is less than 1, or there
            are no labels.

    Example:
        >>> labels = torch.tensor([3, 8, 8, 3, 3, 8])
        >>> labels[few_labels(labels, 2)]
        tensor([3, 3, 8, 8])
    """
    rows = []
    for c in labels.unique():
        places = (labels == c).nonzero().flatten()
        order = torch.randperm(len(places), generator=generator)
        rows.append(places[order[:per_class].to(places.device)])
    return torch.cat(rows)


def _checked_load(function: Callable) -> Callable:
    """Refuse a state dict that does not fit, before anything is copied."""

    @functools.wraps(function)
    def checked(model, state_dict, head):
        _find(model, head)
        ours, theirs = (
            {n: _shape(v) for n, v in state.items() if not n.startswith(f"{head}.")}
            for state in (model.state_dict(), state_dict)
        )
        if not ours:
            raise ValueError(f"expected something to copy besides {head!r}, got nothing")
        for missing in sorted(ours.keys() - theirs.keys()):
            raise ValueError(f"expected {missing!r} in the state dict, got none of that name")
        for surplus in sorted(theirs.keys() - ours.keys()):
            raise ValueError(f"expected names of the model or of its head, got {surplus!r}")
        for name, shape in ours.items():
            if theirs[name] != shape:
                raise ValueError(f"expected the shape {shape} for {name!r}, got {theirs[name]}")
        return function(model, state_dict, head)

    return checked


@_checked_load
def load_body(model: nn.Module, state_dict: Mapping[str, Tensor], head: str) -> list[str]:
    """Copy the weights and buffers of a trained network, all but those of its head.

    ``load_state_dict(…, strict=False)`` would also let pass what is missing by mistake. Here
    everything outside the head must be there, in the model's shape.

    Args:
        model: is changed; its head stays as it is.
        state_dict: of a network with the same body.
        head: where the head is in both, such as ``"classifier"``.

    Returns:
        The names of what was left out: the head's entries in ``state_dict``.

    Raises:
        ValueError: if the model has no part ``head``, or anything outside the head is missing, too
            much or of another shape, or nothing is outside it. The model is then unchanged.

    Example:
        >>> trained = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 10))
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
        >>> load_body(model, trained.state_dict(), head="1")
        ['1.weight', '1.bias']
        >>> model[0].weight.equal(trained[0].weight)
        True
    """
    left_out = [name for name in state_dict if name.startswith(f"{head}.")]
    body = {n: v for n, v in state_dict.items() if n not in left_out}
    model.load_state_dict(body, strict=False)
    return left_out


def _checked_head(function: Callable) -> Callable:
    """Refuse a head that is not there, or is no linear layer, or would have no classes."""

    @functools.wraps(function)
    def checked(model, name, num_classes):
        _check_count("num_classes", num_classes)
        old = _find(model, name)
        if not isinstance(old, nn.Linear):
            raise TypeError(f"expected a linear layer at {name!r}, got {type(old).__name__}")
        return function(model, name, num_classes)

    return checked


@_checked_head
def replace_head(model: nn.Module, name: str, num_classes: int) -> nn.Linear:
    """Put a new linear layer, with weights drawn anew, in the place of an old one.

    Args:
        model: is changed.
        name: where the layer is, such as ``"classifier.1"``.
        num_classes: how many outputs the new layer has.

    Returns:
        The new layer: with as many inputs as the old one, and a bias if that had one; of its type
        and on its device.

    Raises:
        TypeError: if no linear layer is there, or ``num_classes`` is no integer.
        ValueError: if nothing is there, or ``num_classes`` is less than 1.

    Example:
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(9, 10))
        >>> replace_head(model, "1", num_classes=4)
        Linear(in_features=9, out_features=4, bias=True)
    """
    old = model.get_submodule(name)
    like = {"device": old.weight.device, "dtype": old.weight.dtype}
    bias = old.bias is not None
    new = nn.Linear(old.in_features, num_classes, bias, **like)
    outer, _, last = name.rpartition(".")
    setattr(model.get_submodule(outer), last, new)
    return new


def stay_in_eval(module: nn.Module, mode: bool = True) -> nn.Module:
    """Stand in for the method ``train`` of a frozen module: pass ``mode`` on, but do not take it.

    Args:
        module: the frozen one.
        mode: what ``train`` is called with; for parts inside that are not frozen.

    Returns:
        The module.

    Example:
        >>> stay_in_eval(nn.Dropout().eval()).training
        False
    """
    for part in module.children():
        part.train(mode)
    return module


def _checked_module(function: Callable) -> Callable:
    """Refuse what is no module, such as a single parameter or a list of them."""

    @functools.wraps(function)
    def checked(module):
        if not isinstance(module, nn.Module):
            raise TypeError(f"expected an nn.Module, got {type(module).__name__}")
        return function(module)

    return checked


@_checked_module
def freeze(module: nn.Module) -> nn.Module:
    """Keep a part of a network exactly as it is, in the training of the rest, too.

    Its parameters get no gradient, and all its layers are put into eval mode and stay there when
    ``train()`` is called, for them or for a network around them: batch norms keep their running
    statistics, and dropout passes everything on.

    Args:
        module: is changed.

    Returns:
        The same module.

    Raises:
        TypeError: if ``module`` is no module.

    Example:
        >>> model = nn.Sequential(freeze(nn.BatchNorm1d(3)), nn.Linear(3, 2)).train()
        >>> model[0].training, model[1].training
        (False, True)
        >>> model[0].weight.requires_grad
        False
    """
    module.eval().requires_grad_(False)
    for part in module.modules():
        part.train = functools.partial(stay_in_eval, part)
    return module


@_checked_module
def unfreeze(module: nn.Module) -> nn.Module:
    """Let a part learn that :func:`freeze` has frozen; of one that is not frozen, every parameter.

    Args:
        module: is changed. It stays in eval mode until the next ``train()``.

    Returns:
        The same module.

    Raises:
        TypeError: if ``module`` is no module.

    Example:
        >>> unfreeze(freeze(nn.BatchNorm1d(3))).train().training
        True
    """
    module.requires_grad_(True)
    for part in module.modules():
        vars(part).pop("train", None)
    return module


def _checked_rates(function: Callable) -> Callable:
    """Refuse rates that are none, that are for no part, or that leave a parameter without one."""

    @functools.wraps(function)
    def checked(model, rates):
        names = {name: p.requires_grad for name, p in model.named_parameters()}
        every = [name for name, _ in model.named_parameters(remove_duplicate=False)]
        for part, rate in rates.items():
            if isinstance(rate, bool) or not isinstance(rate, numbers.Real):
                raise TypeError(f"expected a number as the rate of {part!r}, got {rate!r}")
            if not 0 <= rate < math.inf:
                raise ValueError(f"expected a finite rate from 0 on for {part!r}, got {rate}")
            if not any(f"{name}.".startswith(f"{part}.") for name in every):
                raise ValueError(f"expected the names of parts with parameters, got {part!r}")
        for name, learns in names.items():
            if learns and not any(f"{name}.".startswith(f"{part}.") for part in rates):
                raise ValueError(f"expected a rate for each part that learns, got none for {name}")
        if not any(names.values()):
            raise ValueError("expected a parameter that learns, got none: is everything frozen?")
        return function(model, rates)

    return checked


@_checked_rates
def parameter_groups(model: nn.Module, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Divide the parameters that learn into groups for an optimizer, each with its own rate.

    Args:
        model: whose parameters are to be learnt. Those that require no gradient are left out.
        rates: the learning rate of each part, by its name: ``{"features": 0.001, "classifier":
            0.01}``. Of two parts, one in the other, the inner one counts.

    Returns:
        What an optimizer takes as its first argument: a list of ``{"params": …, "lr": …}``, in the
        order of ``rates``; parts in which nothing learns are left out.

    Raises:
        TypeError: if a rate is no number.
        ValueError: if a rate is negative or not finite, a name is that of no part with parameters,
            a parameter that learns has no rate, or none learns.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
        >>> groups = parameter_groups(model, {"0": 0.001, "1": 0.01})
        >>> [(len(group["params"]), group["lr"]) for group in groups]
        [(2, 0.001), (2, 0.01)]

    Reference:
        Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification" (2018),
        section 3.2, arXiv:1801.06146.
    """
    groups = {part: [] for part in rates}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            inside = [p for p in rates if f"{name}.".startswith(f"{p}.")]
            groups[max(inside, key=len)].append(parameter)
    pairs = groups.items()
    return [{"params": g, "lr": rates[part]} for part, g in pairs if g]


def _checked_features(function: Callable) -> Callable:
    """Refuse batches without images, and leave the body in its mode."""

    @functools.wraps(function)
    def checked(body, images, batch_size=500):
        _check_count("batch_size", batch_size)
        modes = [(module, module.training) for module in body.modules()]
        try:
            return function(body, images, batch_size)
        finally:
            for module, training in modes:
                module.training = training

    return checked


@torch.no_grad()
@_checked_features
def features(
    body: nn.Module, images: Float[Tensor, " n *shape"], batch_size: int = 500
) -> Float[Tensor, " n *features"]:
    """Compute what a frozen body makes of each image, once, to train a head on it.

    Args:
        body: run in eval mode, without gradients, and left in the mode it was in.
        images: on the device of the body.
        batch_size: how many go through at once; of no influence on the result, but for rounding.

    Raises:
        TypeError: if ``batch_size`` is no integer.
        ValueError: if it is less than 1.

    Example:
        >>> body = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU())
        >>> features(body, torch.ones(7, 2, 2), batch_size=5).shape
        torch.Size([7, 3])
    """
    body.eval()
    return torch.cat([body(batch) for batch in images.split(batch_size)])


def _shape(value: object) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None  # what get_extra_state gives


def _find(model: nn.Module, name: str) -> nn.Module:
    try:
        return model.get_submodule(name or "no name")
    except AttributeError as error:
        raise ValueError(f"expected the name of a part of the model, got {name!r}") from error


def _check_labels(labels: object) -> None:
    if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.is_complex():
        kind = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
        raise TypeError(f"labels must be a tensor of integers, got {kind}")
    if labels.dim() != 1 or len(labels) == 0:
        raise ValueError(f"labels must be a vector of one or more, got {tuple(labels.shape)}")


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
