"""COCO's panoptic form (Kirillov et al. 2019): a json of segments, and a PNG of their numbers.

annotations/panoptic_val.json with panoptic_val/*.png beside: a pixel's red + 256 green + 65536 blue
is the number of its segment, 0 is none. Things have masks and boxes, everything has a class.
"""

from pathlib import Path

from ..source import Format, Source
from ._layout import layout, panoptic_files
from ._panoptic import open_panoptic


class Panoptic(Format):
    """A json with segments_info, alone or in a folder."""

    name = "panoptic"
    about = "COCO panoptic: a json with segments_info, and a folder of PNGs of segment numbers"

    def detect(self, path: Path) -> bool:
        """Such a json, with no json of instances beside."""
        return layout(path) == self.name

    def open(self, path: Path) -> Source:
        """Read the json files; the PNGs are read when asked for."""
        return open_panoptic(path, panoptic_files(path))

    def example(self, folder: Path) -> Path:
        """Two pictures of a thing on a ground."""
        import json

        from PIL import Image

        for name in ("images", "panoptic_train"):
            (folder / "tiny" / name).mkdir(parents=True)
        images, rows = [], []
        for i in range(2):
            map = Image.new("RGB", (16, 12), (7, 0, 0))
            map.paste((0, 1, 0), (2 + i, 3, 9 + i, 9))  # number 256
            map.save(folder / "tiny" / "panoptic_train" / f"{i}.png")
            map.convert("L").save(folder / "tiny" / "images" / f"{i}.png")
            images.append({"id": i, "file_name": f"{i}.png", "width": 16, "height": 12})
            segments = [{"id": 7, "category_id": 2}, {"id": 256, "category_id": 1}]
            rows.append({"image_id": i, "file_name": f"{i}.png", "segments_info": segments})
        kinds = [{"id": 1, "name": "box", "isthing": 1}, {"id": 2, "name": "sky", "isthing": 0}]
        document = {"images": images, "annotations": rows, "categories": kinds}
        file = folder / "tiny" / "panoptic_train.json"
        file.write_text(json.dumps(document), encoding="utf-8")
        return folder / "tiny"


FORMATS = {"panoptic": Panoptic()}
