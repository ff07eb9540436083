import copy
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion import vgg
from companion.vgg import PLANS, VGG, LayerCost, SmallVGG, layer_costs, make_layers, multiplications

TABLE = json.loads((Path(__file__).parent / "torchvision_models.json").read_text("utf-8"))["models"]

# layer, shape of a sample that goes in, (shape that comes out, parameters, multiplications) by hand
BY_HAND = [
    (nn.Conv2d(3, 8, 3, padding=1), (3, 10, 12), ((8, 10, 12), 8 * 27 + 8, 8 * 27 * 120)),
    (nn.Conv2d(3, 8, 3, bias=False), (3, 10, 12), ((8, 8, 10), 8 * 27, 8 * 27 * 80)),
    (nn.Conv2d(4, 8, 3, stride=2), (4, 10, 12), ((8, 4, 5), 8 * 36 + 8, 8 * 36 * 20)),
    (nn.Conv2d(4, 8, (1, 5), groups=2), (4, 6, 7), ((8, 6, 3), 8 * 2 * 5 + 8, 8 * 2 * 5 * 18)),
    (nn.Conv2d(6, 6, 3, groups=6), (6, 5, 5), ((6, 3, 3), 6 * 9 + 6, 6 * 9 * 9)),
    (nn.Conv2d(2, 3, 3, dilation=2), (2, 9, 9), ((3, 5, 5), 3 * 18 + 3, 3 * 18 * 25)),
    (nn.Conv1d(2, 3, 4, stride=3), (2, 10), ((3, 3), 3 * 8 + 3, 3 * 8 * 3)),
    (nn.Conv3d(2, 3, 2), (2, 4, 5, 6), ((3, 3, 4, 5), 3 * 16 + 3, 3 * 16 * 60)),
    (nn.ConvTranspose2d(4, 3, 2, stride=2), (4, 5, 6), ((3, 10, 12), 48 + 3, 48 * 30)),
    (nn.ConvTranspose2d(4, 2, 3, 2, 1, groups=2), (4, 5, 6), ((2, 9, 11), 36 + 2, 36 * 30)),
    (nn.ConvTranspose1d(2, 3, 4), (2, 5), ((3, 8), 24 + 3, 24 * 5)),
    (nn.Linear(7, 5), (7,), ((5,), 40, 35)),
    (nn.Linear(7, 5, bias=False), (7,), ((5,), 35, 35)),
    (nn.Linear(7, 5), (4, 3, 7), ((4, 3, 5), 40, 35 * 12)),
    (nn.BatchNorm2d(4), (4, 5, 6), ((4, 5, 6), 8, 0)),
    (nn.MaxPool2d(2), (4, 5, 6), ((4, 2, 3), 0, 0)),
    (nn.ReLU(inplace=True), (4, 5), ((4, 5), 0, 0)),
    (nn.Flatten(), (4, 5), ((20,), 0, 0)),
    (nn.Dropout(), (4,), ((4,), 0, 0)),
    (nn.AdaptiveAvgPool2d((7, 7)), (4, 3, 9), ((4, 7, 7), 0, 0)),
]


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("layer", "sample", "by_hand"), BY_HAND, ids=lambda value: str(value)[:40])
def test_costs_of_one_layer(layer, sample, by_hand, batch, device):
    model = nn.Sequential(copy.deepcopy(layer)).to(device)
    shape, parameters, products = by_hand
    values = torch.zeros(shape).numel()
    row = LayerCost("0", type(layer).__name__, shape, parameters, products, values)
    x = torch.zeros(batch, *sample, device=device)
    assert layer_costs(model, x) == [row]
    if device == "cpu":
        assert multiplications(layer, x, layer(x)) == products


@pytest.mark.parametrize("settings", [{}, {"stride": 2}, {"groups": 2}, {"dilation": 2}])
def test_a_convolution_multiplies_as_often_as_its_sums_have_terms(settings):
    layer = nn.Conv2d(4, 6, 3, bias=False, **settings)
    nn.init.ones_(layer.weight)
    terms = layer(torch.ones(1, 4, 9, 8)).sum()  # every product is 1
    (cost,) = layer_costs(nn.Sequential(layer), torch.ones(1, 4, 9, 8))
    assert cost.multiplications == terms


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.inner = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
        self.tied = nn.Linear(3, 3, bias=False)
        self.tied.weight = self.inner[0].weight
        self.unused = nn.Linear(9, 9)

    def forward(self, x):
        return self.scale * self.tied(self.inner(self.inner(x)))


def test_shared_weights_count_once_as_parameters_and_each_time_as_products():
    costs = layer_costs(Shared(), torch.zeros(2, 3))
    assert [(c.name, c.parameters, c.multiplications) for c in costs] == [
        ("inner.0", 12, 9),
        ("inner.1", 0, 0),
        ("inner.0", 0, 9),
        ("inner.1", 0, 0),
        ("tied", 0, 9),
        ("", 1, 0),  # the network itself, for the parameter that is its own
    ]


