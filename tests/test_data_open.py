"""Whatever a user gives as data: what comes out, and what an error says."""

import builtins
import gzip
import io
import os
import struct
import tracemalloc
import zipfile
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset

from snellen.core import memory
from snellen.core.errors import DataError
from snellen.data.open import is_pair, open_data

X, Y = np.arange(20 * 64, dtype=np.uint8).reshape(20, 8, 8), np.arange(20) % 2


def folder_of(root, counts: dict[str, int], size=(8, 8), mode="RGB"):
    shade = 0
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            shade += 1
            Image.new(mode, size, shade if mode == "L" else (shade, 0, 0)).save(
                root / name / f"{i}.png"
            )
    return root


@pytest.mark.parametrize(
    ("shape", "out"),
    [((5, 8, 6), (5, 1, 8, 6)), ((5, 3, 8, 6), (5, 3, 8, 6)), ((5, 8, 6, 3), (5, 3, 8, 6)),
     ((5, 8, 6, 1), (5, 1, 8, 6)), ((5, 3, 3, 3), (5, 3, 3, 3)), ((5, 4, 4, 3), (5, 3, 4, 4)),
     ((5, 1, 28, 28), (5, 1, 28, 28))],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_array_layouts(shape, out, kind):
    x = np.random.RandomState(0).randint(0, 255, shape).astype(np.uint8)
    given = x if kind == "numpy" else torch.from_numpy(x)
    source = open_data((given, [0, 1, 0, 1, 0]), split=0)
    assert tuple(source.train.stacked().shape) == out
    moved = np.moveaxis(x, -1, 1) if len(shape) == 4 and out[1:] != shape[1:] else x
    assert (source.train.stacked().numpy() == moved.reshape(out)).all()


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [(np.int64, torch.uint8), (np.uint8, torch.uint8), (bool, torch.uint8),
     (np.float64, torch.float32), (np.float16, torch.float32), (">f4", torch.float32)],
)  # fmt: skip
def test_array_types(kind, wanted):
    x = np.ones((4, 8, 8)).astype(kind)
    stacked = open_data((x, [0, 1, 0, 1]), split=0).train.stacked()
    assert stacked.dtype == wanted
    assert float(stacked.max()) == (255 if kind is bool else 1)


@pytest.mark.parametrize(
    ("y", "labels", "classes"),
    [([1, 0, 1, 0], [1, 0, 1, 0], ("0", "1")),
     (["dog", "cat", "dog", "cat"], [1, 0, 1, 0], ("cat", "dog")),
     ([[0, 1], [1, 0], [0, 1], [1, 0]], [1, 0, 1, 0], ("0", "1")),
     ([[1], [0], [1], [0]], [1, 0, 1, 0], ("0", "1")),
     ([1.0, 0.0, 1.0, 0.0], [1, 0, 1, 0], ("0", "1")),
     ([True, False, True, False], [1, 0, 1, 0], ("0", "1")),
     ([2, 1, 2, 1], [1, 0, 1, 0], ("1", "2")),
     ([1, -1, 1, -1], [1, 0, 1, 0], ("-1", "1")),
     ([900, 7, 900, 7], [1, 0, 1, 0], ("7", "900"))],
)  # fmt: skip
def test_label_kinds(y, labels, classes):
    for given in (y, np.array(y)):
        source = open_data((X[:4], given), split=0)
        assert source.train.labels().tolist() == labels
        assert source.classes == classes


def test_stray_labels_are_named_and_no_class():
    y = np.arange(600) % 10
    y[[5, 7]] = -1, 10
    source = open_data((np.zeros((600, 4, 4), np.uint8), y), split=0)
    assert len(source.classes) == 10
    (problem,) = source.problems
    assert (problem.id, problem.samples) == ("label-out-of-range", (5, 7))
    assert source.train.labels()[[5, 7]].tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("data", "words"),
    [((X, Y[:5]), "20 images and 5 labels"),
     ((np.zeros((4, 64)), [0, 1, 0, 1]), "reshape(-1, 8, 8)"),
     ((X, np.linspace(0, 1, 20)), "no whole number"),
     ((X, np.zeros(20)), "one class"),
     ((np.array(["a"] * 20), Y), "numbers are wanted"),
     ((np.zeros((0, 8, 8)), []), "there are none"),
     ((X, Y, X, Y), "tuple of 4"),
     (3.5, "float"),
     (([np.zeros((3, 3)), np.zeros((4, 4))], [0, 1]), "differ in size"),
     ((X, [{}] * 20), "whole numbers or words")],
)  # fmt: skip
def test_array_mistakes_say_what_is_wrong(data, words):
    with pytest.raises(DataError) as error:
        open_data(data)
    assert words in str(error.value)
    assert len(str(error.value).splitlines()) == 1


