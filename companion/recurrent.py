r"""Recurrent networks: one cell, used again at every time step.

:func:`rnn_cell`, :func:`lstm_cell` and :func:`gru_cell` make the next state of an input and a
state; :class:`RNN`, :class:`LSTM` and :class:`GRU` go through whole sequences with them, with
layers, both directions and sequences of different lengths. All are those of ``torch`` and
``torch.nn`` in names, arguments, values and gradients.
"""

import functools
import math
import numbers
import warnings
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

State = tuple[Tensor, ...]  # (h,) or (h, c)


def _checked_step(function: Callable) -> Callable:
    """Refuse gates and states whose sizes do not fit."""
    gates = {"rnn_step": 1, "lstm_step": 4, "gru_step": 3}[function.__name__]

    @functools.wraps(function)
    def checked(from_x, hx, weight_hh, bias_hh=None, *more):
        parts = hx if function.__name__ == "lstm_step" else (hx,)
        if not isinstance(parts, tuple | list) or len(parts) > 2 or len(parts) != 1 + (gates == 4):
            raise TypeError(f"hx must be a pair (h, c), got {type(hx).__name__}")
        if weight_hh.dim() != 2 or weight_hh.shape[0] != gates * weight_hh.shape[1]:
            raise ValueError(
                f"weight_hh must have the shape ({gates} * hidden, hidden), "
                f"got {tuple(weight_hh.shape)}"
            )
        hidden = weight_hh.shape[1]
        for name, part, size in (
            ("the input's part", from_x, gates * hidden),
            *zip(("h", "c"), parts, (hidden, hidden), strict=False),
        ):
            if not isinstance(part, Tensor):
                raise TypeError(f"{name} must be a tensor, got {type(part).__name__}")
            if part.shape[-1:] != (size,):
                raise ValueError(f"{name} must have {size} numbers, got {tuple(part.shape)}")
            if part.shape[:-1] != from_x.shape[:-1]:
                raise ValueError(
                    f"expected as many states as inputs, got {name} {tuple(part.shape)} "
                    f"for {tuple(from_x.shape)}"
                )
        if bias_hh is not None and bias_hh.shape != (gates * hidden,):
            raise ValueError(
                f"bias_hh must have the shape ({gates * hidden},), got {tuple(bias_hh.shape)}"
            )
        return function(from_x, hx, weight_hh, bias_hh, *more)

    return checked


def _checked_cell(function: Callable) -> Callable:
    """Refuse an input that the weights do not fit."""

    @functools.wraps(function)
    def checked(x, hx, weight_ih, weight_hh, bias_ih=None, bias_hh=None, *more, **named):
        if weight_ih.dim() != 2 or x.shape[-1:] != weight_ih.shape[1:]:
            raise ValueError(
                f"expected inputs of {weight_ih.shape[-1]} features, as the weight "
                f"{tuple(weight_ih.shape)} has, got {tuple(x.shape)}"
            )
        if bias_ih is not None and bias_ih.shape != weight_ih.shape[:1]:
            raise ValueError(
                f"bias_ih must have the shape {tuple(weight_ih.shape[:1])}, "
                f"got {tuple(bias_ih.shape)}"
            )
        return function(x, hx, weight_ih, weight_hh, bias_ih, bias_hh, *more, **named)

    return checked


def _checked_nonlinearity(function: Callable) -> Callable:
    """Refuse a nonlinearity that there is not."""

    @functools.wraps(function)
    def checked(from_x, h, weight_hh, bias_hh=None, nonlinearity="tanh"):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        return function(from_x, h, weight_hh, bias_hh, nonlinearity)

    return checked


