r"""How a gradient becomes a step: update rules.

Each class takes the arguments of its counterpart in ``torch.optim`` and does the same steps, so
that one can be exchanged for the other, in the middle of a training too: the state dicts fit. Left
out are ``foreach``, ``fused``, ``capturable`` and ``differentiable``, which do not change the rule,
Adam's ``decoupled_weight_decay``, which is :class:`AdamW`, and sparse and complex gradients.

Symbols: :math:`\theta` a parameter, :math:`g` its gradient, :math:`\eta` the learning rate ``lr``,
:math:`\lambda` the weight decay. ``maximize=True`` turns the sign of :math:`g`.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT


class UpdateRule(Optimizer):
    """What all rules share: go through the parameters and update each that has a gradient.

    A rule of your own is a subclass with an ``update`` method; ``torch.optim.Optimizer`` adds
    ``zero_grad``, ``state_dict``, ``load_state_dict`` and ``add_param_group``.

    Example:
        >>> class SignDescent(UpdateRule):
        ...     def update(self, theta, g, group):
        ...         theta -= group["lr"] * g.sign()
        >>> w = torch.tensor([3.0, -2.0], requires_grad=True)
        >>> optimizer = SignDescent([w], {"lr": 0.5})
        >>> w.square().sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([ 2.5000, -1.5000])
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Do one step of gradient descent, or of ascent where ``maximize`` is set.

        Args:
            closure: computes the loss and its gradients anew and returns the loss.

        Returns:
            What ``closure`` returned, from before the step; without a closure, None.

        Raises:
            TypeError: if a gradient is sparse or complex.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for theta in group["params"]:
                g = theta.grad
                if g is None:
                    continue
                if g.layout != torch.strided or g.is_complex():
                    raise TypeError(
                        f"{type(self).__name__} expected dense, real gradients, "
                        f"got {g.layout} of {g.dtype}"
                    )
                self.update(theta, -g if group.get("maximize") else g, group)
        return loss

    def update(
        self, theta: Float[Tensor, "*shape"], g: Float[Tensor, "*shape"], group: dict[str, Any]
    ) -> None:
        """Change one parameter in place.

        Args:
            theta: the parameter.
            g: its gradient, not to be changed in place.
            group: the settings of the parameter's group. What must be remembered from one step to
                the next is kept in ``self.state[theta]``.
        """
        raise NotImplementedError(f"{type(self).__name__} must define update(theta, g, group)")


