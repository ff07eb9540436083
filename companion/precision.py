r"""Numbers of 16 and 32 bits: what goes wrong with them in training, and what helps.

A floating-point number is a sign, an exponent and a fraction. What is too large for the exponent
becomes infinite, what is too small becomes zero, and an infinity soon turns into NaN ("not a
number"), which spreads. Here are what takes a number apart, what finds the first bad tensor, the
two ways to clip gradients, and the loss scaler that carries small gradients through float16.

``clip_grad_norm_`` and ``clip_grad_value_`` have the names, arguments and results of those in
``torch.nn.utils``, :class:`GradScaler` those of ``torch.amp``. Left out are ``foreach``, which does
not change the result, sparse gradients, and gradients on several devices at once.
"""

import contextlib
import functools
import inspect
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

_FORMATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_STATE = ("scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker")


def _known_format(function: Callable) -> Callable:
    """Make ``function`` refuse what is no number, and formats that it does not know."""

    @functools.wraps(function)
    def checked(x, dtype=torch.float32):
        if not isinstance(x, int | float):
            raise TypeError(f"float_parts expected a number as x, got {type(x).__name__}")
        if dtype not in _FORMATS:
            known = ", ".join(str(known) for known in _FORMATS)
            raise ValueError(f"float_parts expected one of {known} as dtype, got {dtype}")
        return function(x, dtype)

    return checked


def _bits_only(function: Callable) -> Callable:
    """Make ``function`` refuse parts that are not written in zeros and ones."""

    @functools.wraps(function)
    def checked(sign, exponent, fraction):
        for name, bits, least in (
            ("sign", sign, 1),
            ("exponent", exponent, 2),
            ("fraction", fraction, 1),
        ):
            if not isinstance(bits, str):
                raise TypeError(f"float_value expected a string as {name}, got {bits!r}")
            if len(bits) < least or set(bits) - {"0", "1"}:
                raise ValueError(f"float_value expected zeros and ones as {name}, got {bits!r}")
        if len(sign) != 1:
            raise ValueError(f"float_value expected one bit as sign, got {sign!r}")
        return function(sign, exponent, fraction)

    return checked


@_known_format
def float_parts(x: float, dtype: torch.dtype = torch.float32) -> tuple[str, str, str]:
    r"""The bits of a number: its sign, its exponent and its fraction.

    Args:
        x: a number; it is rounded to ``dtype`` first, as torch does, by way of float32.
        dtype: float16 (1 + 5 + 10 bits), bfloat16 (1 + 8 + 7), float32 (1 + 8 + 23) or float64
            (1 + 11 + 52).

    Returns:
        Three strings of zeros and ones; :func:`float_value` turns them back into a number.

    Raises:
        TypeError: if ``x`` is no number.
        ValueError: if ``dtype`` is none of the four.

    Example:
        >>> float_parts(-6.5, torch.float16)  # -1.625 · 2², and 17 - 15 = 2
        ('1', '10001', '1010000000')

    Reference:
        IEEE 754-2019, section 3.4. bfloat16: Kalamkar and others, "A Study of BFLOAT16 for Deep
        Learning Training" (2019), arXiv:1905.12322.
    """
    info = torch.finfo(dtype)
    integer = {16: torch.int16, 32: torch.int32, 64: torch.int64}[info.bits]
    pattern = torch.tensor(x, dtype=dtype).view(integer).item()
    bits = f"{pattern % 2**info.bits:0{info.bits}b}"  # % makes it unsigned
    fraction = -round(math.log2(info.eps))  # eps is 2 to the minus length
    return bits[0], bits[1:-fraction], bits[-fraction:]