@_checked_nonlinearity
@_checked_step
def rnn_step(
    from_x: Float[Tensor, "*batch h"],
    h: Float[Tensor, "*batch h"],
    weight_hh: Float[Tensor, "h h"],
    bias_hh: Float[Tensor, " h"] | None = None,
    nonlinearity: str = "tanh",
) -> Float[Tensor, "*batch h"]:
    r"""Finish one step of an RNN whose input has been multiplied already.

    .. math:: h' = \tanh(\text{from\_x} + W_{hh}\, h + b_{hh})

    The input's part does not need the state, so it can be had for all times in one product.

    Args:
        from_x: :math:`W_{ih}\, x + b_{ih}`.
        h: the state before.
        weight_hh: from state to state.
        bias_hh: a number for each unit.
        nonlinearity: ``"tanh"`` or ``"relu"``.

    Raises:
        ValueError: if sizes do not fit or there is no such nonlinearity.

    Example:
        >>> rnn_step(torch.zeros(2), torch.zeros(2), torch.eye(2), torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.7616])
    """
    z = from_x + F.linear(h, weight_hh, bias_hh)
    return z.tanh() if nonlinearity == "tanh" else z.relu()


@_checked_cell
def rnn_cell(
    x: Float[Tensor, "*batch d"],
    h: Float[Tensor, "*batch h"],
    weight_ih: Float[Tensor, "h d"],
    weight_hh: Float[Tensor, "h h"],
    bias_ih: Float[Tensor, " h"] | None = None,
    bias_hh: Float[Tensor, " h"] | None = None,
    nonlinearity: str = "tanh",
) -> Float[Tensor, "*batch h"]:
    r"""Make the next state of an RNN from an input and the state before.

    .. math:: h' = \tanh(W_{ih}\, x + b_{ih} + W_{hh}\, h + b_{hh})

    Equal to ``torch.rnn_tanh_cell`` and ``torch.rnn_relu_cell``.

    Args:
        x: the input at this time.
        h: the state before.
        weight_ih: from input to state.
        weight_hh: from state to state.
        bias_ih: a number for each unit.
        bias_hh: another one; torch has both.
        nonlinearity: ``"tanh"`` or ``"relu"``.

    Raises:
        ValueError: if sizes do not fit or there is no such nonlinearity.

    Example:
        >>> rnn_cell(torch.ones(1), torch.zeros(2), torch.tensor([[0.0], [1.0]]), torch.eye(2))
        tensor([0.0000, 0.7616])

    Reference:
        Elman, "Finding structure in time" (1990), doi:10.1207/s15516709cog1402_1.
    """
    from_x = F.linear(x, weight_ih, bias_ih)
    return rnn_step(from_x, h, weight_hh, bias_hh, nonlinearity)


