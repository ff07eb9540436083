r"""The training loop: forward, backward, update, and what one watches meanwhile.

A batch is a tuple or list whose last part is the target; all parts before it are handed to the
model, ``model(*inputs)``. So a loader of (images, labels) will do, and one of (source, input,
target) as well. The first axis of the target counts the samples. A loss or metric is a function of
(output, target) that gives the mean over the batch.
"""

import copy
import functools
import inspect
import math
import numbers
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.optim.optimizer import Optimizer
from tqdm import tqdm

from companion.checkpoint import load_checkpoint, save_checkpoint


def _keep_modes(function: Callable) -> Callable:
    """Leave every part of the model in the mode, train or eval, in which it was."""

    @functools.wraps(function)
    def kept(model, *args, **kwargs):
        modes = [(module, module.training) for module in model.modules()]
        try:
            return function(model, *args, **kwargs)
        finally:
            for module, training in modes:
                module.training = training

    return kept


def _check_fit(function: Callable) -> Callable:
    """Refuse settings with which a training cannot run, before anything is changed."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        a = given.arguments
        for name, least in (("epochs", 0), ("patience", 1)):
            value = a[name]
            if value is not None and (not isinstance(value, numbers.Integral) or value < least):
                raise ValueError(f"{name} must be an integer from {least} on, got {value!r}")
        if a["clip"] is not None and not a["clip"] > 0:
            raise ValueError(f"clip must be positive, got {a['clip']!r}")
        if a["resume"] and a["checkpoint"] is None:
            raise ValueError("resume=True expected a checkpoint to go on from, got None")
        held = {id(p) for group in a["optimizer"].param_groups for p in group["params"]}
        if not any(id(p) in held for p in a["model"].parameters()):
            raise ValueError(
                "expected an optimizer of the model's parameters, got one that holds none of "
                "them: was the model made anew after the optimizer?"
            )
        return function(*args, **kwargs)

    return checked


def _check_ema(function: Callable) -> Callable:
    """Refuse what has no mean."""

    @functools.wraps(function)
    def checked(values, beta=0.9, bias_correction=True):
        if not 0 <= beta < 1:
            raise ValueError(f"beta must be at least 0 and below 1, got {beta}")
        if len(values) == 0:
            raise ValueError("ema expected at least one value, got none")
        return function(values, beta, bias_correction)

    return checked


@dataclass
class History:
    """What a training was like, one number for each epoch.

    Attributes:
        train_loss: mean over the samples, each taken just before its batch's update.
        val_loss: mean over the validation samples after the epoch; empty if there are none.
        train_metric: as ``train_loss``; empty without a metric.
        val_metric: as ``val_loss``; empty without a metric.
        lr: the learning rate (of the optimizer's first group) during the epoch.
        batch_loss: the loss of every single batch, over all epochs.
        stopped: why the training ended: ``"epochs"`` (all done), ``"patience"`` or
            ``"interrupted"``; empty while it runs.
    """

    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    train_metric: list[float] = field(default_factory=list)
    val_metric: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    batch_loss: list[float] = field(default_factory=list)
    stopped: str = ""

    @property
    def best_epoch(self) -> int | None:
        """The epoch, counted from 0, with the least validation loss; without one, training loss.

        The first of several equals; None if no epoch has ended.
        """
        losses = self.val_loss or self.train_loss
        return losses.index(min(losses)) if losses else None

    def add(
        self,
        lr: float,
        train: tuple[float, float | None, list[float]],
        val: tuple[float, float | None] | None,
    ) -> None:
        """Note an epoch: what :func:`train_epoch` and :func:`evaluate` returned."""
        self.lr.append(lr)
        self.train_loss.append(train[0])
        self.batch_loss.extend(train[2])
        if val is not None:
            self.val_loss.append(val[0])
        if train[1] is not None:
            self.train_metric.append(train[1])
            if val is not None:
                self.val_metric.append(val[1])


def accuracy(output: Float[Tensor, " n classes *d"], target: Int64[Tensor, " n *d"]) -> float:
    """Share of the samples whose largest logit is that of the right class.

    Args:
        output: logits (or probabilities), the classes on axis 1, as in ``F.cross_entropy``.
        target: labels.

    Example:
        >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
        0.5
    """
    return (output.argmax(1) == target).float().mean().item()


@_check_ema
def ema(
    values: Float[Tensor, " n *d"] | list[float], beta: float = 0.9, bias_correction: bool = True
) -> Float[Tensor, " n *d"]:
    r"""Exponentially weighted mean: what is k steps old counts :math:`\beta^k` as much.

    .. math:: m_t = \beta m_{t-1} + (1 - \beta) x_t, \quad m_0 = 0, \qquad
              \hat m_t = \frac{m_t}{1 - \beta^t}

    The weights in :math:`m_t` sum to :math:`1 - \beta^t` only, so that it begins near zero; the
    division mends that.

    Args:
        values: a list of numbers, or a tensor; along the first axis, oldest first.
        beta: 0 for no smoothing. About the last :math:`1 / (1 - \beta)` values count.
        bias_correction: False for :math:`m_t` itself.

    Returns:
        The mean after each value.

    Raises:
        ValueError: if ``beta`` is not in [0, 1) or there are no values.

    Example:
        >>> ema([1.0, 1.0, 1.0], beta=0.5)
        tensor([1., 1., 1.])
        >>> ema([1.0, 1.0, 1.0], beta=0.5, bias_correction=False)
        tensor([0.5000, 0.7500, 0.8750])

    Reference:
        Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015), arXiv:1412.6980,
        section 3.
    """
    m, means = 0.0, []
    for t, x in enumerate(torch.as_tensor(values), start=1):
        m = beta * m + (1 - beta) * x
        means.append(m / (1 - beta**t) if bias_correction else m)
    return torch.stack(means)


def batches(loader: Iterable, model: nn.Module) -> Iterator[tuple[list[Tensor], Tensor]]:
    """Go once through a loader: each batch as (inputs, target), on the device of the model.

    Args:
        loader: a ``DataLoader`` or anything else that gives batches (input, …, target).
        model: its first parameter says where the tensors go.

    Raises:
        ValueError: if there is no batch, or one without samples.
        TypeError: if a batch is no tuple or list of at least two tensors.

    Example:
        >>> [(inputs, target)] = batches([(torch.ones(2, 3), torch.zeros(2))], nn.Linear(3, 1))
        >>> len(inputs), target
        (1, tensor([0., 0.]))
    """
    parameter = next(model.parameters(), None)
    number = 0
    for number, batch in enumerate(loader, start=1):
        if not isinstance(batch, tuple | list) or len(batch) < 2:
            raise TypeError(f"expected batches (input, target), got a {type(batch).__name__}")
        if parameter is not None:
            batch = [part.to(parameter.device) for part in batch]
        *inputs, target = batch
        if len(target) == 0:
            raise ValueError(f"batch {number} must have at least one sample, got none")
        yield inputs, target
    if number == 0:
        raise ValueError(
            "the loader gave no batch: is the dataset empty, or smaller than one batch with "
            "drop_last, or the loader a generator that has run out?"
        )


def sample_mean(values: list[float], sizes: list[int]) -> float:
    r"""Mean over all samples, from the means over batches.

    .. math:: \frac{\sum_b n_b v_b}{\sum_b n_b}

    Args:
        values: the mean over each batch.
        sizes: how many samples each batch has.

    Example:
        >>> sample_mean([1.0, 4.0], [2, 1])  # of 1, 1 and 4
        2.0
    """
    total = sum(n * v for v, n in zip(values, sizes, strict=True))
    return total / sum(sizes)


@_keep_modes
@torch.no_grad()
def evaluate(
    model: nn.Module, loader: Iterable, loss_fn: Callable, metric: Callable | None = None
) -> tuple[float, float | None]:
    """Mean loss and metric over all samples of a loader, with the weights as they are.

    The model is put into eval mode, and afterwards back into the mode it was in.

    Args:
        model: on whatever device it is.
        loader: see the top of this module.
        loss_fn: gives the mean loss over a batch.
        metric: likewise, such as :func:`accuracy`.

    Returns:
        The loss, and the metric or None.

    Raises:
        ValueError, TypeError: as :func:`batches`.

    Example:
        >>> loader = [(torch.tensor([[1.0], [3.0]]), torch.zeros(2, 1))]
        >>> evaluate(nn.Identity(), loader, nn.functional.mse_loss)
        (5.0, None)
    """
    model.eval()
    losses, scores, sizes = [], [], []
    for inputs, target in batches(loader, model):
        output = model(*inputs)
        losses.append(loss_fn(output, target).item())
        if metric:
            scores.append(float(metric(output, target)))
        sizes.append(len(target))
    score = sample_mean(scores, sizes) if metric else None
    return sample_mean(losses, sizes), score


@_keep_modes
def train_epoch(
    model: nn.Module,
    loader: Iterable,
    loss_fn: Callable,
    optimizer: Optimizer,
    metric: Callable | None = None,
    clip: float | None = None,
) -> tuple[float, float | None, list[float]]:
    """Go once through the data: forward, backward, update, for every batch.

    Args:
        model: put into train mode, and afterwards back into the mode it was in.
        loader: see the top of this module.
        loss_fn: gives the mean loss over a batch.
        optimizer: of the model's parameters.
        metric: gives another mean over a batch, such as :func:`accuracy`.
        clip: the greatest length that the gradient of all the optimizer's parameters together
            may have.

    Returns:
        The loss and the metric (or None), averaged over the samples, each taken just before its
        batch's update; and the losses of the batches.

    Raises:
        ValueError: if a loss is NaN or infinite (its batch has changed no weight yet), and as
            :func:`batches`.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> loader = [(torch.ones(4, 1), torch.ones(4, 1))] * 50
        >>> _, _, losses = train_epoch(model, loader, nn.functional.mse_loss, optimizer)
        >>> losses[-1] < 1e-6
        True
    """
    model.train()
    losses, scores, sizes = [], [], []
    for inputs, target in batches(loader, model):
        output = model(*inputs)  # forward
        loss = loss_fn(output, target)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise ValueError(f"loss {losses[-1]} in batch {len(losses)}")
        optimizer.zero_grad()
        loss.backward()  # backward
        if clip is not None:
            held = [p for g in optimizer.param_groups for p in g["params"]]
            nn.utils.clip_grad_norm_(held, clip)
        optimizer.step()  # update
        scores.append(metric(output.detach(), target) if metric else 0)
        sizes.append(len(target))
    score = float(sample_mean(scores, sizes)) if metric else None
    return sample_mean(losses, sizes), score, losses


@_check_fit
@_keep_modes
def fit(
    model: nn.Module,
    train_loader: Iterable,
    loss_fn: Callable,
    optimizer: Optimizer,
    epochs: int,
    val_loader: Iterable | None = None,
    metric: Callable | None = None,
    device: torch.device | str | None = None,
    scheduler: LRScheduler | None = None,
    patience: int | None = None,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
    restore_best: bool = False,
    clip: float | None = None,
    on_epoch: Callable[[int, History], None] | None = None,
) -> History:
    """Train a model.

    Ctrl-C (in a notebook: interrupt the kernel) ends it early; what is done is kept.

    Args:
        model: its parts are left in train or eval mode as they were.
        train_loader: batches (input, …, target); see the top of this module.
        loss_fn: (output, target) to the mean loss over the batch.
        optimizer: of the model's parameters.
        epochs: how many times through the data, those of a resumed training included.
        val_loader: data to watch that the model does not learn from.
        metric: (output, target) to another mean over the batch, such as :func:`accuracy`.
        device: where to train; the model is moved there. None: where the model is.
        scheduler: steps once after each epoch. In a resumed training it and the learning rate are
            those of the file.
        patience: stop when that many epochs in a row have brought no new best epoch.
        checkpoint: a file that is written after each epoch, with all that is needed to go on, and
            the weights of the best epoch: ``load_checkpoint(checkpoint)["best"]``.
        resume: go on from the file ``checkpoint``. The random numbers go on too, on the CPU and
            from torch's global generator, as they stood before ``on_epoch``.
        restore_best: at the end bring back the weights of the best epoch.
        clip: the greatest length that the gradient of all the optimizer's parameters together
            may have.
        on_epoch: is called after each epoch with its number, from 0, and the history so far.

    Returns:
        The history. Its ``best_epoch`` is the one with the least validation loss; without
        ``val_loader``, training loss.

    Raises:
        ValueError: if a setting makes no sense, a loader gives nothing, or a loss is NaN or
            infinite; epoch and batch are named. Also if the file to resume from is damaged or of
            another training; model and optimizer are then as they were.
        FileNotFoundError: if there is no file to resume from.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> loader = [(torch.ones(4, 1), torch.ones(4, 1))]
        >>> history = fit(model, loader, nn.functional.mse_loss, optimizer, epochs=50)
        >>> history.train_loss[-1] < 1e-6, len(history.lr), history.stopped
        (True, 50, 'epochs')
    """
    history, best, stopped = History(), None, "epochs"
    if device is not None:
        model.to(device)
        optimizer.load_state_dict(optimizer.state_dict())  # what it remembers moves along
    if resume:
        watched = val_loader is not None, metric is not None
        history, best = _go_on_from(checkpoint, model, optimizer, scheduler, watched)
    try:
        for epoch in range(len(history.train_loss), epochs):
            if patience and epoch > 0 and epoch - history.best_epoch > patience:
                stopped = "patience"
                break
            bar = tqdm(train_loader, f"epoch {epoch + 1}/{epochs}", leave=False)
            try:
                train = train_epoch(model, bar, loss_fn, optimizer, metric, clip)
                val = None if val_loader is None else evaluate(model, val_loader, loss_fn, metric)
                loss = train[0] if val is None else val[0]  # what is to fall
                if not math.isfinite(loss):
                    raise ValueError(f"validation loss {loss:g}")
            except ValueError as error:
                raise ValueError(f"epoch {epoch + 1}: {error}") from error
            history.add(float(optimizer.param_groups[0]["lr"]), train, val)
            if isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step(loss)
            elif scheduler is not None:
                scheduler.step()
            if history.best_epoch == epoch and (restore_best or checkpoint):
                best = copy.deepcopy(model.state_dict())
            if checkpoint is not None:
                save_checkpoint(_state(model, optimizer, scheduler, history, best), checkpoint)
            if on_epoch is not None:
                on_epoch(epoch, history)
    except KeyboardInterrupt:
        stopped = "interrupted"
    finally:
        if restore_best and best is not None:
            model.load_state_dict(best)
    history.stopped = stopped
    return history


def _state(
    model: nn.Module,
    optimizer: Optimizer,
    scheduler: LRScheduler | None,
    history: History,
    best: dict,
) -> dict[str, Any]:
    """Collect what is needed to go on with a training, as plain data."""
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler and scheduler.state_dict(),
        "kinds": _kinds(optimizer, scheduler),
        "history": asdict(history),
        "best": best,
        "random": torch.get_rng_state(),
    }


def _go_on_from(
    checkpoint: str | os.PathLike,
    model: nn.Module,
    optimizer: Optimizer,
    scheduler: LRScheduler | None,
    watched: tuple[bool, bool],
) -> tuple[History, dict]:
    """Bring back what :func:`_state` collected; return the history and the best weights.

    ``watched`` says whether there are validation data and a metric. If the file does not fit,
    everything is put back as it was.
    """
    state = load_checkpoint(checkpoint)
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    before = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items() if part}
    try:
        theirs, ours = " and ".join(state["kinds"]), " and ".join(_kinds(optimizer, scheduler))
        if theirs != ours:
            raise ValueError(f"that one was with {theirs}, this is with {ours}")
        history = History(**state["history"])
        if history.lr and (bool(history.val_loss), bool(history.train_metric)) != watched:
            raise ValueError("only one of the two has validation data, or a metric")
        for name, part in parts.items():
            if part is not None:
                part.load_state_dict(state[name])
        torch.set_rng_state(state["random"])
        return history, state["best"]
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        for name, values in before.items():
            parts[name].load_state_dict(values)
        raise ValueError(
            f"expected a checkpoint of this training, got {checkpoint}: {error}"
        ) from error


def _kinds(optimizer: Optimizer, scheduler: LRScheduler | None) -> list[str]:
    return [type(optimizer).__name__, type(scheduler).__name__ if scheduler else "no scheduler"]
