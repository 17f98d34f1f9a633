"""scikit-learn's handwritten digits: 1,797 real pictures of 8 x 8, ten classes, in its wheel.

The last 360 are held out: other people wrote them, so the score is honest.
"""

import importlib.util
from pathlib import Path

import numpy as np
import torch

from ...core.errors import DataError
from ..sets import ArraySet
from ..source import Format, Source

TRAIN = 1437


class Digits(Format):
    """The word `digits`. Pixels 0..16 are scaled to 0..255."""

    name = "digits"
    about = "the word digits: 1,797 handwritten digits of 8 x 8 that come with scikit-learn"

    def detect(self, path: Path) -> bool:
        """The word, where no file or folder has that name."""
        return str(path) == "digits" and not path.exists()

    def open(self, path: Path) -> Source:
        """1,437 to train on, the 360 of other writers as val."""
        table = _table()
        x = np.rint(table[:, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
        images, labels = torch.from_numpy(x), torch.from_numpy(table[:, 64].astype(np.int64))
        train = ArraySet(images[:TRAIN], labels[:TRAIN])
        val = ArraySet(images[TRAIN:], labels[TRAIN:])
        return Source("digits", self.name, train, tuple("0123456789"), val)

    def example(self, folder: Path) -> Path:
        """Nothing to write: the word itself."""
        return Path("digits")


def _table() -> np.ndarray:
    """64 pixels and the label a row, read past `import sklearn`, which costs a second."""
    spec = importlib.util.find_spec("sklearn")
    places = spec.submodule_search_locations if spec else None
    if not places:
        raise DataError("digits comes with scikit-learn; install it: pip install scikit-learn")
    file = Path(places[0], "datasets", "data", "digits.csv.gz")
    if file.is_file():
        return np.loadtxt(file, delimiter=",", dtype=np.float32)
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.column_stack([digits.data, digits.target])


FORMATS = {"digits": Digits()}
