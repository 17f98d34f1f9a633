"""COCO's captions: a json of sentences about pictures, several a picture."""

from pathlib import Path

from ..source import Format, Source
from ._captions import open_captions
from ._layout import caption_files, layout


class Captions(Format):
    """A json of captions, alone or in a folder without boxes."""

    name = "captions"
    about = "COCO captions: a json of sentences, alone or in annotations/ with images/ beside"

    def detect(self, path: Path) -> bool:
        """Such a json, with no json of instances beside."""
        return layout(path) == self.name

    def open(self, path: Path) -> Source:
        """Read the json files; pictures are not opened."""
        return open_captions(path, caption_files(path))

    def example(self, folder: Path) -> Path:
        """Two pictures, one with two captions."""
        import json

        from PIL import Image

        (folder / "images").mkdir()
        for i in range(2):
            Image.new("RGB", (16, 12), (90 * i, 50, 0)).save(folder / "images" / f"{i}.png")
        images = [{"id": i, "file_name": f"{i}.png", "width": 16, "height": 12} for i in range(2)]
        said = [(0, "nothing to be seen"), (0, "a dark field"), (1, "a red field")]
        rows = [{"id": k, "image_id": i, "caption": text} for k, (i, text) in enumerate(said)]
        text = json.dumps({"images": images, "annotations": rows})
        (folder / "captions_train.json").write_text(text, encoding="utf-8")
        return folder


FORMATS = {"captions": Captions()}
