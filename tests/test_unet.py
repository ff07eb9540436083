import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.unet import (
    WAYS_UP,
    DoubleConv,
    UNet,
    confusion_matrix,
    conv_transpose2d,
    crop,
    dice_loss,
    iou,
    make_up,
    mean_iou,
    scenes,
)


def count(module):
    return sum(p.numel() for p in module.parameters())


@settings(deadline=None, max_examples=150)
@given(
    st.tuples(*[st.integers(1, 3)] * 3),
    st.tuples(*[st.integers(1, 5)] * 2),
    st.tuples(*[st.integers(1, 4)] * 2),
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(0, 3),
    st.booleans(),
)
def test_conv_transpose2d_is_torchs(channels, size, kernel, stride, padding, more, with_bias):
    n, c_in, c_out = channels
    more = min(more, stride - 1)
    generator = torch.Generator().manual_seed(0)
    double = {"generator": generator, "dtype": torch.float64}
    x = torch.randn(n, c_in, *size, **double, requires_grad=True)
    weight = torch.randn(c_in, c_out, *kernel, **double, requires_grad=True)
    bias = torch.randn(c_out, **double, requires_grad=True) if with_bias else None
    leaves = [x, weight] + [bias] * with_bias
    out = [(a - 1) * stride - 2 * padding + k + more for a, k in zip(size, kernel, strict=True)]
    if min(out) < 1:
        with pytest.raises(ValueError, match="nothing is left"):
            conv_transpose2d(x, weight, bias, stride, padding, more)
        return
    mine = conv_transpose2d(x, weight, bias, stride, padding, more)
    torchs = F.conv_transpose2d(x, weight, bias, stride, padding, more)
    assert list(mine.shape[2:]) == out
    torch.testing.assert_close(mine, torchs)
    delta = torch.randn_like(mine)
    torch.testing.assert_close(
        torch.autograd.grad(mine, leaves, delta), torch.autograd.grad(torchs, leaves, delta)
    )


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_conv_transpose2d_takes_pairs_and_any_batch(batch):
    generator = torch.Generator().manual_seed(8)
    x = torch.randn(*batch, 3, 4, 5, generator=generator, dtype=torch.float64)
    weight = torch.randn(3, 2, 2, 5, generator=generator, dtype=torch.float64)
    sizes = (3, 2), (0, 1), (2, 1)
    mine = conv_transpose2d(x, weight, None, *sizes)
    flat = F.conv_transpose2d(x.reshape(-1, 3, 4, 5), weight, None, *sizes)
    torch.testing.assert_close(mine, flat.reshape(*batch, *flat.shape[1:]))
    turned = x.transpose(-1, -2).contiguous().transpose(-1, -2)  # not contiguous
    torch.testing.assert_close(conv_transpose2d(turned, weight, None, *sizes), mine)
    shape = conv_transpose2d(x.to("meta"), weight.to("meta"), None, *sizes).shape
    assert shape == mine.shape


@pytest.mark.nocheck  # the annotation says int
def test_conv_transpose2d_takes_numpys_whole_numbers():
    x, w = torch.randn(1, 2, 4, 4), torch.randn(2, 3, 3, 3)
    assert conv_transpose2d(x, w, stride=np.int64(2)).equal(conv_transpose2d(x, w, stride=2))


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (3, 2)])
def test_it_is_the_gradient_of_a_convolution(stride, padding):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 3, 11, 12, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 3, 3, 4, generator=generator, dtype=torch.float64)
    y = F.conv2d(x, weight, stride=stride, padding=padding)
    delta = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    (expected,) = torch.autograd.grad(y, x, delta)
    rest = (11 + 2 * padding - 3) % stride  # along both directions
    mine = conv_transpose2d(delta, weight, None, stride, padding, rest)
    torch.testing.assert_close(mine, expected)


@pytest.mark.parametrize("up", WAYS_UP)
def test_ways_up_double_the_size(up):
    torch.manual_seed(2)
    layer, x = make_up(6, 3, up), torch.randn(2, 6, 5, 4)
    y = layer(x)
    assert y.shape == (2, 3, 10, 8)
    if up == "nearest":
        torch.testing.assert_close(y, layer[1](x.repeat_interleave(2, 2).repeat_interleave(2, 3)))
    if up == "bilinear":
        even = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        torch.testing.assert_close(y, layer[1](even))


