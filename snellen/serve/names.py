"""File names for what is kept of pictures: by the picture's own name, each given once."""

from collections import Counter
from pathlib import Path


class Names:
    """A name for each picture; a second one so called is numbered.

    >>> names = Names("_mask.png")
    >>> [names.of(path) for path in ("a/x.png", "b/x.jpg", "x-2.png")]
    ['x_mask.png', 'x-2_mask.png', 'x-2-2_mask.png']
    """

    def __init__(self, end: str) -> None:
        self.end = end
        self._turns, self._given = Counter[str](), set[str]()

    def of(self, path: str) -> str:
        """The name of the next file."""
        stem = Path(path).stem
        while True:
            self._turns[stem] += 1
            turn = self._turns[stem]
            name = f"{stem}{f'-{turn}' if turn > 1 else ''}{self.end}"
            if name not in self._given:
                self._given.add(name)
                return name