def test_the_network_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(), nn.ReLU())
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    layer_costs(model, torch.randn(2, 1, 5, 5, generator=torch.Generator()))
    assert [m.training for m in model] == [True, False, True, True]
    for name, value in model.state_dict().items():
        assert value.equal(before[name])
    assert torch.get_rng_state().equal(random)
    assert not any(m._forward_hooks for m in model.modules())
    assert model(torch.zeros(2, 1, 5, 5)).requires_grad


def test_hooks_and_modes_are_put_back_after_an_error_too():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(4, 4)).train()
    with pytest.raises(RuntimeError):
        layer_costs(model, torch.zeros(1, 3))
    assert model.training
    assert not any(m._forward_hooks for m in model.modules())


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("model", "input", "error", "message"),
    [
        ("vgg", torch.zeros(1, 3), TypeError, "model must be an nn.Module, got str"),
        (nn.ReLU(), [1.0], TypeError, "input must be a tensor, a batch, got list"),
        (nn.ReLU(), torch.zeros(3), ValueError, r"one or more behind it, got the shape \(3,\)"),
        (nn.LSTM(3, 4), torch.zeros(1, 2, 3), TypeError, "puts out a tensor, got LSTM, a tuple"),
    ],
)
def test_bad_input_of_layer_costs(model, input, error, message):
    with pytest.raises(error, match=message):
        layer_costs(model, input)


def on_meta(name, **settings):
    """Make a network of the family, shapes only."""
    with torch.device("meta"):
        if name == "vgg16":
            return vgg.vgg16(**settings)
        plan, _, norm = name.partition("_")
        return VGG(make_layers(PLANS[plan], batch_norm=bool(norm)), **settings)


@pytest.mark.parametrize("name", [name for name in TABLE if name.startswith("vgg")])
def test_names_and_shapes_are_torchvisions(name):
    ours = {key: list(value.shape) for key, value in on_meta(name).state_dict().items()}
    assert list(ours.items()) == list(TABLE[name].items())  # the order too


def test_vgg16_takes_a_file_of_torchvisions():
    model = on_meta("vgg16")
    file = {name: torch.empty(shape, device="meta") for name, shape in TABLE["vgg16"].items()}
    model.load_state_dict(file, assign=True)
    assert model.features[28].weight is not file["features.28.weight"]  # a Parameter of it
    assert sum(p.numel() for p in model.parameters()) == 138_357_544


def test_the_costs_of_vgg16_are_those_of_a_count_by_hand():
    costs = layer_costs(on_meta("vgg16"), torch.empty(1, 3, 224, 224, device="meta"))
    size, c, products, parameters = 224, 3, 0, 0
    for v in PLANS["vgg16"]:
        if v == "M":
            size //= 2
            continue
        products += size * size * 9 * c * v
        parameters += 9 * c * v + v
        c = v
    assert parameters == 14_714_688
    linear = 512 * 49 * 4096 + 4096 * 4096 + 4096 * 1000
    assert sum(c.multiplications for c in costs) == products + linear == 15_470_264_320
    assert sum(c.parameters for c in costs) == parameters + linear + 4096 + 4096 + 1000
    first = next(c for c in costs if c.kind == "Linear")
    assert (first.name, first.parameters) == ("classifier.0", 102_764_544)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_layers_compute_what_the_plan_says(batch_norm):
    plan = [4, 6, "M", 5, "M"]
    layers = make_layers(plan, batch_norm, in_channels=2).double()
    x = torch.randn(3, 2, 9, 11, dtype=torch.float64, requires_grad=True)
    ours = layers(x)
    y, rest = x, iter(layers.state_dict(keep_vars=True).values())
    for v in plan:
        if v == "M":
            y = y.unfold(2, 2, 2).unfold(3, 2, 2).amax((-1, -2))
            continue
        y = F.conv2d(y, next(rest), next(rest), padding=1)
        if batch_norm:
            scale, shift, *_ = [next(rest) for _ in range(5)]
            mean, var = y.mean((0, 2, 3)), y.var((0, 2, 3), unbiased=False)
            y = (y - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
            y = y * scale[:, None, None] + shift[:, None, None]
        y = y.clamp(min=0)
    torch.testing.assert_close(ours, y)
    upstream = torch.randn_like(y)
    wanted = [x, *layers.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(ours, wanted, upstream), torch.autograd.grad(y, wanted, upstream)
    )


@pytest.mark.parametrize("size", [32, 100, 224])
def test_behind_the_features_7_by_7_places_are_left(size):
    model = on_meta("vgg11", num_classes=3)
    x = torch.empty(2, 3, size, size, device="meta")
    assert model(x).shape == (2, 3)
    model.classifier = nn.Sequential()
    assert model(x).shape == (2, 512 * 49)


def test_the_classifier_gets_the_pooled_features():
    model = VGG.__new__(VGG)
    nn.Module.__init__(model)
    model.features = make_layers([5, "M"])
    model.avgpool, model.classifier = nn.AdaptiveAvgPool2d((7, 7)), nn.Sequential()
    x = torch.randn(2, 3, 28, 42)
    pooled = F.adaptive_avg_pool2d(model.features(x), 7).flatten(1)
    torch.testing.assert_close(model(x), pooled)


def test_first_weights():
    model = SmallVGG([64, 64, "M"], in_channels=3, size=32)
    first, second = model.features[0], model.features[3]
    for layer in (first, second):  # fan_out: 64 · 9
        assert layer.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.1)
        assert not layer.bias.any()
    layer = nn.Linear(300, 200)
    vgg.start_weights(layer)
    assert layer.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not layer.bias.any()
    vgg.start_weights(nn.Linear(3, 3, bias=False))  # no bias is no error
    norm = nn.BatchNorm2d(3)
    vgg.start_weights(norm)
    assert norm.weight.eq(1).all()


