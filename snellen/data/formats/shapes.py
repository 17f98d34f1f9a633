"""Generated pictures of coloured shapes: data that need no file, to try things on."""

from pathlib import Path

from ..scenes import SHAPES, SceneSet
from ..source import Format, Source
from ..world_set import WORLDS


class Shapes(Format):
    """The word `shapes`: six shapes of any colour, size and turn on a textured ground."""

    name = "shapes"
    about = "the word shapes: 2,500 drawn pictures of 32 x 32, six coloured shapes"

    def detect(self, path: Path) -> bool:
        """The word, where no file or folder has that name."""
        return str(path) == "shapes" and not path.exists()

    def open(self, path: Path) -> Source:
        """2,000 to train on, 500 of another seed as val; other tasks than classify see worlds."""
        parts = SceneSet(0, 2000), SceneSet(1, 500)
        return Source("shapes", self.name, parts[0], SHAPES, parts[1], variants=WORLDS)

    def example(self, folder: Path) -> Path:
        """Nothing to write: the word itself."""
        return Path("shapes")


FORMATS = {"shapes": Shapes()}