def by_hand(model, x, skips):
    """A net of depth 2, said once more."""

    def double(block, x):
        for conv, norm in zip(list(block)[0::3], list(block)[1::3], strict=True):
            x = F.conv2d(x, conv.weight, padding=1)
            means = norm.running_mean, norm.running_var
            x = F.batch_norm(x, *means, norm.weight, norm.bias, False).relu()
        return x

    a = double(model.downs[0], x)
    b = double(model.downs[1], F.max_pool2d(a, 2))
    c = double(model.downs[2], F.max_pool2d(b, 2))
    for i, side in enumerate((b, a)):
        c = F.conv_transpose2d(c, model.ups[i].weight, model.ups[i].bias, stride=2)
        c = double(model.doubles[i], torch.cat([side, c], 1) if skips else c)
    return F.conv2d(c, model.head.weight, model.head.bias)


@pytest.mark.parametrize("skips", [True, False])
def test_unet_is_the_chain_of_its_parts(skips):
    torch.manual_seed(3)
    model = UNet(2, 3, width=4, depth=2, skips=skips).double()
    x = torch.randn(3, 2, 12, 8, dtype=torch.float64)
    model(x)  # moves the running means
    model.eval()
    y = model(x)
    assert y.shape == (3, 3, 12, 8)
    torch.testing.assert_close(y, by_hand(model, x, skips))
    y.square().sum().backward()
    assert all(p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("up", WAYS_UP)
@pytest.mark.parametrize("depth", [1, 3])
def test_logits_have_the_images_size(up, depth):
    model = UNet(1, 2, width=2, depth=depth, up=up)
    assert model(torch.zeros(2, 1, 2**depth, 3 * 2**depth)).shape == (2, 2, 2**depth, 3 * 2**depth)


def test_the_papers_network():
    with torch.device("meta"):
        model = UNet(1, 2, 64, 4, padding=False, norm=False)
        assert count(model) == 31_030_658
        assert model(torch.zeros(1, 1, 572, 572)).shape == (1, 2, 388, 388)
        assert model(torch.zeros(1, 1, 188, 572)).shape == (1, 2, 4, 388)
        with pytest.raises(ValueError, match="556 and 572, got 570 by 572"):
            model(torch.zeros(1, 1, 570, 572))
        with pytest.raises(ValueError, match="got 572 by 172"):  # nothing would be left
            model(torch.zeros(1, 1, 572, 172))


def test_crop_takes_the_middle():
    x = torch.arange(35.0).view(1, 1, 5, 7)
    torch.testing.assert_close(crop(x, (3, 3)), x[..., 1:4, 2:5])
    torch.testing.assert_close(crop(x, (2, 4)), x[..., 1:3, 1:5])
    assert crop(x, (5, 7)).equal(x)


def test_double_conv_with_and_without_norm():
    assert count(DoubleConv(2, 4)) == 9 * (2 * 4 + 4 * 4) + 2 * 2 * 4
    assert count(DoubleConv(2, 4, norm=False)) == 9 * (2 * 4 + 4 * 4) + 2 * 4


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 5), st.integers(0, 40), st.integers(0, 10_000))
def test_confusion_and_iou_by_loops(classes, pixels, seed):
    generator = torch.Generator().manual_seed(seed)
    predicted, target = torch.randint(classes, (2, pixels), generator=generator)
    confusion = confusion_matrix(predicted, target, classes)
    expected = torch.zeros(classes, classes, dtype=torch.int64)
    for p, t in zip(predicted.tolist(), target.tolist(), strict=True):
        expected[t, p] += 1
    assert confusion.equal(expected)
    for k, value in enumerate(iou(confusion).tolist()):
        one, other = (predicted == k), (target == k)
        either = (one | other).sum().item()
        if not either:
            assert math.isnan(value)
        else:
            assert value == pytest.approx((one & other).sum().item() / either)


def test_mean_iou_leaves_out_what_nowhere_occurs_and_no_more():
    predicted, target = torch.tensor([0, 0, 2, 2]), torch.tensor([0, 0, 0, 0])
    confusion = confusion_matrix(predicted, target, 4)
    assert mean_iou(confusion) == pytest.approx((0.5 + 0) / 2)  # 1 and 3 are left out, 2 is not
    assert math.isnan(mean_iou(torch.zeros(2, 2).long()))


def test_confusion_of_maps():
    predicted, target = torch.randint(3, (2, 4, 5, 6))
    flat = confusion_matrix(predicted.flatten(), target.flatten(), 3)
    assert confusion_matrix(predicted, target, 3).equal(flat)


