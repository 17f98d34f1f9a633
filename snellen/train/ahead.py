"""Reading samples before they are asked for, by threads, while the network computes.

Decoding a picture lets other Python threads run, so threads do here what processes would, without
copies and without starting anything anew. What is read does not depend on how many there are.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from ..data.sample import Sample
from ..data.source import SampleSet


class Ahead:
    """The samples of a part, in any order; with no `threads`, or where samples are not files, each
    is read when it is asked for.

    >>> from snellen.data.open import open_data
    >>> ahead = Ahead(open_data("shapes").train, threads=2)
    >>> ahead.expect([3, 4])
    >>> [sample.index for sample in ahead.samples([4, 7])]
    [4, 7]
    """

    def __init__(self, part: SampleSet, threads: int = 0) -> None:
        self.part, self.threads = part, threads if part.reads_files else 0
        self._pool: ThreadPoolExecutor | None = None
        self._coming: dict[int, Future[Sample]] = {}

    def expect(self, rows: Sequence[int]) -> None:
        """Begin to read these rows."""
        if not self.threads:
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, "snellen-read")
        for row in rows:
            if row not in self._coming:
                self._coming[row] = self._pool.submit(self.part.__getitem__, row)

    def samples(self, rows: Sequence[int]) -> list[Sample]:
        """The samples of these rows, waited for; raises what reading one of them raised."""
        self.expect(rows)
        if not self.threads:
            return [self.part[row] for row in rows]
        coming = {row: self._coming.pop(row) for row in set(rows)}
        return [coming[row].result() for row in rows]

    def close(self) -> None:
        """Forget what was expected and not asked for, and end the threads."""
        self._coming.clear()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