class Squares(Dataset):
    """Items are (CHW float, int); it counts what is read."""

    def __init__(self):
        self.read = 0

    def __len__(self):
        return 12

    def __getitem__(self, i):
        self.read += 1
        if i >= 12:
            raise IndexError
        return torch.full((3, 4, 4), i / 12), i % 3


def test_datasets_subsets_and_loaders():
    data = Squares()
    source = open_data(DataLoader(Subset(data, [4, 5, 6, 7, 8, 9]), batch_size=2), split=0)
    assert source.train.labels().tolist() == [1, 2, 0, 1, 2, 0]
    assert source.train[2].index == 6
    assert float(source.train[2].image_CHW[0, 0, 0]) == 0.5
    assert not source.train.repeatable
    joined = ConcatDataset([Subset(data, [4, 5]), Subset(Subset(data, [9, 2, 7]), [2, 0])])
    assert [s.index for s in open_data(joined, split=0).train] == [4, 5, 7, 9]
    assert open_data(TensorDataset(torch.zeros(4, 1, 2, 2), torch.tensor([0, 1, 0, 1]))).val


def test_targets_spare_the_reading():
    """A few items are looked at, to see whether they say the same."""
    data = Squares()
    many = ConcatDataset([data] * 100)
    many.targets = [i % 3 for i in range(1200)]
    many.classes = ["red", "green", "blue"]
    torch.manual_seed(0)
    source = open_data(many)
    source.train.labels()
    assert data.read <= 32
    assert source.classes == ("red", "green", "blue")
    assert source.problems == ()
    assert float(torch.rand(1)) == float(torch.rand(1, generator=torch.Generator().manual_seed(0)))
    many.targets = [many.classes[i % 3] for i in range(1200)]  # words where items give numbers
    assert open_data(many).problems == ()


@pytest.mark.parametrize("change", [lambda label: int(label >= 5), lambda label: 9 - label])
def test_labels_of_the_items_win_over_listed_ones(change):
    """A target_transform, and a list that was not kept up to date."""

    class Changed(Dataset):
        targets = np.arange(500) % 10
        classes = list("abcdefghij")

        def __len__(self):
            return 500

        def __getitem__(self, i):
            return torch.rand(1, 4, 4), change(int(self.targets[i]))

    source = open_data(Changed(), split=0)
    assert source.train.labels().tolist() == [change(i % 10) for i in range(500)]
    assert source.classes == tuple(str(i) for i in range(len(source.classes)))
    assert len(source.classes) == len({change(i) for i in range(10)})
    assert [(p.id, p.harm) for p in source.problems] == [("label-list-differs", "harmless")]


class Whole(Dataset):
    """Constant images of a whole-number type, one a value."""

    def __init__(self, *values, kind=torch.int16):
        self.values, self.kind = values, kind

    def __len__(self):
        return len(self.values)

    def __getitem__(self, i):
        return torch.full((1, 8, 8), self.values[i], dtype=self.kind), i % 2


@pytest.mark.parametrize("kind", [torch.int16, torch.int64])
def test_one_set_holds_one_kind_of_numbers(kind):
    """A dark picture among deep ones is deep too: alone, in a batch and in the statistics."""
    part = open_data(Whole(*[200] * 10, *[400] * 10, kind=kind), split=0).train
    assert [float(part[i].image_CHW.max()) for i in (0, 12)] == [200, 400]
    assert {part[i].image_CHW.dtype for i in range(20)} == {torch.float32}
    part = open_data(Whole(*range(200, 220), kind=kind), split=0).train
    assert {part[i].image_CHW.dtype for i in range(20)} == {torch.uint8}
    values = [7] * 1000
    values[123] = 300
    part = open_data(Whole(*values, kind=kind), split=0).train
    with pytest.raises(DataError, match=r"Whole\[123\].*holds 300\.\.300 where others"):
        part[123]


