"""MNIST's idx files, plain or .gz: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-...

A folder of them, a folder of folders of them (train/, test/), or the images file itself.
"""

import gzip
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import DataError
from ...core.memory import demand
from ..arrays import from_arrays
from ..source import Format, Source
from ._parts import join_parts, part_of

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
IMAGES = re.compile(r"^(?:(?P<part>\w+?)[-_.])?images?([-_.]idx[34]([-_.]ubyte)?)?(\.gz)?$")


class Idx(Format):
    """Images and labels in files of their own: two zero bytes, type, number of axes, sizes."""

    name = "idx"
    about = "MNIST's files: train-images-idx3-ubyte(.gz) beside train-labels-idx1-ubyte(.gz)"

    def detect(self, path: Path) -> bool:
        """An images file by its name, or a folder that holds one."""
        return bool(image_files(path))

    def open(self, path: Path) -> Source:
        """Read images and labels of each part whole."""
        parts = {}
        for part, file in image_files(path).items():
            labels = labels_file(file)
            if labels is None:
                raise DataError(f"{file} has no labels file beside it (labels-idx1-ubyte)")
            parts[part] = from_arrays(read_idx(file), read_idx(labels), name=str(file))
        return join_parts(str(path), self.name, parts)

    def example(self, folder: Path) -> Path:
        """Twelve pictures of three classes, and six to test on."""
        (folder / "tiny").mkdir()
        for part, count in (("train", 12), ("t10k", 6)):
            pixels = np.random.RandomState(count).randint(0, 256, (count, 8, 8)).astype(np.uint8)
            labels = (np.arange(count) % 3).astype(np.uint8)
            write_idx(folder / "tiny" / f"{part}-images-idx3-ubyte", pixels)
            write_idx(folder / "tiny" / f"{part}-labels-idx1-ubyte.gz", labels)
        return folder / "tiny"


def image_files(path: Path) -> dict[str, Path]:
    """{part: images file} at a path, in a folder, or in its train and test folders."""
    if path.is_file():
        return {"train": path} if _is_images(path) else {}
    found: dict[str, Path] = {}
    inner = [p for p in _listing(path) if p.is_dir() and part_of(p.name)]
    for file in [*_listing(path), *(f for folder in inner for f in _listing(folder))]:
        if file.is_file() and _is_images(file):
            word = IMAGES.match(file.name)["part"] or file.parent.name  # type: ignore[index]
            found.setdefault(part_of(word) or "train", file)
    return found


def labels_file(images: Path) -> Path | None:
    """The labels that belong to an images file, packed or not."""
    name = images.name.removesuffix(".gz").replace("image", "label")
    name = re.sub("idx[34]", "idx1", name)
    return next((p for p in (images.with_name(name), images.with_name(name + ".gz"))
                 if p.is_file()), None)  # fmt: skip


def read_idx(path: Path) -> np.ndarray:
    """An idx file -> its array; raises DataError where bytes are missing or left over.

    No more is unpacked than the head promises, and nothing where that would not fit in memory.
    """
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            kind, shape = _head(file, path)
            wanted = math.prod(shape) * kind.itemsize
            there = path.stat().st_size - file.tell() if path.suffix != ".gz" else None
            if there is None or there == wanted:
                demand(wanted, str(path))
                pixels = np.empty(wanted, np.uint8)
                there = _fill(pixels, file) + len(file.read(1))
    except DataError:
        raise
    except Exception as error:  # gzip and zlib raise kinds of their own on damage
        raise DataError(f"{path} cannot be unpacked: {error}; copy it again") from error
    if there != wanted:
        more = "more than " if there > wanted else ""
        raise DataError(
            f"{path} has {more}{min(there, wanted):,} bytes where its head {shape} promises "
            f"{wanted:,}; copy it again"
        )
    return pixels.view(kind).reshape(shape).astype(kind.newbyteorder("="), copy=False)


def _head(file: Any, path: Path) -> tuple[np.dtype, tuple[int, ...]]:
    """The type and the shape that the first bytes tell."""
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES:
        raise DataError(f"{path} is no idx file: it begins with {start.hex(' ') or 'nothing'}")
    sizes = file.read(4 * start[3]).ljust(4 * start[3], b"\0")
    return np.dtype(TYPES[start[2]]), tuple(np.frombuffer(sizes, ">u4").tolist())


def _fill(array: np.ndarray, file: Any) -> int:
    """Read a file into an array -> how many bytes there were."""
    view, done = array.data, 0
    while done < len(view) and (count := file.readinto(view[done:])):
        done += count
    return done


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write uint8 values as an idx file, packed where the name ends in .gz."""
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    data = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def _is_images(path: Path) -> bool:
    match = IMAGES.match(path.name)
    return match is not None and ("idx" in path.name or labels_file(path) is not None)


def _listing(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


FORMATS = {"idx": Idx()}
