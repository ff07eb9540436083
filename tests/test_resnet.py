import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion.resnet import (
    BasicBlock,
    Bottleneck,
    PadShortcut,
    PlainBlock,
    ResNet,
    SmallResNet,
    add,
    conv3x3,
    init_weights,
    make_layer,
    projection,
    resnet18,
    resnet50,
)
from companion.vgg import layer_costs

TABLE = json.loads((Path(__file__).parent / "torchvision_models.json").read_text("utf-8"))["models"]
MODELS = {"resnet18": resnet18, "resnet50": resnet50}
COUNTS = {"resnet18": 11_689_512, "resnet50": 25_557_032}
each_block = pytest.mark.parametrize("block", [BasicBlock, Bottleneck, PlainBlock])


def on_meta(make, *args, **settings):
    with torch.device("meta"):
        return make(*args, **settings)


def reference(block, weights, x, stride, training):
    """Compute a block out of its state dict with torch's functions alone."""

    def layer(x, conv, norm, step=1):
        kernel = weights[conv + ".weight"]
        x = F.conv2d(x, kernel, stride=step, padding=kernel.shape[-1] // 2)
        stats = weights[norm + ".running_mean"].clone(), weights[norm + ".running_var"].clone()
        return F.batch_norm(x, *stats, weights[norm + ".weight"], weights[norm + ".bias"], training)

    if block is Bottleneck:
        y = F.relu(layer(x, "conv1", "bn1"))
        y = F.relu(layer(y, "conv2", "bn2", stride))
        y = layer(y, "conv3", "bn3")
    else:
        y = layer(F.relu(layer(x, "conv1", "bn1", stride)), "conv2", "bn2")
    if block is not PlainBlock:
        if "downsample.0.weight" in weights:
            x = layer(x, "downsample.0", "downsample.1", stride)
        y = y + x
    return F.relu(y)


@each_block
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("widen", "stride"), [(False, 1), (True, 1), (True, 2), (True, 3)])
def test_blocks_equal_torchs_functions(block, training, widen, stride):
    inplanes, planes = (3, 5) if widen else (4 * block.expansion, 4)
    outplanes = planes * block.expansion
    downsample = projection(inplanes, outplanes, stride) if widen else None
    module = block(inplanes, planes, stride, downsample).double().train(training)
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) if "var" in name else torch.randn_like(value))
    x = torch.randn(3, inplanes, 7, 6, dtype=torch.float64, requires_grad=True)
    state = {k: v.clone() for k, v in module.state_dict().items()}
    names = [k for k, _ in module.named_parameters()]
    if block is PlainBlock:
        names = [k for k in names if "downsample" not in k]
    for k in names:
        state[k].requires_grad_()
    wanted = reference(block, state, x, stride, training)
    ours = module(x)
    torch.testing.assert_close(ours, wanted)
    g = torch.randn_like(wanted)
    parameters = dict(module.named_parameters())
    torch.testing.assert_close(
        torch.autograd.grad(ours, [x, *(parameters[k] for k in names)], g),
        torch.autograd.grad(wanted, [x, *(state[k] for k in names)], g),
    )


@pytest.mark.parametrize("name", MODELS)
def test_names_and_shapes_are_torchvisions(name):
    ours = {k: list(v.shape) for k, v in on_meta(MODELS[name]).state_dict().items()}
    assert list(ours.items()) == list(TABLE[name].items())  # the order too


@pytest.mark.parametrize("name", MODELS)
def test_counts_and_a_file_of_torchvisions(name):
    model = on_meta(MODELS[name])
    file = {k: torch.empty(shape, device="meta") for k, shape in TABLE[name].items()}
    model.load_state_dict(file, assign=True)
    assert sum(p.numel() for p in model.parameters()) == COUNTS[name]
    weights = [shape for k, shape in TABLE[name].items() if not k.endswith(("_mean", "_var", "ed"))]
    assert sum(torch.Size(shape).numel() for shape in weights) == COUNTS[name]


