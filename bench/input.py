"""Images a second a core from memory and from JPEG files, against the plain pipeline of PyTorch.

Peer: a Dataset that opens, crops, mirrors and normalises one PIL picture at a time, as the
transforms of torchvision do, under a DataLoader without workers. Snellen: what `sn.train` puts
between the data and the network. Each is a process of its own, as a training is, with the
allocator that it has there; they take turns, an epoch each. CPU seconds, so threads gain nothing.

Goals: 15 times the peer from memory, 4 for JPEGs of 64 x 64, 2.5 for photos of 375 x 500 at 224. A
training sees each photo several times: the second row of photos has copies on the disk, as every
training after the first epoch that does not fit in memory, and the third lies in memory.
"""

import random
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _timing import paired, record_goals, table, take_turns
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images
from torch.utils.data import DataLoader, Dataset

from snellen.core.compiled import is_here
from snellen.data import jpeg
from snellen.data.augment import compose
from snellen.data.augment.one_pass import OnePass
from snellen.data.near import Near
from snellen.data.open import open_data
from snellen.data.pixel_cache import PixelCache
from snellen.tasks.classify import Classify
from snellen.train.allocator import tuned
from snellen.train.feed import Feed, Resident, Streamed
from snellen.train.held import Held

BATCH, PHOTOS, AUGMENT = 128, 32, "crop+flip"  # samples of a step; photos of one
ROUNDS = 9
TORCH = "snellen, torch's operations"
COPIES, MEMORY = "snellen, copies on the disk", "snellen, in memory"
GOALS = {"memory 32": 15.0, "JPEG 64": 4.0, "JPEG 224": 2.5}
MEAN, STD = torch.full((3, 1, 1), 0.5), torch.full((3, 1, 1), 0.25)


class Plain(Dataset):
    """One PIL picture at a time: (resize,) pad and crop, mirror, to floats, normalise."""

    def __init__(self, pictures: list[Image.Image | Path], side: int) -> None:
        self.pictures, self.side = pictures, side

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        picture, side = self.pictures[i], self.side
        if isinstance(picture, Path):
            picture = Image.open(picture).convert("RGB")
        if picture.size != (side, side):
            picture = picture.resize((side, side), Image.Resampling.BILINEAR)
        edge = side // 8
        left, top = random.randint(0, 2 * edge), random.randint(0, 2 * edge)
        picture = ImageOps.expand(picture, edge).crop((left, top, left + side, top + side))
        if random.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        x = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous().float().div(255)
        return x.sub_(MEAN).div_(STD), 0


def plain(pictures: list[Image.Image | Path], side: int, batch: int) -> Callable[[], None]:
    loader = DataLoader(Plain(pictures, side), batch, shuffle=True)

    def run() -> None:
        for _ in loader:
            pass

    return run


def ours(feed: Feed, task: Classify) -> Callable[[], None]:
    augment, generator = OnePass(compose(AUGMENT), task.inputs()), torch.Generator()

    def run() -> None:
        for batch in feed.epoch(0, 0):
            augment(batch, generator)

    return run


def by_torch(feed: Feed, task: Classify) -> Callable[[], None]:
    augment, generator, inputs = compose(AUGMENT), torch.Generator(), task.inputs()

    def run() -> None:
        for batch in feed.epoch(0, 0):
            inputs.prepare(augment(batch, generator).x)

    return run


def crops(count: int, height: int, width: int) -> list[Image.Image]:
    """Pieces of scikit-learn's two photos, of one size."""
    photos = [Image.fromarray(array) for array in load_sample_images().images]
    rng, found = random.Random(0), []
    for i in range(count):
        photo = photos[i % 2]
        tall = int(rng.uniform(0.6, 1.0) * min(photo.height, photo.width * height / width))
        wide = int(tall * width / height)
        left, top = rng.randint(0, photo.width - wide), rng.randint(0, photo.height - tall)
        piece = photo.crop((left, top, left + wide, top + tall))
        found.append(piece.resize((width, height), Image.Resampling.LANCZOS))
    return found


def from_memory(name: str, file: Path) -> Callable[[], None]:
    """A contender over an array of pictures."""
    x_NHWC = np.load(file)
    if name == "plain":
        return plain([Image.fromarray(x_HWC) for x_HWC in x_NHWC], x_NHWC.shape[1], BATCH)
    source = open_data((x_NHWC, np.arange(len(x_NHWC)) % 2), split=0.0)
    task = Classify.from_source(source)
    feed = Resident(Held(source.train, task, targets=False), BATCH)
    return ours(feed, task) if name == "snellen" else by_torch(feed, task)


def from_files(name: str, folder: Path, side: int, batch: int) -> Callable[[], None]:
    """A contender over a folder of JPEGs."""
    if name == "plain":
        return plain(sorted(folder.rglob("*.jpg")), side, batch)
    source = open_data(folder, split=0.0)
    task = Classify.from_source(source, side)
    kept = PixelCache(folder / "kept") if name == COPIES else None
    part = source.train.near(Near(task.inputs(), kept))
    if name == MEMORY:
        return ours(Resident(Held(part, task, targets=False), batch), task)
    return ours(Streamed(part, task, batch, workers=0), task)


def contender(turn: Connection, name: str, build: Callable[..., Any], *how: Any) -> None:
    """An epoch at each turn."""
    torch.set_num_threads(1)
    run = build(name, *how)
    with tuned(name != "plain"):  # as sn.train does where the network is not tiny
        while turn.recv():
            start = time.process_time()
            run()
            turn.send(time.process_time() - start)


def write(folder: Path) -> dict[str, dict[str, tuple[Any, ...]]]:
    """The pictures of all settings -> their contenders."""
    small = folder / "32.npy"
    np.save(small, np.stack([np.array(picture) for picture in crops(64 * BATCH, 32, 32)]))
    for name, count, size in (("64", 8 * BATCH, (64, 64)), ("224", 4 * PHOTOS, (375, 500))):
        for i, picture in enumerate(crops(count, *size)):
            path = folder / name / "ab"[i % 2] / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path, quality=90)
    memory, files = (from_memory, small), (from_files, folder / "64", 64, BATCH)
    photos = (from_files, folder / "224", 224, PHOTOS)
    names = {"memory 32": ("plain", "snellen", TORCH), "JPEG 64": ("plain", "snellen"),
             "JPEG 224": ("plain", "snellen", COPIES, MEMORY)}  # fmt: skip
    return {setting: {name: (contender, name, *how) for name in names[setting]}
            for setting, how in zip(names, (memory, files, photos), strict=True)}  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = write(Path(folder))
        rows = {name: paired(take_turns(runs, ROUNDS), "plain") for name, runs in settings.items()}
    goals = {}
    for name, found in rows.items():
        print(table(name, found))
        goals[f"{name}, images a second over PIL"] = (1 / found[1].ratio, GOALS[name], "at least")
    last = {row.name: row for row in rows["JPEG 224"]}
    for name in (COPIES, MEMORY):
        goals[f"JPEG 224, {name.removeprefix('snellen, ')}, over PIL"] = (
            1 / last[name].ratio, GOALS["JPEG 224"], "at least")  # fmt: skip
    kept = {name: [vars(row) for row in found] for name, found in rows.items()}
    record_goals("input", goals, numba=is_here(), simplejpeg=jpeg.is_here(), rows=kept)


if __name__ == "__main__":
    main()
