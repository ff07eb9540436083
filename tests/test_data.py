import gzip
import hashlib
import http.client
import importlib.util
import lzma
import random
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, TensorDataset

from companion import data

HERE = Path(__file__).parent
GRAY = [0.299, 0.587, 0.114]
LOADERS = {
    "fashion_mnist": data.fashion_mnist,
    "digits": data.digits,
    "diabetes": data.diabetes,
    "photo": lambda: (data.photo(),),
    "nuclei": data.nuclei,
    "sea_temperature": lambda: (data.sea_temperature(),),
}


def load_tool():
    spec = importlib.util.spec_from_file_location(
        "pack_fashion_mnist", HERE.parent / "tools" / "pack_fashion_mnist.py"
    )
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


@pytest.fixture(scope="module")
def extract():
    return data.fashion_mnist()


# What the loaders give


def random_states():
    numpys = np.random.get_state()[1].tolist()
    return torch.get_rng_state().tolist(), numpys, random.getstate()


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
def test_loaders_give_the_same_anywhere_and_leave_random_numbers_alone(load, tmp_path, monkeypatch):
    first = load()
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(99)
    before = random_states()
    second = load()
    assert random_states() == before
    assert list(tmp_path.iterdir()) == []
    for a, b in zip(first, second, strict=True):
        assert a.equal(b)
        assert a.dtype in (torch.float32, torch.int64)


def test_fashion_mnist_is_balanced_and_scaled(extract):
    train_x, train_y, test_x, test_y = extract
    assert train_x.shape == (10_000, 1, 28, 28)
    assert test_x.shape == (2_000, 1, 28, 28)
    assert train_y.bincount().tolist() == [1000] * 10
    assert test_y.bincount().tolist() == [200] * 10
    for images in (train_x, test_x):
        assert (images.min(), images.max()) == (0, 1)
        torch.testing.assert_close((images * 255).round() / 255, images)
    assert len(data.FASHION_MNIST_CLASSES) == 10
    # The first training images of the original are known to be these.
    names = [data.FASHION_MNIST_CLASSES[label] for label in train_y[:4]]
    assert names == ["Ankle boot", "T-shirt/top", "T-shirt/top", "Dress"]


@pytest.mark.skipif(not data.DEBIAN.exists(), reason="needs Debian's dataset-fashion-mnist")
def test_the_extract_is_the_first_of_each_class_of_the_full_set(extract):
    full = data.fashion_mnist(full=True)
    assert full.train_images.shape == (60_000, 1, 28, 28)
    assert full.test_images.shape == (10_000, 1, 28, 28)
    tool = load_tool()
    train = tool.first_of_each_class(full.train_labels, 1000)
    test = tool.first_of_each_class(full.test_labels, 200)
    assert extract.train_images.equal(full.train_images[train])
    assert extract.train_labels.equal(full.train_labels[train])
    assert extract.test_images.equal(full.test_images[test])
    assert extract.test_labels.equal(full.test_labels[test])


def test_digits_are_split_without_loss_and_by_the_seed_alone():
    train_x, train_y, test_x, test_y = data.digits(seed=3, test_fraction=0.25)
    assert (len(train_x), len(test_x)) == (1348, 449)
    images = (torch.cat([train_x, test_x]) * 16).flatten(1)
    rows = torch.cat([images, torch.cat([train_y, test_y])[:, None]], dim=1).tolist()
    original = sklearn.datasets.load_digits()
    assert sorted(rows) == sorted(np.column_stack([original.data, original.target]).tolist())
    assert data.digits(seed=3, test_fraction=0.25).train_labels.equal(train_y)
    assert not data.digits(seed=4, test_fraction=0.25).train_labels.equal(train_y)


def test_digits_may_all_be_for_training():
    train_x, _, test_x, test_y = data.digits(test_fraction=0)
    assert train_x.shape == (1797, 1, 8, 8)
    assert test_x.shape == (0, 1, 8, 8)
    assert test_y.shape == (0,)


