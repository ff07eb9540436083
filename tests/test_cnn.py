import csv
import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion.cnn import (
    CLASSIC,
    TODAY,
    LeNet,
    Recipe,
    Standardize,
    feature_maps,
    make_optimizer,
    occlude,
    occlusion_map,
    shift,
)
from companion.data import FILES
from companion.normalization import one_cycle_lr
from companion.optim import SGD, AdamW

ACTIVATIONS = {nn.ReLU: torch.relu, nn.Sigmoid: torch.sigmoid, nn.Tanh: torch.tanh}
POOLINGS = {nn.MaxPool2d: F.max_pool2d, nn.AvgPool2d: F.avg_pool2d}


def images(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)).double()


# LeNet


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_lenet_equals_its_formula_in_value_and_gradient(activation, pooling):
    model = LeNet(activation, pooling).double()
    f, pool = ACTIVATIONS[activation], POOLINGS[pooling]

    def formula(x, k1, b1, k2, b2, w3, b3, w4, b4, w5, b5):
        h = pool(f(F.conv2d(x, k1, b1, padding=2)), 2)
        h = pool(f(F.conv2d(h, k2, b2)), 2)
        h = f(h.flatten(1) @ w3.T + b3)
        h = f(h @ w4.T + b4)
        return h @ w5.T + b5

    x = images(3, 1, 28, 28).requires_grad_()
    ours, theirs = model(x), formula(x, *model.parameters())
    torch.testing.assert_close(ours, theirs)
    inputs = [x, *model.parameters()]
    mine = torch.autograd.grad(ours.square().sum(), inputs)
    torch.testing.assert_close(mine, torch.autograd.grad(theirs.square().sum(), inputs))


def test_lenet_has_the_sizes_of_the_paper():
    model = LeNet()
    counts = [sum(p.numel() for p in layer.parameters()) for layer in model.classifier]
    assert [n for n in counts if n] == [48_120, 10_164, 850]  # C5, F6 and the output
    assert model.features[0].weight.numel() + model.features[0].bias.numel() == 156  # C1
    assert model.features[3].weight.shape == (16, 6, 5, 5)
    assert sum(p.numel() for p in model.parameters()) == 61_706
    assert not any(p.numel() for i in (2, 5) for p in model.features[i].parameters())


def test_lenet_may_have_other_numbers_of_maps():
    model = LeNet(maps=(3, 7))
    assert model.features(torch.zeros(2, 1, 28, 28)).shape == (2, 7, 5, 5)
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert model.features[0].out_channels == 3


def test_lenet_starts_with_xaviers_weights():
    torch.manual_seed(3)
    model = LeNet()
    for layer in (*model.features, *model.classifier):
        if not hasattr(layer, "weight"):
            continue
        w = layer.weight
        area = w[0, 0].numel()
        bound = math.sqrt(6 / (area * (w.shape[0] + w.shape[1])))
        assert w.abs().max() <= bound
        assert abs(w.std() * math.sqrt(3) / bound - 1) < (0.2 if w.numel() < 1000 else 0.05)


def test_lenet_learns_a_batch_by_heart():
    torch.manual_seed(0)
    x, y = torch.rand(20, 1, 28, 28), torch.arange(20) % 10
    model = nn.Sequential(Standardize(0.5, 0.3), LeNet())
    optimizer = make_optimizer(model, Recipe(lr=0.01), 60)
    for _ in range(60):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_lenet_and_its_parts_work_on_other_devices():
    model = nn.Sequential(Standardize(0.3, 0.4), LeNet()).to("meta")
    x = torch.zeros(2, 1, 28, 28, device="meta")
    assert model(x).shape == (2, 10)
    maps = feature_maps(model[1].features, x)
    assert {m.device.type for m in maps} == {"meta"}
    assert shift(x, 3, -2).device.type == occlude(x, 1, 2, 5).device.type == "meta"


# Recipes


def test_standardize_brings_the_training_set_to_mean_0_and_deviation_1():
    x = 3 + 5 * images(40, 1, 6, 6)
    layer = Standardize(x.mean().item(), x.std().item()).double()
    y = layer(x)
    assert abs(y.mean()) < 1e-6
    assert abs(y.std() - 1) < 1e-6
    again = Standardize(0, 1).double()
    again.load_state_dict(layer.state_dict())
    torch.testing.assert_close(again(x), y)
    assert not list(layer.parameters())


@pytest.mark.parametrize("rule", [SGD, AdamW])
@pytest.mark.parametrize("steps", [2, 7, 40])
def test_one_cycle_moves_the_rate_and_nothing_else(rule, steps):
    w = nn.Linear(1, 1)
    optimizer = make_optimizer(w, Recipe(optimizer=rule, lr=0.3), steps)
    kept = {k: v for k, v in optimizer.param_groups[0].items() if k in ("momentum", "betas")}
    assert kept
    for step in range(steps):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(one_cycle_lr(step, 0.3, steps))
        assert {k: optimizer.param_groups[0][k] for k in kept} == kept
        w(torch.ones(1)).backward()
        optimizer.step()


