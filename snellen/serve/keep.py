"""What `predict --out FOLDER` keeps: drawings, predictions.csv, and COCO's results json."""

import csv
import json
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..core.errors import DataError, UsageError
from ..data.boxes import image_size
from ..data.formats._coco import by_part, media_of
from ..data.formats._json import read_json
from ..data.formats._layout import coco_files, part_in
from ..data.formats._media import leaves
from ..data.images import read_image
from ..data.sample import Prediction, Sample, Target
from ..tasks.coco_results import coco_results
from ..tasks.objects import csv_table
from ..tasks.task import Task
from .names import Names


@dataclass(frozen=True)
class Ids:
    """The numbers that a COCO json gives to pictures and classes."""

    file: Path
    images: Mapping[str, Sequence[tuple[str, int]]]  # by the file's own name: (path, id)
    categories: Mapping[str, int]
    places: Mapping[str, int] = field(default_factory=dict)  # by the real path of its picture
    root: str = ""  # the folder whose pictures go by their path alone

    @classmethod
    def read(cls, file: str | Path) -> "Ids":
        """A json -> Ids, pictures by their path, elsewhere by their name; raises DataError where
        it has no images or categories.
        """
        file = Path(file)
        part = part_in(file.stem)
        media = media_of(file, file.parent, part or "train")
        root = os.path.realpath(media.root) if part else ""
        return cls._of(file, media.beside, root)

    @classmethod
    def of_data(cls, file: Path, root: Path, part: str) -> "Ids":
        """The json of a part of a data set: its pictures are known by their path alone."""
        found = cls._of(file, media_of(file, root, part).find, "")
        return replace(found, images={})

    @classmethod
    def _of(cls, file: Path, find: Callable[[str], str | None], root: str) -> "Ids":
        document = read_json(file).values
        images: dict[str, list[tuple[str, int]]] = defaultdict(list)
        places: dict[str, int] = {}
        try:
            for entry in document["images"]:
                name, id = entry["file_name"], entry["id"]
                images[Path(name).name].append((name, id))
                if not leaves(name) and (place := find(name)):
                    places[os.path.realpath(place)] = id
            categories = {str(c["name"]).strip(): c["id"] for c in document["categories"]}
        except (KeyError, TypeError) as error:
            raise DataError(f"{file} has no images with file_name and id, or no categories with "
                            "name and id; COCO's form is wanted") from error  # fmt: skip
        return cls(file, images, categories, places, root)

    def image(self, path: str) -> int | None:
        """The number of a picture file, None where the json does not know it."""
        real = os.path.realpath(path)
        if real in self.places:
            return self.places[real]
        if self.root and self.places and Path(self.root) in Path(real).parents:
            return None
        found = self.images.get(Path(path).name, [])
        same = [id for name, id in found if Path(path).as_posix().endswith(f"/{name}")]
        ids = same or [id for _, id in found]
        return ids[0] if len(set(ids)) == 1 else None

    def knows(self, files: Sequence[str], classes: Sequence[str]) -> bool:
        """Whether it has a number for each of these."""
        has_classes = set(classes) <= set(self.categories)
        return has_classes and all(self.image(file) is not None for file in files)


