"""Captions: a picture told in a sentence, word by word (notes 003).

x_BCHW -> a grid -> logits_BTV of each word by the words before it -> the likeliest -> a text.
Taught with the right words before each (teacher forcing); free-running it hears its own.
"""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import DataError, UsageError
from ..data.inputs import Inputs
from ..data.pixels import stack
from ..data.sample import Batch, Prediction, Sample, Target
from ..data.source import Problem, SampleSet, Source
from ..data.vocabulary import END, UNKNOWN, Vocabulary
from ._spread import spread_rows, targets_of
from ._told import SentenceScores
from .drawing import draw_lines
from .heads import full
from .task import Metric, Task

LOOKS = 5000  # samples read for words where a text cannot be had without its picture
WORDS = 10_000  # the most frequent that are told
LONGEST = 50  # words of a sentence that are learned, its end among them
SEVERAL = 5  # sentences of a picture that are learned
NONE = -1  # after a sentence's end, and in place of one that is not there
SURE = 20.0  # a logit whose loss is 0 in single precision
WIDE = 40  # letters of a line under a drawing


class Caption(Task):
    """A sentence of a picture; of several, a line each of its text, any is right.

    spec: {"words": [...], "steps": T, "captions": N, "cuts": False, "inputs": Inputs.as_dict()};
    `cuts` tells that some words or sentences of the training part are too rare or too long. A
    network of one's own is net(x_BCHW) -> logits_BTV, and net(x_BCHW, words_BNT) -> logits_BNTV.
    """

    name = "caption"
    about = "a sentence that tells what an image shows"
    score = "BLEU-4"
    default_model = "show_attend_tell-small"
    squashes = True
    usual = {"augment": "crop", "samples": 40_000, "batch": 32, "lr": 3e-3}  # left stays left

    @property
    def ceiling(self) -> float:  # type: ignore[override]
        """What a perfect answer scores at least: all, where every word can be told."""
        return 0.0 if self.spec["cuts"] else 1.0

    def vocabulary(self) -> Vocabulary:
        """The words that can be told."""
        return Vocabulary(tuple(self.spec["words"]))

    def names(self) -> list[str]:
        """The words."""
        return list(self.spec["words"])

    def num_outputs(self) -> int:
        """One for each word."""
        return len(self.names())

    def answer(self, fed: tuple[int, ...]) -> None:
        """How many words a network of the user's own tells is its own affair."""

    @classmethod
    def adapt(cls, source: Source) -> Source:
        """Data with texts; raises DataError for others."""
        if len(source.train) and not _lines(source.train.target(0) or source.train[0].target):
            raise DataError(
                f"{source.name} ({source.format}) has no sentences; task=caption wants COCO's "
                "captions json, or samples whose target has a text"
            )
        return source

    @classmethod
    def from_source(cls, source: Source, imgsz: int | None = None) -> "Caption":
        """Words, their most in a sentence, and sentences a picture, off the training part."""
        told = [_lines(target) for target in _targets(source.train)]
        texts = [line for lines in told for line in lines]
        known = Vocabulary.of(texts, WORDS)
        numbers = [known.numbers(text) for text in texts]
        longest = 1 + max(map(len, numbers), default=0)
        cuts = longest > LONGEST or any(UNKNOWN in row for row in numbers)
        spec = {"words": list(known.words), "steps": min(longest, LONGEST), "cuts": cuts,
                "captions": min(SEVERAL, max(map(len, told), default=1))}  # fmt: skip
        return cls({**spec, "inputs": Inputs.of(source.train, imgsz).as_dict()})

    def check(self, sample: Sample) -> list[Problem]:
        """No sentence."""
        if _lines(sample.target):
            return []
        do = "give a sentence; it teaches nothing without"
        place: dict[str, Any] = {"file": sample.path, "samples": (sample.index,)}
        return [Problem("label-missing", "no sentence", do=do, **place)]

    def build(self, backbone: nn.Module | None) -> nn.Module:
        """The network, which then tells as many words as the longest sentence has."""
        assert backbone is not None
        head: Any = getattr(backbone, "head", None)
        if hasattr(head, "steps"):
            head.steps = self.spec["steps"]
        return backbone

    def encode(self, samples: Sequence[Sample]) -> Batch:
        """Samples -> x_BCHW at the input size, y = {"words": (B, N, T)}: each sentence and END."""
        inputs, known = self.inputs(), self.vocabulary()
        x = stack([inputs.fit(s.image_CHW) for s in samples])
        words = torch.full((len(samples), self.spec["captions"], self.spec["steps"]), NONE)
        for i, sample in enumerate(samples):
            for n, line in enumerate(_lines(sample.target)[: words.shape[1]]):
                numbers = [*known.numbers(line), END][: words.shape[2]]
                words[i, n, : len(numbers)] = torch.tensor(numbers)
        index = torch.tensor([s.index for s in samples])
        return Batch(x, {"words": words}, index, torch.tensor([s.size for s in samples]))

    def loss(self, net: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Cross-entropy of each word after the right ones before it; words not known are let be."""
        words_BNT = batch.y["words"]
        before_BNT = F.pad(words_BNT[..., :-1], (1, 0), value=END).clamp(min=END)
        logits_BNTV = full(net(batch.x, before_BNT))
        wanted_BNT = words_BNT.masked_fill(words_BNT == UNKNOWN, NONE)
        total = F.cross_entropy(logits_BNTV.flatten(0, 2), wanted_BNT.flatten(), ignore_index=NONE,
                                reduction="sum")  # fmt: skip
        return {"loss": total / (wanted_BNT != NONE).sum().clamp(min=1)}

    def infer(self, net: nn.Module, batch: Batch) -> Tensor:
        """Free-running: each word is the likeliest after those that the network told itself."""
        logits_BTV: Tensor = net(batch.x)
        return logits_BTV

    def decode(self, out: Tensor, batch: Batch) -> list[Prediction]:
        """logits_BTV -> texts; a score is the mean probability of a sentence's words and end."""
        known = self.vocabulary()
        sure_BT, words_BT = out.detach().float().softmax(2).max(2)
        there_BT = (words_BT == END).cumsum(1) - (words_BT == END).long() == 0
        score_B = (sure_BT * there_BT).sum(1) / there_BT.sum(1)
        pairs = zip(words_BT.tolist(), score_B.tolist(), strict=True)
        return [Prediction(text=known.text(words), score=score) for words, score in pairs]

    def evidence(self, out: Any, batch: Batch) -> tuple[Tensor, list[str]]:
        """Refused: a sentence is no score of the whole picture."""
        raise UsageError(
            "task=caption tells a sentence, and there is no one score to explain; "
            "net.head.weights(map, words) says where it looks at each word"
        )

    def metric(self) -> Metric:
        """BLEU-4, and the share of sentences told exactly."""
        return SentenceScores()

    def draw(self, sample: Sample, target: Target | None = None) -> Image.Image:
        """The picture with its sentence below."""
        lines = _lines(target or sample.target)[:1]
        return draw_lines(sample.image_CHW, textwrap.wrap(" ".join(lines), WIDE) or [""], least=256)

    def oracle(self, batch: Batch) -> Tensor:
        """Logits that are sure of each picture's first sentence."""
        first_BT = batch.y["words"][:, 0].clamp(min=END)
        return SURE * F.one_hot(first_BT, self.num_outputs()).float()

    def baseline(self, train: SampleSet) -> dict[str, float]:
        """Always the sentence that is said most often."""
        metric, told = SentenceScores(), [t for t in _targets(train) if _lines(t)]
        often = Counter(line for target in told for line in _lines(target)).most_common(1)
        metric.update([Prediction(text=often[0][0])] * len(told) if told else [], told)
        return metric.compute()

    @classmethod
    def tiny(cls) -> dict[str, Any]:
        """Drawn scenes, two epochs."""
        return {"data": "shapes", "task": cls.name, "model": cls.default_model, "epochs": 2}


def _lines(target: Target) -> list[str]:
    """The sentences of a target."""
    return [line for line in (target.text or "").splitlines() if line.strip()]


def _targets(train: SampleSet) -> Iterator[Target]:
    """Targets of all samples, or of some where each costs reading a picture."""
    return targets_of(train, (train[i] for i in spread_rows(len(train), LOOKS)))


TASKS = {"caption": Caption}
