import copy
import csv
import io
import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from companion.data import FILES
from companion.training import fit
from companion.transfer import (
    features,
    few_labels,
    freeze,
    load_body,
    only_classes,
    parameter_groups,
    replace_head,
    unfreeze,
)
from companion.vgg import SmallVGG

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def network(num_classes=3, dropout=0.5):
    """A body with all that has a state or a mode of its own, and a head."""
    body = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(dropout)
    )
    model = nn.Sequential()
    model.add_module("features", body)
    model.add_module("classifier", nn.Sequential(nn.Linear(16, 8), nn.Linear(8, num_classes)))
    return model


def images(n=12):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(n, 1, 4, 4, generator=generator) + 2, torch.arange(n) % 3


def copied(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(state, module):
    new = module.state_dict()
    return state.keys() == new.keys() and all(v.equal(new[name]) for name, v in state.items())


def train(model, groups, epochs=3, rule=torch.optim.AdamW):
    x, y = images()
    optimizer = rule(groups, lr=0.05)
    return fit(model, DataLoader(TensorDataset(x, y), 6), F.cross_entropy, optimizer, epochs)


# Which samples


@settings(deadline=None)
@given(
    labels=st.lists(st.integers(-3, 6), min_size=1, max_size=30),
    keep=st.randoms(use_true_random=False),
)
def test_only_classes_keeps_the_images_of_the_classes_and_no_others(labels, keep):
    known = sorted(set(labels))
    classes = keep.sample(known, keep.randint(1, len(known)))
    x, y = only_classes(torch.arange(len(labels)).double(), torch.tensor(labels), classes)
    pairs = [(i, classes.index(c)) for i, c in enumerate(labels) if c in classes]
    assert list(zip(x.int().tolist(), y.tolist(), strict=True)) == pairs
    assert y.dtype == torch.int64


@settings(deadline=None)
@given(counts=st.lists(st.integers(3, 9), min_size=1, max_size=4), n=st.integers(1, 3))
def test_few_labels_draws_each_class_equally_often_and_no_sample_twice(counts, n):
    labels = torch.cat([torch.full((count,), 2 * c) for c, count in enumerate(counts)])
    labels = labels[torch.randperm(len(labels))]
    rows = few_labels(labels, n)
    assert labels[rows].tolist() == [2 * c for c in range(len(counts)) for _ in range(n)]
    assert len(set(rows.tolist())) == len(rows)


def test_few_labels_draws_every_sample_equally_often():
    labels = torch.tensor([0, 1, 0, 1, 1, 0, 1])
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat([few_labels(labels, 2, generator) for _ in range(3000)])
    share = drawn.bincount(minlength=7) / 3000
    expected = torch.where(labels == 0, 2 / 3, 2 / 4)
    torch.testing.assert_close(share, expected, atol=0.05, rtol=0)


def test_few_labels_goes_by_its_generator():
    labels = torch.arange(200) % 2
    first, second = (few_labels(labels, 9, torch.Generator().manual_seed(5)) for _ in range(2))
    assert first.equal(second)
    assert not first.equal(few_labels(labels, 9, torch.Generator().manual_seed(6)))
    torch.manual_seed(1)
    other = few_labels(labels, 9)
    torch.manual_seed(1)
    assert other.equal(few_labels(labels, 9))


@pytest.mark.parametrize("device", DEVICES)
def test_samples_stay_on_their_device(device):
    labels = torch.tensor([4, 4, 2, 2], device=device)
    assert few_labels(labels, 1, torch.Generator().manual_seed(0)).device.type == device
    x, y = only_classes(torch.ones(4, 2, device=device), labels, [2])
    assert x.device.type == y.device.type == device


# What is carried over


def test_load_body_copies_all_but_the_head():
    trained, model = network(), network(7)
    trained.features[1].running_mean.fill_(3)
    head = copied(model.classifier)
    left_out = load_body(model, trained.state_dict(), "classifier")
    assert left_out == [f"classifier.{k}.{p}" for k in (0, 1) for p in ("weight", "bias")]
    assert same(copied(trained.features), model.features)
    assert same(head, model.classifier)


def test_load_body_takes_a_state_dict_without_a_head_and_a_part_of_the_head():
    trained, model = network(), network(7)
    body = {n: v for n, v in trained.state_dict().items() if n.startswith("features.")}
    assert load_body(model, body, "classifier") == []
    assert same(copied(trained.features), model.features)
    left_out = load_body(model, trained.state_dict(), "classifier.1")
    assert left_out == ["classifier.1.weight", "classifier.1.bias"]
    assert same(copied(trained.classifier[0]), model.classifier[0])


class Counted(nn.Linear):
    """A layer whose state holds more than tensors."""

    steps = 0

    def get_extra_state(self):
        return {"steps": self.steps}

    def set_extra_state(self, state):
        self.steps = state["steps"]


def test_load_body_copies_a_state_that_is_no_tensor():
    trained, model = (nn.Sequential(Counted(2, 2), nn.Linear(2, 1)) for _ in range(2))
    trained[0].steps = 7
    load_body(model, trained.state_dict(), "1")
    assert model[0].steps == 7


def test_a_head_is_a_whole_name_and_not_the_beginning_of_one():
    model = nn.Sequential(*(nn.Linear(1, 1) for _ in range(11)))
    trained = copy.deepcopy(model)
    for p in trained.parameters():
        nn.init.ones_(p)
    assert load_body(model, trained.state_dict(), "1") == ["1.weight", "1.bias"]
    assert model[10].weight == 1 != model[1].weight


def test_replace_head_makes_another_layer_of_the_same_kind():
    model = SmallVGG().double()
    new = replace_head(model, "classifier.1", 4)
    assert new is model.classifier[1]
    assert (new.in_features, new.out_features, new.weight.dtype) == (288, 4, torch.float64)
    assert model(torch.zeros(2, 1, 28, 28).double()).shape == (2, 4)
    assert new.weight.requires_grad
    without = nn.Sequential(nn.Linear(3, 2, bias=False))
    assert replace_head(without, "0", 5).bias is None
    with torch.device("meta"):
        large = nn.Sequential(nn.Linear(3, 2))
    assert replace_head(large, "0", 5).weight.device.type == "meta"


# What learns


@pytest.mark.parametrize("rule", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_what_is_frozen_stays_bit_for_bit(rule):
    model = network()
    freeze(model.features)
    body, head = copied(model.features), copied(model.classifier)
    train(model, model.parameters(), rule=rule)  # the frozen ones are handed over, too
    assert same(body, model.features)
    assert not same(head, model.classifier)
    assert all(p.grad is None for p in model.features.parameters())


def test_without_freeze_the_statistics_move_though_no_parameter_does():
    model = network()
    model.features.requires_grad_(False)
    before = copied(model.features)
    train(model, model.parameters())
    moved = [n for n, v in model.features.state_dict().items() if not v.equal(before[n])]
    assert moved == ["1.running_mean", "1.running_var", "1.num_batches_tracked"]


def test_frozen_parts_stay_in_eval_mode_and_others_do_not():
    model = network()
    assert freeze(model.features) is model.features
    for call in (model.train, model.features.train, model.features[1].train, model.features.eval):
        call()
        assert not any(m.training for m in model.features.modules())
    model.train()
    assert all(m.training for m in model.classifier.modules())
    model.eval()
    assert not any(m.training for m in model.modules())
    x = images()[0]
    model.train()
    assert model.features(x).equal(model.features(x))  # dropout is off


@pytest.mark.parametrize("way", ["deepcopy", "save"])
def test_a_copy_of_a_frozen_network_is_frozen_by_itself(way):
    model = network()
    freeze(model.features)
    if way == "deepcopy":
        other = copy.deepcopy(model)
    else:
        file = io.BytesIO()
        torch.save(model, file)
        other = torch.load(io.BytesIO(file.getvalue()), weights_only=False)
    unfreeze(model)
    other.train()
    model.train()
    assert model.features[1].training
    assert not other.features[1].training
    assert not any(p.requires_grad for p in other.features.parameters())
    unfreeze(other).train()
    assert all(m.training for m in other.modules())


def test_unfreeze_undoes_freeze_also_done_twice_and_is_harmless_else():
    model = network()
    before = copied(model)
    freeze(freeze(model.features))
    assert unfreeze(model) is model
    assert same(before, model)
    model.train()
    assert all(m.training for m in model.modules())
    assert all(p.requires_grad for p in model.parameters())
    body = copied(model.features)
    train(model, model.parameters())
    assert not same(body, model.features)


def test_a_part_can_be_thawed_alone():
    model = freeze(network())
    unfreeze(model.features[0])
    model.train()
    assert [m.training for m in model.features] == [True, False, False, False, False]
    learns = [n for n, p in model.named_parameters() if p.requires_grad]
    assert learns == ["features.0.weight", "features.0.bias"]


def test_groups_hold_each_parameter_that_learns_once():
    model = network()
    rates = {"classifier": 0.1, "features": 0.01, "features.1": 0.0, "classifier.1.bias": 3}
    groups = parameter_groups(model, rates)
    names = {id(p): name for name, p in model.named_parameters()}
    found = [(group["lr"], [names[id(p)] for p in group["params"]]) for group in groups]
    assert found == [
        (0.1, ["classifier.0.weight", "classifier.0.bias", "classifier.1.weight"]),
        (0.01, ["features.0.weight", "features.0.bias"]),
        (0.0, ["features.1.weight", "features.1.bias"]),
        (3, ["classifier.1.bias"]),
    ]
    freeze(model.features)
    groups = parameter_groups(model, rates)
    assert [group["lr"] for group in groups] == [0.1, 3]


def test_a_weight_that_two_parts_share_is_learnt_once_and_both_may_be_named():
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    for rates in ({"0": 0.1}, {"0": 0.1, "1": 0.2}):
        (group,) = parameter_groups(model, rates)
        assert group["lr"] == 0.1
        assert len(group["params"]) == 1


def test_a_part_is_a_whole_name_here_too():
    model = nn.Sequential(*(nn.Linear(1, 1) for _ in range(11)))
    rates = {str(k): k / 10 for k in range(11)}
    groups = parameter_groups(model, rates)
    assert [(len(g["params"]), g["lr"]) for g in groups] == [(2, k / 10) for k in range(11)]


def test_groups_move_at_their_own_rates():
    model = network(dropout=0.0)
    rates = {"features": 0.001, "classifier": 0.1}
    groups = parameter_groups(model, rates)
    before = copied(model)
    x, y = images()
    optimizer = torch.optim.SGD(groups)
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
    for name, p in model.named_parameters():
        rate = rates[name.split(".")[0]]
        torch.testing.assert_close(p, before[name] - rate * p.grad)


# Features


@pytest.mark.parametrize("batch_size", [1, 5, 12, 100])
def test_features_are_those_of_the_body_in_eval_mode(batch_size):
    model, (x, _) = network().double(), images()
    model.features[1].running_mean.fill_(0.5)
    model.features[4].eval()
    modes = [m.training for m in model.modules()]
    found = features(model.features, x.double(), batch_size)
    assert [m.training for m in model.modules()] == modes
    assert not found.requires_grad
    assert model.features[1].num_batches_tracked == 0
    torch.testing.assert_close(found, model.features.eval()(x.double()))


def test_features_leave_the_modes_after_an_error_too():
    body = nn.Sequential(nn.Dropout(), nn.Linear(3, 3))
    with pytest.raises(RuntimeError):
        features(body, torch.ones(2, 4))
    assert body[0].training


def test_a_head_learns_from_features_what_it_learns_behind_the_frozen_body():
    torch.manual_seed(0)
    model, (x, y) = network().double(), images()
    freeze(model.features)
    head = copy.deepcopy(model.classifier)
    for part, inputs in ((model, x.double()), (head, features(model.features, x.double()))):
        learning = [p for p in part.parameters() if p.requires_grad]
        loader = DataLoader(TensorDataset(inputs, y), 6)
        fit(part, loader, F.cross_entropy, torch.optim.Adam(learning, 0.05), 4)
    for one, other in zip(model.classifier.parameters(), head.parameters(), strict=True):
        torch.testing.assert_close(one, other)


# What was measured


def rows():
    with (FILES / "seeds" / "transfer.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_rates_were_chosen_with_other_seeds_than_the_rest():
    seeds = {}
    for row in rows():
        seeds.setdefault(row["experiment"], set()).add(int(row["seed"]))
        assert all(0 <= float(row[score]) <= 1 for score in ("validation", "test"))
    assert seeds.pop("rates") == {100, 101, 102}
    assert seeds.keys() == {"ways", "long", "layers", "body", "sources"}
    assert all(s == set(range(10)) for s in seeds.values())


def test_each_way_has_the_rate_that_did_best_and_it_lies_inside():
    tried = {}
    for row in rows():
        if row["experiment"] == "rates":
            column = tried.setdefault(row["setting"], {})
            column.setdefault(float(row["rate"]), []).append(float(row["validation"]))
    for row in rows():
        if row["experiment"] == "ways":
            column = tried[row["setting"]]
            assert {len(values) for values in column.values()} == {9}
            best = max(column, key=lambda rate, column=column: sum(column[rate]))
            assert float(row["rate"]) == best
            assert min(column) < best < max(column)


# What is refused

X, Y = torch.ones(4, 2), torch.tensor([3, 5, 5, 3])


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (only_classes, (X, Y, []), ValueError, "one or more different numbers, got []"),
        (only_classes, (X, Y, [3, 3]), ValueError, "different numbers, got [3, 3]"),
        (only_classes, (X, Y, [3, 4]), ValueError, "no image has the label 4"),
        (only_classes, (X, Y, [3.0]), TypeError, "each class must be an integer, got 3.0"),
        (only_classes, (X, Y, [True]), TypeError, "each class must be an integer, got True"),
        (only_classes, (X[:3], Y, [3]), ValueError, "got 3 images, 4 labels"),
        (only_classes, (X, Y.float(), [3]), TypeError, "a tensor of integers, got torch.float32"),
        (few_labels, (Y, 3), ValueError, "expected 3 labels of class 3, got 2"),
        (few_labels, (Y[:3], 2), ValueError, "expected 2 labels of class 3, got 1"),
        (few_labels, (Y, 0), ValueError, "per_class must be at least 1, got 0"),
        (few_labels, (Y, 1.5), TypeError, "per_class must be an integer, got 1.5"),
        (few_labels, (Y[:0], 1), ValueError, "a vector of one or more, got (0,)"),
        (few_labels, (Y[:, None], 1), ValueError, "a vector of one or more, got (4, 1)"),
        (few_labels, ([1, 2], 1), TypeError, "a tensor of integers, got list"),
        (replace_head, (network(), "head", 4), ValueError, "a part of the model, got 'head'"),
        (replace_head, (network(), "", 4), ValueError, "a part of the model, got ''"),
        (replace_head, (network(), "classifier", 4), TypeError, "'classifier', got Sequential"),
        (replace_head, (network(), "classifier.1", 0), ValueError, "at least 1, got 0"),
        (freeze, (nn.Parameter(torch.ones(1)),), TypeError, "an nn.Module, got Parameter"),
        (unfreeze, ([nn.Linear(1, 1)],), TypeError, "an nn.Module, got list"),
        (parameter_groups, (network(), {"features": 1}), ValueError, "none for classifier.0"),
        (parameter_groups, (network(), {}), ValueError, "none for features.0.weight"),
        (
            parameter_groups,
            (nn.Sequential(*map(nn.Linear, [1] * 11, [1] * 11)), {str(k): 1 for k in range(10)}),
            ValueError,
            "none for 10.weight",
        ),
        (
            parameter_groups,
            (network(), {"features": 1, "classifier": 1, "head": 1}),
            ValueError,
            "names of parts with parameters, got 'head'",
        ),
        (parameter_groups, (network(), {"features": -0.1}), ValueError, "'features', got -0.1"),
        (parameter_groups, (network(), {"features": "0.1"}), TypeError, "'features', got '0.1'"),
        (
            parameter_groups,
            (network().requires_grad_(False), {"features": 1, "classifier": 1}),
            ValueError,
            "is everything frozen?",
        ),
        (features, (nn.Flatten(), X, 0), ValueError, "batch_size must be at least 1, got 0"),
        (features, (nn.Flatten(), X, 2.0), TypeError, "batch_size must be an integer, got 2.0"),
    ],
)
def test_what_is_refused(function, arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        function(*arguments)


def without(name):
    return {n: v for n, v in network().state_dict().items() if n != name}


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("state", "head", "message"),
    [
        (network().state_dict(), "head", "the name of a part of the model, got 'head'"),
        (network().state_dict(), "", "the name of a part of the model, got ''"),
        (without("features.0.bias"), "classifier", "'features.0.bias' in the state dict"),
        (without("features.1.running_mean"), "classifier", "'features.1.running_mean'"),
        (
            {f"module.{n}": v for n, v in network().state_dict().items()},
            "classifier",
            "expected 'features.0.bias' in the state dict",
        ),
        (network().state_dict() | {"tail.weight": X}, "classifier", "got 'tail.weight'"),
        (
            network().state_dict() | {"features.0.bias": torch.ones(5)},
            "classifier",
            "expected the shape (4,) for 'features.0.bias', got (5,)",
        ),
        (network(4).state_dict(), "features", "(3, 8) for 'classifier.1.weight', got (4, 8)"),
    ],
)
def test_a_state_dict_that_does_not_fit_is_refused_and_changes_nothing(state, head, message):
    model = network()
    before = copied(model)
    with pytest.raises(ValueError, match=re.escape(message)):
        load_body(model, state, head)
    assert same(before, model)


@pytest.mark.nocheck
def test_a_model_that_is_all_head_has_no_body_to_load():
    model = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="besides '0', got nothing"):
        load_body(model, model.state_dict(), "0")
