import builtins
import collections
import copy
import errno
import io
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pytest
import torch

from companion import checkpoint, optim
from companion.checkpoint import load_checkpoint, save_checkpoint

OLD, NEW = {"step": 1, "w": torch.arange(3.0)}, {"step": 2, "w": torch.arange(3.0) + 10}


RAN = []


def note_down(what):
    RAN.append(what)


class Booby:
    """Notes down that it was loaded. A real one could do anything."""

    def __reduce__(self):
        return note_down, ("loaded",)


class Opened:
    """Calls something when it is loaded."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture
def best(tmp_path):
    """Return the path of a checkpoint that holds OLD."""
    path = tmp_path / "best.pt"
    save_checkpoint(OLD, path)
    return path


def saved_bytes(obj):
    file = io.BytesIO()
    torch.save(obj, file)
    return file.getvalue()


def equal(a, b):
    if isinstance(a, torch.Tensor):
        return type(a) is type(b) and a.dtype == b.dtype and a.equal(b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return (
            type(a) is type(b)
            and len(a) == len(b)
            and all(equal(x, y) for x, y in zip(a, b, strict=True))
        )
    return type(a) is type(b) and a == b


# What is saved comes back

VALUES = [
    None,
    True,
    3,
    2**80,
    0.1,
    float("inf"),
    3 - 2j,
    "text with ü and 成丹",
    b"bytes",
    [],
    {},
    (1, [2, {"three": (4.0,)}]),
    collections.OrderedDict(a=1),
    torch.Size([2, 3]),
    torch.float16,
    torch.device("cpu"),
    torch.tensor(1.5),
    torch.empty(0, 4),
    torch.arange(6).reshape(2, 3).T,
    torch.tensor([0.1, -2.5, 1e-300], dtype=torch.float64),
    torch.tensor([0.5, -0.707, 1.07]).bfloat16(),
    torch.tensor([True, False]),
    torch.nn.Parameter(torch.ones(2)),
]


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_what_is_saved_comes_back(value, tmp_path):
    path = tmp_path / "value.pt"
    save_checkpoint({"value": value}, path)
    assert equal(load_checkpoint(path), {"value": value})
    assert equal(torch.load(path, weights_only=True), {"value": value})
    assert list(tmp_path.iterdir()) == [path]


def test_tensors_that_share_memory_still_do(tmp_path):
    w = torch.zeros(3)
    save_checkpoint([w, w[:2]], tmp_path / "shared.pt")
    whole, part = load_checkpoint(tmp_path / "shared.pt")
    whole[0] = 5
    assert part[0] == 5


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
@pytest.mark.parametrize("module", [torch.optim, optim], ids=["torch", "ours"])
def test_training_goes_on_from_a_checkpoint_as_if_nothing_had_been(name, module, tmp_path):
    X, t = torch.randn(20, 4), torch.randn(20, 1)

    def start():
        torch.manual_seed(1)
        model = torch.nn.Sequential(
            torch.nn.Linear(4, 5), torch.nn.BatchNorm1d(5), torch.nn.ReLU(), torch.nn.Linear(5, 1)
        )
        settings = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}
        return model, getattr(module, name)(model.parameters(), lr=0.01, **settings)

    def train(model, optimizer, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            (model(X) - t).square().mean().backward()
            optimizer.step()

    model, optimizer = start()
    train(model, optimizer, 7)
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": 7}
    save_checkpoint(state, tmp_path / "last.pt")
    train(model, optimizer, 5)

    again, its_optimizer = start()
    saved = load_checkpoint(tmp_path / "last.pt")
    again.load_state_dict(saved["model"])
    its_optimizer.load_state_dict(saved["optimizer"])
    train(again, its_optimizer, 12 - saved["step"])
    assert equal(again.state_dict(), model.state_dict())


def test_what_torch_saved_is_loaded(tmp_path):
    torch.save(NEW, tmp_path / "torchs.pth")
    assert equal(load_checkpoint(tmp_path / "torchs.pth"), NEW)


def test_the_ending_means_nothing(tmp_path):
    for name in ("a.pt", "a.pth", "a.ckpt", "a", "成丹 1.pill", "a.tar.gz"):
        save_checkpoint(NEW, tmp_path / name)
        assert equal(load_checkpoint(str(tmp_path / name)), NEW)


def test_map_location_decides_where_the_tensors_go(best):
    assert load_checkpoint(best)["w"].device.type == "cpu"
    for there in ("meta", torch.device("meta"), {"cpu": "meta"}):
        assert load_checkpoint(best, there)["w"].device.type == "meta"
    places = []
    load_checkpoint(best, lambda storage, place: places.append(place) or storage)
    assert places == ["cpu"]


def test_a_path_may_be_relative_and_the_working_folder_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_checkpoint(NEW, "last.pt")
    assert os.listdir() == ["last.pt"]
    assert equal(load_checkpoint("last.pt"), NEW)


def test_a_link_goes_on_pointing_to_the_file(best, tmp_path):
    link = tmp_path / "link.pt"
    try:
        link.symlink_to(best)
    except OSError:
        pytest.skip("no links here")
    save_checkpoint(NEW, link)
    assert link.is_symlink()
    assert equal(load_checkpoint(best), NEW)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_others_may_read_the_file_as_any_other(best, tmp_path):
    (tmp_path / "plain").write_text("")
    assert best.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
@pytest.mark.parametrize("rights", [0o600, 0o640, 0o666])
def test_the_new_file_has_the_rights_of_the_old_one_and_never_more(rights, best, monkeypatch):
    best.chmod(rights)
    real, seen = torch.save, []

    def watched(obj, file):
        seen.append(os.fstat(file.fileno()).st_mode & 0o777)
        real(obj, file)

    monkeypatch.setattr(torch, "save", watched)
    save_checkpoint(NEW, best)
    assert seen == [rights]
    assert best.stat().st_mode & 0o777 == rights
    assert equal(load_checkpoint(best), NEW)


@pytest.mark.parametrize("name", ["x" * 250, "丹" * 83, "x"], ids=len)
def test_a_name_may_be_as_long_as_the_system_lets_it(name, tmp_path):
    try:
        (tmp_path / name).write_text("")
    except OSError:
        pytest.skip("the system takes no such name")
    save_checkpoint(NEW, tmp_path / name)
    assert equal(load_checkpoint(tmp_path / name), NEW)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_list_may_hold_itself(tmp_path):
    ring = [1.5]
    ring.append(ring)
    save_checkpoint({"ring": ring}, tmp_path / "ring.pt")
    again = load_checkpoint(tmp_path / "ring.pt")["ring"]
    assert again[0] == 1.5
    assert again[1] is again


def test_random_numbers_are_left_alone(tmp_path):
    before = torch.get_rng_state()
    save_checkpoint(NEW, tmp_path / "a.pt")
    load_checkpoint(tmp_path / "a.pt")
    assert torch.get_rng_state().equal(before)


# A crash in the middle of saving loses nothing


@pytest.mark.parametrize(
    "crash",
    [
        KeyboardInterrupt(),
        SystemExit(1),
        MemoryError(),
        RuntimeError("out of memory"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("the disk has gone"),
    ],
    ids=lambda crash: type(crash).__name__,
)
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_a_crash_in_the_middle_leaves_the_old_file(crash, share, best, monkeypatch):
    def half(obj, file):
        monkeypatch.undo()
        contents = saved_bytes(obj)
        file.write(contents[: int(share * len(contents))])
        raise crash

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(type(crash)):
        save_checkpoint(NEW, best)
    assert equal(load_checkpoint(best), OLD)
    assert list(best.parent.iterdir()) == [best]


KILLED = """
import os, sys, torch
from companion import checkpoint