def test_a_whole_network_equals_torchs_functions():
    model = ResNet(BasicBlock, [1, 2, 1, 1], num_classes=4).double().eval()
    for name, value in model.state_dict().items():
        if "running" in name:
            value.copy_(torch.rand_like(value) + 0.5)
    x = torch.randn(2, 3, 40, 33, dtype=torch.float64, requires_grad=True)
    state = model.state_dict()

    def under(prefix):
        return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}

    y = F.conv2d(x, state["conv1.weight"], stride=2, padding=3)
    stem = under("bn1.")
    y = F.batch_norm(y, stem["running_mean"], stem["running_var"], stem["weight"], stem["bias"])
    y = F.max_pool2d(F.relu(y), 3, 2, 1)
    for stage, stride, count in (("1", 1, 1), ("2", 2, 2), ("3", 2, 1), ("4", 2, 1)):
        for i in range(count):
            block = under(f"layer{stage}.{i}.")
            y = reference(BasicBlock, block, y, stride if i == 0 else 1, training=False)
    y = F.linear(y.mean((2, 3)), state["fc.weight"], state["fc.bias"])
    ours = model(x)
    torch.testing.assert_close(ours, y)
    g = torch.randn_like(y)
    torch.testing.assert_close(torch.autograd.grad(ours, x, g), torch.autograd.grad(y, x, g))


@pytest.mark.parametrize(
    ("name", "products", "shapes"),
    [
        ("resnet18", 1_814_073_344, [(64, 56), (128, 28), (256, 14), (512, 7)]),
        ("resnet50", 4_089_184_256, [(256, 56), (512, 28), (1024, 14), (2048, 7)]),
    ],
)
def test_costs_and_shapes_at_224(name, products, shapes):
    model = on_meta(MODELS[name])
    x = torch.empty(1, 3, 224, 224, device="meta")
    costs = layer_costs(model, x)
    assert sum(c.multiplications for c in costs) == products
    assert sum(c.parameters for c in costs) == COUNTS[name]
    y = model.maxpool(model.bn1(model.conv1(x)))
    for stage, (channels, size) in zip(
        (model.layer1, model.layer2, model.layer3, model.layer4), shapes, strict=True
    ):
        y = stage(y)
        assert y.shape == (1, channels, size, size)


def test_the_stride_is_that_of_the_3_by_3_convolution():
    block = on_meta(resnet50).layer2[0]
    assert block.conv1.stride == (1, 1)
    assert block.conv2.stride == (2, 2)
    assert block.downsample[0].stride == (2, 2)
    assert on_meta(resnet18).layer2[0].conv1.stride == (2, 2)


@pytest.mark.parametrize(("h", "w", "stride"), [(4, 4, 2), (5, 7, 2), (1, 1, 2), (5, 4, 3)])
def test_pad_shortcut_fits_a_convolution_of_the_same_stride(h, w, stride):
    x = torch.randn(2, 3, h, w, requires_grad=True)
    y = PadShortcut(3, 5, stride)(x)
    assert y.shape == conv3x3(3, 5, stride)(x).shape
    torch.testing.assert_close(y[:, :3], x[:, :, ::stride, ::stride])
    assert not y[:, 3:].any()
    kernel = torch.eye(5, 3)[:, :, None, None]  # it is a projection that is not learnt
    torch.testing.assert_close(y, F.conv2d(x, kernel, stride=stride))


