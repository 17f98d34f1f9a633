"""Sentences as numbers and back: END closes a sentence and stands before its first word."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

END, UNKNOWN = 0, 1
MARKS = ("<end>", "<unknown>")  # which no sentence holds as one word
TOKEN = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]")


def words_of(text: str) -> list[str]:
    """A text -> its words and marks of punctuation, in lower case.

    >>> words_of("A dog, and a half-eaten pie.")
    ['a', 'dog', ',', 'and', 'a', 'half-eaten', 'pie', '.']
    """
    return TOKEN.findall(text.lower())


@dataclass(frozen=True)
class Vocabulary:
    """The words that can be told, each by its place.

    >>> known = Vocabulary.of(["a cat, a dog"], most=10)
    >>> known.words
    ('<end>', '<unknown>', 'a', ',', 'cat', 'dog')
    >>> known.numbers("A dog, a cow"), known.text([2, 5, 3, 2, 4, 0, 9])
    ([2, 5, 3, 2, 1], 'a dog, a cat')
    """

    words: tuple[str, ...]

    @staticmethod
    def of(texts: Iterable[str], most: int) -> "Vocabulary":
        """The `most` frequent words of texts, the frequent ones first."""
        counts = Counter(word for text in texts for word in words_of(text))
        ordered = sorted(counts, key=lambda word: (-counts[word], word))
        return Vocabulary((*MARKS, *ordered[:most]))

    def numbers(self, text: str) -> list[int]:
        """A text -> the numbers of its words, without END."""
        places = {word: i for i, word in enumerate(self.words)}
        return [places.get(word, UNKNOWN) for word in words_of(text)]

    def text(self, numbers: Sequence[int]) -> str:
        """Numbers up to the first END -> a text; `words_of` finds the same words in it."""
        ends = numbers.index(END) if END in numbers else len(numbers)
        said = " ".join(self.words[i] for i in numbers[:ends])
        return re.sub(r" ([,.;:!?])", r"\1", said)