def test_pairs_are_told_from_arrays():
    t = torch.from_numpy(X)
    assert not is_pair((X, Y))
    assert not is_pair((t, torch.from_numpy(Y)))
    assert not is_pair(([X[0], X[1]], [0, 1]))
    assert not is_pair((X[:2], Y[:2]))
    assert is_pair(((X, Y), (X, Y)))
    assert is_pair(([X, Y], [X, Y]))
    assert is_pair(("a", "b"))
    assert is_pair((Squares(), Squares()))
    source = open_data(((X, Y), (X[:6], Y[:6])))
    assert (len(source.train), len(source.val)) == (20, 6)


def test_val_is_numbered_by_the_classes_of_train(tmp_path):
    folder_of(tmp_path / "a", {"cat": 3, "dog": 3, "owl": 3})
    folder_of(tmp_path / "b", {"dog": 2, "owl": 1})
    source = open_data(tmp_path / "a", val=tmp_path / "b")
    assert source.classes == ("cat", "dog", "owl")
    assert source.val.labels().tolist() == [1, 1, 2]
    assert [s.target.label for s in source.val] == [1, 1, 2]


def test_val_class_that_train_lacks_is_left_out_and_named(tmp_path):
    folder_of(tmp_path / "train", {"cat": 3, "7 ": 3})
    folder_of(tmp_path / "val", {"cat": 2, "7": 4})
    source = open_data(tmp_path)
    assert len(source.val) == 2
    found = {p.id: p for p in source.problems}
    assert "'7'" in found["class-unknown"].message
    assert "blanks" in found["class-unknown"].message
    assert found["class-name-blanks"].harm == "harmless"
    folder_of(tmp_path / "other", {"x": 2, "y": 2})
    with pytest.raises(DataError, match="share no class"):
        open_data(tmp_path / "train", val=tmp_path / "other")


def test_folder_parts_aliases_and_deep_classes(tmp_path):
    folder_of(tmp_path / "a" / "Training", {"x": 4, "y": 4})
    folder_of(tmp_path / "a" / "valid", {"x": 1, "y": 2})
    folder_of(tmp_path / "a" / "testing", {"x": 2, "y": 2})
    source = open_data(tmp_path / "a")
    assert [len(p) for p in (source.train, source.val, source.test)] == [8, 3, 4]
    folder_of(tmp_path / "b", {"Greek/alpha": 2, "Greek/beta": 2, "Latin/a": 2}, mode="L")
    source = open_data(tmp_path / "b", split=0)
    assert source.classes == ("Greek/alpha", "Greek/beta", "Latin/a")
    assert source.train[0].image_CHW.shape == (1, 8, 8)
    folder_of(tmp_path / "c", {"car": 2, "train": 3})  # a class of trains, no part
    assert open_data(tmp_path / "c", split=0).classes == ("car", "train")


def test_train_and_test_hold_out_a_stratified_share(tmp_path):
    folder_of(tmp_path / "train", {"x": 20, "y": 10})
    folder_of(tmp_path / "test", {"x": 2, "y": 2})
    source = open_data(tmp_path, split=0.2, seed=3)
    assert (len(source.train), len(source.val), len(source.test)) == (24, 6, 4)
    assert source.val.labels().bincount().tolist() == [4, 2]
    again = open_data(tmp_path, split=0.2, seed=3)
    assert [again.val.path(i) for i in range(6)] == [source.val.path(i) for i in range(6)]


def test_listing_opens_few_pictures_however_many_there_are(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(2000):
            (tmp_path / name / f"{i}.jpg").touch()
    asked = Counter()
    for module, name in ((builtins, "open"), (io, "open"), (os, "open"), (os, "stat")):
        call = getattr(module, name)

        def counted(path, *args, call=call, name=name, **more):
            asked[name] += str(path).endswith(".jpg")
            return call(path, *args, **more)

        monkeypatch.setattr(module, name, counted)
    source = open_data(tmp_path)
    assert len(source.train.labels()) == 3200
    monkeypatch.undo()
    assert asked["open"] < 100  # the heads of some tell whether all are gray
    assert asked["stat"] < 100
    with pytest.raises(DataError, match=r"\.jpg"):
        source.train[0]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_of_many_dialects(tmp_path, ending, delimiter, encoding):
    for i in range(4):
        Image.new("L", (4, 4), i).save(tmp_path / f"{i}.png")
    rows = ["file|class|split", '0.png|"ca;t,s"|train', "1.png|dög |train", "2.png|dög|val"]
    text = ending.join(row.replace("|", delimiter) for row in rows)
    (tmp_path / "my.csv").write_bytes(text.encode(encoding))
    source = open_data(tmp_path / "my.csv")
    assert source.classes == ("ca;t,s", "dög")
    assert (len(source.train), len(source.val)) == (2, 1)
    assert source.val[0].target.label == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [("path,label\n0.png,a\n1.png,b\n9.png,b\n", 4), ("path,label\n0.png,a\n1.png\n2.png,b\n", 3),
     ("path,label\n0.png,\n1.png,a\n2.png,b\n", 2),
     ("path,label,split\n0.png,a,train\n1.png,b,train\n2.png,b,spam\n", 4),
     ("path,label\n0.png,a\n1.png,b\n0.png,b\n", 4)],
)  # fmt: skip
def test_bad_rows_are_named_by_line(tmp_path, text, line):
    for i in range(3):
        Image.new("L", (4, 4), i).save(tmp_path / f"{i}.png")
    (tmp_path / "my.csv").write_text(text)
    problems = open_data(tmp_path / "my.csv", split=0).problems
    assert [(p.line, p.harm) for p in problems] == [(line, "harmful")]