def test_add_is_plus_where_the_shapes_are_equal():
    x, y = torch.randn(2, 2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    assert add(x, y).equal(x + y)
    assert torch.autograd.gradcheck(add, (x, y))


@each_block
def test_a_stage_changes_the_shape_in_its_first_block_only(block):
    inplanes = 8
    stage = make_layer(block, inplanes, 6, 3, stride=2, shortcut=projection)
    assert [b.downsample is None for b in stage] == [False, True, True]
    assert stage(torch.randn(2, inplanes, 7, 7)).shape == (2, 6 * block.expansion, 4, 4)
    same = make_layer(block, 6 * block.expansion, 6, 2)
    assert all(b.downsample is None for b in same)
    wider = make_layer(block, 6 * block.expansion - 1, 6, 1)
    assert wider[0].downsample is not None


def test_zero_init_makes_every_block_hand_on_its_input():
    model = ResNet(Bottleneck, [2, 1, 1, 1], zero_init_residual=True)
    assert all(not m.bn3.weight.any() for m in model.modules() if isinstance(m, Bottleneck))
    x = torch.rand(2, 256, 5, 5)
    assert model.layer1[1](x).equal(x)
    model = ResNet(BasicBlock, [2, 1, 1, 1])
    assert all(m.bn2.weight.eq(1).all() for m in model.modules() if isinstance(m, BasicBlock))


def test_first_weights():
    conv = nn.Conv2d(50, 40, 3, bias=False)
    init_weights(nn.Sequential(conv))
    assert conv.weight.std().item() == pytest.approx((2 / (40 * 9)) ** 0.5, rel=0.05)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_plain_and_residual_net_have_the_same_weights(n):
    models = []
    for block in (BasicBlock, PlainBlock):
        torch.manual_seed(0)
        models.append(SmallResNet(n, block))
    a, b = (model.state_dict() for model in models)
    assert a.keys() == b.keys()
    assert all(a[k].equal(b[k]) for k in a)
    layers = [m for m in models[0].modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 6 * n + 2
    x = torch.randn(2, 1, 28, 28)
    assert not torch.allclose(models[0](x), models[1](x))


@pytest.mark.parametrize(
    ("settings", "shape", "last"),
    [
        ({}, (2, 1, 28, 28), (32, 4, 4)),
        ({"channels": (4, 4), "num_classes": 3, "in_channels": 3}, (2, 3, 9, 7), (4, 3, 2)),
        ({"block": PlainBlock}, (1, 1, 9, 1), (32, 2, 1)),
        ({"block": Bottleneck, "channels": (2, 3)}, (2, 1, 8, 8), (12, 2, 2)),
    ],
)
def test_small_net_gives_logits(settings, shape, last):
    model = SmallResNet(2, **settings)
    x = torch.randn(shape)
    assert model(x).shape == (shape[0], settings.get("num_classes", 10))
    y = model.blocks(model.stem(x))
    assert y.shape == (shape[0], *last)
    torch.testing.assert_close(model.eval()(x), model.fc(model.blocks(model.stem(x)).mean((2, 3))))


def test_in_eval_mode_a_single_pixel_will_do():
    model = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=2).eval()
    assert model(torch.randn(1, 3, 1, 1)).shape == (1, 2)
    assert model(torch.randn(0, 3, 32, 32)).shape == (0, 2)
    assert model.train()(torch.randn(1, 3, 33, 32)).shape == (1, 2)


def test_without_batch_norms_a_single_pixel_will_do_in_training_too():
    model = SmallResNet(1)
    for part in list(model.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(part, name, nn.Identity())
    assert model(torch.randn(1, 1, 1, 1)).shape == (1, 10)


SMALL = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=2)
X = torch.zeros(2, 8, 6, 6)
BAD = [
    (lambda: resnet18(num_classes=0), ValueError, "num_classes must be at least 1, got 0"),
    (lambda: resnet50(num_classes=-1), ValueError, "num_classes must be at least 1, got -1"),
    (lambda: resnet18(num_classes=10.0), TypeError, "num_classes must be a whole number, got 10.0"),
    (lambda: resnet18(num_classes=True), TypeError, "num_classes must be a whole number, got True"),
    (lambda: SmallResNet(0), ValueError, "n must be at least 1, got 0"),
    (lambda: SmallResNet(1, num_classes=0), ValueError, "num_classes must be at least 1, got 0"),
    (lambda: SmallResNet(1, in_channels=0), ValueError, "in_channels must be at least 1, got 0"),
    (lambda: SmallResNet(1, channels=()), TypeError, "channels must be a list"),
    (lambda: SmallResNet(1, channels=(8, 0)), ValueError, "each of channels must be at least 1"),
    (lambda: SmallResNet(1, channels=(8, 4)), ValueError, "planes must be at least inplanes, 8"),
    (lambda: SmallResNet(1, nn.ReLU), TypeError, "block must be a class of blocks"),
    (lambda: ResNet(BasicBlock, [2, 2, 2]), ValueError, "layers must have 4 counts.*got 3"),
    (lambda: ResNet(BasicBlock, [2, 2, 0, 2]), ValueError, "each of layers must be at least 1"),
    (lambda: ResNet("basic", [2, 2, 2, 2]), TypeError, "block must be a class .* got 'basic'"),
    (lambda: BasicBlock(8, 0), ValueError, "planes must be at least 1, got 0"),
    (lambda: BasicBlock(8, 8, stride=0), ValueError, "stride must be at least 1, got 0"),
    (lambda: BasicBlock(8, 8, 1, "no"), TypeError, "downsample must be a module or None, got 'no'"),
    (lambda: Bottleneck(8.5, 8), TypeError, "inplanes must be a whole number, got 8.5"),
    (lambda: projection(0, 8), ValueError, "inplanes must be at least 1, got 0"),
    (lambda: PadShortcut(8, 4), ValueError, "planes must be at least inplanes, 8, got 4"),
    (lambda: make_layer(BasicBlock, 8, 8, 0), ValueError, "blocks must be at least 1, got 0"),
    (lambda: BasicBlock(4, 8)(X), ValueError, r"shape \(n, 4, height, width\), got \(2, 8, 6, 6\)"),
    (lambda: BasicBlock(8, 8)(X[0]), ValueError, r"\(n, 8, height, width\), got \(8, 6, 6\)"),
    (
        lambda: BasicBlock(8, 16)(X),
        ValueError,
        r"shortcut must have the shape \(2, 16, 6, 6\) of the residual, got \(2, 8, 6, 6\)",
    ),
    (
        lambda: BasicBlock(8, 8, stride=2)(X),
        ValueError,
        r"the shape \(2, 8, 3, 3\) of the residual, got \(2, 8, 6, 6\)",
    ),
    (
        lambda: BasicBlock(1, 8)(X[:, :1]),  # + would broadcast
        ValueError,
        r"the shape \(2, 8, 6, 6\) of the residual, got \(2, 1, 6, 6\)",
    ),
    (
        lambda: Bottleneck(8, 8, 1, projection(8, 16))(X),
        ValueError,
        r"the shape \(2, 32, 6, 6\) of the residual, got \(2, 16, 6, 6\)",
    ),
    (lambda: add(X, X[:1]), ValueError, r"\(2, 8, 6, 6\) of the residual, got \(1, 8, 6, 6\)"),
    (
        lambda: SMALL(torch.zeros(2, 1, 64, 64)),
        ValueError,
        r"\(n, 3, height, width\), got \(2, 1, 64, 64\)",
    ),
    (lambda: SMALL(torch.zeros(3, 64, 64)), ValueError, r"got \(3, 64, 64\)"),
    (lambda: SMALL(torch.zeros(2, 3, 0, 64)), ValueError, r"got \(2, 3, 0, 64\)"),
    (
        lambda: SMALL.train()(torch.zeros(1, 3, 32, 20)),
        ValueError,
        r"more than 32 by 32 pixels.*got \(1, 3, 32, 20\)",
    ),
    (
        lambda: SmallResNet(1)(torch.zeros(1, 1, 8, 8)),
        ValueError,
        r"more than 8 by 8 pixels.*got \(1, 1, 8, 8\)",
    ),
]


@pytest.mark.nocheck
@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_frozen_norms_need_no_second_value():
    model = SmallResNet(1)
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.eval()
    assert model.training
    assert model(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


def test_a_plain_block_does_not_start_at_zero():
    torch.manual_seed(0)
    model = ResNet(PlainBlock, [1, 1, 1, 1], 4, zero_init_residual=True).eval()
    a, b = model(torch.rand(2, 3, 64, 64))
    assert not torch.allclose(a, b)


@pytest.mark.nocheck
def test_a_convolution_has_channels():
    with pytest.raises(ValueError, match="in_planes must be at least 1, got 0"):
        conv3x3(0, 4)
