"""Decoders of seq2seq that see one context (notes 004), and the model of characters (notes 003).

kind        the word before goes in   the context goes in at   it begins from
plain       no                        every step               zeros
feedback    yes                       the start                tanh(W context)
peek        yes                       every step               tanh(W context)

"feedback" is Sutskever et al., arXiv:1409.3215; "peek" is Cho et al., arXiv:1406.1078, where the
word before and the context have a part in the logits too. "feedback" without a context tells each
word by those before it: with characters for words that is the char-RNN.
"""

import torch
from torch import Tensor, nn

from ..core.errors import UnknownName, UsageError
from ..core.numbers import check_counts
from ..core.parts import Part
from .recurrent import Recurrent

PARTS = {
    f"Seq2seq decoder {i}, {kind}": Part("Sequence models", "sn.nn.Decoder", about, "004")
    for i, kind, about in (
        (1, "plain", 'Decoder("plain", ...): the context every step, no word goes back in'),
        (2, "feedback", 'Decoder("feedback", ...): the context is the first state only'),
        (3, "peek", 'Decoder("peek", ...): the word before and the context every step (Cho)'),
    )
} | {
    "Character model (char-RNN)": Part(
        "Sequence models",
        "sn.nn.Decoder, sn.nn.sample_words",
        'Decoder("feedback", V, 0, H): each character by those before it; '
        "sample_words draws by probability and temperature",
        "003",
    ),
}
KINDS = {  #     feeds words back, sees the context every step
    "plain": (False, True),
    "feedback": (True, False),
    "peek": (True, True),
}


class Decoder(nn.Module):
    """words_BT (each the one *before* its step), context_BC, state -> logits_BTV, the last state.

    `context_size` 0 is for "feedback" without a context. A GRU cell; words are embedded in as many
    numbers as it has units. "plain" reads of `words` only how many they are. Raises UnknownName for
    another kind, UsageError for sizes or shapes that do not fit.

    >>> decoder = Decoder("peek", 51, 20, 16)
    >>> logits_BTV, state_BH = decoder(torch.zeros(2, 5, dtype=torch.long), torch.ones(2, 20))
    >>> logits_BTV.shape, state_BH.shape
    (torch.Size([2, 5, 51]), torch.Size([2, 16]))
    """

    def __init__(self, kind: str, num_words: int, context_size: int, hidden_size: int) -> None:
        super().__init__()
        if kind not in KINDS:
            raise UnknownName(kind, KINDS, "the decoders")
        check_counts(num_words=num_words, hidden_size=hidden_size)
        self.feeds_back, self.sees = KINDS[kind]
        self.context_size, is_peek = context_size, self.feeds_back and self.sees
        if context_size or kind != "feedback":
            check_counts(context_size=context_size)
        if self.feeds_back:
            self.embedding = nn.Embedding(num_words, hidden_size)
            self.start = nn.Linear(context_size, hidden_size) if context_size else nn.Identity()
        inputs = hidden_size * self.feeds_back + context_size * self.sees
        self.recurrent = Recurrent(nn.GRUCell(inputs, hidden_size))
        self.read = nn.Linear(hidden_size + inputs * is_peek, num_words)

    def forward(
        self, words: Tensor, context: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """words_BT, context_BC, state_BH -> logits_BTV, state_BH."""
        given = None if context is None else tuple(context.shape)
        wanted = (len(words), self.context_size) if self.context_size else None
        if words.ndim != 2 or given != wanted:
            raise UsageError(
                f"words of shape {tuple(words.shape)} and a context of {given}; "
                f"(B, T) and {f'(B, {self.context_size})' if wanted else 'none'} are wanted"
            )
        parts = [self.embedding(words)] if self.feeds_back else []
        if context is not None and self.sees:
            parts.append(context[:, None].expand(-1, words.shape[1], -1))
        if context is not None and self.feeds_back and state is None:
            state = torch.tanh(self.start(context))
        x_BTI = torch.cat(parts, 2)
        outputs_BTH, state = self.recurrent(x_BTI, state)
        seen = [outputs_BTH, x_BTI] if len(parts) == 2 else [outputs_BTH]
        return self.read(torch.cat(seen, 2)), state
