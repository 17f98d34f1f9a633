"""Images a second a core from memory and from JPEG files, against the plain pipeline of PyTorch.

Peer: a Dataset that opens, crops, mirrors and normalises one PIL picture at a time, as the
transforms of torchvision do, under a DataLoader without workers. Snellen: what `sn.train` puts
between the data and the network. CPU seconds of one process, so threads gain nothing here.

Goals: 15 times the peer from memory, 4 for JPEGs of 64 x 64, 2.5 for photos of 375 x 500 at 224. A
training sees each photo several times: the second row of photos has copies on the disk, as every
training after the first epoch that does not fit in memory, and the third lies in memory.
"""

import random
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from _timing import compare, record_goals, table
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
        with tuned(True):  # as sn.train does where the network is not tiny
            for batch in feed.epoch(0, 0):
                augment(batch, generator)

    return run


def by_torch(feed: Feed, task: Classify) -> Callable[[], None]:
    augment, generator, inputs = compose(AUGMENT), torch.Generator(), task.inputs()

    def run() -> None:
        with tuned(True):
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


def from_memory(count: int = 64 * BATCH) -> dict[str, Callable[[], None]]:
    pictures = crops(count, 32, 32)
    x_NHWC, y_N = np.stack([np.array(p) for p in pictures]), np.arange(count) % 2
    source = open_data((x_NHWC, y_N), split=0.0)
    task = Classify.from_source(source)
    feed = Resident(Held(source.train, task, targets=False), BATCH)
    return {"plain": plain(pictures, 32, BATCH), "snellen": ours(feed, task),
            "snellen, torch's operations": by_torch(feed, task)}  # fmt: skip


def from_files(
    folder: Path, side: int, size: tuple[int, int], count: int, batch: int
) -> dict[str, Callable[[], None]]:
    for i, picture in enumerate(crops(count, *size)):
        path = folder / "ab"[i % 2] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, quality=90)
    source = open_data(folder, split=0.0)
    task = Classify.from_source(source, side)
    read = source.train.near
    kept = PixelCache(folder / "kept")
    streamed = partial(Streamed, task=task, batch=batch, workers=0)
    found = {"plain": plain(sorted(folder.rglob("*.jpg")), side, batch),
             "snellen": ours(streamed(read(Near(task.inputs(), None))), task)}  # fmt: skip
    if side == 224:
        found["snellen, copies on the disk"] = ours(streamed(read(Near(task.inputs(), kept))), task)
        held = Held(read(Near(task.inputs(), None)), task, targets=False)
        found["snellen, in memory"] = ours(Resident(held, batch), task)
    return found


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "memory 32": from_memory(),
            "JPEG 64": from_files(Path(folder, "64"), 64, (64, 64), 8 * BATCH, BATCH),
            "JPEG 224": from_files(Path(folder, "224"), 224, (375, 500), 4 * PHOTOS, PHOTOS),
        }
        rows = {name: compare(runs, "plain", rounds=9) for name, runs in settings.items()}
    goals = {}
    for name, found in rows.items():
        print(table(name, found))
        goals[f"{name}, images a second over PIL"] = (1 / found[1].ratio, GOALS[name], "at least")
    last = {row.name: row for row in rows["JPEG 224"]}
    for where in ("copies on the disk", "in memory"):
        goals[f"JPEG 224, {where}, over PIL"] = (
            1 / last[f"snellen, {where}"].ratio, GOALS["JPEG 224"], "at least")  # fmt: skip
    kept = {name: [vars(row) for row in found] for name, found in rows.items()}
    record_goals("input", goals, numba=is_here(), simplejpeg=jpeg.is_here(), rows=kept)


if __name__ == "__main__":
    main()
