import functools
import itertools
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from companion import recurrent
from companion.recurrent import (
    GRU,
    LSTM,
    RNN,
    gru_cell,
    gru_step,
    lstm_cell,
    lstm_step,
    rnn_cell,
    rnn_step,
)

KINDS = "RNN", "LSTM", "GRU"


def both(kind, *sizes, dtype=torch.float64, **settings):
    """Torch's module and ours, with the same weights."""
    theirs = getattr(nn, kind)(*sizes, dtype=dtype, **settings)
    ours = getattr(recurrent, kind)(*sizes, **settings).to(dtype)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def draw_state(kind, shape, dtype=torch.float64):
    state = tuple(torch.randn(shape, dtype=dtype) for _ in range(1 + (kind == "LSTM")))
    return state if kind == "LSTM" else state[0]


def results(module, x, hx=None, **more):
    """All outputs, and the gradients of a sum of them with random weights."""
    x = x.detach().clone().requires_grad_()
    leaves = (
        [part.detach().clone().requires_grad_() for part in parts(hx)] if hx is not None else []
    )
    hx = (tuple(leaves) if len(leaves) == 2 else leaves[0]) if leaves else None
    out, state = module(x, hx, **more)
    values = [out, *parts(state)]
    torch.manual_seed(7)
    total = sum((value * torch.randn_like(value)).sum() for value in values)
    module.zero_grad()
    total.backward()
    weights = [p.grad for _, p in sorted(module.named_parameters())]
    return values, [x.grad, *(leaf.grad for leaf in leaves), *weights]


@pytest.mark.parametrize("kind", KINDS)
@given(
    sizes=st.tuples(*(st.integers(1, 5) for _ in range(4)), st.integers(1, 3)),
    bias=st.booleans(),
    batch_first=st.booleans(),
    bidirectional=st.booleans(),
    with_state=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_values_and_gradients_are_torchs(kind, sizes, bias, batch_first, bidirectional, with_state):
    t, b, d, h, layers = sizes
    more = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}
    theirs, ours = both(kind, d, h, layers, **more)
    x = torch.randn(*((b, t) if batch_first else (t, b)), d, dtype=torch.float64)
    hx = draw_state(kind, (layers * (1 + bidirectional), b, h)) if with_state else None
    for one, other in zip(results(ours, x, hx), results(theirs, x, hx), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_is_equal_within_a_millionth(kind):
    theirs, ours = both(kind, 8, 16, 2, dtype=torch.float32)
    x = torch.randn(30, 5, 8)
    for one, other in zip(ours(x)[0], theirs(x)[0], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    (_, mine), (_, torchs) = results(ours, x), results(theirs, x)
    for one, other in zip(mine, torchs, strict=True):
        scale = other.abs().max().item()
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6 * max(scale, 1))


def test_relu_is_torchs():
    theirs, ours = both("RNN", 3, 4, 2, nonlinearity="relu")
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(results(ours, x), results(theirs, x))
    assert ours(x)[0].min() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_weights_have_torchs_names_and_order(kind):
    for bias, bidirectional in itertools.product((True, False), repeat=2):
        more = {"num_layers": 2, "bias": bias, "bidirectional": bidirectional}
        theirs, ours = getattr(nn, kind)(3, 4, **more), getattr(recurrent, kind)(3, 4, **more)
        shapes = [(k, v.shape) for k, v in theirs.state_dict().items()]
        assert [(k, v.shape) for k, v in ours.state_dict().items()] == shapes
        theirs.load_state_dict(ours.state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_first_weights_are_drawn_as_torchs(kind):
    torch.manual_seed(3)
    theirs = getattr(nn, kind)(3, 25, 2)
    torch.manual_seed(3)
    ours = getattr(recurrent, kind)(3, 25, 2)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    ("lengths", "sort"), [([5, 3, 1], True), ([2, 5, 4], False), ([5, 5, 5], True)]
)
def test_packed_sequences_are_torchs(kind, bidirectional, lengths, sort):
    theirs, ours = both(kind, 3, 4, 2, bidirectional=bidirectional)
    x = torch.randn(5, 3, 3, dtype=torch.float64)
    hx = draw_state(kind, (2 * (1 + bidirectional), 3, 4))
    found = []
    for module in (ours, theirs):
        leaf = x.clone().requires_grad_()
        packed = pack_padded_sequence(leaf, lengths, enforce_sorted=sort)
        out, state = module(packed, hx)
        (out.data.square().sum() + sum(part.sin().sum() for part in parts(state))).backward()
        weights = {name: p.grad for name, p in module.named_parameters()}
        found.append((out, state, leaf.grad, weights))
    (out, *mine), (expected, *torchs) = found
    torch.testing.assert_close(mine, torchs)
    torch.testing.assert_close(out.data, expected.data)
    assert out.batch_sizes.equal(expected.batch_sizes)
    if not sort:
        assert out.sorted_indices.equal(expected.sorted_indices)
        assert out.unsorted_indices.equal(expected.unsorted_indices)
    torch.testing.assert_close(pad_packed_sequence(out), pad_packed_sequence(expected))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [[2, 6, 1, 4], torch.tensor([6, 6, 5, 1])])