@pytest.mark.parametrize("smooth", [0.0, 1.0, 2.5])
def test_dice_loss_by_loops(smooth):
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(3, 4, 5, 2, generator=generator, dtype=torch.float64)
    target = torch.randint(4, (3, 5, 2), generator=generator)
    p, total = logits.softmax(1), 0
    for k in range(4):
        t = (target == k).double()
        both = (p[:, k] * t).sum()
        total += (2 * both + smooth) / (p[:, k].sum() + t.sum() + smooth)
    torch.testing.assert_close(dice_loss(logits, target, smooth), 1 - total / 4)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: dice_loss(z, target, smooth), logits)


def test_dice_loss_at_its_ends():
    target = torch.tensor([[0, 1, 1]])
    sure = 200 * F.one_hot(target, 3).transpose(1, 2).double()
    assert dice_loss(sure, target).item() == pytest.approx(0)  # class 2 is absent and not expected
    wrong = 200 * F.one_hot(1 - target, 3).transpose(1, 2).double()
    assert dice_loss(wrong, target, 1e-9).item() == pytest.approx(2 / 3)


def test_dice_and_iou_of_hard_answers():
    """Dice = 2 IoU / (1 + IoU)."""
    generator = torch.Generator().manual_seed(5)
    predicted, target = torch.randint(2, (2, 1, 300), generator=generator)
    logits = 200 * F.one_hot(predicted, 2).transpose(1, 2).double()
    ratio = iou(confusion_matrix(predicted, target, 2)).double()
    expected = 1 - (2 * ratio / (1 + ratio)).mean()
    torch.testing.assert_close(dice_loss(logits, target, 0.0), expected, atol=1e-6, rtol=0)


ITEMS = torch.zeros(2, 1, 4, 4)
ITEMS[0, 0, 1:3, 1:3] = 0.9
ITEMS[1, 0] = 0.6
KINDS = torch.tensor([1, 2])


def test_scenes_say_what_lies_where():
    generator = torch.Generator().manual_seed(6)
    images, classes = scenes(ITEMS, KINDS, 40, size=9, most=2, noise=0.0, generator=generator)
    brightness = torch.tensor([0.3, 0.9, 0.6])
    torch.testing.assert_close(images[:, 0], brightness[classes])
    assert set(classes.unique().tolist()) == {0, 1, 2}
    things = (classes > 0).flatten(1).sum(1)
    assert things.min() >= 4  # each scene has something
    assert things.max() <= 32
    assert (classes[:, 0] > 0).any()  # items reach the rim
    assert (classes[:, :, -1] > 0).any()


def test_scenes_have_noise_and_repeat():
    both = [
        scenes(ITEMS, KINDS, 50, 9, noise=0.5, generator=torch.Generator().manual_seed(7))
        for _ in range(2)
    ]
    assert both[0].images.equal(both[1].images)
    ground = both[0].images[:, 0][both[0].classes == 0]
    assert ground.mean().item() == pytest.approx(0.3, abs=0.05)
    assert ground.std().item() == pytest.approx(0.5, abs=0.05)
    assert len(scenes(ITEMS, KINDS, 0).images) == 0


