import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion.optim import SGD
from companion.regularization import Dropout, dropout, early_stop, l2_penalty, random_shift


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(7,), (5, 4), (2, 3, 4, 4), (0, 3)])
@pytest.mark.parametrize("training", [True, False])
def test_dropout_equals_torch_in_value_and_gradient(p, shape, training):
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    x_t = x.detach().clone().requires_grad_()
    torch.manual_seed(1)
    ours = dropout(x, p, training)
    torch.manual_seed(1)
    theirs = F.dropout(x_t, p, training)
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn(shape, dtype=torch.float64)
    (ours * weight).sum().backward()
    (theirs * weight).sum().backward()
    torch.testing.assert_close(x.grad, x_t.grad)


def test_dropout_drops_the_share_p_and_keeps_the_mean():
    x = torch.ones(200_000)
    y = dropout(x, 0.3)
    assert (y == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert y.mean().item() == pytest.approx(1.0, abs=0.01)


def test_the_layer_follows_train_and_eval():
    net = nn.Sequential(Dropout(0.5))
    x = torch.ones(1000)
    assert (net(x) == 0).any()
    net.eval()
    assert torch.equal(net(x), x)
    assert repr(net[0]) == "Dropout(p=0.5)"


@pytest.mark.parametrize("weight_decay", [0.0, 0.01, 0.5])
def test_the_penalty_does_what_sgd_calls_weight_decay(weight_decay):
    start = torch.randn(6, dtype=torch.float64)
    a, b = start.clone().requires_grad_(), start.clone().requires_grad_()
    by_rule = SGD([a], lr=0.1, weight_decay=weight_decay)
    by_loss = SGD([b], lr=0.1)
    for _ in range(5):
        by_rule.zero_grad()
        a.sin().sum().backward()
        by_rule.step()
        by_loss.zero_grad()
        (b.sin().sum() + l2_penalty([b], weight_decay)).backward()
        by_loss.step()
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize("most", [0, 1, 2])
def test_shifted_images_are_windows_of_the_padded_ones(most):
    images = torch.rand(40, 2, 5, 6)
    moved = random_shift(images, most, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    padded = F.pad(images, (most,) * 4)
    seen = set()
    for image, new in zip(padded, moved, strict=True):
        found = [
            (i, j)
            for i in range(2 * most + 1)
            for j in range(2 * most + 1)
            if torch.equal(image[:, i : i + 5, j : j + 6], new)
        ]
        assert len(found) == 1
        seen |= set(found)
    assert len(seen) > (2 * most + 1) ** 2 // 2  # not the same move for all


def test_shifts_are_repeatable():
    images = torch.rand(8, 1, 4, 4)
    first = random_shift(images, 1, torch.Generator().manual_seed(3))
    assert torch.equal(first, random_shift(images, 1, torch.Generator().manual_seed(3)))
    assert not torch.equal(first, random_shift(images, 1, torch.Generator().manual_seed(4)))


@pytest.mark.parametrize(
    ("losses", "patience", "expected"),
    [
        ([3.0, 2.0, 1.0], 1, (2, 2)),
        ([3.0, 2.0, 2.5, 2.4, 1.0], 2, (1, 3)),
        ([3.0, 2.0, 2.5, 2.4, 1.0], 3, (4, 4)),
        ([1.0, 1.0, 1.0], 2, (0, 2)),  # a tie is no improvement
        ([1.0, float("nan"), 0.5], 5, (2, 2)),
        ([float("nan"), 0.5, 0.6, 0.7, 0.1], 2, (1, 3)),  # NaN is no minimum
        ([float("nan")] * 5, 2, (0, 2)),
        ([3.0, 2.0, 2.5, 2.4, 1.0], 1.5, (1, 3)),
        ([7.0], 1, (0, 0)),
    ],
)
def test_early_stop_keeps_the_best_epoch_it_has_seen(losses, patience, expected):
    assert early_stop(losses, patience) == expected


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: dropout(torch.ones(2), p=1.5), ValueError, r"p must be in \[0, 1\], got 1.5"),
        (lambda: Dropout(-0.1), ValueError, r"p must be in \[0, 1\], got -0.1"),
        (lambda: dropout(torch.ones(2).long()), TypeError, "floating-point tensor as input, got"),
        (lambda: l2_penalty([], 0.1), ValueError, "at least one tensor, got none"),
        (lambda: l2_penalty([torch.ones(1)], -1.0), ValueError, "at least 0, got -1.0"),
        (lambda: l2_penalty([torch.ones(1)], float("nan")), ValueError, "at least 0, got nan"),
        (lambda: random_shift(torch.ones(2, 3, 4)), ValueError, r"got \(2, 3, 4\)"),
        (lambda: random_shift(torch.ones(1, 1, 2, 2), -1), ValueError, "not be negative, got -1"),
        (lambda: early_stop([], 3), ValueError, "at least one value, got none"),
        (lambda: early_stop([1.0], 0), ValueError, "patience must be at least 1, got 0"),
        (
            lambda: early_stop([1.0], float("nan")),
            ValueError,
            "patience must be at least 1, got nan",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
