"""Sequences said word by word: each is chosen from its logits and goes back in (notes 003)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..core.numbers import check_counts, check_rates
from ..core.parts import Part

PARTS = {
    "Sampling by probability and temperature": Part(
        "Sequence models",
        "sn.nn.sample_words, sn.nn.generate",
        "words drawn from softmax(logits / T), T = 0 is the likeliest; each goes back in",
        "003",
    ),
}


def sample_words(
    logits_BV: Tensor, temperature: float = 1.0, *, generator: torch.Generator | None = None
) -> Tensor:
    """logits_BV -> words_B drawn from softmax(logits / temperature); 0 takes the likeliest.

    Raises UsageError for a temperature below 0.

    >>> sample_words(torch.tensor([[0.0, 2.0, 1.0]]), 0.0)
    tensor([1])
    """
    check_rates(temperature=temperature)
    if temperature == 0:
        return logits_BV.argmax(1)
    below_BV = logits_BV - logits_BV.amax(1, keepdim=True)  # so that nothing overflows where T -> 0
    shares_BV = (below_BV.double() / temperature).softmax(1)
    return torch.multinomial(shares_BV, 1, generator=generator)[:, 0]


def generate(
    say: Callable[[Tensor, Any], tuple[Any, ...]],
    first_B: Tensor,
    steps: int,
    *,
    state: Any = None,
    choose: Callable[[Tensor], Tensor] = sample_words,
) -> tuple[Tensor, Tensor, Any]:
    """First words_B -> words_BT that follow, the logits_BTV they were chosen by, the last state.

    `say` is words_B1, state -> logits_B1V, ..., state, as decoders are; `choose` logits_BV ->
    words_B. Raises UsageError where steps < 1.

    >>> import snellen as sn
    >>> model = sn.nn.Decoder("feedback", 7, 0, 8)
    >>> def say(words, state):
    ...     return model(words, state=state)
    >>> words_BT, logits_BTV, state_BH = generate(say, torch.zeros(2).long(), 5)
    >>> words_BT.shape, bool((words_BT < 7).all())
    (torch.Size([2, 5]), True)
    """
    check_counts(steps=steps)
    word_B, words, logits = first_B, [], []
    for _ in range(steps):
        logits_B1V, *_, state = say(word_B[:, None], state)
        logits.append(logits_B1V[:, 0])
        word_B = choose(logits[-1])
        words.append(word_B)
    return torch.stack(words, 1), torch.stack(logits, 1), state