def test_lengths_give_what_packing_gives(kind, batch_first, lengths):
    theirs, ours = both(kind, 3, 4, 2, bidirectional=True, batch_first=batch_first)
    x = torch.randn(*((4, 6) if batch_first else (6, 4)), 3, dtype=torch.float64)
    hx = draw_state(kind, (4, 4, 4))
    pack = functools.partial(pack_padded_sequence, batch_first=batch_first, enforce_sorted=False)
    out, state = theirs(pack(x, lengths), hx)
    out, _ = pad_packed_sequence(out, batch_first=batch_first, total_length=6)
    torch.testing.assert_close(ours(x, hx, lengths=lengths), (out, state))


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_at_padding_changes_nothing(kind):
    torch.manual_seed(0)
    ours = getattr(recurrent, kind)(3, 4, bidirectional=True)
    x, lengths = torch.randn(5, 2, 3), [2, 5]
    wild = x.clone()
    wild[2:, 0] = torch.nan
    for one, other in zip(
        results(ours, wild, lengths=lengths), results(ours, x, lengths=lengths), strict=True
    ):
        torch.testing.assert_close(one, other)
    assert (ours(wild, lengths=lengths)[0][2:, 0] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_one_sequence_without_a_batch(kind):
    for batch_first in (False, True):
        theirs, ours = both(kind, 3, 4, 2, bidirectional=True, batch_first=batch_first)
        x = torch.randn(5, 3, dtype=torch.float64)
        torch.testing.assert_close(ours(x), theirs(x))
        hx = draw_state(kind, (4, 4))
        torch.testing.assert_close(ours(x, hx), theirs(x, hx))


@pytest.mark.parametrize("kind", KINDS)
def test_packed_with_the_batch_first_is_torchs(kind):
    theirs, ours = both(kind, 3, 4, 2, batch_first=True)
    x, found = torch.randn(3, 5, 3, dtype=torch.float64), []
    for module in (ours, theirs):
        leaf = x.clone().requires_grad_()
        packed = pack_padded_sequence(leaf, [2, 5, 4], batch_first=True, enforce_sorted=False)
        out, state = module(packed)
        out = pad_packed_sequence(out, batch_first=True)[0]
        (out.sin().sum() + sum(part.cos().sum() for part in parts(state))).backward()
        found.append(
            (out, state, leaf.grad, [p.grad for _, p in sorted(module.named_parameters())])
        )
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_dropout_draws_torchs_mask(kind, batch_first):
    more = {"dropout": 0.5, "bidirectional": True, "batch_first": batch_first}
    found, x = [], torch.randn(5, 2, 3, dtype=torch.float64)
    for module in both(kind, 3, 4, 3, **more):
        torch.manual_seed(7)
        found.append(module.train()(x))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_acts_between_layers_in_training_alone(kind):
    theirs, ours = both(kind, 3, 4, 2, dropout=0.5)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))
    assert not ours.train()(x)[0].equal(ours(x)[0])
    ours.dropout = theirs.dropout = 1.0  # the second layer sees nothing
    torch.testing.assert_close(ours(x), theirs.train()(x))
    with pytest.warns(UserWarning, match="between layers"):
        getattr(recurrent, kind)(3, 4, 1, dropout=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        getattr(recurrent, kind)(3, 4, 2, dropout=0.5)


@pytest.mark.nocheck
@pytest.mark.parametrize("kind", KINDS)
def test_the_warning_names_the_callers_line(kind):
    with pytest.warns(UserWarning, match="between layers") as caught:
        getattr(recurrent, kind)(3, 4, 1, dropout=0.5)
    assert caught[0].filename == __file__


CELLS = (
    (functools.partial(rnn_cell), torch.rnn_tanh_cell, 1),
    (functools.partial(rnn_cell, nonlinearity="relu"), torch.rnn_relu_cell, 1),
    (gru_cell, torch.gru_cell, 3),
    (lstm_cell, torch.lstm_cell, 4),
)


@pytest.mark.parametrize(("ours", "theirs", "gates"), CELLS)
@pytest.mark.parametrize("bias", [False, True])
def test_cells_are_torchs(ours, theirs, gates, bias):
    def leaf(*shape):
        return torch.randn(shape, dtype=torch.float64, requires_grad=True)

    h = leaf(2, 4)
    hx = (h, leaf(2, 4)) if gates == 4 else h
    weights = leaf(4 * gates, 3), leaf(4 * gates, 4)
    x, biases = leaf(2, 3), (leaf(4 * gates), leaf(4 * gates)) if bias else (None, None)
    one, other = (parts(f(x, hx, *weights, *biases)) for f in (ours, theirs))
    torch.testing.assert_close(one, other)
    leaves = [x, *parts(hx), *weights, *(biases if bias else ())]
    grads = (torch.autograd.grad(sum(p.square().sum() for p in ps), leaves) for ps in (one, other))
    torch.testing.assert_close(*grads)


def test_cells_take_any_batch():
    x, h, c = torch.randn(2, 3, 5), torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    for cell, hx, gates in ((rnn_cell, h, 1), (lstm_cell, (h, c), 4), (gru_cell, h, 3)):
        weights = torch.randn(4 * gates, 5), torch.randn(4 * gates, 4)
        whole = parts(cell(x, hx, *weights))
        first = tuple(part[1, 2] for part in parts(hx))
        one = parts(cell(x[1, 2], first if gates == 4 else first[0], *weights))
        for a, b in zip(whole, one, strict=True):
            torch.testing.assert_close(a[1, 2], b)


def call(kind=LSTM, sizes=(3, 4), x=(5, 2, 3), hx=None, lengths=None, **settings):
    return kind(*sizes, **settings)(torch.zeros(x), hx, lengths)


z = torch.zeros
BAD = [
    (lambda: RNN(0, 4), ValueError, "input_size must be at least 1, got 0"),
    (lambda: LSTM(3, -1), ValueError, "hidden_size must be at least 1, got -1"),
    (lambda: GRU(3, 4, 0), ValueError, "num_layers must be at least 1, got 0"),
    (lambda: GRU(3, 4.0), TypeError, "hidden_size must be a whole number, got 4.0"),
    (lambda: LSTM(3, 4, True), TypeError, "num_layers must be a whole number, got True"),
    (lambda: LSTM(3, 4, 2, dropout=1.5), ValueError, "dropout must be from 0 to 1, got 1.5"),
    (lambda: RNN(3, 4, nonlinearity="sin"), ValueError, "nonlinearity must be 'tanh' or 'relu'"),
    (lambda: call(x=(5, 2, 4)), ValueError, "with 3 features, got .5, 2, 4."),
    (lambda: call(x=(3,)), ValueError, "expected sequences .t, b, d."),
    (lambda: call(x=(2, 5, 4), batch_first=True), ValueError, "expected sequences .b, t, d."),
    (lambda: call(x=(0, 2, 3)), ValueError, "at least one time step, got .0, 2, 3."),
    (lambda: call(hx=z(1, 2, 4)), TypeError, "hx must be a pair .h_0, c_0., got Tensor"),
    (
        lambda: call(hx=(z(1, 2, 4), z(2, 2, 4))),
        ValueError,
        r"c_0 must have the shape \(1, 2, 4\), got \(2, 2, 4\)",
    ),
    (lambda: call(GRU, hx=z(2, 4)), ValueError, r"h_0 must have the shape \(1, 2, 4\), got"),
    (lambda: call(RNN, x=(5, 3), hx=z(1, 5)), ValueError, r"shape \(1, 4\), got \(1, 5\)"),
    (lambda: call(lengths=[5, 0]), ValueError, "lengths must be from 1 to 5, got 0 to 5"),
    (lambda: call(lengths=[6, 1]), ValueError, "lengths must be from 1 to 5, got 1 to 6"),
    (lambda: call(lengths=[5]), ValueError, "a length for each of 2 sequences"),
    (lambda: call(lengths=[5.0, 1.0]), TypeError, "lengths must be whole numbers"),
    (
        lambda: LSTM(3, 4)(pack_padded_sequence(z(5, 2, 3), [5, 1]), None, [5, 1]),
        ValueError,
        "knows its lengths",
    ),
    (lambda: rnn_cell(z(3), z(4), z(4, 2), z(4, 4)), ValueError, "inputs of 2 features"),
    (lambda: rnn_step(z(4), z(4), z(4, 3)), ValueError, "weight_hh must have the shape"),
    (lambda: rnn_step(z(4), z(3), z(4, 4)), ValueError, r"h must have 4 numbers, got \(3,\)"),
    (lambda: gru_step(z(4), z(4), z(12, 4)), ValueError, "input's part must have 12 numbers"),
    (lambda: lstm_step(z(16), z(4), z(16, 4)), TypeError, "hx must be a pair .h, c., got Tensor"),
    (
        lambda: lstm_step(z(16), (z(4), z(5)), z(16, 4)),
        ValueError,
        r"c must have 4 numbers, got \(5,\)",
    ),
    (lambda: lstm_step(z(16), (z(4), z(4)), z(12, 4)), ValueError, r"\(4 \* hidden, hidden\)"),
    (lambda: gru_step(z(12), z(4), z(12, 4), z(4)), ValueError, r"bias_hh .* \(12,\), got \(4,\)"),
    (lambda: call(RNN, hx=(z(1, 2, 4),)), TypeError, "h_0 must be a tensor, got tuple"),
    (lambda: call(RNN, x=(5, 3), hx=z(1, 1, 4)), ValueError, r"shape \(1, 4\), got \(1, 1, 4\)"),
    (lambda: call(lengths=[]), ValueError, r"a length for each of 2 sequences, got \(0,\)"),
    (lambda: rnn_step(z(4), (z(4),), z(4, 4)), TypeError, "h must be a tensor, got tuple"),
    (
        lambda: rnn_cell(z(5, 3), z(1, 4), z(4, 3), z(4, 4)),
        ValueError,
        r"as many states as inputs, got h \(1, 4\) for \(5, 4\)",
    ),
    (
        lambda: rnn_cell(z(3), z(4), z(4, 3), z(4, 4), z(1)),
        ValueError,
        r"bias_ih must have the shape \(4,\), got \(1,\)",
    ),
    (
        lambda: rnn_step(z(4), z(4), z(4, 4), None, "sin"),
        ValueError,
        "nonlinearity must be 'tanh' or 'relu', got 'sin'",
    ),
]


@pytest.mark.nocheck
@pytest.mark.parametrize("number", range(len(BAD)))
def test_bad_input_is_refused(number):
    wrong, error, message = BAD[number]
    with pytest.raises(error, match=message):
        wrong()
