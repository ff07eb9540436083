import itertools
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from companion import inception
from companion.inception import (
    GOOGLENET,
    ConvNormReLU,
    ConvReLU,
    GoogLeNet,
    GoogLeNetOutputs,
    Inception,
    InceptionAux,
    fade_branch,
    loss_with_aux,
)
from companion.vgg import layer_costs

TABLE = json.loads((Path(__file__).parent / "torchvision_models.json").read_text("utf-8"))["models"]
BLOCKS = [ConvReLU, ConvNormReLU]
SMALL = (5, 2, 3, 4, 1, 3, 2)  # a block's channels


def on_meta(**settings):
    with torch.device("meta"):
        return GoogLeNet(**settings)


def count(module):
    return sum(p.numel() for p in module.parameters())


def by_hand(block, x, training):
    """What an Inception block computes, said with torch's functions."""
    p = {name: value for name, value in block.named_parameters()}

    def conv(name, x, padding=0):
        if f"{name}.bn.weight" not in p:
            return F.conv2d(x, p[f"{name}.0.weight"], p[f"{name}.0.bias"], padding=padding).relu()
        x = F.conv2d(x, p[f"{name}.conv.weight"], padding=padding)
        norm = block.get_submodule(f"{name}.bn")
        means = None if training else norm.running_mean, None if training else norm.running_var
        weights = p[f"{name}.bn.weight"], p[f"{name}.bn.bias"]
        return F.batch_norm(x, *means, *weights, training, eps=0.001).relu()

    large = block.branch3[1].state_dict()
    k = next(iter(large.values())).shape[-1]
    y = [
        conv("branch1", x),
        conv("branch2.1", conv("branch2.0", x), 1),
        conv("branch3.1", conv("branch3.0", x), k // 2),
        conv("branch4.1", F.max_pool2d(x, 3, 1, 1)),
    ]
    return torch.cat(y, 1)


@pytest.mark.parametrize("conv_block", BLOCKS)
@pytest.mark.parametrize("large_kernel", [3, 5, 7])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (6, 4)])
def test_a_block_is_its_four_branches_side_by_side(conv_block, large_kernel, training, size):
    torch.manual_seed(1)
    block = Inception(*SMALL, conv_block, large_kernel).double().train(training)
    if conv_block is ConvNormReLU:
        for name, buffer in block.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_()
    x = torch.randn(3, 5, *size, dtype=torch.float64, requires_grad=True)
    inputs = [x, *block.parameters()]
    mine, torchs = block(x), by_hand(block, x, training)
    torch.testing.assert_close(mine, torchs)
    delta = torch.randn_like(mine)
    torch.testing.assert_close(
        torch.autograd.grad(mine, inputs, delta), torch.autograd.grad(torchs, inputs, delta)
    )


@pytest.mark.parametrize("name", GOOGLENET)
def test_the_blocks_of_googlenet_follow_one_another(name):
    channels = GOOGLENET[name]
    with torch.device("meta"):
        block = Inception(*channels)
        y = block(torch.zeros(1, channels[0], 7, 7))
    assert y.shape[1] == sum(block.widths)
    following = list(GOOGLENET)[list(GOOGLENET).index(name) + 1 :]
    if following:
        assert GOOGLENET[following[0]][0] == sum(block.widths)


def test_googlenet_has_the_papers_shapes():
    shapes = {
        c.name: c.shape for c in layer_costs(on_meta(), torch.zeros(1, 3, 224, 224).to("meta"))
    }
    assert shapes["conv1.0"] == (64, 112, 112)
    assert shapes["conv2.0"] == (64, 56, 56)
    assert shapes["conv3.0"] == (192, 56, 56)
    assert shapes["inception3b.branch1.0"] == (128, 28, 28)
    assert shapes["inception4e.branch1.0"] == (256, 14, 14)
    assert shapes["inception5b.branch1.0"] == (384, 7, 7)
    assert shapes["fc"] == (1000,)


def test_googlenet_counts():
    model = on_meta()
    costs = layer_costs(model, torch.zeros(1, 3, 224, 224, device="meta"))
    assert sum(c.parameters for c in costs) == 6_998_552  # known from Caffe's model
    assert sum(c.multiplications for c in costs) == 1_582_671_872
    assert count(model.aux1) == 3_188_840
    assert count(model.aux2) == 3_190_888