class SGD(UpdateRule):
    r"""Stochastic gradient descent: downhill, with momentum if wanted.

    .. math:: g &\leftarrow g + \lambda \theta \\
              b &\leftarrow \mu b + (1 - \tau) g \\
              \theta &\leftarrow \theta - \eta b

    At the first step :math:`b \leftarrow g`. Nesterov's step is :math:`\eta (g + \mu b)`; without
    momentum it is :math:`\eta g`.

    Args:
        params: parameters, or dicts with ``params`` and settings of their own.
        lr: :math:`\eta`, the length of a step for a gradient of length one.
        momentum: :math:`\mu`, how much of the last direction is kept.
        dampening: :math:`\tau`, how much of the new gradient is held back.
        weight_decay: :math:`\lambda`, the pull towards zero (an L2 penalty of :math:`\lambda/2`).
        nesterov: look ahead: step on by the momentum that the next step will bring.
        maximize: climb instead.

    Raises:
        ValueError: if ``lr``, ``momentum`` or ``weight_decay`` is negative, or if ``nesterov``
            comes without momentum or with dampening.

    Example:
        >>> w = torch.tensor(1.0, requires_grad=True)
        >>> optimizer = SGD([w], lr=0.1)
        >>> (w**2).backward()
        >>> optimizer.step()
        >>> w.detach()  # 1 - 0.1 · 2
        tensor(0.8000)

    Reference:
        Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum in
        deep learning" (2013), equations 1 to 4; there the learning rate stands inside b.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        _check_not_negative(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError(
                "nesterov must have momentum above 0 and dampening 0, "
                f"got momentum={momentum} and dampening={dampening}"
            )
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def update(self, theta, g, group):
        """Change one parameter in place."""
        mu = group["momentum"]
        if group["weight_decay"] != 0:
            g = g + group["weight_decay"] * theta
        if mu != 0:
            state = self.state[theta]
            b = state.get("momentum_buffer")
            # At first a copy: g may be theta.grad, which backward() adds to.
            b = g.clone() if b is None else mu * b + (1 - group["dampening"]) * g
            state["momentum_buffer"] = b
            g = g + mu * b if group["nesterov"] else b
        theta -= group["lr"] * g


class RMSprop(UpdateRule):
    r"""Divide each gradient by the size it has had lately, so that all parameters move alike.

    .. math:: g &\leftarrow g + \lambda \theta \\
              v &\leftarrow \alpha v + (1 - \alpha) g^2 \\
              \theta &\leftarrow \theta - \eta \frac{g}{\sqrt v + \epsilon}

    ``centered`` divides by the standard deviation, :math:`\sqrt{v - \bar g^2}` with
    :math:`\bar g \leftarrow \alpha \bar g + (1 - \alpha) g`. With momentum the quotient goes into a
    buffer, :math:`b \leftarrow \mu b + g / (\sqrt v + \epsilon)`, and :math:`\eta b` is the step.

    Args:
        params: parameters, or dicts with ``params`` and settings of their own.
        lr: :math:`\eta`.
        alpha: :math:`\alpha`, how slowly the running means forget.
        eps: :math:`\epsilon`, what keeps the denominator from zero.
        weight_decay: :math:`\lambda`.
        momentum: :math:`\mu`.
        centered: divide by the standard deviation instead of the root mean square.
        maximize: climb instead. By keyword only, for in torch it stands behind what is left out.

    Raises:
        ValueError: if one of the numbers is negative.

    Example:
        >>> w = torch.tensor([1.0, 100.0], requires_grad=True)
        >>> optimizer = RMSprop([w], lr=0.1)
        >>> (w**2).sum().backward()
        >>> optimizer.step()
        >>> w.round(decimals=4).detach()  # gradients of 2 and of 200, and both go one down
        tensor([ 0., 99.])

    Reference:
        Tieleman and Hinton, "Neural Networks for Machine Learning" (2012), lecture 6.5. Centered:
        Graves, "Generating Sequences With Recurrent Neural Networks" (2013), arXiv:1308.0850,
        equations 38 to 41 (there epsilon stands inside the root).
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        _check_not_negative(
            lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum
        )
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def update(self, theta, g, group):
        """Change one parameter in place."""
        alpha, mu = group["alpha"], group["momentum"]
        state = self.state[theta]
        if group["weight_decay"] != 0:
            g = g + group["weight_decay"] * theta
        v = alpha * state.get("square_avg", 0) + (1 - alpha) * g**2
        state.update(step=_next_step(state), square_avg=v)
        if group["centered"]:
            g_bar = alpha * state.get("grad_avg", 0) + (1 - alpha) * g
            state["grad_avg"] = g_bar
            # a variance, but rounding may take it below zero
            v = (v - g_bar**2).clamp(min=0)
        b = g / (v.sqrt() + group["eps"])
        if mu != 0:
            b = mu * state.get("momentum_buffer", 0) + b
            state["momentum_buffer"] = b
        theta -= group["lr"] * b


