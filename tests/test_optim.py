import copy
import io
import itertools
import math

import pytest
import torch

from companion import optim

NAMES = ["SGD", "RMSprop", "Adam", "AdamW"]


def combinations(**choices):
    for values in itertools.product(*choices.values()):
        settings = dict(zip(choices, values, strict=True))
        if "lr_eps" in settings:  # both vary, but together, for the sake of time
            settings["lr"], settings["eps"] = settings.pop("lr_eps")
        yield settings


SETTINGS = [
    *(
        ("SGD", settings)
        for settings in combinations(
            lr=[0.01, 0.3],
            momentum=[0, 0.9],
            dampening=[0, 0.4],
            weight_decay=[0, 0.1],
            nesterov=[False, True],
            maximize=[False, True],
        )
        if not settings["nesterov"] or (settings["momentum"] and not settings["dampening"])
    ),
    *(
        ("RMSprop", settings)
        for settings in combinations(
            lr_eps=[(0.002, 1e-8), (0.02, 1e-2)],
            alpha=[0.9, 0.99],
            weight_decay=[0, 0.1],
            momentum=[0, 0.9],
            centered=[False, True],
            maximize=[False, True],
        )
    ),
    *(
        (name, settings)
        for name in ("Adam", "AdamW")
        for settings in combinations(
            lr_eps=[(0.002, 1e-8), (0.05, 1e-2)],
            betas=[(0.9, 0.999), (0.5, 0.0)],
            weight_decay=[0, 0.1],
            amsgrad=[False, True],
            maximize=[False, True],
        )
    ),
]
SHORT = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1},
    "RMSprop": {"lr": 0.01, "momentum": 0.9, "centered": True},
    "Adam": {"lr": 0.05, "amsgrad": True, "weight_decay": 0.1},
    "AdamW": {"lr": 0.05, "amsgrad": True},
}
OURS_AND_TORCHS = [getattr(module, name) for name in NAMES for module in (optim, torch.optim)]


def parameters(dtype=torch.float64):
    """A matrix and a single number, the same at every call."""
    generator = torch.Generator().manual_seed(1)
    matrix = torch.randn(3, 2, generator=generator, dtype=dtype)
    return [matrix.requires_grad_(), torch.tensor(0.7, dtype=dtype, requires_grad=True)]


def loss_of(params, t=0):
    """Bounded, curved, and with a little that differs from step to step."""
    return sum(torch.sin(p * (i + 1) + 0.3 * t).sum() for i, p in enumerate(params))