def test_nuclei_are_brighter_than_the_ground_and_numbered():
    image, labels = data.nuclei()
    assert image.shape == (1, 512, 512)
    assert labels.shape == (512, 512)
    assert (image.min(), image.max()) == (0, 1)
    assert (labels.min(), labels.max()) == (0, 183)
    assert len(labels.unique()) == 126  # 125 nuclei and the ground
    inside = image[0][labels > 0]
    assert inside.mean() > 2 * image[0][labels == 0].mean()
    assert len(inside) == 52_226


def test_sea_temperatures_are_in_order_and_have_a_season():
    months = data.sea_temperature()
    assert months.shape == (732,)
    assert months.dtype == torch.float32
    table = months.reshape(61, 12)
    assert table[0, 0] == pytest.approx(23.11)
    assert table[1, :3].tolist() == pytest.approx([24.19, 25.28, 25.60])
    assert 18 < months.min() < months.max() < 30
    assert table.mean(0).argmax() in (1, 2)  # the sea is warmest in February or March
    assert table.mean(0).argmin() in (7, 8)
    december = data.sea_temperature()[12 * (1997 - 1950) + 11]
    assert december > table[:, 11].mean() + 3  # El Niño


@pytest.mark.parametrize("scaled", [True, False])
def test_diabetes_equals_scikit_learns(scaled):
    features, targets = data.diabetes(scaled)
    table = sklearn.datasets.load_diabetes(scaled=scaled)
    torch.testing.assert_close(features, torch.tensor(table.data).float())
    assert targets.squeeze(1).tolist() == table.target.tolist()


def test_diabetes_dataset_works_in_a_loader():
    dataset = data.DiabetesDataset()
    assert len(dataset) == 442
    assert [value.shape for value in dataset[0]] == [(10,), (1,)]
    assert len(list(dataset)) == 442  # iteration ends
    batches = list(DataLoader(dataset, batch_size=32))
    assert len(batches) == 14
    assert batches[-1][0].shape == (442 - 13 * 32, 10)
    assert torch.cat([x for x, _ in batches]).equal(dataset.features)
    assert data.DiabetesDataset(scaled=False)[0][0][0] == 59
    with pytest.raises(IndexError):
        dataset[442]


@pytest.mark.parametrize("name", ["china", "flower"])
def test_photo_equals_scikit_learns(name):
    image = data.photo(name)
    original = torch.tensor(sklearn.datasets.load_sample_image(f"{name}.jpg"))
    assert (image * 255).round().byte().permute(1, 2, 0).equal(original)
    assert image.shape == (3, 427, 640)


def test_photo_in_other_sizes_and_gray():
    assert data.photo(size=100).shape == (3, 100, 150)
    assert data.photo("flower", size=(30, 20)).shape == (3, 30, 20)
    image, gray = data.photo(size=427), data.photo(gray=True)
    torch.testing.assert_close(image, data.photo(), atol=1e-5, rtol=0)  # its own size
    torch.testing.assert_close(gray[0], torch.einsum("chw,c->hw", image, torch.tensor(GRAY)))
    small = data.photo(size=50)
    torch.testing.assert_close(small.mean(), image.mean(), atol=5e-3, rtol=0)  # as bright
    for picture in (image, gray, small):
        assert picture.min() >= 0
        assert picture.max() <= 1


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("load", "error", "message"),
    [
        (lambda: data.digits(test_fraction=1), ValueError, "at least 0 and below 1, got 1"),
        (lambda: data.digits(test_fraction=-0.1), ValueError, "below 1, got -0.1"),
        (lambda: data.photo("dog"), ValueError, 'name must be "china" or "flower", got \'dog\''),
        (lambda: data.photo("china.jpg"), ValueError, "got 'china.jpg'"),
        (lambda: data.photo(size=0), ValueError, "size must be positive, got 0"),
        (lambda: data.photo(size=(4, -1)), ValueError, r"size must be positive, got \(4, -1\)"),
    ],
)
def test_bad_arguments_are_refused(load, error, message):
    with pytest.raises(error, match=message):
        load()