@dataclass
class Keeper:
    """Takes predictions one by one; `finish` writes the tables."""

    folder: Path
    task: Task
    ids: Ids | None = None  # the user's own
    files: list[str] = field(default_factory=list)
    found: list[Prediction] = field(default_factory=list)  # without masks
    results: list[dict[str, Any]] = field(default_factory=list)
    called: Names = field(default_factory=lambda: Names(".png"))
    numbers: str = ""  # whose numbers coco.json has, once it is written

    def take(self, path: str, found: Prediction) -> Path:
        """Draw one prediction, and remember it -> the drawing."""
        drawing = self.folder / self.called.of(path)
        sample = Sample(read_image(path, self.task.inputs().channels), Target(), path=path)
        self.task.draw(sample, found).save(drawing)
        self.files.append(path)
        self.found.append(found)
        self.results += _rows(found, len(self.files) - 1, len(self.task.names()))
        return drawing

    def finish(self, *data: str | None) -> list[Path]:
        """Write predictions.csv, and where things were found coco.json with the numbers of the
        user's json, of the run's own data (the first json that lists all pictures), or with new
        ones, which coco_images.json tells.
        """
        table = csv_table(self.files, self.found, self.task.names())
        written = [self.folder / "predictions.csv"]
        with open(written[0], "w", encoding="utf-8", errors="replace", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(table)
        if not any(one.boxes_N4 is not None or one.keypoints_NK2 is not None
                   for one in self.found):  # fmt: skip
            return written
        names = self.task.names()
        own = (ids for place in data for ids in _own(place))
        ids = self.ids or next((i for i in own if i.knows(self.files, names)), None)
        self.numbers = str(ids.file if ids else self.folder / "coco_images.json")
        if ids is None:
            written.append(_write(self.folder / "coco_images.json", self._images(names)))
            images = dict(enumerate(range(1, len(self.files) + 1)))
            kinds = dict(enumerate(range(1, len(names) + 1)))
        else:
            images = {i: _known(ids, file) for i, file in enumerate(self.files)}
            kinds = {k: _kind(ids, name) for k, name in enumerate(names)}
        rows = [{**row, "image_id": images[row["image_id"]], "category_id": kinds[k]}
                for row in self.results for k in (row["category_id"],)]  # fmt: skip
        return [*written, _write(self.folder / "coco.json", rows)]

    def _images(self, names: Sequence[str]) -> dict[str, Any]:
        sizes = [image_size(file) for file in self.files]
        images = [
            {"id": i, "file_name": file, "width": size[0], "height": size[1]}
            for i, (file, size) in enumerate(zip(self.files, sizes, strict=True), 1)
        ]
        return {
            "images": images,
            "annotations": [],
            "categories": [{"id": k, "name": name} for k, name in enumerate(names, 1)],
        }


def open_folder(folder: str | Path) -> Path:
    """A new or empty folder; raises UsageError where there is something in it."""
    place = Path(folder).expanduser()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise UsageError(f"{place} is there already and is never overwritten; name a new folder")
    place.mkdir(parents=True, exist_ok=True)
    return place


def _rows(found: Prediction, image: int, num_classes: int) -> list[dict[str, Any]]:
    """COCO's rows; those of masks say no box, whose area pycocotools would take for theirs."""
    kind = "bbox" if found.masks_NHW is None else "segm"
    kind = kind if found.keypoints_NK2 is None else "keypoints"
    return coco_results(found, image, range(num_classes), kind=kind)


def _own(data: str | None) -> list[Ids]:
    """The json files of the data that a run was trained or judged on, where they are COCO's:
    validation first.
    """
    place = Path(data) if data else None
    if place is None or not place.exists():
        return []
    files = [place] if place.suffix == ".json" else coco_files(place) if place.is_dir() else []
    try:
        parts = by_part(place, files)
        order = sorted(parts, key=("val", "test", "train").index)
        return [Ids.of_data(parts[part], place, part) for part in order]
    except DataError:
        return []


def _known(ids: Ids, file: str) -> int:
    id = ids.image(file)
    if id is None:
        raise DataError(f"{ids.file} does not say which of its images {file} is; "
                        "give the json that lists it, or leave --ids out")  # fmt: skip
    return id


def _kind(ids: Ids, name: str) -> int:
    if name not in ids.categories:
        raise DataError(f"{ids.file} has no category {name!r}, which the network knows; "
                        "give the json of its classes, or leave --ids out")  # fmt: skip
    return ids.categories[name]


def _write(file: Path, value: Any) -> Path:
    file.write_text(json.dumps(value) + "\n", encoding="utf-8")
    return file