def test_npz_holds_maps_attributes_and_values_too(tmp_path):
    x, maps = np.zeros((12, 6, 8, 3), np.uint8), np.zeros((12, 6, 8), np.uint8)
    maps[:, 2:, 3:] = 2
    np.savez(tmp_path / "maps.npz", x=x, y=maps, names=["ground", "a", "b"])
    source = open_data(tmp_path / "maps.npz", task="segment", split=0.0)
    assert source.classes == ("ground", "a", "b")
    assert (source.train[3].target.semantic_HW.numpy() == maps[3]).all()
    hats = np.array([[1, 0], [1, 1], [0, 0]] * 4)
    np.savez(tmp_path / "tags.npz", x=x, y=hats, names=["hat", "tie"])
    for task in ("tag", ""):
        source = open_data(tmp_path / "tags.npz", task=task, split=0.0)
        assert source.attributes == ("hat", "tie")
        assert source.train.target(1).attributes_A.tolist() == [1, 1]
    for numbers in (np.arange(24).reshape(12, 2) / 7, np.arange(12) / 7, np.arange(12)):
        np.savez(tmp_path / "values.npz", x=x, y=numbers)
        source = open_data(tmp_path / "values.npz", task="regress", split=0.0)
        told = np.stack([source.train.target(i).values_V for i in range(12)])
        assert np.allclose(told, numbers.reshape(12, -1))
        assert bool(open_data(tmp_path / "values.npz", split=0.0).classes) == (numbers.max() > 10)
    np.savez(tmp_path / "odd.npz", x=x, y=maps[:, :, :7])
    with pytest.raises(DataError, match=r"maps of shape \(12, 6, 7\); \(12, 6, 8\) is wanted"):
        open_data(tmp_path / "odd.npz", task="segment")


def test_npz_names_and_refusals(tmp_path):
    keras = {"x_train": X, "y_train": Y, "x_test": X[:5], "y_test": Y[:5]}
    np.savez(tmp_path / "mnist.npz", **keras)
    source = open_data(tmp_path / "mnist.npz")
    assert (len(source.train), len(source.val), len(source.test)) == (16, 4, 5)
    np.savez(tmp_path / "named.npz", images=X, labels=Y, classes=np.array(["cat", "dog"]))
    assert open_data(tmp_path / "named.npz").classes == ("cat", "dog")
    np.savez(tmp_path / "pickled.npz", x=X, y=np.array([{}] * 20, dtype=object))
    with pytest.raises(DataError, match="could run code"):
        open_data(tmp_path / "pickled.npz")
    np.savez(tmp_path / "odd.npz", a=X, b=Y)
    with pytest.raises(DataError, match="no images"):
        open_data(tmp_path / "odd.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "mnist.npz").read_bytes()[:500])
    with pytest.raises(DataError, match=r"cut\.npz"):
        open_data(tmp_path / "cut.npz")


def test_idx_cut_off_and_swapped(tmp_path):
    head = bytes([0, 0, 8, 3]) + np.array([20, 8, 8], ">u4").tobytes()
    file = tmp_path / "train-images-idx3-ubyte.gz"
    labels = bytes([0, 0, 8, 1]) + np.array([20], ">u4").tobytes() + Y.astype(np.uint8).tobytes()
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(labels)
    file.write_bytes(gzip.compress(head + X.tobytes()))
    source = open_data(tmp_path, split=0)
    assert (source.train.stacked()[:, 0].numpy() == X).all()
    assert source.train.labels().tolist() == Y.tolist()
    file.write_bytes(gzip.compress(head + X.tobytes()[:-7]))
    with pytest.raises(DataError, match="copy it again"):
        open_data(tmp_path)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DataError, match="cannot be unpacked"):
        open_data(tmp_path)


