"""Class maps: images/ and masks/ beside, a PNG for each picture whose pixel values are classes.

train/ with trainannot/ or train_masks/ works too. Values are gray, indices of a palette or colours;
classes.txt (also codes.txt, class_dict.csv, a yaml with names) says what they are called. 255, and
names such as void, mean no class.
"""

from pathlib import Path

from ..source import Format, Source
from ._layout import layout
from ._maps import open_maps
from ._pairs import mask_folders


class Masks(Format):
    """A folder of pictures and one of their class maps."""

    name = "masks"
    about = "class maps: images/ with masks/ beside, a PNG a picture; classes.txt names the values"

    def detect(self, path: Path) -> bool:
        """Masks called as their pictures are, with no boxes beside."""
        return layout(path) == self.name

    def open(self, path: Path) -> Source:
        """Pair the files by their heads; values are looked at in a spread of the masks."""
        return open_maps(path, mask_folders(path), self.name)

    def example(self, folder: Path) -> Path:
        """Three pictures of two classes and a border of none."""
        from PIL import Image

        for name in ("images", "masks"):
            (folder / "tiny" / name).mkdir(parents=True)
        for i in range(3):
            mask = Image.new("L", (16, 12), 255)
            mask.paste(0, (1, 1, 15, 11))
            mask.paste(1, (3 + i, 3, 9 + i, 9))
            mask.save(folder / "tiny" / "masks" / f"{i}.png")
            mask.point([40, 200, *[90] * 254]).save(folder / "tiny" / "images" / f"{i}.png")
        (folder / "tiny" / "classes.txt").write_text("ground\nthing\n", encoding="utf-8")
        return folder / "tiny"


FORMATS = {"masks": Masks()}
