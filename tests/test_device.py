import warnings

import pytest
import torch

from companion import device
from companion.device import best_device


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Pretend to be on a machine with so many devices, and forget former warnings."""

    def pretend(cuda=0, mps=False, wanted=None):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        # Where CUDA is not available a card may be counted all the same: a driver too old.
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda or 1)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        if wanted is None:
            monkeypatch.delenv("COMPANION_DEVICE", raising=False)
        else:
            monkeypatch.setenv("COMPANION_DEVICE", wanted)

    device._warn_once.cache_clear()
    return pretend


@pytest.mark.parametrize(
    ("cuda", "mps", "best"),
    [(0, False, "cpu"), (0, True, "mps"), (1, False, "cuda"), (2, True, "cuda")],
)
@pytest.mark.parametrize("wanted", [None, "", " "])
def test_the_best_there_is(machine, cuda, mps, best, wanted):
    machine(cuda, mps, wanted)
    assert best_device() == torch.device(best)


@pytest.mark.parametrize("wanted", ["cpu", "cuda", "cuda:0", "cuda:1", "mps", "mps:0", " cuda:1 "])
def test_the_environment_overrules(machine, wanted):
    machine(cuda=2, mps=True, wanted=wanted)
    assert best_device() == torch.device(wanted.strip())


@pytest.mark.parametrize(
    ("cuda", "wanted"),
    [
        (0, "cuda"),
        (2, "cuda:2"),
        (2, "mps"),
        (0, "gpu"),
        (1, "cuda:one"),
        (1, "cuda:-1"),
        (1, "CUDA"),
        (0, "0"),
        (0, "meta"),
        (0, "cpu:1"),
    ],
)
def test_what_is_not_there_gives_the_cpu_and_one_warning(machine, cuda, wanted):
    machine(cuda, wanted=wanted)
    with pytest.warns(UserWarning, match="is '" + wanted + "', .* using the CPU"):
        assert best_device() == torch.device("cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert best_device() == torch.device("cpu")


def test_each_wrong_name_has_its_own_warning(machine):
    for wanted in ("cuda", "mps"):
        machine(wanted=wanted)
        with pytest.warns(UserWarning, match=wanted):
            best_device()


@pytest.mark.nocheck  # the hook would stand between the caller and us
def test_the_warning_points_at_the_caller(machine):
    machine(wanted="gpu")
    with pytest.warns(UserWarning, match="no such device") as caught:
        best_device()
    assert caught[0].filename == __file__


def test_a_device_that_was_found_computes(machine):
    assert torch.ones(2, device=best_device()).sum().item() == 2