def test_without_a_cycle_the_rate_stays():
    w = nn.Linear(1, 1)
    optimizer = make_optimizer(w, Recipe(optimizer=SGD, one_cycle=False, lr=0.3), 2)
    for _ in range(4):
        w(torch.ones(1)).backward()
        optimizer.step()
        assert optimizer.param_groups[0]["lr"] == 0.3


def test_the_two_recipes_differ_in_everything():
    assert (CLASSIC.activation, CLASSIC.pooling) == (nn.Sigmoid, nn.AvgPool2d)
    assert (TODAY.activation, TODAY.pooling) == (nn.ReLU, nn.MaxPool2d)
    assert (CLASSIC.optimizer, TODAY.optimizer) == (SGD, AdamW)
    assert not CLASSIC.one_cycle
    assert TODAY.one_cycle


# Looking


def test_feature_maps_are_what_hooks_see():
    model = LeNet().double()
    seen = []
    for layer in model.features:
        layer.register_forward_hook(lambda layer, args, output: seen.append(output))
    x = images(2, 1, 28, 28)
    maps = feature_maps(model.features, x)
    assert all(a is b for a, b in zip(maps, seen, strict=True))
    torch.testing.assert_close(model.classifier(maps[-1]), model(x))


def test_features_move_by_one_place_when_the_image_moves_by_four():
    model = LeNet().double()
    x = torch.zeros(2, 1, 28, 28).double()
    x[..., 6:18, 8:16] = images(2, 1, 12, 8)
    before, after = (model.features(v) for v in (x, shift(x, -4, 4)))
    torch.testing.assert_close(after[..., 2:4, 1:3], before[..., 1:3, 2:4])
    assert not torch.allclose(after, before)


@pytest.mark.parametrize("right", [-9, -2, 0, 1, 4, 5, 9])
@pytest.mark.parametrize("down", [-4, 0, 3])
def test_shift_moves_each_pixel_and_fills_with_zeros(right, down):
    x = images(2, 3, 4, 5)
    moved = shift(x, right, down)
    for i, j in itertools.product(range(4), range(5)):
        inside = 0 <= i - down < 4 and 0 <= j - right < 5
        expected = x[..., i - down, j - right] if inside else torch.zeros(2, 3).double()
        assert moved[..., i, j].equal(expected)
    assert shift(x[0, 0], right, down).equal(moved[0, 0])


def test_shift_and_occlude_leave_the_originals_alone():
    x = images(1, 4, 4)
    before = x.clone()
    shift(x).add_(1)
    shift(x, 1, 1).add_(1)
    occlude(x, 0, 0, 2)
    assert x.equal(before)


@pytest.mark.parametrize(("top", "left", "size"), [(0, 0, 1), (2, 1, 3), (1, 3, 3), (0, 0, 5)])
def test_occlude_covers_a_square(top, left, size):
    x = images(2, 1, 5, 6)
    covered = occlude(x, top, left, size, 0.25)
    for i, j in itertools.product(range(5), range(6)):
        inside = top <= i < top + size and left <= j < left + size
        expected = torch.full((2, 1), 0.25).double() if inside else x[..., i, j]
        assert covered[..., i, j].equal(expected)