@_bits_only
def float_value(sign: str, exponent: str, fraction: str) -> float:
    r"""The number that the bits of a floating-point format stand for.

    .. math:: x = (-1)^s \cdot 2^{e - b} \cdot (1 + m), \qquad b = 2^{k - 1} - 1

    Here :math:`e` is the exponent, of k bits, and :math:`m` the fraction, in [0, 1). Where e is 0,
    :math:`x = (-1)^s \cdot 2^{1 - b} \cdot m`; where all its bits are ones, x is infinite for
    :math:`m = 0` and NaN otherwise.

    Args:
        sign: one bit.
        exponent: two bits or more.
        fraction: one bit or more.

    Returns:
        The number; exact for every format up to float64.

    Raises:
        TypeError: if a part is no string.
        ValueError: if a part is too short or holds anything but zeros and ones.

    Example:
        >>> float_value("1", "10001", "1010000000")
        -6.5

    Reference:
        IEEE 754-2019, section 3.4.
    """
    bias = 2 ** (len(exponent) - 1) - 1
    e, m = int(exponent, 2), int(fraction, 2) / 2 ** len(fraction)
    if e == 2 * bias + 1:  # all ones
        size = math.inf if m == 0 else math.nan
    elif e == 0:  # subnormal
        size = 2.0 ** (1 - bias) * m
    else:
        size = 2.0 ** (e - bias) * (1 + m)
    return -size if sign == "1" else size


def all_finite(tensors: Iterable[Tensor]) -> bool:
    r"""Tell whether no tensor holds an infinity or a NaN.

    Args:
        tensors: any shapes and types; integers are always finite.

    Returns:
        True too where there is nothing to look at.

    Example:
        >>> all_finite([torch.ones(3), torch.tensor([0.0, math.inf])])
        False
    """
    return all(bool(x.isfinite().all()) for x in tensors)


@contextlib.contextmanager
def watch(model: nn.Module) -> Iterator[None]:
    r"""Stop at the first tensor of a model that is not finite, and say where it is.

    Inside ``with watch(model):`` every parameter is looked at, then the model's inputs, every
    module's output in the forward pass, and in the backward pass the gradient at every module's
    output and of every parameter.

    Args:
        model: any module. Looked at are tensors, also those inside tuples and lists.

    Raises:
        FloatingPointError: at the first bad tensor, with the module's name as in
            ``model.named_modules()``. For a gradient it also names the place where the gradient
            was last seen to be finite. In a chain of modules the bad derivative lies between the
            two; with branches, look at all that uses the first.
        TypeError: if ``model`` is no module.

    Example:
        >>> class Log(nn.Module):
        ...     def forward(self, x):
        ...         return x.log()
        >>> model = nn.Sequential(nn.ReLU(), Log(), nn.Softmax(dim=0))
        >>> with watch(model):
        ...     output = model(torch.tensor([-1.0, 2.0]))
        Traceback (most recent call last):
        ...
        FloatingPointError: the output of 1 (Log) is not finite (1 of 2 values)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"watch expected a module as model, got {type(model).__name__}")
    handles = []
    latest = None, 0  # the last output, and how often it had been changed in place
    last_finite = "nowhere"

    def look(what, x, note=""):
        bad = int((~x.isfinite()).sum())
        if bad:
            raise FloatingPointError(f"{what} is not finite ({bad} of {x.numel()} values{note})")

    def look_back(what, where, g):
        nonlocal last_finite
        look(f"the gradient {what}", g, f"; last finite: {last_finite}")
        last_finite = where or last_finite

    def before(module, inputs, named):
        for x in _tensors((inputs, tuple(named.values()))):
            look("the input of the model", x)

    def after(name, module, inputs, output):
        nonlocal latest
        where = f"the output of {name or 'the model'} ({type(module).__name__})"
        for x in _tensors(output):
            look(where, x)
            again = x is latest[0] and x._version == latest[1]  # passed on by a container
            latest = x, x._version
            if x.requires_grad and not again:
                handles.append(x.register_hook(functools.partial(look_back, f"at {where}", where)))

    for name, p in model.named_parameters():
        look(f"the parameter {name}", p)
        if p.requires_grad:
            handles.append(p.register_hook(functools.partial(look_back, f"of {name}", None)))
    handles.append(model.register_forward_pre_hook(before, with_kwargs=True))
    for name, module in model.named_modules():
        handles.append(module.register_forward_hook(functools.partial(after, name)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensors(value: object) -> Iterator[Tensor]:
    """Go through the tensors in ``value``, a tensor or a nest of tuples and lists."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)


