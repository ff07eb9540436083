import copy

import pytest
import torch
from torch import nn

from companion.vgg import LayerCost, layer_costs, multiplications

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
