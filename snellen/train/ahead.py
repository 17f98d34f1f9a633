"""Reading samples before they are asked for, by threads, while the network computes.

Decoding a picture lets other Python threads run, so threads do here what processes would, without
copies and without starting anything anew. What is read does not depend on how many there are.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor

from ..data.sample import Sample
from ..data.source import SampleSet

IN_FLIGHT = 2**28  # bytes of pictures and masks that are read before they are asked for
TOGETHER = 16  # rows that a thread reads at once, so that sending it one is rare


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
        self._coming: dict[int, Future[dict[int, Sample]]] = {}
        self._wanted: dict[int, None] = {}  # rows to be read when there is room
        self._largest = 0  # bytes of a sample so far

    def expect(self, rows: Sequence[int]) -> None:
        """Begin to read these rows, as many as IN_FLIGHT has room for; the rest when it has."""
        if self.threads:
            self._wanted |= dict.fromkeys(row for row in rows if row not in self._coming)
            self._fill()

    def _fill(self) -> None:
        """Before the size of a sample is known, as many as there are threads."""
        most = IN_FLIGHT // self._largest if self._largest else self.threads
        self._begin(list(self._wanted)[: max(0, most - len(self._coming))])

    def _begin(self, rows: Sequence[int]) -> None:
        """Send the threads these rows, some to each."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, "snellen-read")
        count = min(TOGETHER, -(-len(rows) // self.threads))
        for low in range(0, len(rows), count or 1):
            some = rows[low : low + count]
            self._coming |= dict.fromkeys(some, self._pool.submit(self._read, some))
        for row in rows:
            self._wanted.pop(row, None)

    def _read(self, rows: Sequence[int]) -> dict[int, Sample]:
        """The samples by their rows; none where one cannot be read, of which only those shall hear
        who ask for it.
        """
        try:
            samples = self.part.samples(rows)
        except Exception:
            return {}
        self._largest = max(self._largest, *map(_num_bytes, samples))
        return dict(zip(rows, samples, strict=True))

    def samples(self, rows: Sequence[int]) -> list[Sample]:
        """The samples of these rows, waited for; raises what reading one of them raised."""
        if not self.threads:
            return self.part.samples(rows)
        self._begin([row for row in dict.fromkeys(rows) if row not in self._coming])
        coming = {row: self._coming.pop(row) for row in set(rows)}
        samples = {row: future.result().get(row) or self.part[row]
                   for row, future in coming.items()}  # fmt: skip
        self._fill()
        return [samples[row] for row in rows]

    def close(self) -> None:
        """Forget what was expected and not asked for, and end the threads."""
        self._coming.clear()
        self._wanted.clear()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def _num_bytes(sample: Sample) -> int:
    """The picture and all tensors of its target."""
    tensors = [sample.image_CHW, *sample.target.given().values()]
    return sum(t.nbytes for t in tensors if isinstance(t, Tensor))
