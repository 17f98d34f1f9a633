"""Additive attention, Bahdanau et al. (arXiv:1409.0473), notes 003 and 004: where to look.

e_t = v . tanh(W q + U k_t)   a = softmax(e)   context = sum_t a_t k_t

The query is the decoder's state, the keys are what the encoder left at each step, or a
convolutional net at each place of its maps.
"""

import torch
from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.numbers import check_counts
from ..core.parts import Part

PARTS = {
    "Additive attention (Bahdanau)": Part(
        "Sequence models",
        "sn.nn.AdditiveAttention, torch.nn.functional.scaled_dot_product_attention",
        "v . tanh(W q + U k) for every key, softmax over them; PyTorch has q . k",
        "003 004",
    ),
}


class AdditiveAttention(nn.Module):
    """query_BQ and keys_BTK -> context_BK and weights_BT, which sum to 1.

    `mask_BT` is True at keys that are there. A row without any gives zeros. Raises UsageError for
    other shapes.

    >>> context_BK, weights_BT = AdditiveAttention(3, 4, 8)(torch.zeros(2, 3), torch.ones(2, 5, 4))
    >>> context_BK.shape, weights_BT.detach()[0]
    (torch.Size([2, 4]), tensor([0.2000, 0.2000, 0.2000, 0.2000, 0.2000]))
    """

    def __init__(self, query_size: int, key_size: int, hidden_size: int) -> None:
        super().__init__()
        check_counts(query_size=query_size, key_size=key_size, hidden_size=hidden_size)
        self.query = nn.Linear(query_size, hidden_size)
        self.key = nn.Linear(key_size, hidden_size, bias=False)
        self.score = nn.Linear(hidden_size, 1, bias=False)

    def forward(
        self,
        query: Tensor,
        keys: Tensor,
        mask: Tensor | None = None,
        *,
        projected: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """query_BQ, keys_BTK, mask_BT -> context_BK, weights_BT.

        `projected` is self.key(keys): a decoder computes it once for all of its steps.
        """
        asked = (keys.shape[0], self.query.in_features)
        if keys.ndim != 3 or query.shape != asked or keys.shape[2] != self.key.in_features:
            raise UsageError(
                f"query of shape {tuple(query.shape)} and keys of shape {tuple(keys.shape)}; "
                f"(B, {self.query.in_features}) and (B, T, {self.key.in_features}) are wanted"
            )
        if mask is not None:
            _check_mask(mask, keys)
            keys = keys.masked_fill(~mask[..., None], 0)  # padding may hold anything
        projected_BTH = self.key(keys) if projected is None else projected
        if projected_BTH.shape != (*keys.shape[:2], self.key.out_features):
            raise UsageError(
                f"projected of shape {tuple(projected_BTH.shape)} for keys of shape "
                f"{tuple(keys.shape)}; what self.key gives of them is wanted"
            )
        if mask is not None:
            projected_BTH = projected_BTH.masked_fill(~mask[..., None], 0)  # also in the gradient
        scores_BT = self.score(torch.tanh(self.query(query)[:, None] + projected_BTH))[..., 0]
        if mask is not None:
            # the lowest finite number, not -inf: a row without keys would be NaN
            scores_BT = scores_BT.masked_fill(~mask, torch.finfo(scores_BT.dtype).min)
        weights_BT = scores_BT.softmax(1)
        if mask is not None:
            weights_BT = weights_BT * mask
        return (weights_BT[:, None] @ keys)[:, 0], weights_BT


def _check_mask(mask: Tensor, keys_BTK: Tensor) -> None:
    """A mask of one row would serve every row."""
    if mask.shape != keys_BTK.shape[:2] or mask.dtype is not torch.bool:
        raise UsageError(
            f"mask of shape {tuple(mask.shape)} and {mask.dtype} for keys of shape "
            f"{tuple(keys_BTK.shape)}; {tuple(keys_BTK.shape[:2])} of torch.bool is wanted"
        )