def train(optimizer, params, steps):
    """All values of all parameters on the way."""
    path = []
    for t in range(*steps):
        optimizer.zero_grad(set_to_none=t % 2 == 0)  # else the gradient's memory is used again
        loss_of(params, t).backward()
        optimizer.step()
        path.append(torch.cat([p.detach().flatten() for p in params]))
    return torch.stack(path)


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_every_one_of_fifty_steps_equals_torch(name, settings):
    paths = []
    for module in (optim, torch.optim):
        params = parameters()
        paths.append(train(getattr(module, name)(params, **settings), params, (0, 50)))
    torch.testing.assert_close(*paths, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_and_their_order_are_torchs(name):
    params = parameters()
    values = {
        "SGD": [0.5, 0.1, 0.0, 0.3, True],
        "RMSprop": [0.5, 0.1, 0.01, 0.3, 0.4, True],
        "Adam": [0.5, (0.1, 0.2), 0.01, 0.3, True],
        "AdamW": [0.5, (0.1, 0.2), 0.01, 0.3, True],
    }
    for given in ([], values[name]):
        ours = getattr(optim, name)(params, *given).defaults
        torchs = getattr(torch.optim, name)(params, *given).defaults
        assert ours.items() <= torchs.items()


@pytest.mark.parametrize("name", NAMES)
def test_float32_stays_float32_and_close_to_torch(name):
    paths = []
    for module in (optim, torch.optim):
        params = parameters(torch.float32)
        paths.append(train(getattr(module, name)(params, **SHORT[name]), params, (0, 10)))
    assert paths[0].dtype == torch.float32
    torch.testing.assert_close(*paths, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_groups_keep_their_own_settings(name):
    paths = []
    for module in (optim, torch.optim):
        params = parameters()
        groups = [{"params": params[:1], "lr": 0.2, "weight_decay": 0.3}, {"params": params[1:]}]
        optimizer = getattr(module, name)(groups, lr=0.01, maximize=True)
        params.append(torch.ones(2, dtype=torch.float64, requires_grad=True))
        optimizer.add_param_group({"params": params[2:], "maximize": False})
        paths.append(train(optimizer, params, (0, 20)))
    torch.testing.assert_close(*paths, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_without_gradient_is_left_alone_and_remembers_nothing(name):
    used, unused = parameters()
    before = unused.detach().clone()
    optimizer = getattr(optim, name)([used, unused], **SHORT[name])
    used.sum().backward()
    optimizer.step()
    assert unused.equal(before)
    assert unused not in optimizer.state
    assert used in optimizer.state


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_is_not_changed_and_nothing_joins_the_graph(name):
    params = parameters()
    optimizer = getattr(optim, name)(params, **SHORT[name])
    loss_of(params).backward()
    before = [p.grad.clone() for p in params]
    pointers = [p.data_ptr() for p in params]
    optimizer.step()
    assert all(p.grad.equal(g) for p, g in zip(params, before, strict=True))
    assert [p.data_ptr() for p in params] == pointers  # in place
    assert all(p.is_leaf and p.requires_grad for p in params)
    remembered = [value for p in params for value in optimizer.state[p].values()]
    assert not any(value.requires_grad for value in remembered)


@pytest.mark.parametrize("name", NAMES)
def test_closure_is_called_once_with_gradients_and_its_loss_returned(name):
    params = parameters()
    optimizer = getattr(optim, name)(params, **SHORT[name])
    before = loss_of(params).item()
    calls = []

    def closure():
        optimizer.zero_grad()
        loss = loss_of(params)
        loss.backward()
        calls.append(loss)
        return loss

    with torch.no_grad():
        assert optimizer.step(closure) is calls[0]
    assert len(calls) == 1
    assert calls[0].item() == before
    assert loss_of(params).item() < before
    assert optimizer.step() is None


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_state_resumes_exactly(name):
    params = parameters()
    optimizer = getattr(optim, name)(params, **SHORT[name])
    train(optimizer, params, (0, 10))
    file = io.BytesIO()
    torch.save({"params": params, "optimizer": optimizer.state_dict()}, file)
    expected = train(optimizer, params, (10, 30))

    file.seek(0)
    saved = torch.load(file, weights_only=True)
    again = getattr(optim, name)(saved["params"])  # the settings come from the file too
    again.load_state_dict(saved["optimizer"])
    assert train(again, saved["params"], (10, 30)).equal(expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("first", "second"),
    [(optim, torch.optim), (torch.optim, optim)],
    ids=["ours to torch", "torch to ours"],
)
def test_torch_and_ours_take_over_from_each_other(name, first, second):
    params = parameters()
    optimizer = getattr(first, name)(params, **SHORT[name])
    train(optimizer, params, (0, 10))
    other_params = [p.detach().clone().requires_grad_() for p in params]
    other = getattr(second, name)(other_params)
    # A copy, for torch's would go on working in the tensors of ours.
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for p, q in zip(params, other_params, strict=True):
        assert optimizer.state[p].keys() == other.state[q].keys()
    torch.testing.assert_close(
        train(other, other_params, (10, 30)),
        train(optimizer, params, (10, 30)),
        atol=1e-10,
        rtol=1e-10,
    )
    for p, q in zip(params, other_params, strict=True):  # and both have grown alike
        torch.testing.assert_close(dict(optimizer.state[p]), dict(other.state[q]))


@pytest.mark.parametrize("name", NAMES)
def test_torchs_schedules_drive_ours(name):
    rates = []
    for module in (optim, torch.optim):
        params = parameters()
        optimizer = getattr(module, name)(params, lr=0.1)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
        for t in range(5):
            train(optimizer, params, (t, t + 1))
            schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [0.025, 0.025]


def test_adams_first_step_has_the_length_of_the_learning_rate():
    # That is what the bias correction is for: without it m / sqrt(v) would be 0.1 / sqrt(0.001).
    w = torch.tensor([1e-3, 1.0, 1e3], dtype=torch.float64, requires_grad=True)
    optimizer = optim.Adam([w], lr=0.1, eps=0)
    (w * torch.tensor([2e-6, -5.0, 1e6], dtype=torch.float64)).sum().backward()
    before = w.detach().clone()
    optimizer.step()
    torch.testing.assert_close(w - before, torch.tensor([-0.1, 0.1, -0.1], dtype=torch.float64))


def test_centered_rmsprop_survives_a_constant_gradient():
    # The variance of a constant is zero; rounding takes it below, and a root of that would be NaN.
    w = torch.zeros(50, requires_grad=True)
    optimizer = optim.RMSprop([w], alpha=0.5, centered=True)
    for _ in range(60):
        w.grad = torch.linspace(0.1, 3.3, 50)
        optimizer.step()
    assert w.isfinite().all()


@pytest.mark.parametrize("rule", OURS_AND_TORCHS)
def test_parameters_of_no_elements_do_no_harm(rule):
    w = torch.empty(0, 3, requires_grad=True)
    optimizer = rule([w])
    w.sum().backward()
    optimizer.step()
    assert w.shape == (0, 3)


BAD = [
    ("SGD", {"lr": -0.1}, "lr must be at least 0, got -0.1"),
    ("SGD", {"lr": math.nan}, "lr must be at least 0, got nan"),
    ("SGD", {"momentum": -1}, "momentum must be at least 0, got -1"),
    ("SGD", {"weight_decay": -1}, "weight_decay must be at least 0, got -1"),
    ("SGD", {"nesterov": True}, "nesterov must have momentum above 0 .* got momentum=0"),
    ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "dampening=0.1"),
    ("RMSprop", {"lr": -0.1}, "lr must be at least 0, got -0.1"),
    ("RMSprop", {"alpha": -0.1}, "alpha must be at least 0, got -0.1"),
    ("RMSprop", {"eps": -1e-8}, "eps must be at least 0, got -1e-08"),
    ("RMSprop", {"momentum": -1}, "momentum must be at least 0, got -1"),
    ("RMSprop", {"weight_decay": -1}, "weight_decay must be at least 0, got -1"),
    *(
        (name, settings, message)
        for name in ("Adam", "AdamW")
        for settings, message in [
            ({"lr": -0.1}, "lr must be at least 0, got -0.1"),
            ({"eps": -1e-8}, "eps must be at least 0, got -1e-08"),
            ({"weight_decay": -1}, "weight_decay must be at least 0, got -1"),
            ({"betas": (1.0, 0.999)}, r"betas must be .* below 1, got \(1.0, 0.999\)"),
            ({"betas": (0.9, -0.1)}, r"betas must be at least 0 .* got \(0.9, -0.1\)"),
        ]
    ),
]


@pytest.mark.nocheck
@pytest.mark.parametrize(("name", "settings", "message"), BAD)
def test_bad_settings_are_refused_as_torch_refuses_them(name, settings, message):
    with pytest.raises(ValueError, match=message):
        getattr(optim, name)(parameters(), **settings)
    if not math.isnan(settings.get("lr", 0)):  # torch's SGD lets NaN through
        with pytest.raises(ValueError):  # noqa: PT011, its words are torch's own affair
            getattr(torch.optim, name)(parameters(), **settings)


@pytest.mark.nocheck
@pytest.mark.parametrize("name", NAMES)
def test_sparse_and_complex_gradients_are_refused_and_change_nothing(name):
    table = torch.nn.Embedding(4, 2, sparse=True)
    before = table.weight.detach().clone()
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(TypeError, match=f"{name} expected dense, real .*sparse_coo"):
        getattr(optim, name)(table.parameters()).step()
    assert table.weight.equal(before)

    w = torch.ones(2, dtype=torch.complex64, requires_grad=True)
    w.abs().sum().backward()
    with pytest.raises(TypeError, match=r"real gradients, got .*complex64"):
        getattr(optim, name)([w]).step()


@pytest.mark.nocheck
def test_a_rule_without_update_says_what_is_missing():
    w = torch.ones(1, requires_grad=True)
    w.sum().backward()
    with pytest.raises(NotImplementedError, match=r"UpdateRule must define update\(theta, g, gr"):
        optim.UpdateRule([w], {}).step()


@pytest.mark.nocheck
@pytest.mark.parametrize(("params", "error"), [([], ValueError), (torch.ones(2), TypeError)])
def test_parameters_must_be_a_list_and_not_empty(params, error):
    with pytest.raises(error):
        optim.SGD(params)