@pytest.mark.parametrize(("aux_logits", "parameters"), [(True, 13_004_888), (False, 6_624_904)])
def test_with_norms_and_3x3_it_is_as_large_as_torchvisions(aux_logits, parameters):
    model = on_meta(aux_logits=aux_logits, conv_block=ConvNormReLU, large_kernel=3)
    assert count(model) == parameters
    if not aux_logits:
        costs = layer_costs(model, torch.zeros(1, 3, 224, 224, device="meta"))
        assert sum(c.multiplications for c in costs) == 1_498_376_192  # "1.5 GFLOPS"


def test_names_and_shapes_of_the_weights_are_torchvisions():
    weights = on_meta(conv_block=ConvNormReLU, large_kernel=3).state_dict()
    assert {name: list(value.shape) for name, value in weights.items()} == TABLE["googlenet"]


def test_googlenet_is_the_chain_of_its_parts():
    """The forward pass as the paper's table 1 lists it, written once more."""
    torch.manual_seed(9)
    model = GoogLeNet(num_classes=6).double().eval()
    for layer in model.modules():  # so that each part matters
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    x = torch.randn(2, 3, 63, 70, dtype=torch.float64)

    def conv(layer, x, stride=1, padding=0):
        return F.conv2d(x, layer[0].weight, layer[0].bias, stride, padding).relu()

    def pool(x):
        return F.max_pool2d(x, 3, 2, ceil_mode=True)

    y = pool(conv(model.conv1, x, 2, 3))
    y = pool(conv(model.conv3, conv(model.conv2, y), padding=1))
    for name in GOOGLENET:
        y = by_hand(getattr(model, f"inception{name}"), y, training=False)
        if name in ("3b", "4e"):
            y = pool(y)
    logits = F.linear(y.mean((2, 3)), model.fc.weight, model.fc.bias)
    torch.testing.assert_close(model(x), logits)
    assert logits.std() > 1e-3


@pytest.mark.parametrize("aux_logits", [True, False])
def test_three_logits_in_training_one_in_evaluation(aux_logits):
    torch.manual_seed(2)
    model = GoogLeNet(num_classes=7, aux_logits=aux_logits)
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        out = model(x)
        assert model.eval()(x).shape == (2, 7)
        assert model(x[..., :40, :31]).shape == (2, 7)
    if not aux_logits:
        assert out.shape == (2, 7)
        return
    assert isinstance(out, GoogLeNetOutputs)
    assert [o.shape for o in out] == [(2, 7)] * 3


def test_each_head_hangs_where_it_should():
    """A head's gradient reaches the blocks before it, and none behind it."""
    torch.manual_seed(3)
    model = GoogLeNet(num_classes=3)
    reached = {}
    out = model(torch.randn(1, 3, 224, 224))
    for name in ("logits", "aux_logits1", "aux_logits2"):
        model.zero_grad()
        getattr(out, name).sum().backward(retain_graph=True)
        reached[name] = [
            b
            for b in GOOGLENET
            if model.get_submodule(f"inception{b}.branch1.0").weight.grad is not None
        ]
    assert reached["logits"] == list(GOOGLENET)
    assert reached["aux_logits1"] == ["3a", "3b", "4a"]
    assert reached["aux_logits2"] == ["3a", "3b", "4a", "4b", "4c", "4d"]


def test_dropout_only_in_training():
    torch.manual_seed(4)
    head = InceptionAux(6, 3, dropout=0.5)
    x = torch.randn(2, 6, 14, 16)
    assert not torch.equal(head(x), head(x))
    head.eval()
    assert torch.equal(head(x), head(x))


def test_an_aux_head_pools_5x5_with_stride_3():
    torch.manual_seed(5)
    head = InceptionAux(6, 3).double().eval()
    x = torch.randn(2, 6, 14, 14, dtype=torch.float64)
    y = F.avg_pool2d(x, 5, 3)
    assert y.shape[2:] == (4, 4)
    y = F.conv2d(y, head.conv[0].weight, head.conv[0].bias).relu().flatten(1)
    torch.testing.assert_close(head(x), head.fc2(head.fc1(y).relu()))


