"""Seq2seq decoder 4, attention: every step looks for its own context (notes 004, 003).

c_t = sum over s of a_ts k_s,  a_t by additive attention of h_(t-1) on the keys k_s
h_t = GRU([y_(t-1), c_t], h_(t-1)),  logits_t = W [h_t, y_(t-1), c_t] + b

Bahdanau et al., arXiv:1409.0473, where the keys are an encoder's outputs, one a word; over the
cells of a convolutional map it is the soft attention of Show, Attend and Tell, arXiv:1502.03044,
whose first state, tanh(W mean of the keys), it takes.
"""

import torch
from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.numbers import check_counts
from ..core.parts import Part
from .additive_attention import AdditiveAttention

PARTS = {
    "Seq2seq decoder 4, attention": Part(
        "Sequence models",
        "sn.nn.AttentionDecoder",
        "each step its own context, weighed by the state before (Bahdanau; Show, Attend and Tell)",
        "003 004",
    ),
}


class AttentionDecoder(nn.Module):
    """words_BT (each the one *before* its step), keys_BSK -> logits_BTV, weights_BTS, state_BH.

    `mask_BS` is True at keys that are there; `projected` is self.attention.key(keys), where it is
    known. Raises UsageError for shapes that do not fit.

    >>> decoder = AttentionDecoder(51, 20, 16)
    >>> words_BT, keys_BSK = torch.zeros(2, 5, dtype=torch.long), torch.ones(2, 7, 20)
    >>> logits_BTV, weights_BTS, state_BH = decoder(words_BT, keys_BSK)
    >>> logits_BTV.shape, weights_BTS.shape, state_BH.shape
    (torch.Size([2, 5, 51]), torch.Size([2, 5, 7]), torch.Size([2, 16]))
    """

    def __init__(self, num_words: int, key_size: int, hidden_size: int) -> None:
        super().__init__()
        check_counts(num_words=num_words)
        self.attention = AdditiveAttention(hidden_size, key_size, hidden_size)
        self.start = nn.Linear(key_size, hidden_size)
        self.embedding = nn.Embedding(num_words, hidden_size)
        self.cell = nn.GRUCell(hidden_size + key_size, hidden_size)
        self.read = nn.Linear(2 * hidden_size + key_size, num_words)

    def forward(
        self,
        words: Tensor,
        keys: Tensor,
        state: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        projected: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """words_BT, keys_BSK, state_BH -> logits_BTV, weights_BTS, state_BH."""
        asked = (words.shape[0], self.start.in_features)
        if words.ndim != 2 or not words.shape[1] or keys.ndim != 3 or keys.shape[::2] != asked:
            raise UsageError(
                f"words of shape {tuple(words.shape)} and keys of shape {tuple(keys.shape)}; "
                f"(B, T) and (B, S, {asked[1]}) are wanted, T 1 or more"
            )
        if mask is not None:
            keys = keys.masked_fill(~mask[..., None], 0)  # padding may hold anything
        if state is None:
            state = torch.tanh(self.start(_mean(keys, mask)))
        projected = self.attention.key(keys) if projected is None else projected
        logits, weights = [], []
        for word_BH in self.embedding(words).unbind(1):
            context_BK, weights_BS = self.attention(state, keys, mask, projected=projected)
            x_BI = torch.cat([word_BH, context_BK], 1)
            state = self.cell(x_BI, state)
            logits.append(self.read(torch.cat([state, x_BI], 1)))
            weights.append(weights_BS)
        return torch.stack(logits, 1), torch.stack(weights, 1), state


def _mean(keys_BSK: Tensor, mask_BS: Tensor | None) -> Tensor:
    if mask_BS is None:
        return keys_BSK.mean(1)
    return keys_BSK.sum(1) / mask_BS.sum(1, keepdim=True).clamp(min=1)