def _clipping(function: Callable) -> Callable:
    """Make ``function`` take one tensor as well as many, and refuse a threshold below zero."""
    signature = inspect.signature(function)
    name = list(signature.parameters)[1]

    @functools.wraps(function)
    def checked(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        parameters, threshold = bound.arguments["parameters"], bound.arguments[name]
        parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        for p in parameters:
            if not isinstance(p, Tensor):
                raise TypeError(f"{function.__name__} expected tensors, got {type(p).__name__}")
        if not threshold >= 0:  # so that NaN is refused too
            raise ValueError(
                f"{function.__name__} expected {name} to be at least 0, got {threshold}"
            )
        bound.arguments["parameters"] = parameters
        return function(*bound.args, **bound.kwargs)

    return checked


@_clipping
@torch.no_grad()
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    r"""Shorten the gradient, of all parameters together, if it is too long; keep its direction.

    .. math:: g \leftarrow g \cdot \min\left(1, \frac{c}{\lVert g \rVert + 10^{-6}}\right)

    Args:
        parameters: whose ``.grad`` is changed in place; those without one are passed over.
        max_norm: :math:`c`, the longest allowed.
        norm_type: which norm; ``math.inf`` for the largest absolute value.
        error_if_nonfinite: raise if the norm is infinite or NaN. Otherwise a single NaN makes all
            gradients NaN, and a single infinity makes itself NaN and all others zero.

    Returns:
        The norm before clipping; 0 if there is no gradient.

    Raises:
        RuntimeError: if the norm is not finite and ``error_if_nonfinite`` is set.
        TypeError: if a parameter is no tensor.
        ValueError: if ``max_norm`` is negative or NaN.

    Example:
        >>> w = torch.zeros(2, requires_grad=True)
        >>> w.grad = torch.tensor([3.0, 4.0])
        >>> clip_grad_norm_([w], 1.0)
        tensor(5.)
        >>> w.grad
        tensor([0.6000, 0.8000])

    Reference:
        Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks"
        (2013), arXiv:1211.5063, algorithm 1.
    """
    grads = [p.grad for p in parameters if p.grad is not None]
    if not grads:
        return torch.tensor(0.0)
    norms = [torch.linalg.vector_norm(g, norm_type) for g in grads]
    norm = torch.linalg.vector_norm(torch.stack(norms), norm_type)
    if error_if_nonfinite and not norm.isfinite():
        raise RuntimeError(f"the norm of the gradients is {norm}")
    for g in grads:
        g.mul_((max_norm / (norm + 1e-6)).clamp(max=1))
    return norm


@_clipping
@torch.no_grad()
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    r"""Cut every component of the gradient to an interval; the direction may change.

    .. math:: g_i \leftarrow \min(\max(g_i, -c), c)

    Args:
        parameters: whose ``.grad`` is changed in place; those without one are passed over.
        clip_value: :math:`c`. An infinite component becomes :math:`\pm c`, a NaN stays.

    Raises:
        TypeError: if a parameter is no tensor.
        ValueError: if ``clip_value`` is negative or NaN.

    Example:
        >>> w = torch.zeros(2, requires_grad=True)
        >>> w.grad = torch.tensor([3.0, -0.5])
        >>> clip_grad_value_([w], 1.0)
        >>> w.grad
        tensor([ 1.0000, -0.5000])

    Reference:
        Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks"
        (2013), arXiv:1211.5063, names it as the earlier variant.
    """
    for p in parameters:
        if p.grad is not None:
            p.grad.clamp_(-clip_value, clip_value)


def gradients(optimizer: Optimizer) -> list[Tensor]:
    """List the gradients of an optimizer's parameters, less those that have none.

    Example:
        >>> w, b = torch.ones(2, requires_grad=True), torch.ones(1, requires_grad=True)
        >>> w.sum().backward()
        >>> gradients(torch.optim.SGD([w, b], lr=0.1))
        [tensor([1., 1.])]
    """
    groups = optimizer.param_groups
    return [p.grad for group in groups for p in group["params"] if p.grad is not None]


class ScalerState:
    r"""What a loss scaler knows: its settings, the scale, and how long all has gone well.

    :class:`GradScaler` adds what it does. The arguments are described there.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if enabled and device == "cuda" and not torch.cuda.is_available():
            warnings.warn(
                "GradScaler is made for CUDA, and CUDA is not available: it is switched off. "
                'Expected device="cpu" here.',
                stacklevel=2,
            )
            enabled = False
        self._device, self._enabled = device, enabled
        if enabled:
            self._configure(init_scale, growth_factor, backoff_factor, growth_interval, 0)
        self._started = False  # whether scale() has been called

    def _configure(self, scale, growth_factor, backoff_factor, growth_interval, good_steps):
        largest = torch.finfo(torch.float32).max
        for name, value, fits, wanted in (
            ("a scale", scale, 0 <= scale <= largest, "finite in float32 and not negative"),
            ("growth_factor", growth_factor, 1 < growth_factor < math.inf, "above 1"),
            ("backoff_factor", backoff_factor, 0 < backoff_factor < 1, "between 0 and 1"),
            ("growth_interval", growth_interval, growth_interval >= 1, "at least 1"),
        ):
            if not fits:
                raise ValueError(f"GradScaler expected {name} to be {wanted}, got {value}")
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval = growth_interval
        self.remember(scale, good_steps)

    def remember(self, scale: float, good_steps: int) -> None:
        """Keep the scale and the count, and forget what was found in this iteration.

        The scale is rounded to float32. One that is too large for it is not taken.
        """
        rounded = torch.tensor(scale, dtype=torch.float32)
        self._scale = rounded if rounded.isfinite() else self._scale
        self._growth_tracker = good_steps
        self._found_inf, self._stepped = {}, set()  # by optimizer

    def get_scale(self) -> float:
        """Return the scale, or 1 if the scaler is switched off."""
        return self._scale.item() if self._enabled else 1.0

    def is_enabled(self) -> bool:
        """Tell whether the scaler does anything."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """Return scale, settings and count under torch's names; nothing if switched off."""
        if not self._enabled:
            return {}
        values = (
            self.get_scale(),
            self._growth_factor,
            self._backoff_factor,
            self._growth_interval,
            self._growth_tracker,
        )
        return dict(zip(_STATE, values, strict=True))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the state of a scaler, of this class or of torch's; nothing if switched off.

        Raises:
            RuntimeError: if the state is empty, as that of a scaler that is switched off.
            ValueError: if an entry is missing or is out of range.
        """
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "GradScaler expected a state, got an empty one: was it saved from a scaler "
                "that is switched off?"
            )
        missing = [name for name in _STATE if name not in state_dict]
        if missing:
            found = ", ".join(state_dict)
            raise ValueError(
                f"GradScaler expected {', '.join(missing)} in the state, got {found} only"
            )
        self._configure(*(state_dict[name] for name in _STATE))


def _scaling(method: Callable) -> Callable:
    """Make ``scale`` take lists and tuples too, and do nothing if switched off."""

    @functools.wraps(method)
    def checked(self, outputs):
        if not self._enabled:
            return outputs
        if isinstance(outputs, list | tuple):
            return type(outputs)(checked(self, output) for output in outputs)
        if not isinstance(outputs, Tensor):
            raise TypeError(f"scale expected tensors, got {type(outputs).__name__}")
        self._started = True
        return method(self, outputs)

    return checked


def _unscaling(method: Callable) -> Callable:
    """Make ``unscale_`` refuse what would divide twice, and float16 gradients."""

    @functools.wraps(method)
    def checked(self, optimizer):
        if not self._enabled:
            return
        if not self._started:
            raise RuntimeError("unscale_ expected scale(loss).backward() before it, got none yet")
        if optimizer in self._stepped:
            raise RuntimeError("unscale_() is being called after step()")
        if optimizer in self._found_inf:
            raise RuntimeError("unscale_() has already been called since the last update()")
        if any(g.dtype == torch.float16 for g in gradients(optimizer)):
            raise ValueError(
                "unscale_ expected gradients in float32, got float16: keep the weights in float32 "
                "and let autocast make the float16 copies"
            )
        method(self, optimizer)

    return checked


def _stepping(method: Callable) -> Callable:
    """Make ``step`` refuse to be called twice, and pass on to the optimizer if switched off."""

    @functools.wraps(method)
    def checked(self, optimizer, *args, **kwargs):
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("step expected no closure, got one: it would not be scaled")
        if not self._started:
            raise RuntimeError("step expected scale(loss).backward() before it, got none yet")
        if optimizer in self._stepped:
            raise RuntimeError("step() has already been called since the last update()")
        if not gradients(optimizer):
            raise RuntimeError("step expected gradients, got none in this optimizer")
        result = method(self, optimizer, *args, **kwargs)
        self._stepped.add(optimizer)
        return result

    return checked


def _updating(method: Callable) -> Callable:
    """Make ``update`` take a new scale too, and refuse to work without a step."""

    @functools.wraps(method)
    def checked(self, new_scale=None):
        if not self._enabled:
            return
        if new_scale is not None:
            if not 0 <= float(new_scale) < math.inf:
                raise ValueError(f"update expected a scale, finite and not negative: {new_scale}")
            self.remember(float(new_scale), self._growth_tracker)
            return
        if not self._found_inf:
            raise RuntimeError("update expected step(optimizer) before it, got none")
        method(self)

    return checked


class GradScaler(ScalerState):
    r"""Carry small gradients through float16: multiply the loss, divide the gradients.

    The gradient is linear in the loss, so with a scale S

    .. math:: \nabla (S \cdot L) = S \cdot \nabla L .

    All that float16 has to hold on the way is S times as large, and too small for it S times less
    often. The right S is found by trying: if a gradient is infinite or NaN, the step is left out
    and S is multiplied by ``backoff_factor``; after ``growth_interval`` steps without that, by
    ``growth_factor``.

    ``update(new_scale)`` sets the scale by hand. Powers of two for the scale and its factors
    change no digit, only exponents.

    Args:
        device: "cuda" or "cpu". Where CUDA is not available the scaler for it warns and switches
            itself off.
        init_scale: the first S.
        growth_factor: by which S grows.
        backoff_factor: by which S shrinks.
        growth_interval: how many good steps in a row it takes to grow.
        enabled: False for a scaler that does nothing but call ``optimizer.step()``.

    Raises:
        ValueError: if a setting is out of range; in ``unscale_`` and ``step``, if a gradient is in
            float16 itself: the weights must be float32.
        RuntimeError: if ``unscale_`` or ``step`` is called twice for an optimizer between updates,
            or if something is called before what must come first.

    Example:
        >>> w = torch.tensor([1.0], requires_grad=True)
        >>> optimizer = torch.optim.SGD([w], lr=0.1)
        >>> scaler = GradScaler("cpu", init_scale=4.0)
        >>> scaler.scale((w**2).sum()).backward()
        >>> w.grad
        tensor([8.])
        >>> scaler.step(optimizer)  # divides, looks, and steps if all is finite
        >>> scaler.update()
        >>> w.grad, w.detach(), scaler.get_scale()
        (tensor([2.]), tensor([0.8000]), 4.0)

    Reference:
        Micikevicius and others, "Mixed Precision Training" (2018), arXiv:1710.03740, section 3.2.
    """

    @_scaling
    def scale(self, outputs: Tensor | list | tuple) -> Tensor | list | tuple:
        """Multiply the loss, or several, by the scale."""
        return outputs * self._scale

    @_unscaling
    def unscale_(self, optimizer: Optimizer) -> None:
        """Look whether the gradients are finite, and divide them by the scale, in place."""
        self._found_inf[optimizer] = not all_finite(gradients(optimizer))
        for g in gradients(optimizer):
            g.mul_(1 / self._scale)

    @_stepping
    def step(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """Let the optimizer step if its gradients are finite, and return what it returns."""
        if optimizer not in self._found_inf:
            self.unscale_(optimizer)
        if not self._found_inf[optimizer]:
            return optimizer.step(*args, **kwargs)

    @_updating
    def update(self) -> None:
        """Make the scale smaller or larger, once all optimizers have stepped."""
        factor, good_steps = 1.0, self._growth_tracker + 1
        if any(self._found_inf.values()):
            factor, good_steps = self._backoff_factor, 0
        elif good_steps == self._growth_interval:
            factor, good_steps = self._growth_factor, 0
        self.remember(factor * self.get_scale(), good_steps)