# Batches


@pytest.mark.parametrize("n", [1, 2, 7, 12])
@pytest.mark.parametrize("batch_size", [1, 3, 4, 12, 20])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_an_epoch_has_torchs_batches(n, batch_size, drop_last, shuffle):
    dataset = TensorDataset(torch.arange(n), torch.randn(n, 2, 3))
    mine, torchs = (torch.Generator().manual_seed(n) for _ in range(2))
    settings = {"batch_size": batch_size, "shuffle": shuffle, "drop_last": drop_last}
    loader = DataLoader(dataset, generator=torchs, **settings)
    for _ in range(3):
        # what torch draws besides: a seed for its workers, ...
        torch.empty((), dtype=torch.int64).random_(generator=mine)
        batches = list(data.one_epoch(dataset, generator=mine, **settings))
        if shuffle:  # ... and, once an order is used up, another, of which it takes nothing
            torch.randperm(n, generator=mine)
        assert len(batches) == len(loader)
        for a, b in zip(batches, loader, strict=True):
            assert type(a) is type(b)
            assert all(x.equal(y) for x, y in zip(a, b, strict=True))
        seen = sorted(i for numbers, _ in batches for i in numbers.tolist())
        if not drop_last:
            assert seen == list(range(n))
    assert torch.rand(1, generator=mine).equal(torch.rand(1, generator=torchs))


def test_an_epoch_collates_as_torch_and_as_told():
    samples = [{"x": torch.tensor([i, 0.5]), "name": f"n{i}", "pair": (i, i / 2)} for i in range(3)]
    for ours, theirs in zip(data.one_epoch(samples, 2), DataLoader(samples, 2), strict=True):
        assert ours["x"].equal(theirs["x"])
        assert ours["name"] == theirs["name"]
        assert [p.tolist() for p in ours["pair"]] == [p.tolist() for p in theirs["pair"]]
    assert list(data.one_epoch("abc", 2, collate_fn=list)) == [["a", "b"], ["c"]]


def test_the_order_is_new_in_each_epoch_and_comes_from_the_generator_alone():
    def orders(generator):
        return [next(data.one_epoch(range(50), 50, True, generator=generator)) for _ in range(2)]

    first, second = orders(torch.Generator().manual_seed(1))
    assert not first.equal(second)
    again = orders(torch.Generator().manual_seed(1))
    assert first.equal(again[0])
    assert second.equal(again[1])
    torch.manual_seed(5)
    by_global = orders(None)
    torch.manual_seed(5)
    assert orders(None)[1].equal(by_global[1])


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.bool])
def test_pad_collate_equals_torchs_padding(shape, dtype):
    lengths = [3, 0, 5, 1, 5]
    sequences = [torch.randn(n, *shape).gt(0).to(dtype) for n in lengths]
    for value in (0, 1):
        padded, n, mask = data.pad_collate(sequences, padding_value=value)
        assert padded.equal(pad_sequence(sequences, batch_first=True, padding_value=value))
        assert padded.dtype == dtype
        assert n.tolist() == lengths == mask.sum(1).tolist()
        assert (padded[~mask] == value).all()
        for row, real, sequence in zip(padded, mask, sequences, strict=True):
            assert row[real].equal(sequence)


def test_pad_collate_lets_gradients_through_and_serves_a_loader():
    sequences = [torch.ones(n, 2, requires_grad=True) for n in (1, 3)]
    padded, _, mask = data.pad_collate(sequences)
    padded[mask].sum().backward()
    assert all(x.grad.equal(torch.ones_like(x)) for x in sequences)
    empty = data.pad_collate([torch.empty(0), torch.empty(0)])
    assert [x.shape for x in empty] == [(2, 0), (2,), (2, 0)]
    words = [torch.arange(n) for n in (2, 4, 1)]
    shapes = [x.shape for x, _, _ in DataLoader(words, 2, collate_fn=data.pad_collate)]
    assert shapes == [(2, 4), (1, 1)]