X = torch.zeros(1, 2, 4, 4)
BAD = {
    "channels of a weight": (
        lambda: conv_transpose2d(X, torch.zeros(3, 2, 2, 2)),
        ValueError,
        r"for 3 channels.*got 2, \(1, 2, 4, 4\)",
    ),
    "a weight of three axes": (
        lambda: conv_transpose2d(X, torch.zeros(2, 2, 2)),
        ValueError,
        r"got \(1, 2, 4, 4\) and \(2, 2, 2\)",
    ),
    "a long bias": (
        lambda: conv_transpose2d(X, torch.zeros(2, 3, 2, 2), torch.zeros(2)),
        ValueError,
        r"shape \(3,\), got \(2,\)",
    ),
    "a stride of 0": (
        lambda: conv_transpose2d(X, torch.zeros(2, 2, 2, 2), stride=0),
        ValueError,
        "stride must be at least 1, got 0",
    ),
    "half a stride": (
        lambda: conv_transpose2d(X, torch.zeros(2, 2, 2, 2), stride=0.5),
        TypeError,
        "stride must be a whole number, got 0.5",
    ),
    "too much output padding": (
        lambda: conv_transpose2d(X, torch.zeros(2, 2, 2, 2), stride=2, output_padding=2),
        ValueError,
        "less than the stride, 2, got 2",
    ),
    "a stride of three": (
        lambda: conv_transpose2d(X, torch.zeros(2, 2, 2, 2), stride=(1, 2, 1)),
        ValueError,
        r"stride must be a number or a pair, got \(1, 2, 1\)",
    ),
    "an input of whole numbers": (
        lambda: conv_transpose2d(X.long(), torch.zeros(2, 2, 2, 2)),
        TypeError,
        "input must be .*floating-point numbers, got torch.int64",
    ),
    "a weight of another type": (
        lambda: conv_transpose2d(X, torch.zeros(2, 2, 2, 2).double()),
        TypeError,
        "weight must have the type torch.float32, got torch.float64",
    ),
    "a mean of no square": (
        lambda: mean_iou(torch.zeros(2, 3)),
        ValueError,
        r"square matrix, got \(2, 3\)",
    ),
    "no channels": (lambda: UNet(0, 2), ValueError, "in_channels must be at least 1, got 0"),
    "no classes": (lambda: UNet(1, 0), ValueError, "num_classes must be at least 1, got 0"),
    "half a class": (lambda: UNet(1, 1.5), TypeError, "num_classes.*whole number, got 1.5"),
    "no depth": (lambda: UNet(1, 2, 4, 0), ValueError, "depth must be at least 1, got 0"),
    "another way up": (lambda: UNet(1, 2, 4, 1, up="cubic"), ValueError, "got 'cubic'"),
    "a way up alone": (lambda: make_up(2, 2, "cubic"), ValueError, "got 'cubic'"),
    "a size that cannot be halved": (
        lambda: UNet(2, 2, 2, 2)(torch.zeros(1, 2, 8, 10)),
        ValueError,
        "halved 2 times.*8 and 12, got 8 by 10",
    ),
    "a tiny image": (
        lambda: UNet(2, 2, 2, 2)(torch.zeros(1, 2, 2, 4)),
        ValueError,
        "4 and 8, got 2 by 4",
    ),
    "gray for two channels": (
        lambda: UNet(2, 2, 2, 2)(torch.zeros(1, 1, 8, 8)),
        ValueError,
        r"\(n, 2, height, width\), got \(1, 1, 8, 8\)",
    ),
    "no batch": (
        lambda: UNet(2, 2, 2, 2)(torch.zeros(2, 8, 8)),
        ValueError,
        r"got \(2, 8, 8\)",
    ),
    "a crop of more": (
        lambda: crop(X, (5, 4)),
        ValueError,
        "at least 5 by 4, got 4 by 4",
    ),
    "maps of two shapes": (
        lambda: confusion_matrix(torch.zeros(2).long(), torch.zeros(3).long(), 2),
        ValueError,
        r"\(2,\) and \(3,\)",
    ),
    "a class too many": (
        lambda: confusion_matrix(torch.tensor([0, 2]), torch.tensor([0, 1]), 2),
        ValueError,
        "predicted must hold classes from 0 to 1, got 0 to 2",
    ),
    "the void's class": (
        lambda: confusion_matrix(torch.tensor([0, 1]), torch.tensor([0, -1]), 2),
        ValueError,
        "target must hold classes from 0 to 1, got -1 to 0",
    ),
    "counts that are no square": (
        lambda: iou(torch.zeros(2, 3)),
        ValueError,
        r"square matrix, got \(2, 3\)",
    ),
    "logits of other images": (
        lambda: dice_loss(torch.zeros(2, 3, 4), torch.zeros(2, 5).long()),
        ValueError,
        r"\(2, 3, 4\) and \(2, 5\)",
    ),
    "a target too high": (
        lambda: dice_loss(torch.zeros(1, 2, 2), torch.tensor([[0, 2]])),
        ValueError,
        "classes from 0 to 1, got 0 to 2",
    ),
    "negative smoothing": (
        lambda: dice_loss(torch.zeros(1, 2, 1), torch.tensor([[0]]), -1.0),
        ValueError,
        "smooth.*got -1.0",
    ),
    "items in a row": (
        lambda: scenes(torch.zeros(2, 4, 4), KINDS, 1),
        ValueError,
        r"\(n, 1, h, w\), got \(2, 4, 4\)",
    ),
    "a class too few": (
        lambda: scenes(ITEMS, KINDS[:1], 1),
        ValueError,
        r"shape \(2,\), got \(1,\)",
    ),
    "the ground as an item": (
        lambda: scenes(ITEMS, KINDS - 1, 1),
        ValueError,
        "from 1 on.*got 0",
    ),
    "a small scene": (
        lambda: scenes(ITEMS, KINDS, 1, size=3),
        ValueError,
        "that of an item, 4, got 3",
    ),
    "negative noise": (
        lambda: scenes(ITEMS, KINDS, 1, noise=-1.0),
        ValueError,
        "noise.*got -1.0",
    ),
    "no items at most": (
        lambda: scenes(ITEMS, KINDS, 1, most=0),
        ValueError,
        "most must be at least 1, got 0",
    ),
}


@pytest.mark.nocheck
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(case):
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call()