def half(obj, file):
    file.write(b"half of it")
    file.flush()
    print("half", flush=True)
    sys.stdin.read()  # until it is killed

torch.save = half
checkpoint.save_checkpoint({"step": 2}, sys.argv[1])
"""


def test_a_process_killed_in_the_middle_leaves_the_old_file(best):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(best)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout.readline().strip() == b"half"
        process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        assert process.wait() != 0
    assert equal(load_checkpoint(best), OLD)
    (left,) = set(best.parent.iterdir()) - {best}  # nobody was there to remove it
    assert left.name.endswith(".tmp")
    save_checkpoint(NEW, best)
    assert equal(load_checkpoint(best), NEW)


@pytest.mark.parametrize("share", [0, 0.3, 0.999])
def test_a_file_that_does_not_come_back_does_not_replace_the_old_one(share, best, monkeypatch):
    contents = saved_bytes(NEW)
    cut = contents[: int(share * len(contents))]
    monkeypatch.setattr(torch, "save", lambda obj, file: file.write(cut))
    with pytest.raises(ValueError, match="cut short"):
        checkpoint.save_checkpoint.__wrapped__(NEW, best)
    monkeypatch.undo()
    assert equal(load_checkpoint(best), OLD)
    assert list(best.parent.iterdir()) == [best]


def test_where_the_old_file_cannot_be_replaced_it_stays(best, monkeypatch):
    def held(source, target):  # as on Windows, while another program has the file open
        raise PermissionError(errno.EACCES, "Access is denied")

    monkeypatch.setattr(os, "replace", held)
    with pytest.raises(PermissionError, match=r"cannot save .*best.pt: Access is denied"):
        save_checkpoint(NEW, best)
    assert equal(load_checkpoint(best), OLD)
    assert list(best.parent.iterdir()) == [best]


@pytest.mark.skipif(os.name == "nt", reason="Windows refuses while the reader has the file open")
def test_who_reads_meanwhile_sees_the_old_or_the_new_file_whole(best):
    states = [{"step": i, "w": torch.full((2000,), float(i))} for i in range(25)]
    save_checkpoint(states[0], best)
    writer = threading.Thread(target=lambda: [save_checkpoint(s, best) for s in states])
    writer.start()
    seen = []
    while writer.is_alive():
        state = load_checkpoint(best)
        assert (state["w"] == (state["w"][0])).all()
        seen.append(state["step"])
    writer.join()
    assert seen == sorted(seen)
    assert load_checkpoint(best)["step"] == 24


def test_two_that_save_at_once_do_not_mix(best):
    states = [{"w": torch.full((5000,), float(i))} for i in range(4)]
    threads = [threading.Thread(target=save_checkpoint, args=(s, best)) for s in states]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert any(equal(load_checkpoint(best), state) for state in states)
    assert list(best.parent.iterdir()) == [best]


# Files that are not whole, or not what they should be


def test_a_file_cut_short_is_refused(tmp_path):
    contents, path = saved_bytes({"w": torch.ones(3), "n": 1}), tmp_path / "cut.pt"
    for length in [*range(0, len(contents), 7), *range(len(contents) - 50, len(contents))]:
        path.write_bytes(contents[:length])
        with pytest.raises(ValueError, match=r"expected a checkpoint, but .*cut.pt is cut short"):
            load_checkpoint(path)
    path.write_bytes(contents)
    assert load_checkpoint(path)["n"] == 1


def test_one_flipped_bit_is_noticed_or_does_not_matter(tmp_path):
    state = {"w": torch.arange(3.0), "s": "text", "n": [1.5, None]}
    contents, path = saved_bytes(state), tmp_path / "flipped.pt"
    refused = 0
    for i in range(0, len(contents), 3):
        flipped = bytearray(contents)
        flipped[i] ^= 1 << i % 8
        path.write_bytes(flipped)
        try:
            loaded = load_checkpoint(path)
        except ValueError:
            refused += 1
        else:
            assert equal(loaded, state)  # it was in the padding
    assert refused > len(contents) / 12


def test_torch_alone_does_not_notice_a_flipped_bit(tmp_path):
    """What the chapter says, and why the checksums are looked at."""
    contents, path = bytearray(saved_bytes({"w": torch.ones(1000)})), tmp_path / "flipped.pt"
    middle = contents.index(torch.ones(4).numpy().tobytes()) + 2000
    contents[middle] ^= 1
    path.write_bytes(contents)
    assert not torch.load(path, weights_only=True)["w"].equal(torch.ones(1000))
    with pytest.raises(ValueError, match="data/0 is not what was saved"):
        load_checkpoint(path)


def archive(**files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, contents in files.items():
            made.writestr(name.replace("__", "/").replace("_", "."), contents)
    return file.getvalue()


def old_format():
    file = io.BytesIO()
    torch.save(OLD, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


NO_CHECKPOINTS = {
    "nothing": b"",
    "text": "炼丹".encode(),
    "a bare pickle": pickle.dumps({"step": 1}),
    "torch's format before 1.6": old_format(),
    "an empty archive": archive(),
    "an archive of something else": archive(notes_txt="notes"),
    "a newer pickle": archive(a__data_pkl=pickle.dumps([1], 4), a__version="3\n"),
    "a broken pickle": archive(a__data_pkl=b"\x80\x02}(.", a__version="3\n"),
    "an archive without a version": archive(a__data_pkl=b"\x80\x02N."),
}


@pytest.mark.parametrize("contents", NO_CHECKPOINTS.values(), ids=NO_CHECKPOINTS)
@pytest.mark.parametrize("map_location", ["cpu", "meta"])
def test_what_is_no_checkpoint_is_refused_in_one_plain_line(contents, map_location, tmp_path):
    path = tmp_path / "what.pt"
    path.write_bytes(contents)
    with pytest.raises(ValueError, match=r"what.pt is cut short, damaged or something else") as e:
        load_checkpoint(path, map_location)
    assert "\n" not in str(e.value)
    assert path.read_bytes() == contents


def test_a_wrong_place_is_not_blamed_on_the_file(best):
    with pytest.raises(RuntimeError, match="nowhere"):
        load_checkpoint(best, "nowhere")


# Files that would run code

REFUSED = {
    "a call of print": (Opened(print, "never printed"), "print"),
    "a call of open": (Opened(builtins.open, "stolen", "w"), "io.open"),
    "a system call": (Opened(os.system, "echo never printed"), r"(posix|nt).system"),
    "a module": (torch.nn.Linear(2, 1), "torch.nn.modules.linear.Linear"),
    "a number of NumPy's": (np.float64(0.9), r"numpy.*multiarray.scalar"),
    "a path": (pathlib.PurePosixPath("a"), "pathlib.*PurePosixPath"),
}


@pytest.mark.parametrize(("value", "name"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_names_code_is_refused_and_says_which(value, name, tmp_path, capfd):
    path = tmp_path / "stranger.pt"
    torch.save({"w": torch.ones(2), "extra": [value]}, path)
    with pytest.raises(ValueError, match=rf"stranger.pt names (builtins\.)?{name}, .*: refused"):
        load_checkpoint(path)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == [path]


def test_a_trap_does_not_spring(tmp_path):
    RAN.clear()
    torch.save(Booby(), tmp_path / "trap.pt")
    with pytest.raises(ValueError, match="refused"):
        load_checkpoint(tmp_path / "trap.pt")
    assert RAN == []
    torch.load(tmp_path / "trap.pt", weights_only=False)  # the trap works
    assert RAN == ["loaded"]


NOT_SAVED = [
    ({"w": torch.ones(1), "acc": np.float64(0.9)}, r"obj\['acc'\], a numpy.float64"),
    ({"history": [1, (2, np.ones(3))]}, r"obj\['history'\]\[1\]\[1\], a numpy.ndarray"),
    ({"where": pathlib.PurePosixPath("a")}, r"obj\['where'\], a pathlib.*PurePosixPath"),
    ({3: {"f": lambda x: x}}, r"obj\[3\]\['f'\], a function"),
    ({"lock": threading.Lock()}, r"obj\['lock'\], a _thread.lock"),
    (torch.nn.Linear(2, 1), r"obj, a torch.nn.modules.linear.Linear"),
    ([range(3)], r"obj\[0\], a range"),
    ({pathlib.PurePosixPath("key"): 1}, "obj, a dict"),
]


@pytest.mark.parametrize(("obj", "named"), NOT_SAVED, ids=lambda v: v if isinstance(v, str) else "")
def test_what_would_not_come_back_is_named_and_the_old_file_stays(obj, named, best):
    with pytest.raises(TypeError, match=rf"expected tensors, .* got {named}: not saved"):
        save_checkpoint(obj, best)
    assert equal(load_checkpoint(best), OLD)
    assert list(best.parent.iterdir()) == [best]


def test_what_would_not_come_back_is_named_also_beside_a_list_that_holds_itself(best):
    ring = []
    ring += [ring, {"ring": ring}, print]
    with pytest.raises(TypeError, match=r"got obj\[2\], a builtin_function_or_method: not saved"):
        save_checkpoint(ring, best)
    assert equal(load_checkpoint(best), OLD)


def test_what_has_no_checksums_counts_as_damaged(best):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(NEW, best.with_name("bare.pt"))
        with pytest.raises(ValueError, match="not what was saved"):
            save_checkpoint(NEW, best)
    finally:
        torch.serialization.set_crc32_options(before)
    with pytest.raises(ValueError, match="not what was saved"):
        load_checkpoint(best.with_name("bare.pt"))
    assert equal(load_checkpoint(best), OLD)


def test_saving_changes_nothing_in_what_is_saved(tmp_path):
    state = copy.deepcopy(NEW)
    save_checkpoint(state, tmp_path / "a.pt")
    assert equal(state, NEW)


# Places that do not work


def test_no_file_says_what_to_do(tmp_path):
    for path in (tmp_path / "none.pt", tmp_path / "no folder" / "none.pt"):
        with pytest.raises(FileNotFoundError, match=r"expected a checkpoint at .*none.pt, f"):
            load_checkpoint(path)


def test_no_folder_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected the folder .*runs, .*: make it first"):
        save_checkpoint(NEW, tmp_path / "runs" / "best.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file(tmp_path):
    for call in (lambda: save_checkpoint(NEW, tmp_path), lambda: load_checkpoint(tmp_path)):
        with pytest.raises(IsADirectoryError, match="f must be a file, got the folder"):
            call()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not pathlib.Path("/dev/null").exists(), reason="no devices as files")
def test_a_device_is_not_replaced():
    with pytest.raises(ValueError, match="f must be a file, got /dev/null"):
        save_checkpoint(NEW, "/dev/null")
    assert pathlib.Path("/dev/null").is_char_device()


def test_a_folder_that_must_not_be_written_to(best, monkeypatch):
    real = builtins.open

    def closed(path, mode="r", *more, **settings):
        if "x" in mode:  # as the system would answer, also to the administrator
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, mode, *more, **settings)

    monkeypatch.setattr(builtins, "open", closed)
    with pytest.raises(PermissionError, match=r"cannot save .*best.pt: Permission denied"):
        save_checkpoint(NEW, best)
    monkeypatch.undo()
    assert equal(load_checkpoint(best), OLD)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do all")
def test_a_read_only_folder(best):
    best.parent.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match="cannot save"):
            save_checkpoint(NEW, best)
    finally:
        best.parent.chmod(0o700)
    assert equal(load_checkpoint(best), OLD)


def test_a_full_disk_is_called_that(best, monkeypatch):
    class Full(io.FileIO):
        def write(self, contents):
            if self.tell() + len(contents) > 500:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(contents)

    real = builtins.open
    monkeypatch.setattr(
        builtins, "open", lambda path, mode: Full(path, mode) if "x" in mode else real(path, mode)
    )
    with pytest.raises(OSError, match=r"cannot save .*best.pt: No space left") as caught:
        save_checkpoint(NEW, best)
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert equal(load_checkpoint(best), OLD)
    assert list(best.parent.iterdir()) == [best]


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: save_checkpoint(p, NEW), TypeError, "f must be a path, got dict"),
        (lambda p: save_checkpoint(NEW, io.BytesIO()), TypeError, "f must be a path, got BytesIO"),
        (lambda p: load_checkpoint(io.BytesIO()), TypeError, "f must be a path, got BytesIO"),
        (lambda p: load_checkpoint(None), TypeError, "f must be a path, got NoneType"),
        (lambda p: load_checkpoint(p), FileNotFoundError, "expected a checkpoint at .*none.pt"),
        (lambda p: load_checkpoint(p.parent), IsADirectoryError, "got the folder"),
        (lambda p: save_checkpoint(NEW, p / "x"), FileNotFoundError, "expected the folder"),
        (lambda p: save_checkpoint(print, p), TypeError, "got obj, a builtin_function_or_method"),
    ],
)
def test_bad_arguments_are_told(call, error, message, tmp_path):
    with pytest.raises(error, match=message):
        call(tmp_path / "none.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.nocheck
@pytest.mark.parametrize("share", [0, 0.01, 0.25, 0.5, 0.75, 0.99])
def test_a_file_cut_short_is_told_and_the_next_save_mends_it(share, best):
    contents = best.read_bytes()
    best.write_bytes(contents[: int(share * len(contents))])
    with pytest.raises(ValueError, match=r"expected a checkpoint, but .*best.pt is cut short"):
        load_checkpoint(best)
    save_checkpoint(NEW, best)
    assert equal(load_checkpoint(best), NEW)
