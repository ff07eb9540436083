import copy
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau, StepLR
from torch.utils.data import DataLoader, TensorDataset

from companion.checkpoint import load_checkpoint
from companion.training import (
    History,
    accuracy,
    batches,
    ema,
    evaluate,
    fit,
    sample_mean,
    train_epoch,
)

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def samples(n=10):
    """Points of three classes that overlap."""
    generator = torch.Generator().manual_seed(1)
    y = torch.arange(n) % 3
    return torch.randn(n, 4, generator=generator) + F.one_hot(y, 4), y


def loader(n=10, batch_size=4, shuffle=False):
    return DataLoader(TensorDataset(*samples(n)), batch_size, shuffle=shuffle)


def network(dropout=0.0):
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 3))


def flat(model):
    return torch.cat([p.detach().flatten().clone() for p in model.parameters()])


def run(epochs, model=None, rule=torch.optim.Adam, train=None, lr=0.05, schedule=None, **kwargs):
    """Train with what most tests have in common; return the model and the history."""
    model = network() if model is None else model
    optimizer = rule(model.parameters(), lr=lr)
    if schedule is not None:
        kwargs["scheduler"] = schedule(optimizer)
    train = loader() if train is None else train
    return model, fit(model, train, F.cross_entropy, optimizer, epochs, **kwargs)


def early_stop(values, patience):
    """How many epochs are run, and which of them is the best."""
    for n in range(1, len(values) + 1):
        best = min(range(n), key=lambda k: values[k])
        if n - 1 - best == patience:
            break
    return n, best


class Scripted:
    """A loss whose validation values are given beforehand."""

    def __init__(self, values):
        self.values = iter(values)

    def __call__(self, output, target):
        if torch.is_grad_enabled():
            return F.cross_entropy(output, target)
        return torch.tensor(next(self.values))