def test_pad_collate_stays_on_the_sequences_device():
    sequences = [torch.ones(n, device="meta") for n in (2, 3)]
    results = data.pad_collate(sequences)
    assert [x.device.type for x in results] == ["meta"] * 3
    assert [x.shape for x in results] == [(2, 3), (2,), (2, 3)]


def test_a_transformed_dataset_transforms_inputs_only_and_when_asked():
    calls = []

    def transform(x):
        calls.append(x)
        return x + 0.5

    dataset = data.TransformedDataset([(1, "a"), (2, "b")], transform)
    assert len(dataset) == 2
    assert calls == []
    assert list(dataset) == [(1.5, "a"), (2.5, "b")]
    assert dataset[-1] == (2.5, "b")
    assert calls == [1, 2, 2]


def test_transformed_images_come_through_workers_as_well():
    transform = data.Compose([data.RandomCrop(4, padding=1), data.RandomHorizontalFlip()])
    images = torch.arange(6 * 16.0).view(6, 1, 4, 4)
    dataset = data.TransformedDataset(TensorDataset(images, torch.arange(6)), transform)
    for workers in (0, 2):
        loader = DataLoader(dataset, batch_size=4, num_workers=workers)
        batches = list(loader)
        assert torch.cat([y for _, y in batches]).tolist() == list(range(6))
        assert [x.shape for x, _ in batches] == [(4, 1, 4, 4), (2, 1, 4, 4)]


class Endless(torch.utils.data.IterableDataset):
    def __iter__(self):
        yield 1


def sequences(*shapes, dtype=torch.float32):
    return [torch.zeros(shape, dtype=dtype) for shape in shapes]


@pytest.mark.nocheck
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: data.one_epoch([]), ValueError, "dataset must hold at least one sample, got none"),
        (lambda: data.one_epoch([1], 0), ValueError, "batch_size must be at least 1, got 0"),
        (lambda: data.one_epoch([1], batch_size=-3), ValueError, "at least 1, got -3"),
        (lambda: data.one_epoch([1], 2.0), TypeError, "batch_size must be a whole number, got 2.0"),
        (lambda: data.one_epoch([1], True), TypeError, "batch_size must be .* got True"),
        (lambda: data.one_epoch(3), TypeError, "must have a length .* and int has not"),
        (lambda: data.one_epoch({1, 2}), TypeError, "samples by number .* and set has not"),
        (lambda: data.one_epoch(Endless()), TypeError, "a length .* and Endless has not"),
        (lambda: data.TransformedDataset(3, abs), TypeError, "a length .* and int has not"),
        (lambda: data.TransformedDataset([(1, 2)], 3), TypeError, "must be callable, got 3"),
        (lambda: data.pad_collate([]), ValueError, "at least one sequence, got none"),
        (lambda: data.pad_collate(torch.ones(2, 3)), TypeError, "list of tensors, got Tensor"),
        (lambda: data.pad_collate([[1, 2]]), TypeError, "tensors only, got list"),
        (lambda: data.pad_collate(sequences(())), ValueError, "got a single number"),
        (lambda: data.pad_collate(sequences((2, 3), (2, 4))), ValueError, r"got \(2, 3\).*\(2, 4"),
        (lambda: data.pad_collate(sequences((2,), (2, 1))), ValueError, r"length only, got \(2,\)"),
        (
            lambda: data.pad_collate(sequences((2,)) + sequences((2,), dtype=torch.int64)),
            ValueError,
            "float32 and .*int64",
        ),
    ],
)
def test_what_cannot_be_batched_is_refused(call, error, message):
    state = torch.get_rng_state()
    with pytest.raises(error, match=message):
        call()
    assert torch.get_rng_state().equal(state)