@pytest.mark.parametrize("aux_weight", [0, 0.3, 1.5])
def test_loss_is_the_sum_of_three(aux_weight):
    generator = torch.Generator().manual_seed(6)
    logits = [torch.randn(4, 5, generator=generator, dtype=torch.float64) for _ in range(3)]
    logits = [z.requires_grad_() for z in logits]
    target = torch.tensor([0, 4, 2, 2])
    main, second, first = (F.cross_entropy(z, target) for z in logits)
    loss = loss_with_aux(GoogLeNetOutputs(*logits), target, aux_weight)
    expected = main + aux_weight * first + aux_weight * second
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(
        torch.autograd.grad(loss, logits), torch.autograd.grad(expected, logits)
    )
    torch.testing.assert_close(loss_with_aux(logits[0], target, aux_weight), main)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=4),
    st.integers(1, 5),
    st.sampled_from([(), (3,), (2, 3)]),
    st.sampled_from([0.0, 0.4, 1.0, 1.5, -1.0]),
)
def test_fade_branch_changes_one_branch_only(widths, samples, places, share):
    generator = torch.Generator().manual_seed(7)
    shape = samples, sum(widths), *places
    features = torch.randn(shape, generator=generator, dtype=torch.float64)
    before = features.clone()
    ends = list(itertools.accumulate(widths, initial=0))
    for branch in range(len(widths)):
        mine = fade_branch(features, widths, branch, share)
        own = slice(ends[branch], ends[branch + 1])
        expected = features.clone()
        mean = features[:, own].mean(0)
        expected[:, own] = share * features[:, own] + (1 - share) * mean
        torch.testing.assert_close(mine, expected)
        torch.testing.assert_close(mine.mean(0), features.mean(0))
    assert torch.equal(features, before)


def test_fade_branch_passes_gradients():
    features = torch.randn(3, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: fade_branch(x, (1, 3), 1, 0.3), features)


FORWARDS = {
    "too few axes": (
        lambda: Inception(*SMALL)(torch.zeros(5, 8, 8)),
        r"\(N, 5, H, W\), got .*\(5, 8, 8\)",
    ),
    "other channels": (
        lambda: Inception(*SMALL)(torch.zeros(1, 3, 8, 8)),
        "expected 5 channels.*got 3",
    ),
    "empty images": (
        lambda: Inception(*SMALL)(torch.zeros(1, 5, 0, 8)),
        "at least 1 by 1, got 0 by 8",
    ),
    "gray for a head": (
        lambda: InceptionAux(4, 2)(torch.zeros(1, 1, 14, 14)),
        "expected 4 channels.*got 1",
    ),
    "small for a head": (
        lambda: InceptionAux(4, 2)(torch.zeros(1, 4, 13, 14)),
        "at least 14 by 14, got 13 by 14",
    ),
    "large for a head": (
        lambda: InceptionAux(4, 2)(torch.zeros(1, 4, 14, 17)),
        "at most 16 by 16, got 14 by 17",
    ),
    "gray": (lambda: on_meta()(torch.zeros(1, 1, 224, 224)), "expected 3 channels.*got 1"),
    "no batch": (lambda: on_meta()(torch.zeros(3, 224, 224)), r"got the shape \(3, 224, 224\)"),
    "small": (
        lambda: on_meta().eval()(torch.zeros(1, 3, 30, 64)),
        "at least 31 by 31, got 30 by 64",
    ),
    "small in training": (
        lambda: on_meta()(torch.zeros(1, 3, 222, 224)),
        "at least 223 by 223, got 222 by 224",
    ),
    "large in training": (
        lambda: on_meta()(torch.zeros(1, 3, 224, 271)),
        "at most 270 by 270, got 224 by 271",
    ),
}


@pytest.mark.nocheck
@pytest.mark.parametrize("case", FORWARDS)
def test_images_that_do_not_fit_are_refused(case):
    call, message = FORWARDS[case]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("size", [(31, 31), (31, 300), (223, 270)])
def test_the_smallest_and_the_largest_images_are_taken(size):
    model = on_meta(num_classes=2, aux_logits=size[0] >= 223).train(size[0] >= 223)
    out = model(torch.zeros(1, 3, *size, device="meta"))
    assert (out if isinstance(out, torch.Tensor) else out.logits).shape == (1, 2)