@pytest.mark.parametrize(("size", "stride", "value"), [(1, 1, 0.0), (3, 1, 1.0), (2, 3, 0.0)])
def test_occlusion_map_equals_one_image_after_the_other(size, stride, value):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Dropout(), nn.LazyLinear(3)).double()
    x = images(1, 6, 7)
    model(x[None])
    model[0].eval()  # one part in eval mode, the others in train mode
    found = occlusion_map(model, x, 2, size, stride, value)
    assert [m.training for m in model] == [False, True, True, True]
    model.eval()
    assert found.shape == ((6 - size) // stride + 1, (7 - size) // stride + 1)
    assert not found.requires_grad
    for i, j in itertools.product(*map(range, found.shape)):
        covered = x.clone()
        top, left = i * stride, j * stride
        covered[:, top : top + size, left : left + size] = value
        expected = model(covered[None]).softmax(1)[0, 2]
        torch.testing.assert_close(found[i, j], expected)


def test_an_unchanged_image_has_a_flat_map():
    torch.manual_seed(0)
    model = LeNet().double()
    x = torch.zeros(1, 28, 28).double()
    p = model(x[None]).softmax(1)[0, 3]
    torch.testing.assert_close(occlusion_map(model, x, 3, 9, 4), p.expand(5, 5))


# What was measured


def rows():
    with (FILES / "seeds" / "lenet.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_rates_of_the_recipes_are_those_that_did_best():
    best = {}
    for setting, recipe in (("classic", CLASSIC), ("today", TODAY)):
        at = {}
        for row in rows():
            if row["experiment"] == "rates" and row["setting"] == setting:
                at.setdefault(float(row["rate"]), []).append(float(row["validation"]))
        assert {len(values) for values in at.values()} == {3}
        best[setting] = max(at, key=lambda rate: sum(at[rate]))
        assert best[setting] == recipe.lr


def test_rates_were_chosen_with_other_seeds_than_the_rest():
    seeds = {name: set() for name in ("rates", "full rates", "changes", "long", "full")}
    for row in rows():
        seeds[row["experiment"]].add(int(row["seed"]))
        assert 0 <= float(row["validation"]) <= 1
    tried = seeds.pop("rates") | seeds.pop("full rates")
    assert not tried & set.union(*seeds.values())
    assert all(len(s) >= 3 for s in seeds.values())


# What is refused


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: LeNet(nn.ReLU()), TypeError, "activation must be a class of layers .* got ReLU"),
        (lambda: LeNet("relu"), TypeError, "activation must be a class of layers .* got 'relu'"),
        (lambda: LeNet(pooling=None), TypeError, "pooling must be a class of layers .* got None"),
        (lambda: LeNet()(torch.zeros(1, 28, 28)), ValueError, r"n, 1, 28, 28\), got \(1, 28, 28\)"),
        (lambda: LeNet()(torch.zeros(2, 3, 28, 28)), ValueError, r"got \(2, 3, 28, 28\)"),
        (lambda: LeNet()(torch.zeros(2, 1, 32, 32)), ValueError, r"got \(2, 1, 32, 32\)"),
        (lambda: Standardize(0.5, 0.0), ValueError, "std must be positive and finite, got 0.0"),
        (
            lambda: Standardize(0.5, math.nan),
            ValueError,
            "std must be positive and finite, got nan",
        ),
        (lambda: Standardize(math.inf, 1.0), ValueError, "mean must be a finite number, got inf"),
        (lambda: LeNet(maps=(6,)), ValueError, r"maps must be two numbers from 1 on, got \(6,\)"),
        (lambda: LeNet(maps=(6, 0)), ValueError, r"two numbers from 1 on, got \(6, 0\)"),
        (lambda: look(target=True), ValueError, "target must be a class of the model, got True"),
        (lambda: Recipe(lr=0.0), ValueError, "lr must be positive and finite, got 0.0"),
        (lambda: Recipe(lr=math.nan), ValueError, "lr must be positive and finite, got nan"),
        (lambda: make_optimizer(LeNet(), TODAY, 0), ValueError, "integer from 1 on, got 0"),
        (lambda: make_optimizer(LeNet(), TODAY, 2.5), ValueError, "integer from 1 on, got 2.5"),
        (lambda: shift(torch.zeros(3), 1), ValueError, r"images must have .* got \(3,\)"),
        (
            lambda: shift(torch.zeros(1, 0, 3), 1),
            ValueError,
            r"images must have .* got \(1, 0, 3\)",
        ),
        (lambda: occlude(torch.zeros(3), 0, 0, 1), ValueError, r"images must have .* got \(3,\)"),
        (lambda: occlude(torch.zeros(4, 6), 0, 0, 0), ValueError, "size must be from 1 to 4, .* 0"),
        (lambda: occlude(torch.zeros(4, 6), 0, 0, 5), ValueError, "size must be from 1 to 4, .* 5"),
        (lambda: occlude(torch.zeros(4, 6), 2, 0, 3), ValueError, "top must be from 0 to 1 .* 2"),
        (lambda: occlude(torch.zeros(4, 6), 0, 4, 3), ValueError, "left must be from 0 to 3 .* 4"),
        (lambda: occlude(torch.zeros(4, 6), -1, 0, 3), ValueError, "top must be from 0 .* got -1"),
        (lambda: look(torch.zeros(28, 28)), ValueError, r"shape \(c, h, w\), got \(28, 28\)"),
        (lambda: look(size=29), ValueError, "size must be from 1 to 28, .* got 29"),
        (lambda: look(stride=0), ValueError, "stride must be at least 1, got 0"),
        (lambda: look(target=10), ValueError, "class of the model, from 0 to 9, got 10"),
        (lambda: look(target=-1), ValueError, "target must be a class of the model, got -1"),
    ],
)
def test_what_makes_no_sense_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def look(image=None, target=0, size=14, stride=14):
    image = torch.zeros(1, 28, 28) if image is None else image
    return occlusion_map(LeNet(), image, target, size, stride)


@pytest.mark.nocheck
def test_a_model_is_left_in_its_mode_when_looking_fails():
    model = LeNet()
    with pytest.raises(ValueError, match="target must be"):
        occlusion_map(model, torch.zeros(1, 28, 28), 10, 14, 14)
    assert model.training


@pytest.mark.nocheck
def test_an_error_inside_the_model_is_not_taken_for_a_wrong_class():
    model = nn.Sequential(nn.Flatten(), nn.Embedding(2, 3), nn.Flatten())
    with pytest.raises((IndexError, RuntimeError)):
        occlusion_map(model, torch.full((1, 2, 2), 7.0), 0, 1)


def test_a_cycle_ends_with_its_last_step():
    model = nn.Linear(1, 1)
    optimizer = make_optimizer(model, Recipe(lr=0.1), 3)
    for _ in range(3):
        model(torch.ones(1, 1)).sum().backward()
        optimizer.step()
    with pytest.raises(ValueError, match="steps"):
        optimizer.step()
