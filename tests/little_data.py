"""Little data sets for the tests, good ones and spoilt ones, made in a moment."""

import gzip
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

Prepare = Callable[[Path], object]


def picture(path: Path, shade: int) -> Path:
    """A small noisy picture whose brightness tells its class."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.RandomState(sum(path.name.encode())).randint(0, 40, (16, 16, 3))
    Image.fromarray((noise + shade).astype(np.uint8)).save(path)
    return path


def folders(root: Path, *classes: str, count: int = 6) -> Path:
    """An ImageFolder data set."""
    for k, name in enumerate(classes):
        for i in range(count):
            picture(root / name / f"{name}{i}.png", 60 * k)
    return root


def pets(root: Path) -> None:
    folders(root / "pets", "ant", "bee", "cat")


def text(name: str, words: str) -> Prepare:
    return lambda root: (root / name).write_text(words)


def arrays(name: str, **values: object) -> Prepare:
    return lambda root: np.savez(root / name, **values)


def some_x(count: int = 12, dtype: type = np.uint8) -> np.ndarray:
    return np.random.RandomState(0).randint(0, 255, (count, 16, 16)).astype(dtype)


def all_unreadable(root: Path) -> None:
    for file in folders(root / "bad", "ant", "bee").rglob("*.png"):
        file.write_bytes(b"no picture")


def csv_of_missing(root: Path) -> None:
    pets(root)
    (root / "a.csv").write_text("path,label\n" + "".join(f"gone{i}.png,ant\n" for i in range(5)))


def idx(root: Path) -> None:
    x = np.zeros((10, 8, 8), np.uint8)
    head = b"\0\0\x08\x03" + np.array(x.shape, ">u4").tobytes()
    with gzip.open(root / "train-images-idx3-ubyte.gz", "wb") as file:
        file.write(head + x.tobytes()[:-99])
    with gzip.open(root / "train-labels-idx1-ubyte.gz", "wb") as file:
        file.write(b"\0\0\x08\x01" + np.array([10], ">u4").tobytes() + bytes(10))


class Bomb:
    """Unpickling it leaves a file behind."""

    def __reduce__(self):
        return os.mkdir, ("exploded",)


def pickled(root: Path) -> None:
    with open(root / "bad.pt", "wb") as file:
        pickle.dump({"weight": Bomb()}, file)


def other_network(root: Path) -> None:
    torch.save(torch.nn.Linear(3, 2).state_dict(), root / "other.pt")


def damaged_run(root: Path, good: Path) -> None:
    shutil.copytree(good, root / "hurt")
    file = root / "hurt" / "weights" / "best.safetensors"
    data = bytearray(file.read_bytes())
    data[-5] ^= 64
    file.write_bytes(data)


def poisoned(root: Path) -> None:
    x = np.random.RandomState(0).rand(40, 16, 16).astype(np.float32)
    x[7, 3, 3] = np.nan
    np.savez(root / "poison.npz", x=x, y=np.arange(40) % 2)


def unknown_val(root: Path) -> None:
    pets(root)
    folders(root / "held", "dog", "emu")