SETTINGS = {
    "no classes": (lambda: on_meta(num_classes=0), ValueError, "num_classes.*at least 1, got 0"),
    "negative classes": (
        lambda: InceptionAux(4, -1),
        ValueError,
        "num_classes.*at least 1, got -1",
    ),
    "half a class": (
        lambda: on_meta(num_classes=2.5),
        TypeError,
        "num_classes.*whole number, got 2.5",
    ),
    "classes as a word": (
        lambda: on_meta(num_classes="10"),
        TypeError,
        "num_classes.*whole number, got '10'",
    ),
    "True for a number": (
        lambda: Inception(True, 2, 3, 4, 1, 3, 2),
        TypeError,
        "in_channels.*got True",
    ),
    "no channels in": (lambda: Inception(0, 2, 3, 4, 1, 3, 2), ValueError, "in_channels.*got 0"),
    "an empty branch": (lambda: Inception(5, 2, 3, 4, 1, 0, 2), ValueError, "ch5x5 .*got 0"),
    "an empty middle": (lambda: Inception(5, 2, 0, 4, 1, 3, 2), ValueError, "ch3x3red .*got 0"),
    "no projection": (lambda: Inception(5, 2, 3, 4, 1, 3, -2), ValueError, "pool_proj .*got -2"),
    "a stride of 0": (lambda: ConvReLU(1, 1, 3, stride=0), ValueError, "stride.*at least 1, got 0"),
    "negative padding": (
        lambda: ConvNormReLU(1, 1, 3, padding=-1),
        ValueError,
        "padding must be at least 0, got -1",
    ),
    "dropout as a word": (lambda: on_meta(dropout="a"), TypeError, "dropout.*number, got 'a'"),
    "no share": (
        lambda: fade_branch(torch.zeros(2, 4), (2, 2), 0, float("nan")),
        ValueError,
        "share must be finite, got nan",
    ),
    "half a branch": (
        lambda: fade_branch(torch.zeros(2, 4), (2, 2), 1.0),
        TypeError,
        "branch must be a whole number, got 1.0",
    ),
    "a negative width": (
        lambda: fade_branch(torch.zeros(2, 4), (5, -1), 0),
        ValueError,
        "width must be at least 0, got -1",
    ),
    "torchvision's third argument": (lambda: GoogLeNet(10, True, False), TypeError, "positional"),
    "an even kernel": (lambda: Inception(*SMALL, large_kernel=4), ValueError, "odd.*got 4"),
    "a kernel of 0": (lambda: ConvReLU(1, 1, 0), ValueError, "kernel_size.*got 0"),
    "no channels out": (lambda: ConvNormReLU(1, 0, 3), ValueError, "out_channels.*got 0"),
    "a layer, not a class": (
        lambda: Inception(*SMALL, conv_block=3),
        TypeError,
        "class of layers, got 3",
    ),
    "dropout 1": (lambda: on_meta(dropout=1.0), ValueError, "dropout must be .* below 1, got 1.0"),
    "negative dropout": (lambda: on_meta(dropout_aux=-0.1), ValueError, "dropout_aux.*got -0.1"),
    "negative weight": (
        lambda: loss_with_aux(torch.zeros(1, 2), torch.tensor([0]), -0.3),
        ValueError,
        "aux_weight.*got -0.3",
    ),
    "infinite weight": (
        lambda: loss_with_aux(torch.zeros(1, 2), torch.tensor([0]), float("inf")),
        ValueError,
        "aux_weight.*got inf",
    ),
    "widths that do not fit": (
        lambda: fade_branch(torch.zeros(2, 5), (2, 2), 0),
        ValueError,
        r"5 channels .* got \(2, 2\), in all 4",
    ),
    "a fifth branch": (
        lambda: fade_branch(torch.zeros(2, 4), (2, 2), 2),
        ValueError,
        "0 to 1, got 2",
    ),
    "branch -1": (lambda: fade_branch(torch.zeros(2, 4), (2, 2), -1), ValueError, "branch.*got -1"),
    "a vector": (lambda: fade_branch(torch.zeros(4), (2, 2), 0), ValueError, r"got \(4,\)"),
}


@pytest.mark.nocheck
@pytest.mark.parametrize("case", SETTINGS)
def test_bad_settings_are_refused(case):
    call, error, message = SETTINGS[case]
    with pytest.raises(error, match=message):
        call()


def test_nothing_is_trained_by_halves():
    """Every parameter of the network gets a gradient from the joint loss."""
    torch.manual_seed(8)
    model = GoogLeNet(num_classes=2)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
    loss_with_aux(model(torch.randn(2, 3, 224, 224)), torch.tensor([0, 1])).backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []
    assert inception.SMALLEST == 31