def test_init_weights_and_dropout_are_handed_on():
    model = on_meta("vgg16", num_classes=7, dropout=0.25, init_weights=False)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.25, 0.25]
    assert model.classifier[6].out_features == 7


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({}, (2, 1, 28, 28)),
        ({"cfg": [4, "M", 6], "num_classes": 1, "in_channels": 3, "size": 9}, (1, 3, 9, 9)),
        ({"cfg": ["M", "M"], "in_channels": 2, "size": 4}, (3, 2, 4, 4)),
        ({"batch_norm": False}, (1, 1, 28, 28)),
    ],
)
def test_small_vgg_gives_logits(settings, shape):
    model = SmallVGG(**settings).eval()
    logits = model(torch.randn(shape))
    assert logits.shape == (shape[0], settings.get("num_classes", 10))
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    plan = settings.get("cfg", vgg.SMALL)
    assert norms == settings.get("batch_norm", True) * sum(v != "M" for v in plan)


VGG11 = on_meta("vgg11", num_classes=2)
BAD = [
    (lambda: make_layers([]), ValueError, "at least one layer, got none"),
    (lambda: make_layers([64, "P"]), ValueError, "channel counts and \"M\", got 'P'"),
    (lambda: make_layers([64, 0]), ValueError, "each channel count must be at least 1, got 0"),
    (lambda: make_layers([6.5]), TypeError, "must be a whole number, got 6.5"),
    (lambda: make_layers("MM"), TypeError, "the plan must be a list, got 'MM'"),
    (lambda: make_layers([8], in_channels=0), ValueError, "in_channels must be at least 1, got 0"),
    (lambda: vgg.vgg16(num_classes=0), ValueError, "num_classes must be at least 1, got 0"),
    (lambda: vgg.vgg16(num_classes=-3), ValueError, "num_classes must be at least 1, got -3"),
    (lambda: vgg.vgg16(num_classes=10.0), TypeError, "num_classes must be a whole number, got 10"),
    (lambda: vgg.vgg16(num_classes=True), TypeError, "must be a whole number, got True"),
    (lambda: on_meta("vgg11", dropout=1.5), ValueError, "1.5"),
    (lambda: VGG([64]), TypeError, "features must be an nn.Module, got list"),
    (lambda: SmallVGG(num_classes=0), ValueError, "num_classes must be at least 1, got 0"),
    (lambda: SmallVGG(size=7), ValueError, "at least 8 by 8 pixels for 3 poolings, got size=7"),
    (lambda: SmallVGG()(torch.zeros(1, 1, 27, 28)), ValueError, r"28 by 28 pixels, got \(27, 28\)"),
    (lambda: SmallVGG()(torch.zeros(1, 3, 28, 28)), ValueError, r"\(n, 1, height, width\), got"),
    (lambda: SmallVGG()(torch.zeros(1, 28, 28)), ValueError, r"got \(1, 28, 28\)"),
    (
        lambda: VGG11(torch.empty(1, 3, 31, 64, device="meta")),
        ValueError,
        r"at least 32 by 32 pixels for 5 poolings, got \(31, 64\)",
    ),
    (
        lambda: VGG11(torch.empty(1, 1, 64, 64, device="meta")),
        ValueError,
        r"\(n, 3, height, width\), got \(1, 1, 64, 64\)",
    ),
]


@pytest.mark.nocheck
@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input_of_the_networks(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_layer_may_be_called_by_keyword():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x):
            return self.layer(input=x)

    (cost,) = layer_costs(Named(), torch.zeros(5, 3))
    assert (cost.parameters, cost.multiplications, cost.values) == (8, 6, 2)
