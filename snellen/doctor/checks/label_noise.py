"""Wrong labels, ranked: samples whose label neither their likenesses nor the network believe."""

from dataclasses import dataclass
from typing import Any

from ..chart import Chart
from ..check import Check
from ..finding import Finding
from ._cases import examined, training
from ._readings import num

SHARE, STRONG, LEAST = 0.025, 0.12, 5
STRONG_TWO, RIGHT, HALF = 0.3, 0.7, 0.5
DOUBTS, OF_WRONG = 0.05, 0.6
NAMED = 6  # in the message; all are in `samples`


@dataclass(frozen=True)
class Suspect:
    """A sample, its label, the one that speaks against it, and by how much that one leads."""

    row: int
    given: int | None = None
    other: int | None = None
    margin: float | None = None
    path: str | None = None

    def words(self) -> str:
        """For the message: '41 (labelled 3, like 8)'."""
        if self.given is None or self.other is None:
            return str(self.row)
        return f"{self.row} (labelled {self.given}, like {self.other})"


class LabelNoise(Check):
    """More wrong labels than a training set can bear."""

    id = "label-noise"
    signal = "leave-one-out votes against a label, and the loss of each sample after the training"
    threshold = {
        "strongly contradicted, of all": SHARE,
        "strongly contradicted, of all contradicted": STRONG,
        "the same with two classes": STRONG_TWO,
    }
    source = (
        "measured on nine sets: clean ones 0 to 0.16 strong of all contradicted, with 6 % of the"
        " labels changed 0.2 to 0.6; confident learning (Northcutt et al. 2021)"
    )
    why = "the network learns wrong labels by heart, and is judged by them"
    do = "look at these samples first, likeliest first; correct their labels or leave them out"
    bad = "train = ImageFolder('downloaded')"
    good = "train = Subset(data, [i for i in range(len(data)) if i not in wrong])"
    explains = ("gen-overfit", "gen-underfit")

    def look(self, chart: Chart) -> Finding | None:
        """Votes where samples can be compared; else the network's own doubts."""
        votes, skill = chart.exams.get("votes") or {}, chart.exams.get("skill") or {}
        if is_noisy(votes):
            count = int(num(votes, "found") or num(votes, "strong") or 0)
            return self._say(ranked(votes, skill), count, votes, 0.8)
        doubts, wrong = num(skill, "doubts") or 0, num(skill, "wrong") or 0
        seen = int(num(skill, "train_count") or 0)
        sure = (num(skill, "train_accuracy") or 0) >= RIGHT
        if votes or not seen or not sure or doubts < max(LEAST, DOUBTS * seen):
            return None
        if doubts < OF_WRONG * wrong:
            return None
        return self._say(ranked(skill, {}), int(doubts), {**skill, "count": seen}, 0.65)

    def _say(
        self, rows: list[Suspect], count: int, exam: dict[str, Any], confidence: float
    ) -> Finding:
        seen, total = int(num(exam, "count") or 0), int(num(exam, "total") or 0)
        part = f" (of {total} in all)" if total > seen else ""
        shown = ", ".join(suspect.words() for suspect in rows[:NAMED])
        more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
        cap = f" (the first {len(rows)} are listed)" if count > len(rows) else ""
        return self.finding(
            f"about {count} of {seen} labels{part}, {count / max(1, seen):.0%}, look wrong{cap},"
            f" likeliest first: {shown}{more}",
            samples=tuple(suspect.row for suspect in rows),
            samples_of="train",
            paths=tuple(suspect.path for suspect in rows if suspect.path),
            confidence=confidence,
            evidence={"expected": count, "searched": seen,
                      "margins": [suspect.margin for suspect in rows][:50]},
        )  # fmt: skip


def is_noisy(votes: dict[str, Any]) -> bool:
    """Whether strong contradictions stand out; hard samples are contradicted weakly."""
    right, count, strong, against = (num(votes, k) for k in ("right", "count", "strong", "against"))
    if not right or not count or not against or strong is None:
        return False
    share = strong / against
    least = STRONG_TWO if num(votes, "classes") == 2 else STRONG if right >= RIGHT else 2 * STRONG
    return right >= HALF and strong >= max(LEAST, SHARE * count) and share > least


def ranked(exam: dict[str, Any], skill: dict[str, Any]) -> list[Suspect]:
    """Those that an examination named, the ones first that the network doubts too."""
    rows = list(exam.get("suspects") or ())
    doubted = set(skill.get("suspects") or ())

    def column(name: str) -> list[Any]:
        values = list(exam.get(name) or ())
        return values if len(values) == len(rows) else [None] * len(rows)

    voted = "voted" if exam.get("voted") else "said"
    found = map(Suspect, rows, column("given"), column(voted), column("margins"), column("paths"))
    return sorted(found, key=lambda suspect: suspect.row not in doubted)


def sick() -> list[Chart]:
    """Six labels in a hundred changed; tokens, where only the network can tell."""
    suspects = [41, 7, 803]
    doubting = {"doubts": 110, "wrong": 130, "train_count": 1400, "train_accuracy": 0.91}
    return [
        _voted(
            right=0.93,
            strong=75,
            against=126,
            suspects=suspects,
            found=81,
            given=[3, 1, 9],
            voted=[8, 7, 4],
            margins=[0.98, 0.97, 0.9],
        ),
        training(sick=(examined("skill", **doubting, suspects=suspects),)),
    ]


def healthy() -> list[Chart]:
    """Clean; hard; two classes that overlap; a network that is often wrong and seldom sure."""
    unsure = {"doubts": 20, "wrong": 500, "train_count": 1400, "train_accuracy": 0.64}
    return [
        _voted(right=0.99, strong=0, against=24), _voted(right=0.87, strong=8, against=200),
        _voted(right=0.82, strong=45, against=270, classes=2),
        training(sick=(examined("skill", **unsure),)),
    ]  # fmt: skip


def _voted(**values: Any) -> Chart:
    usual = {"chance": 0.1, "count": 1797, "classes": 10}
    return training(sick=(examined("votes", **usual | values),))


CHECKS = {LabelNoise.id: LabelNoise()}