@pytest.mark.parametrize("kind", ["idx", "npz", "head of npz"])
def test_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch, kind):
    """A few hundred bytes that claim 20 MB or more, where 10 MB of memory are free."""
    monkeypatch.setattr(memory, "free_memory", lambda: 10**7)
    zeros = bytes(10**6)
    if kind == "idx":
        file = tmp_path / "train-images-idx3-ubyte.gz"
        (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"")
        with gzip.open(file, "wb") as out:
            out.write(bytes([0, 0, 8, 3]) + np.array([8000, 1000, 1000], ">u4").tobytes() + zeros)
    else:
        file = tmp_path / "bomb.npz"
        wide = "8000" if kind == "npz" else "8" + "0" * 15
        head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({wide}, 1000), }}"
        member = b"\x93NUMPY\1\0" + struct.pack("<H", 118) + head.ljust(117).encode() + b"\n"
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("y.npy", member[:10] + member[10:])
            archive.writestr("x.npy", member + zeros * (20 if kind == "npz" else 1))
    tracemalloc.start()
    with pytest.raises(DataError, match=rf"{file.name}.* claims ") as error:
        open_data(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6
    assert len(str(error.value).splitlines()) == 1


def test_a_path_wins_over_a_word(tmp_path, monkeypatch):
    monkeypatch.chdir(folder_of(tmp_path / "here", {"digits/a": 2, "digits/b": 2}))
    assert open_data("digits").format == "imagefolder"


@pytest.mark.parametrize(
    ("word", "hint"),
    [("digts", "did you mean digits"), ("shape", "did you mean shapes"), ("petss", "pets"),
     ("nowhere/at/all", "no data at"), ("loose", "holds 2 pictures"), ("hollow", "is empty"),
     ("loose/0.png", "is one picture"), ("a" * 5000, "cannot be looked at"),
     ("a\0b", "no data at"), (" ", "names nothing"), ("spam.pkl", "no format knows")],
)  # fmt: skip
def test_wrong_paths_name_what_is_near(tmp_path, monkeypatch, word, hint):
    folder_of(tmp_path / "pets", {"a": 1})
    folder_of(tmp_path, {"loose": 2, "hollow": 0})
    (tmp_path / "spam.pkl").write_bytes(b"spam")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as error:
        open_data(word)
    assert hint in str(error.value)
    assert word[:80] in str(error.value) or "\0" in word
    assert len(str(error.value).splitlines()) == 1


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    truth, source = load_digits(), open_data("digits")
    assert (len(source.train), len(source.val)) == (1437, 360)
    x = torch.cat([source.train.stacked(), source.val.stacked()])
    assert (x[:, 0].numpy() == np.rint(truth.images * 255 / 16)).all()
    assert torch.cat([source.train.labels(), source.val.labels()]).tolist() == truth.target.tolist()


def test_shapes_are_pure_and_differ():
    source, again = open_data("shapes"), open_data("shapes")
    assert (len(source.train), len(source.val)) == (2000, 500)
    assert (source.train[7].image_CHW == again.train[7].image_CHW).all()
    assert (source.train[7].image_CHW != source.train[13].image_CHW).any()
    assert (source.train[7].image_CHW != source.val[7].image_CHW).any()
    assert source.classes[source.train[7].target.label] == "cross"


def test_real_sets(shared_data):
    fashion = open_data(shared_data / "fashion_mnist")
    assert [len(p) for p in (fashion.train, fashion.val, fashion.test)] == [48000, 12000, 5000]
    assert fashion.val.labels().bincount().tolist() == [1200] * 10
    signs = open_data(shared_data / "sign_digits")
    assert [len(p) for p in (signs.train, signs.val, signs.test)] == [480, 120, 200]
    assert signs.train[0].image_CHW.shape == (3, 100, 100)
    assert len(open_data(shared_data / "omniglot").classes) == 136


def test_what_trainings_left_is_no_data(tmp_path):
    run = tmp_path / "runs" / "pets-1"
    (run / "plots").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(run / "plots" / "loss.png")
    for name in ("config.yaml", "events.jsonl"):
        (run / name).write_text("")
    for path in (run, run.parent):
        with pytest.raises(DataError, match="holds what trainings left, and no data"):
            open_data(path)