class Adam(UpdateRule):
    r"""Momentum over RMSprop, both freed of the bias of having started at zero.

    .. math:: g &\leftarrow g + \lambda \theta \\
              m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
              v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
              \hat m &= \frac{m}{1 - \beta_1^t}, \qquad \hat v = \frac{v}{1 - \beta_2^t} \\
              \theta &\leftarrow \theta - \eta \frac{\hat m}{\sqrt{\hat v} + \epsilon}

    ``amsgrad`` takes the largest v so far in place of the present one.

    Args:
        params: parameters, or dicts with ``params`` and settings of their own.
        lr: :math:`\eta`, about the length of a step, however long the gradient.
        betas: :math:`\beta_1` and :math:`\beta_2`, how slowly the means forget.
        eps: :math:`\epsilon`, what keeps the denominator from zero.
        weight_decay: :math:`\lambda`. Here it is part of the gradient, and so is divided like it.
        amsgrad: never forget a large gradient.
        maximize: climb instead.

    Raises:
        ValueError: if ``lr``, ``eps`` or ``weight_decay`` is negative or a beta outside [0, 1).

    Example:
        >>> w = torch.tensor([1.0, 100.0], requires_grad=True)
        >>> optimizer = Adam([w], lr=0.1)
        >>> (w**2).sum().backward()
        >>> optimizer.step()
        >>> w.detach()
        tensor([ 0.9000, 99.9000])

    Reference:
        Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015), arXiv:1412.6980,
        algorithm 1. AMSGrad: Reddi, Kale and Kumar, "On the Convergence of Adam and Beyond" (2018),
        algorithm 2, with the bias corrected as in torch.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        _check_not_negative(lr=lr, eps=eps, weight_decay=weight_decay)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas must be at least 0 and below 1, got {betas}")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def decay(self, theta, g, group):
        """Return the gradient with the weight decay in it."""
        return g + group["weight_decay"] * theta

    def update(self, theta, g, group):
        """Change one parameter in place."""
        beta1, beta2 = group["betas"]
        state = self.state[theta]
        if group["weight_decay"] != 0:
            g = self.decay(theta, g, group)
        m = beta1 * state.get("exp_avg", 0) + (1 - beta1) * g
        v = beta2 * state.get("exp_avg_sq", 0) + (1 - beta2) * g**2
        state.update(step=_next_step(state), exp_avg=m, exp_avg_sq=v)
        if group["amsgrad"]:
            v = torch.maximum(v, state.get("max_exp_avg_sq", v))
            state["max_exp_avg_sq"] = v
        t = state["step"].item()
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        theta -= group["lr"] * m_hat / (v_hat.sqrt() + group["eps"])


class AdamW(Adam):
    r"""Adam whose weight decay leaves the gradient alone and shrinks the weight itself.

    .. math:: \theta \leftarrow \theta - \eta \lambda \theta

    first, then Adam's step without :math:`\lambda`. So all weights decay alike; in :class:`Adam`
    those with large gradients decay less.

    Args:
        params: parameters, or dicts with ``params`` and settings of their own.
        lr: as in :class:`Adam`.
        betas: as in :class:`Adam`.
        eps: as in :class:`Adam`.
        weight_decay: :math:`\lambda`, not zero by default.
        amsgrad: as in :class:`Adam`.
        maximize: climb instead.

    Raises:
        ValueError: as :class:`Adam`.

    Example:
        >>> w = torch.tensor([1.0, 100.0], requires_grad=True)
        >>> optimizer = AdamW([w], lr=0.1, weight_decay=0.5)
        >>> (0 * w).sum().backward()  # no gradient, only decay
        >>> optimizer.step()
        >>> w.detach()
        tensor([ 0.9500, 95.0000])

    Reference:
        Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), arXiv:1711.05101,
        algorithm 2; there the decay is not multiplied by the learning rate.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)

    def decay(self, theta, g, group):
        """Shrink the weight and return the gradient as it is."""
        theta -= group["lr"] * group["weight_decay"] * theta
        return g


def _check_not_negative(**settings: float) -> None:
    for name, value in settings.items():
        if not value >= 0:  # so put, NaN is refused too
            raise ValueError(f"{name} must be at least 0, got {value}")


def _next_step(state: dict[str, Any]) -> Float[Tensor, ""]:
    """Count a step, in a tensor on the CPU as torch's state dicts have it."""
    return state.get("step", torch.zeros(())) + 1