@_checked_step
def lstm_step(
    from_x: Float[Tensor, "*batch gates"],
    hx: tuple[Float[Tensor, "*batch h"], Float[Tensor, "*batch h"]],
    weight_hh: Float[Tensor, "gates h"],
    bias_hh: Float[Tensor, " gates"] | None = None,
) -> tuple[Float[Tensor, "*batch h"], Float[Tensor, "*batch h"]]:
    r"""Finish one step of an LSTM whose input has been multiplied already.

    .. math::

        i, f, g, o &= \text{from\_x} + W_{hh}\, h + b_{hh} \\
        c' &= \sigma(f) \odot c + \sigma(i) \odot \tanh(g) \\
        h' &= \sigma(o) \odot \tanh(c')

    Args:
        from_x: :math:`W_{ih}\, x + b_{ih}`, four numbers for each unit: all for the input gate,
            then all for the forget gate, the candidate and the output gate.
        hx: the state (h, c) before.
        weight_hh: from state to gates, in that order.
        bias_hh: a number for each gate of each unit.

    Returns:
        The state (h, c) after.

    Raises:
        TypeError: if ``hx`` is no pair.
        ValueError: if sizes do not fit.

    Example:
        >>> gates = torch.tensor([9.0, 9.0, 1.0, 9.0])  # all three open
        >>> lstm_step(gates, (torch.zeros(1), torch.ones(1)), torch.zeros(4, 1))
        (tensor([0.9425]), tensor([1.7614]))
    """
    h, c = hx
    gates = from_x + F.linear(h, weight_hh, bias_hh)
    i, f, g, o = gates.chunk(4, dim=-1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


@_checked_cell
def lstm_cell(
    x: Float[Tensor, "*batch d"],
    hx: tuple[Float[Tensor, "*batch h"], Float[Tensor, "*batch h"]],
    weight_ih: Float[Tensor, "gates d"],
    weight_hh: Float[Tensor, "gates h"],
    bias_ih: Float[Tensor, " gates"] | None = None,
    bias_hh: Float[Tensor, " gates"] | None = None,
) -> tuple[Float[Tensor, "*batch h"], Float[Tensor, "*batch h"]]:
    r"""Make the next state of an LSTM from an input and the state before.

    The formula is that of :func:`lstm_step`, with :math:`\text{from\_x} = W_{ih}\, x + b_{ih}`.
    Equal to ``torch.lstm_cell``.

    Args:
        x: the input at this time.
        hx: the state (h, c) before.
        weight_ih: from input to gates: input gate, forget gate, candidate, output gate.
        weight_hh: from state to gates.
        bias_ih: a number for each gate of each unit.
        bias_hh: another one; torch has both.

    Returns:
        The state (h, c) after.

    Raises:
        TypeError: if ``hx`` is no pair.
        ValueError: if sizes do not fit.

    Example:
        >>> state = torch.zeros(2), torch.zeros(2)
        >>> h, c = lstm_cell(torch.ones(3), state, torch.ones(8, 3), torch.ones(8, 2))
        >>> c
        tensor([0.9479, 0.9479])

    Reference:
        Hochreiter and Schmidhuber, "Long short-term memory" (1997), doi:10.1162/neco.1997.9.8.1735;
        with the forget gate of Gers, Schmidhuber and Cummins, "Learning to forget" (2000),
        doi:10.1162/089976600300015015.
    """
    return lstm_step(F.linear(x, weight_ih, bias_ih), hx, weight_hh, bias_hh)


@_checked_step
def gru_step(
    from_x: Float[Tensor, "*batch gates"],
    h: Float[Tensor, "*batch h"],
    weight_hh: Float[Tensor, "gates h"],
    bias_hh: Float[Tensor, " gates"] | None = None,
) -> Float[Tensor, "*batch h"]:
    r"""Finish one step of a GRU whose input has been multiplied already.

    .. math::

        r &= \sigma(x_r + h_r), \qquad z = \sigma(x_z + h_z), \qquad n = \tanh(x_n + r \odot h_n) \\
        h' &= (1 - z) \odot n + z \odot h

    where :math:`x_r, x_z, x_n` are the thirds of ``from_x`` and :math:`h_r, h_z, h_n` those of
    :math:`W_{hh}\, h + b_{hh}`. As in torch the reset gate r stands behind the product; in the
    paper it stands before it.

    Args:
        from_x: :math:`W_{ih}\, x + b_{ih}`: reset gate, update gate, candidate.
        h: the state before.
        weight_hh: from state to gates, in that order.
        bias_hh: a number for each gate of each unit.

    Raises:
        ValueError: if sizes do not fit.

    Example:
        >>> keep = torch.tensor([0.0, 9.0, 0.0])  # the update gate keeps the state
        >>> gru_step(keep, torch.ones(1), torch.zeros(3, 1))
        tensor([0.9999])
    """
    x_r, x_z, x_n = from_x.chunk(3, dim=-1)
    h_r, h_z, h_n = F.linear(h, weight_hh, bias_hh).chunk(3, dim=-1)
    r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
    n = (x_n + r * h_n).tanh()
    return (1 - z) * n + z * h


@_checked_cell
def gru_cell(
    x: Float[Tensor, "*batch d"],
    h: Float[Tensor, "*batch h"],
    weight_ih: Float[Tensor, "gates d"],
    weight_hh: Float[Tensor, "gates h"],
    bias_ih: Float[Tensor, " gates"] | None = None,
    bias_hh: Float[Tensor, " gates"] | None = None,
) -> Float[Tensor, "*batch h"]:
    r"""Make the next state of a GRU from an input and the state before.

    The formula is that of :func:`gru_step`, with :math:`\text{from\_x} = W_{ih}\, x + b_{ih}`.
    Equal to ``torch.gru_cell``.

    Args:
        x: the input at this time.
        h: the state before.
        weight_ih: from input to gates: reset gate, update gate, candidate.
        weight_hh: from state to gates.
        bias_ih: a number for each gate of each unit.
        bias_hh: another one; torch has both.

    Raises:
        ValueError: if sizes do not fit.

    Example:
        >>> gru_cell(torch.ones(2), torch.zeros(1), torch.ones(3, 2), torch.ones(3, 1))
        tensor([0.1149])

    Reference:
        Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical
        machine translation" (2014), arXiv:1406.1078.
    """
    return gru_step(F.linear(x, weight_ih, bias_ih), h, weight_hh, bias_hh)


def _checked_sizes(init: Callable) -> Callable:
    """Refuse sizes that are none."""

    @functools.wraps(init)
    def checked(self, input_size, hidden_size, num_layers=1, *args, **named):
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
        for name, value in sizes.items():
            if not isinstance(value, numbers.Integral) or isinstance(value, bool):
                raise TypeError(f"{name} must be a whole number, got {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        init(self, input_size, hidden_size, num_layers, *args, **named)
        if not 0 <= self.dropout <= 1:
            raise ValueError(f"dropout must be from 0 to 1, got {self.dropout}")
        if self.dropout and num_layers == 1:
            own = type(self).__init__ is not _Recurrent.__init__  # one call more to the caller
            message = "dropout acts between layers, and there is one layer only"
            warnings.warn(message, stacklevel=2 + own)

    return checked


def _checked_sequences(forward: Callable) -> Callable:
    """Bring inputs to the shape (t, b, d); refuse sizes, states and lengths that do not fit."""

    @functools.wraps(forward)
    def checked(self, input, hx=None, lengths=None):
        if isinstance(input, PackedSequence):
            return _through_padding(self, checked, input, hx, lengths)
        if input.dim() not in (2, 3) or input.shape[-1] != self.input_size:
            shape = "(b, t, d)" if self.batch_first else "(t, b, d)"
            raise ValueError(
                f"expected sequences {shape}, or one sequence (t, d), with {self.input_size} "
                f"features, got {tuple(input.shape)}"
            )
        single = input.dim() == 2
        x = input[:, None] if single else input.transpose(0, 1) if self.batch_first else input
        if len(x) == 0:
            raise ValueError(f"expected at least one time step, got {tuple(input.shape)}")
        state = _states(self, hx, x, single)
        alive = None if lengths is None else _alive(lengths, x)
        x = x if alive is None else x.masked_fill(~alive, 0)
        out, state = forward(self, x, state, alive)
        if single:
            out, state = out[:, 0], tuple(part[:, 0] for part in state)
        elif self.batch_first:
            out = out.transpose(0, 1)
        return out, state if self.kinds == 2 else state[0]

    return checked


def _states(self: "_Recurrent", hx: object, x: Tensor, single: bool) -> State:
    """Return the first states of all layers, zeros where none are given."""
    shape = (self.num_layers * self.directions, x.shape[1], self.hidden_size)
    if hx is None:
        return (x.new_zeros(shape),) * self.kinds
    parts = hx if self.kinds == 2 else (hx,)
    if not isinstance(parts, tuple | list) or len(parts) != self.kinds:
        raise TypeError(f"hx must be a pair (h_0, c_0), got {type(hx).__name__}")
    want = (shape[0], shape[2]) if single else shape
    for name, part in zip(("h_0", "c_0"), parts, strict=False):
        if not isinstance(part, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(part).__name__}")
        if part.shape != want:
            raise ValueError(f"{name} must have the shape {want}, got {tuple(part.shape)}")
    return tuple(part[:, None] if single else part for part in parts)


def _alive(lengths: Tensor | Sequence[int], x: Tensor) -> Tensor:
    """Return for each time and sequence whether it is still going on, with an axis for features."""
    lengths = torch.as_tensor(lengths, dtype=None if len(lengths) else torch.int64)
    if lengths.shape != x.shape[1:2]:
        raise ValueError(
            f"expected a length for each of {x.shape[1]} sequences, got {tuple(lengths.shape)}"
        )
    if lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise TypeError(f"lengths must be whole numbers, got {lengths.dtype}")
    if len(lengths) and (lengths.min() < 1 or lengths.max() > len(x)):
        raise ValueError(
            f"lengths must be from 1 to {len(x)}, got {lengths.min()} to {lengths.max()}"
        )
    times = torch.arange(len(x), device=x.device)
    return (times[:, None] < lengths.to(x.device))[..., None]


def _through_padding(self: "_Recurrent", forward: Callable, packed: PackedSequence, hx, lengths):
    """Unpack, go through the sequences, and pack the outputs in the same order."""
    if lengths is not None:
        raise ValueError("a packed sequence knows its lengths: give no others")
    padded, lengths = pad_packed_sequence(packed, batch_first=self.batch_first)
    out, state = forward(self, padded, hx, lengths)
    order = packed.sorted_indices
    if order is not None:
        out = out.index_select(0 if self.batch_first else 1, order)
        lengths = lengths[order.to(lengths.device)]
    again = pack_padded_sequence(out, lengths, batch_first=self.batch_first)
    rest = packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices
    return PackedSequence(again.data, *rest), state


class _Recurrent(nn.Module):
    """What :class:`RNN`, :class:`LSTM` and :class:`GRU` have in common."""

    gates, kinds = 1, 1  # rows of a weight for each unit; tensors in a state

    @_checked_sizes
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.directions = bidirectional, 1 + bidirectional
        rows = self.gates * hidden_size
        for layer in range(num_layers):
            columns = self.directions * hidden_size if layer else input_size
            for end in ("", "_reverse")[: self.directions]:
                shapes = {"weight_ih": (rows, columns), "weight_hh": (rows, hidden_size)}
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
                for name, shape in shapes.items():
                    weight = nn.Parameter(torch.empty(shape))
                    self.register_parameter(f"{name}_l{layer}{end}", weight)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        r"""Draw all weights and biases from :math:`\pm 1 / \sqrt{\text{hidden size}}`, as torch."""
        edge = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            nn.init.uniform_(weight, -edge, edge)

    def step(
        self, from_x: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor | None
    ) -> State:
        """Return the next state; its first part is the output."""
        raise NotImplementedError

    def one_way(
        self, x: Float[Tensor, "t b d"], state: State, name: str, alive: Tensor | None
    ) -> tuple[Float[Tensor, "t b h"], State]:
        """Go through all times in one direction, with the weights of that name."""
        w_ih, w_hh = getattr(self, f"weight_ih_{name}"), getattr(self, f"weight_hh_{name}")
        b_ih, b_hh = (getattr(self, f"bias_{k}_{name}", None) for k in ("ih", "hh"))
        from_x = F.linear(x, w_ih, b_ih).unbind()  # all times in one product
        times, outputs = range(len(x)), []
        for t in reversed(times) if name.endswith("_reverse") else times:
            new = self.step(from_x[t], state, w_hh, b_hh)
            if alive is not None:  # a sequence that is over, or not begun, keeps its state
                new = tuple(torch.where(alive[t], *pair) for pair in zip(new, state, strict=True))
            state = new
            outputs.append(state[0])
        out = torch.stack(outputs[::-1] if name.endswith("_reverse") else outputs)
        return out if alive is None else out.masked_fill(~alive, 0), state

    @_checked_sequences
    def forward(
        self, x: Float[Tensor, "t b d"], state: State, alive: Tensor | None
    ) -> tuple[Float[Tensor, "t b out"], State]:
        """Go through all layers and directions."""
        last: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
            outs = []
            for end in ("", "_reverse")[: self.directions]:
                first = tuple(part[len(last)] for part in state)
                out, final = self.one_way(x, first, f"l{layer}{end}", alive)
                outs.append(out)
                last.append(final)
            x = torch.cat(outs, dim=-1)
        return x, tuple(map(torch.stack, zip(*last, strict=True)))

    def extra_repr(self) -> str:
        """Name the sizes."""
        more = f", num_layers={self.num_layers}" if self.num_layers > 1 else ""
        more += ", bidirectional=True" if self.bidirectional else ""
        return f"{self.input_size}, {self.hidden_size}{more}"


class RNN(_Recurrent):
    """Go through sequences with :func:`rnn_cell`; equal to ``torch.nn.RNN``.

    Called as ``out, h_n = rnn(input, h_0)``. ``out`` is the last layer's state at all times, of the
    shape (t, b, D * hidden), where D is 2 with both directions and else 1; ``h_n`` is every layer's
    state after its last step, (num_layers * D, b, hidden). The step after which a direction ends is
    the last one of each sequence forward, and the first one backward.

    Besides a ``PackedSequence`` it takes ``lengths``: how many steps of each sequence are real, in
    any order. Outputs at the others are 0, and they change nothing.

    Args:
        input_size: features of the input.
        hidden_size: numbers in a state.
        num_layers: each takes the outputs of the one before as its input.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        bias: False to leave both biases out.
        batch_first: True for inputs and outputs (b, t, features); states keep their shape.
        dropout: the probability to drop an output of any layer but the last, in training.
        bidirectional: True for a second RNN in each layer that goes from the end to the start.

    Raises:
        TypeError: if a size is no whole number, or lengths are not.
        ValueError: if a size is less than 1, dropout not from 0 to 1, or, when called, inputs,
            states or lengths do not fit: a length must be from 1 to t.

    Example:
        >>> rnn = RNN(input_size=3, hidden_size=5, num_layers=2)
        >>> out, h_n = rnn(torch.zeros(7, 4, 3))
        >>> out.shape, h_n.shape
        (torch.Size([7, 4, 5]), torch.Size([2, 4, 5]))
        >>> bool((out[-1] == h_n[-1]).all())
        True
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        )
        self.nonlinearity = nonlinearity

    def step(
        self, from_x: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor | None
    ) -> State:
        """Return the next state."""
        return (rnn_step(from_x, *state, weight_hh, bias_hh, self.nonlinearity),)


class LSTM(_Recurrent):
    """Go through sequences with :func:`lstm_cell`; equal to ``torch.nn.LSTM``.

    As :class:`RNN`, but the state is a pair: ``out, (h_n, c_n) = lstm(input, (h_0, c_0))``.
    torch's ``proj_size`` is left out.

    Args:
        input_size: features of the input.
        hidden_size: numbers in h and in c.
        num_layers: each takes the outputs of the one before as its input.
        bias: False to leave both biases out.
        batch_first: True for inputs and outputs (b, t, features); states keep their shape.
        dropout: the probability to drop an output of any layer but the last, in training.
        bidirectional: True for a second LSTM in each layer that goes from the end to the start.

    Raises:
        TypeError: if a size is no whole number, or ``hx`` no pair.
        ValueError: as for :class:`RNN`.

    Example:
        >>> lstm = LSTM(input_size=3, hidden_size=5, batch_first=True)
        >>> out, (h_n, c_n) = lstm(torch.zeros(4, 7, 3), lengths=[7, 2, 5, 1])
        >>> out.shape, c_n.shape
        (torch.Size([4, 7, 5]), torch.Size([1, 4, 5]))
    """

    gates, kinds = 4, 2

    def step(
        self, from_x: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor | None
    ) -> State:
        """Return the next state."""
        return lstm_step(from_x, state, weight_hh, bias_hh)


class GRU(_Recurrent):
    """Go through sequences with :func:`gru_cell`; equal to ``torch.nn.GRU``.

    As :class:`RNN` in all else.

    Args:
        input_size: features of the input.
        hidden_size: numbers in a state.
        num_layers: each takes the outputs of the one before as its input.
        bias: False to leave both biases out.
        batch_first: True for inputs and outputs (b, t, features); states keep their shape.
        dropout: the probability to drop an output of any layer but the last, in training.
        bidirectional: True for a second GRU in each layer that goes from the end to the start.

    Raises:
        TypeError: if a size is no whole number.
        ValueError: as for :class:`RNN`.

    Example:
        >>> out, h_n = GRU(3, 5, bidirectional=True)(torch.zeros(7, 4, 3))
        >>> out.shape, h_n.shape
        (torch.Size([7, 4, 10]), torch.Size([2, 4, 5]))
    """

    gates = 3

    def step(
        self, from_x: Tensor, state: State, weight_hh: Tensor, bias_hh: Tensor | None
    ) -> State:
        """Return the next state."""
        return (gru_step(from_x, *state, weight_hh, bias_hh),)
