"""Scores of sentences against what people said: the exact share, and BLEU-4."""

import math
from collections import Counter
from collections.abc import Sequence

from ..data.sample import Prediction, Target
from ..data.vocabulary import words_of
from .task import Metric

ORDERS = 4
Grams = Counter[tuple[str, ...]]


class SentenceScores(Metric):
    """A sentence against one or more, one a line of the target's text; words count, their case not.

    "exact": the share that is one of its references word for word. "BLEU-4": of the whole set,
    Papineni et al. 2002: exp(mean of log p_n, n = 1..4) * min(1, exp(1 - r / c)); p_n is the share
    of n-grams said that a reference has, each as often as it has it; c words said, r those of the
    references nearest in length. Orders for which no reference has a word sequence are left out.

    >>> scores = SentenceScores()
    >>> said, true = Prediction(text="a red cat sat here"), Target(text="a red cat sat there")
    >>> scores.update([said], [true])
    >>> {name: round(value, 4) for name, value in scores.compute().items()}
    {'BLEU-4': 0.6687, 'exact': 0.0}
    """

    def __init__(self) -> None:
        self.exact = self.seen = self.said = self.wanted = 0
        self.hits, self.grams, self.asked = ([0] * ORDERS for _ in range(3))

    @property
    def has_truths(self) -> bool:
        """Whether any picture had a sentence."""
        return self.seen > 0

    def update(self, predictions: Sequence[Prediction], targets: Sequence[Target]) -> None:
        """One batch; pictures without a sentence are not counted."""
        for told, target in zip(predictions, targets, strict=True):
            lines = [words_of(line) for line in (target.text or "").splitlines()]
            if references := [line for line in lines if line]:
                self._add(words_of(told.text or ""), references)

    def _add(self, said: list[str], references: list[list[str]]) -> None:
        self.seen += 1
        self.exact += said in references
        self.said += len(said)
        self.wanted += min((abs(len(r) - len(said)), len(r)) for r in references)[1]
        for n in range(1, ORDERS + 1):
            mine, most = grams(said, n), Grams()
            for reference in references:
                most |= grams(reference, n)
            self.hits[n - 1] += (mine & most).total()
            self.grams[n - 1] += mine.total()
            self.asked[n - 1] += most.total()

    def compute(self) -> dict[str, float]:
        """BLEU-4 and exact."""
        return {"BLEU-4": self._bleu(), "exact": self.exact / max(self.seen, 1)}

    def _bleu(self) -> float:
        rows = zip(self.hits, self.grams, self.asked, strict=True)
        pairs = [(hits, grams) for hits, grams, asked in rows if asked]
        if not pairs or not all(hits for hits, _ in pairs):
            return 0.0
        mean = sum(math.log(hits / grams) for hits, grams in pairs) / len(pairs)
        return math.exp(mean + min(0.0, 1 - self.wanted / self.said))


def grams(words: list[str], n: int) -> Grams:
    """Words -> how often each run of n of them is there.

    >>> grams(["a", "b", "a", "b"], 2)
    Counter({('a', 'b'): 2, ('b', 'a'): 1})
    """
    return Grams(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