@pytest.mark.nocheck
def test_samples_that_do_not_fit_together_raise_and_lose_nothing():
    dataset = sequences((2,), (3,))
    with pytest.raises(RuntimeError, match="equal size"):
        next(data.one_epoch(dataset, 2))
    assert [x.shape for x in dataset] == [(2,), (3,)]
    assert len(list(data.one_epoch(dataset, 2, collate_fn=data.pad_collate))) == 1


# The table


def test_every_file_is_in_the_table_and_every_entry_complete():
    files = {p.name for p in data.FILES.iterdir() if p.is_file() and p.suffix != ".LICENSE"}
    assert files <= data.SOURCES.keys()
    for name, source in data.SOURCES.items():
        assert source.name == name
        assert len(bytes.fromhex(source.sha256)) == 32
        assert all((source.what, source.source, source.licence))
    table = data.sources_table().splitlines()
    assert len(table) == 2 + len(data.SOURCES)
    assert {row.count("|") for row in table} == {6}


@pytest.mark.parametrize("name", sorted(p.name for p in data.FILES.glob("*.xz")))
def test_what_others_made_comes_with_its_licence(name):
    licence = (data.FILES / name).with_suffix(".LICENSE").read_text("utf-8")
    assert licence.startswith(f"{name} holds ")


def test_interface_texts_are_pairs_under_two_licences():
    lines = data.packaged("interface_texts.xz").decode("utf-8").split("\n")
    assert len(lines) == 3670
    assert {line.count("\t") for line in lines} == {1}
    licence = (data.FILES / "interface_texts.LICENSE").read_text("utf-8")
    source = data.SOURCES["interface_texts.xz"]
    assert licence.count("Redistribution and use in source and binary forms") == 2
    assert "Copyright (c) 2023 Project Jupyter Contributors" in licence
    assert "Copyright (c) 2014-present Torchbox Ltd and individual contributors" in licence
    for package in ("jupyterlab-language-pack-zh-CN 4.5.post3", "wagtail 8.0.1"):
        assert package in source.source
        assert package in " ".join(licence.split())
    assert "3,670" in licence
    assert "3,670" in source.what


# Files that are not what they should be


def cut(packed):
    return packed[: len(packed) // 2]


def turn_a_bit(packed):
    middle = len(packed) // 2
    return packed[:middle] + bytes([packed[middle] ^ 1]) + packed[middle + 1 :]


DAMAGE = {
    "cut short": cut,
    "one bit turned": turn_a_bit,
    "empty": lambda packed: b"",
    "a web page": lambda packed: b"<html>Not found</html>",
}


@pytest.mark.parametrize(
    "damage",
    [*DAMAGE.values(), lambda packed: lzma.compress(lzma.decompress(packed)[:-1], preset=0)],
    ids=[*DAMAGE, "other contents"],
)
def test_a_damaged_package_is_refused(damage, tmp_path, monkeypatch):
    packed = (data.FILES / "fashion_mnist.xz").read_bytes()
    (tmp_path / "fashion_mnist.xz").write_bytes(damage(packed))
    monkeypatch.setattr(data, "FILES", tmp_path)
    with pytest.raises(ValueError, match=r"fashion_mnist\.xz is .*Install the companion again"):
        data.fashion_mnist()


def test_a_package_without_its_data_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "FILES", tmp_path)
    message = r"missing\. Install .* git checkout companion/files/fashion_mnist\.xz"
    with pytest.raises(FileNotFoundError, match=message):
        data.fashion_mnist()


