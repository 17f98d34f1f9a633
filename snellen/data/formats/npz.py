"""NumPy archives: one .npz with images and labels, or a folder of train.npz, val.npz, test.npz."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from ...core.errors import DataError, shortlist
from ...core.memory import demand
from ..arrays import from_arrays, from_numbers, is_one_hot
from ..joints import from_joints
from ..mapped import from_maps
from ..source import Format, Source
from ._parts import PARTS, join_parts

IMAGES = ("x", "X", "images", "image", "data", "imgs", "arr_0")
JOINTS = ("xy", "keypoints", "landmarks", "points", "joints")
LABELS = ("y", "Y", "labels", "label", "targets", "target", "arr_1")
NAMES = ("names", "classes", "class_names", "label_names")


class Npz(Format):
    """Arrays x, y (or images, labels ...), perhaps x_train, y_train, x_test, y_test: y of classes
    (N,), attributes or values (N, A), or maps (N, H, W).
    """

    name = "npz"
    about = "x, y (also x_train, y_train, x_test ...) in a .npz; or train.npz, test.npz in a folder"

    def detect(self, path: Path) -> bool:
        """A .npz file, or a folder with a train.npz or a single .npz."""
        return _the_file(path) is not None or (path / "train.npz").is_file()

    def open(self, path: Path) -> Source:
        """Load the arrays; nothing pickled is ever read."""
        source = self._opened(path, "")
        tasks = ("regress",) if source.skeleton is not None else ("tag", "regress")
        return replace(source, variants={task: partial(self._opened, path, task) for task in tasks})

    def _opened(self, path: Path, task: str) -> Source:
        file = _the_file(path)
        if file is None:
            files = {part: path / f"{word}.npz" for part, words in PARTS.items()
                     for word in words if (path / f"{word}.npz").is_file()}  # fmt: skip
            parts = {part: _one(file, _load(file), "", task) for part, file in files.items()}
        else:
            arrays = _load(file)
            parts = {part: _one(file, arrays, suffix, task) for part, suffix in _suffixes(arrays)}
        return join_parts(str(path), self.name, parts)

    def example(self, folder: Path) -> Path:
        """Twelve gray pictures of three classes."""
        x = np.random.RandomState(0).randint(0, 256, (12, 8, 8)).astype(np.uint8)
        np.savez(folder / "tiny.npz", x=x, y=np.arange(12) % 3)
        return folder / "tiny.npz"


def _the_file(path: Path) -> Path | None:
    """The archive itself, or the only one of a folder."""
    if path.suffix == ".npz" and path.is_file():
        return path
    files = list(path.glob("*.npz")) if path.is_dir() else []
    return files[0] if len(files) == 1 and files[0].stem != "train" else None


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            _check_claims(archive.zip, path)
            return {key: archive[key] for key in archive.files}
    except DataError:
        raise
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise DataError(
                f"{path} holds Python objects, which are not read because they could run code; "
                "save plain arrays: np.savez(file, x=np.stack(images), y=np.array(labels))"
            ) from error
        raise DataError(f"{path} cannot be read: {error}") from error
    except Exception as error:  # zipfile, zlib and struct raise their own kinds on damage
        raise DataError(f"{path} is no whole .npz file: {error}; write or copy it again") from error


def _check_claims(archive: ZipFile, path: Path) -> None:
    """Raise DataError where the arrays would not fit in memory, or claim more than is there.

    NumPy makes room for the shape that a member's head tells before it reads a single number.
    """
    members = archive.infolist()
    demand(sum(member.file_size for member in members), str(path))
    for member in members:
        if not member.filename.endswith(".npy"):
            continue
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            head = {(1, 0): np.lib.format.read_array_header_1_0}
            shape, _, kind = head.get(version, np.lib.format.read_array_header_2_0)(file)
        if math.prod(shape) * kind.itemsize > member.file_size and not kind.hasobject:
            raise DataError(
                f"{path}: {member.filename} claims shape {shape}, more than its "
                f"{member.file_size:,} bytes; write or copy it again"
            )


def _suffixes(arrays: dict[str, np.ndarray]) -> list[tuple[str, str]]:
    """[(part, suffix of its keys)]: the parts that an archive holds."""
    if _find(arrays, IMAGES, ""):
        return [("train", "")]
    words = [(part, word) for part, words in PARTS.items() for word in words]
    return [(part, word) for part, word in words if _find(arrays, IMAGES, word)] or [("train", "")]


def _one(path: Path, arrays: dict[str, np.ndarray], part: str, task: str) -> Source:
    images, labels = _find(arrays, IMAGES, part), _find(arrays, LABELS, part)
    joints = _find(arrays, JOINTS, part)
    if images and joints and not labels:
        x, xy = arrays[images], arrays[joints]
        if task == "regress":
            return from_numbers(x, xy[..., :2].reshape(len(xy), -1), task, name=str(path))
        return from_joints(x, xy, name=str(path))
    if images is None or labels is None:
        have = shortlist([f"{key} {value.shape}" for key, value in arrays.items()])
        missing = "images (x)" if images is None else f"labels (y) beside {images}"
        raise DataError(f"{path} has no {missing}: it holds {have}; save np.savez(file, x=, y=)")
    names: Any = next((arrays[key].tolist() for key in NAMES if key in arrays), None)
    names = None if names is None else [str(name) for name in names]
    return _labelled(arrays[images], arrays[labels], names, task, str(path))


def _labelled(x: Any, y: np.ndarray, names: list[str] | None, task: str, name: str) -> Source:
    """Images x and what is true of them: maps (N, H, W), numbers (N, A), or a class for each.

    `task` "tag" or "regress" asks for numbers; else their own kind decides.
    """
    if y.ndim == 3:
        source = from_maps(x, y, name=name)
        return replace(source, classes=tuple(names)) if (
            names and len(names) >= len(source.classes)) else source  # fmt: skip
    task = task or _kind_of(y)
    if not task:
        return from_arrays(x, y, name=name, names=names)
    source = from_numbers(x, y, task, name=name)
    if names is None or len(names) != y[:1].size:
        return source
    is_tag = task == "tag"
    return replace(source, attributes=tuple(names) if is_tag else (),
                   values=() if is_tag else tuple(names))  # fmt: skip


def _kind_of(y: np.ndarray) -> str:
    """What numbers are that are no classes: "tag", "regress", or ""."""
    if y.dtype.kind not in "buif" or y.ndim not in (1, 2):
        return ""
    if y.ndim == 1 or y.shape[1] == 1:
        return "regress" if 2 * np.count_nonzero(y % 1) > y.size else ""
    if is_one_hot(y):
        return ""
    return "tag" if (np.isin(y, (0, 1)) | (y != y)).all() else "regress"


def _find(arrays: dict[str, np.ndarray], words: tuple[str, ...], part: str) -> str | None:
    """The key for a word and a part: x_train, train_x, xtrain, or x alone where there is none."""
    for word in words:
        keys = (f"{word}_{part}", f"{part}_{word}", f"{word}{part}") if part else (word,)
        for key in keys:
            if key in arrays:
                return key
    return None


FORMATS = {"npz": Npz()}