def scripted(values, **kwargs):
    """Train for as many epochs as there are values of the validation loss."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = samples()
    path = []
    history = fit(
        model,
        loader(),
        Scripted(values),
        optimizer,
        len(values),
        val_loader=[(x, y)],
        on_epoch=lambda epoch, history: path.append(flat(model)),
        **kwargs,
    )
    return model, history, path


# ema


@settings(deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.floats(0, 0.99))
def test_ema_is_the_weighted_mean_of_its_formula(values, beta):
    x = torch.tensor(values, dtype=torch.float64)
    n = len(x)
    age = torch.arange(n)[:, None] - torch.arange(n)  # how many steps j is behind i
    weights = torch.where(age >= 0, torch.tensor(beta, dtype=torch.float64) ** age, 0)
    expected = (weights * x).sum(1) / weights.sum(1)
    torch.testing.assert_close(ema(x, beta), expected, atol=1e-9, rtol=1e-9)
    biased = (1 - beta) * (weights * x).sum(1)
    torch.testing.assert_close(ema(x, beta, False), biased, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("beta", [0.5, 0.9, 0.99])
def test_ema_is_adams_mean_of_the_gradients(beta):
    w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([w], betas=(beta, 0.999))
    gradients = torch.randn(12, 3, dtype=torch.float64)
    seen = []
    for g in gradients:
        w.grad = g.clone()
        optimizer.step()
        seen.append(optimizer.state[w]["exp_avg"].clone())
    torch.testing.assert_close(ema(gradients, beta, bias_correction=False), torch.stack(seen))
    powers = beta ** torch.arange(1, 13, dtype=torch.float64)[:, None]
    torch.testing.assert_close(ema(gradients, beta), torch.stack(seen) / (1 - powers))


def test_ema_of_a_constant_is_the_constant_and_beta_0_changes_nothing():
    torch.testing.assert_close(ema([3.0] * 50, 0.99), torch.full((50,), 3.0))
    x = torch.randn(20, 2)
    assert ema(x, 0.0).equal(x)


def test_ema_has_a_gradient():
    x = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: ema(x, 0.7), x)


# One pass


@pytest.mark.parametrize("sizes", [[4, 4, 2], [1, 9], [10]])
def test_the_mean_is_over_samples_not_over_batches(sizes):
    x, y = samples()
    model = network()
    pairs = list(zip(x.split(sizes), y.split(sizes), strict=True))
    loss, right = evaluate(model, pairs, F.cross_entropy, accuracy)
    assert loss == pytest.approx(F.cross_entropy(model(x), y).item())
    assert right == pytest.approx(accuracy(model(x), y))
    assert sample_mean([1.0, 4.0], [3, 1]) == 1.75


def test_a_training_pass_weighs_a_smaller_last_batch_by_its_samples():
    model = network()
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    loss, right, losses = train_epoch(model, loader(), F.cross_entropy, frozen, accuracy)
    assert (loss, right) == pytest.approx(evaluate(model, loader(), F.cross_entropy, accuracy))
    assert len(losses) == 3
    assert abs(sum(losses) / 3 - loss) > 1e-3  # the plain mean would differ


@pytest.mark.parametrize("clip", [None, 0.01])
def test_training_equals_a_loop_written_by_hand(clip):
    ours, by_hand = network(), network()
    by_hand.load_state_dict(ours.state_dict())
    run(3, ours, clip=clip)
    optimizer = torch.optim.Adam(by_hand.parameters(), lr=0.05)
    for _ in range(3):
        for x, y in loader():
            optimizer.zero_grad()
            F.cross_entropy(by_hand(x), y).backward()
            if clip:
                nn.utils.clip_grad_norm_(by_hand.parameters(), clip)
            optimizer.step()
    assert flat(ours).equal(flat(by_hand))


def test_clipping_looks_only_at_what_the_optimizer_holds():
    torch.manual_seed(0)
    model = network()
    start = model[3].weight.detach().clone()
    optimizer = torch.optim.SGD(model[3].parameters(), lr=1.0)
    fit(model, loader(), F.cross_entropy, optimizer, 1, clip=1e-3)
    moved = (model[3].weight - start).norm()  # three steps, each of length 1e-3 with the bias
    assert 1e-3 < moved <= 3.001e-3


def test_evaluation_is_in_eval_mode_without_gradients_and_changes_nothing():
    model = network(dropout=0.9).train()
    before, random = flat(model), torch.get_rng_state()
    seen = []

    def loss_fn(output, target):
        seen.append((output.requires_grad, model.training))
        return F.cross_entropy(output, target)

    first = evaluate(model, [samples()], loss_fn)
    assert first == evaluate(model, [samples()], loss_fn)
    assert set(seen) == {(False, False)}
    assert model.training
    assert flat(model).equal(before)
    assert torch.get_rng_state().equal(random)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_every_part_of_the_model_is_left_in_its_mode(training, fails):
    model = network(0.5).train(training)
    model[2].train(not training)  # a part that goes its own way

    def loss_fn(output, target):
        if fails:
            raise RuntimeError("broken loss")
        return F.cross_entropy(output, target)

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for go in (
        lambda: evaluate(model, loader(), loss_fn),
        lambda: train_epoch(model, loader(), loss_fn, optimizer),
        lambda: fit(model, loader(), loss_fn, optimizer, 2, loader()),
    ):
        if fails:
            with pytest.raises(RuntimeError, match="broken loss"):
                go()
        else:
            go()
        assert model.training == model[0].training == training
        assert model[2].training != training


def test_several_inputs_reach_the_model():
    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor(1.0))

        def forward(self, a, b):
            return self.w * a * b

    triples = [(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]), torch.tensor([6.0, 16.0]))]
    model = Product()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    history = fit(model, triples, F.mse_loss, optimizer, 100)
    assert model.w.item() == pytest.approx(2.0, abs=1e-3)
    assert history.train_loss[-1] < 1e-5


def test_batches_go_to_the_device_of_the_model():
    places = []

    class Part(list):
        def to(self, device):
            places.append(device)
            return self

    model = nn.Linear(1, 1, device="meta")
    [(inputs, target)] = batches([(Part([1]), Part([2]))], model)
    assert (inputs, target) == ([[1]], [2])
    assert places == [torch.device("meta")] * 2


# The whole training


@pytest.mark.parametrize("device", DEVICES)
def test_a_tiny_set_is_learnt_by_heart(device):
    model, history = run(150, device=device, metric=accuracy, val_loader=loader())
    assert history.train_metric[-1] == history.val_metric[-1] == 1
    assert history.val_loss[-1] < 0.02
    assert next(model.parameters()).device.type == device
    assert history.stopped == "epochs"
    assert len(history.batch_loss) == 3 * 150


def test_without_validation_or_metric_their_lists_stay_empty():
    _, history = run(2)
    assert len(history.train_loss) == len(history.lr) == 2
    assert history.val_loss == history.train_metric == history.val_metric == []


def test_no_epochs_is_no_training():
    model = network()
    before = flat(model)
    _, history = run(0, model, restore_best=True)
    assert history == History(stopped="epochs")
    assert history.best_epoch is None
    assert flat(model).equal(before)


CURVES = [
    ([3.0, 2.0, 1.0], 1),
    ([1.0, 2.0, 3.0, 0.5], 2),
    ([1.0, 1.0, 0.5], 1),
    ([3.0, 2.0, 2.5, 2.0, 1.0], 3),
    *((torch.rand(12, generator=torch.Generator().manual_seed(k)).tolist(), 3) for k in range(4)),
]


@pytest.mark.parametrize(("values", "patience"), CURVES)
def test_it_stops_after_epochs_without_a_new_best(values, patience):
    run_epochs, best = early_stop(values, patience)
    model, history, path = scripted(values, patience=patience, restore_best=True)
    assert len(history.val_loss) == len(path) == run_epochs
    assert history.best_epoch == best
    assert history.stopped == ("epochs" if run_epochs == len(values) else "patience")
    assert flat(model).equal(path[best])


@pytest.mark.parametrize("restore", [True, False])
def test_the_best_weights_are_kept_in_the_file_and_brought_back_if_asked(tmp_path, restore):
    file = tmp_path / "run.pt"
    model, history, path = scripted([3.0, 1.0, 2.0], checkpoint=file, restore_best=restore)
    assert history.best_epoch == 1
    state = load_checkpoint(file)
    saved, last = network(), network()
    saved.load_state_dict(state["best"])
    last.load_state_dict(state["model"])
    assert flat(saved).equal(path[1])
    assert flat(last).equal(path[2])
    assert flat(model).equal(path[1] if restore else path[2])
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


def resumable(epochs, file=None, start=3, **kwargs):
    """With all that has a state of its own: dropout, shuffling, momentum, a schedule."""
    torch.manual_seed(start)
    return run(
        epochs,
        network(dropout=0.5),
        train=loader(shuffle=True),
        val_loader=loader(),
        schedule=lambda optimizer: CosineAnnealingLR(optimizer, 6),
        metric=accuracy,
        checkpoint=file,
        **kwargs,
    )


@pytest.mark.parametrize("after", [1, 3, 5])
def test_a_resumed_training_equals_one_that_ran_through(tmp_path, after):
    def crash(epoch, history):
        if epoch + 1 == after:
            raise MemoryError("out of memory")

    file = tmp_path / "run.pt"
    through, expected = resumable(6, restore_best=True)
    with pytest.raises(MemoryError):
        resumable(6, file, on_epoch=crash)
    again, history = resumable(6, file, start=99, resume=True, restore_best=True)
    assert history == expected
    assert flat(again).equal(flat(through))


def test_a_resumed_training_that_was_done_does_nothing(tmp_path):
    file = tmp_path / "run.pt"
    model, history = resumable(3, file)
    again, more = resumable(3, file, start=99, resume=True)
    assert more == history
    assert flat(again).equal(flat(model))


def test_patience_goes_on_counting_after_a_resumption(tmp_path):
    file = tmp_path / "run.pt"
    scripted([1.0, 2.0], checkpoint=file)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    history = fit(
        model,
        loader(),
        Scripted([3.0, 4.0, 5.0]),
        optimizer,
        9,
        [samples()],
        patience=3,
        checkpoint=file,
        resume=True,
    )
    assert history.val_loss == [1.0, 2.0, 3.0, 4.0]
    assert history.stopped == "patience"


def test_a_crash_in_the_middle_of_saving_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "run.pt"
    run(1, checkpoint=file)
    before = file.read_bytes()

    def half(obj, f, *args, **kwargs):
        f.write(before[: len(before) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="No space left"):
        run(1, checkpoint=file)
    assert file.read_bytes() == before


def test_the_scheduler_steps_once_an_epoch():
    _, history = run(5, lr=0.8, schedule=lambda optimizer: StepLR(optimizer, 2, gamma=0.5))
    assert history.lr == [0.8, 0.8, 0.4, 0.4, 0.2]


def test_a_plateau_scheduler_sees_the_validation_loss():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.8)
    schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    values = [3.0, 2.0, 2.5, 1.0]
    history = fit(model, loader(), Scripted(values), optimizer, 4, [samples()], scheduler=schedule)
    assert history.lr == [0.8, 0.8, 0.8, 0.4]


@pytest.mark.parametrize("where", ["epoch", "batch"])
def test_an_interrupt_keeps_what_is_done(where):
    model = network()

    class Interrupted(list):
        passes = 0

        def __iter__(self):
            self.passes += 1
            for number, batch in enumerate(super().__iter__()):
                if where == "batch" and self.passes == 3 and number == 1:
                    raise KeyboardInterrupt
                yield batch

    def on_epoch(epoch, history):
        path.append(flat(model))
        if where == "epoch" and epoch == 1:
            raise KeyboardInterrupt

    path = []
    _, history = run(9, model, train=Interrupted(loader()), restore_best=True, on_epoch=on_epoch)
    assert history.stopped == "interrupted"
    assert len(history.train_loss) == len(path) == 2
    assert flat(model).equal(path[history.best_epoch])


def test_a_loss_that_is_no_number_changes_no_weights_any_more():
    x, y = samples()
    bad = x.clone()
    bad[5] = math.nan  # in the second of three batches
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    good = [(x, y)]
    history = []
    with pytest.raises(ValueError, match="epoch 1: loss nan in batch 2"):
        fit(
            model,
            list(zip(bad.split(4), y.split(4), strict=True)),
            F.cross_entropy,
            optimizer,
            3,
            good,
            on_epoch=lambda epoch, h: history.append(epoch),
        )
    assert history == []
    assert flat(model).isfinite().all()


def test_a_training_that_explodes_brings_the_best_weights_back():
    model, path = network(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def explode(epoch, history):
        path.append(flat(model))
        if epoch == 2:
            optimizer.param_groups[0]["lr"] = math.inf

    with pytest.raises(ValueError, match=r"epoch 4: loss (nan|inf) in batch \d"):
        fit(
            model,
            loader(),
            F.cross_entropy,
            optimizer,
            9,
            restore_best=True,
            on_epoch=explode,
        )
    assert flat(model).equal(path[2])


def test_accuracy_counts_the_right_classes_of_sequences_too():
    logits = torch.tensor([[[2.0, 0.0], [1.0, 3.0]]])  # (1 sample, 2 classes, 2 places)
    assert accuracy(logits, torch.tensor([[0, 0]])) == 0.5


# What is refused


def empty():
    return TensorDataset(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ema([], 0.9), ValueError, "expected at least one value, got none"),
        (lambda: ema([1.0], 1.0), ValueError, "beta must be at least 0 and below 1, got 1.0"),
        (lambda: ema([1.0], -0.1), ValueError, "beta must be at least 0 .* got -0.1"),
        (lambda: ema([1.0], math.nan), ValueError, "beta must be at least 0 .* got nan"),
        (lambda: run(-1), ValueError, "epochs must be an integer from 0 on, got -1"),
        (lambda: run(2.5), ValueError, "epochs must be an integer from 0 on, got 2.5"),
        (lambda: run(1, patience=0), ValueError, "patience must be an integer from 1 on, got 0"),
        (lambda: run(1, clip=0), ValueError, "clip must be positive, got 0"),
        (lambda: run(1, resume=True), ValueError, "resume=True expected a checkpoint"),
        (lambda: run(1, train=[]), ValueError, "epoch 1: the loader gave no batch: is the dataset"),
        (lambda: run(1, train=DataLoader(empty())), ValueError, "the loader gave no batch"),
        (lambda: run(1, val_loader=DataLoader(empty())), ValueError, "the loader gave no batch"),
        (
            lambda: run(1, train=DataLoader(TensorDataset(*samples()), 16, drop_last=True)),
            ValueError,
            "smaller than one batch with drop_last",
        ),
        (lambda: run(2, train=iter(list(loader()))), ValueError, "epoch 2: .* has run out"),
        (lambda: run(1, train=[samples(0)]), ValueError, "batch 1 must have at least one sample"),
        (lambda: loader(batch_size=0), ValueError, "batch_size should be a positive integer"),
        (lambda: run(1, train=[{"x": 1}]), TypeError, r"batches \(input, target\), got a dict"),
        (lambda: run(1, train=[samples()[0]]), TypeError, "got a Tensor"),
        (lambda: run(1, train=[samples()[:1]]), TypeError, "expected batches"),
        (
            lambda: fit(network(), loader(), F.cross_entropy, other_optimizer(), 1),
            ValueError,
            "expected an optimizer of the model's parameters",
        ),
        (lambda: scripted([1.0, math.nan]), ValueError, "epoch 2: validation loss nan"),
        (lambda: scripted([math.inf]), ValueError, "epoch 1: validation loss inf"),
    ],
)
def test_what_makes_no_sense_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def other_optimizer():
    return torch.optim.SGD(network().parameters(), lr=0.1)


@pytest.mark.parametrize("device", DEVICES)
def test_the_state_of_the_optimizer_follows_the_model(device):
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    fit(model, loader(), F.cross_entropy, optimizer, 1)
    fit(model, loader(), F.cross_entropy, optimizer, 1, device=device)
    assert {state["exp_avg"].device.type for state in optimizer.state.values()} == {device}


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda file: file.unlink(), FileNotFoundError, "expected a checkpoint at"),
        (
            lambda file: file.write_bytes(file.read_bytes()[:-200]),
            ValueError,
            "cut short, damaged or something else",
        ),
        (
            lambda file: torch.save({"weights": torch.ones(2)}, file),
            ValueError,
            "expected a checkpoint of this training, got .*: 'kinds'",
        ),
        (
            lambda file: run(1, nn.Linear(4, 3), checkpoint=file),
            ValueError,
            "(?s)expected a checkpoint of this training, got .*Missing key",
        ),
        (
            lambda file: run(
                1, nn.Sequential(nn.Linear(4, 8), *network()[1:3], nn.Linear(8, 5)), checkpoint=file
            ),
            ValueError,
            "(?s)expected a checkpoint of this training, got .*size mismatch",
        ),
        (
            lambda file: run(1, checkpoint=file, rule=torch.optim.SGD),
            ValueError,
            "that one was with SGD and no scheduler, this is with Adam and no scheduler",
        ),
        (
            lambda file: run(1, checkpoint=file, val_loader=loader()),
            ValueError,
            "only one of the two has validation data",
        ),
        (
            lambda file: run(1, checkpoint=file, metric=accuracy),
            ValueError,
            "only one of the two has validation data, or a metric",
        ),
        (
            lambda file: run(1, checkpoint=file, schedule=lambda o: StepLR(o, 1)),
            ValueError,
            "that one was with Adam and StepLR, this is with Adam and no scheduler",
        ),
    ],
)
def test_a_file_to_resume_from_that_is_no_good_is_refused(tmp_path, spoil, error, message):
    file = tmp_path / "run.pt"
    run(1, checkpoint=file)
    spoil(file)
    left = file.read_bytes() if file.exists() else None
    model = network()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(error, match=message):
        run(3, model, checkpoint=file, resume=True)
    torch.testing.assert_close(model.state_dict(), before)
    assert (file.read_bytes() if file.exists() else None) == left