def test_a_package_inside_a_zip_file_serves_as_well(tmp_path, monkeypatch, extract):
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as file:
        file.write(data.FILES / "fashion_mnist.xz", "files/fashion_mnist.xz")
    monkeypatch.setattr(data, "FILES", zipfile.Path(tmp_path / "package.zip", "files/"))
    assert data.fashion_mnist().test_labels.equal(extract.test_labels)


def test_other_numbers_from_scikit_learn_are_refused(monkeypatch, tmp_path):
    for name, load in (("load_digits", data.digits), ("load_diabetes", data.diabetes)):
        table = getattr(sklearn.datasets, name)()
        table.target[7] += 1
        monkeypatch.setattr(sklearn.datasets, name, lambda table=table, **_: table)
        with pytest.raises(ValueError, match=r"expected SHA-256 .*Install scikit-learn again"):
            load()
    monkeypatch.setattr(data.resources, "files", lambda package: tmp_path)
    with pytest.raises(FileNotFoundError, match=r"flower\.jpg is missing.*Install scikit-learn"):
        data.photo("flower")
    (tmp_path / "flower.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"flower\.jpg is not what it should be"):
        data.photo("flower")


# The full Fashion-MNIST, played with three images and two


@pytest.fixture
def official(tmp_path, monkeypatch):
    """A folder that stands for the official address; neither Debian's files nor a cache exist."""
    idx = load_tool().idx
    folder = tmp_path / "official"
    folder.mkdir()
    arrays = [
        torch.arange(3 * 28 * 28).reshape(3, 28, 28) % 256,
        torch.tensor([9, 0, 4]),
        torch.full((2, 28, 28), 255),
        torch.tensor([1, 2]),
    ]
    for name, array in zip(data.FASHION_MNIST_FILES, arrays, strict=True):
        contents = idx(array)
        (folder / name).write_bytes(gzip.compress(contents))
        source = replace(data.SOURCES[name], sha256=hashlib.sha256(contents).hexdigest())
        monkeypatch.setitem(data.SOURCES, name, source)
    monkeypatch.setattr(data, "FASHION_MNIST_URL", folder.as_uri() + "/")
    monkeypatch.setattr(data, "DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path / "cache"))
    return folder


def assert_tiny(split):
    assert split.train_images.shape == (3, 1, 28, 28)
    assert split.train_images[0, 0, 0, :3].tolist() == pytest.approx([0, 1 / 255, 2 / 255])
    assert split.train_labels.tolist() == [9, 0, 4]
    assert split.test_images.equal(torch.ones(2, 1, 28, 28))
    assert split.test_labels.tolist() == [1, 2]


def cached(tmp_path):
    return sorted(path.name for path in tmp_path.rglob("cache/**/*") if path.is_file())


def test_a_download_is_kept_and_used_again(official, tmp_path):
    assert_tiny(data.fashion_mnist(full=True))
    assert cached(tmp_path) == sorted(data.FASHION_MNIST_FILES)  # and no half-written file
    for path in official.iterdir():
        path.unlink()
    assert_tiny(data.fashion_mnist(full=True))


def test_the_cache_is_in_the_home_folder_unless_told_otherwise(official, tmp_path, monkeypatch):
    monkeypatch.delenv("COMPANION_DATA")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    data.fashion_mnist(full=True)
    folder = tmp_path / "home" / ".cache" / "building-blocks-dl" / "fashion-mnist"
    assert {path.name for path in folder.iterdir()} == set(data.FASHION_MNIST_FILES)


def test_debians_files_come_first_however_they_are_compressed(official, tmp_path, monkeypatch):
    data.DEBIAN.mkdir()
    for path in official.iterdir():
        again = gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=1, mtime=5)
        (data.DEBIAN / path.name).write_bytes(again)
        path.unlink()
    assert_tiny(data.fashion_mnist(full=True))
    assert cached(tmp_path) == []


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_bad_download_is_refused_and_not_kept(official, tmp_path, damage):
    bad = official / data.FASHION_MNIST_FILES[0]
    bad.write_bytes(damage(bad.read_bytes()))
    with pytest.raises(ValueError, match=r"train-images.* was not kept\. Put the four files"):
        data.fashion_mnist(full=True)
    assert cached(tmp_path) == []


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_bad_file_in_the_cache_is_removed_and_fetched_again(official, tmp_path, damage):
    data.fashion_mnist(full=True)
    bad = tmp_path / "cache" / "fashion-mnist" / data.FASHION_MNIST_FILES[1]
    bad.write_bytes(damage(bad.read_bytes()))
    with pytest.raises(ValueError, match=r"train-labels.* has been removed\. Try again"):
        data.fashion_mnist(full=True)
    assert not bad.exists()
    assert_tiny(data.fashion_mnist(full=True))


def test_a_bad_file_of_debians_is_refused_and_left_where_it_is(official):
    data.DEBIAN.mkdir()
    bad = data.DEBIAN / data.FASHION_MNIST_FILES[0]
    bad.write_bytes(b"no gzip")
    with pytest.raises(ValueError, match="apt install --reinstall dataset-fashion-mnist"):
        data.fashion_mnist(full=True)
    assert bad.exists()


def test_without_a_network_the_error_says_what_to_do(official, tmp_path):
    for path in official.iterdir():
        path.unlink()
    message = "could not download file:.*Put the four files .*apt install dataset-fashion-mnist"
    with pytest.raises(OSError, match=message) as caught:
        data.fashion_mnist(full=True)
    assert str(tmp_path / "cache" / "fashion-mnist") in str(caught.value)


def test_a_connection_that_breaks_off_says_what_to_do(official, monkeypatch):
    def urlopen(url, timeout):
        raise http.client.IncompleteRead(b"half")

    monkeypatch.setattr(data.urllib.request, "urlopen", urlopen)
    with pytest.raises(OSError, match=r"could not download .*IncompleteRead.*Put the four files"):
        data.fashion_mnist(full=True)


def test_a_full_disk_says_what_to_do_and_leaves_nothing_half_written(
    official, tmp_path, monkeypatch
):
    def write_bytes(path, contents):
        path.touch()
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(OSError, match=r"could not download .*No space left.*set COMPANION_DATA"):
        data.fashion_mnist(full=True)
    assert cached(tmp_path) == []


def test_a_cache_that_cannot_be_made_says_what_to_do(official, tmp_path):
    (tmp_path / "cache").write_text("a file stands where the folder should be")
    with pytest.raises(OSError, match=r"could not download .*set COMPANION_DATA"):
        data.fashion_mnist(full=True)


# The script that packs


def test_packing_twice_gives_the_same_bytes_and_loads(official, tmp_path, monkeypatch, capsys):
    tool = load_tool()
    files = [tmp_path / "packed" / "one.xz", tmp_path / "packed" / "two.xz"]
    for file in files:
        monkeypatch.setattr(sys, "argv", ["pack", "--output", str(file), "--test", "1"])
        tool.main()
    first, second = (file.read_bytes() for file in files)
    assert first == second
    digest = hashlib.sha256(lzma.decompress(first)).hexdigest()
    assert f"SHA-256 of the contents: {digest}" in capsys.readouterr().out

    files[0].rename(files[0].with_name("fashion_mnist.xz"))
    source = replace(data.SOURCES["fashion_mnist.xz"], sha256=digest)
    monkeypatch.setitem(data.SOURCES, "fashion_mnist.xz", source)
    monkeypatch.setattr(data, "FILES", tmp_path / "packed")
    assert_tiny(data.fashion_mnist())


def test_first_of_each_class_keeps_the_order():
    labels = torch.tensor([3, 1, 3, 1, 0, 3])
    assert load_tool().first_of_each_class(labels, 2).tolist() == [0, 1, 2, 3, 4]
    assert load_tool().first_of_each_class(labels, 1).tolist() == [0, 1, 4]
