"""Losses of generative adversarial networks (notes 003; Goodfellow et al., arXiv:1406.2661).

min_G max_D  E log D(x) + E log(1 - D(G(z))), D = sigmoid of the discriminator's logit. Its best is
D* = p / (p + q), p the density of the real and q that of the fake; the value is then
2 JSD(p|q) - log 4. In the minimax form a generator that is found out has no gradient; the
non-saturating form minimises -log D(G(z)) in its stead: the same fixed point, and a steep start.
"""

from torch import Tensor
from torch.nn import functional as F

from ..core.errors import UnknownName
from ..core.parts import Part
from ._labels import check_floats

KINDS = ("non-saturating", "minimax")
PARTS = {
    "GAN loss, discriminator": Part(
        "Generative models", "sn.nn.discriminator_loss",
        "-E log D(x) - E log(1 - D(G(z))); log 4 where nothing can be told apart", "003 004",
    ),
    "GAN loss, generator": Part(
        "Generative models", "sn.nn.generator_loss",
        "non-saturating: -E log D(G(z)); minimax: E log(1 - D(G(z))), flat where D is sure",
        "003 004",
    ),
}  # fmt: skip


def discriminator_loss(real_B: Tensor, fake_B: Tensor) -> Tensor:
    """Logits real_B of data, fake_B of what was generated -> -mean log D - mean log(1 - D).

    Give it fakes without a history (`fake.detach()`): the generator learns of its own loss.

    >>> import torch
    >>> discriminator_loss(torch.zeros(2), torch.zeros(3))
    tensor(1.3863)
    """
    check_floats(real_B, "logits of real samples")
    check_floats(fake_B, "logits of fake samples")
    return F.softplus(-real_B).mean() + F.softplus(fake_B).mean()


def generator_loss(fake_B: Tensor, kind: str = "non-saturating") -> Tensor:
    """Logits fake_B of what was generated -> what the generator minimises.

    Raises UnknownName for a kind that is neither non-saturating nor minimax.

    >>> import torch
    >>> generator_loss(torch.zeros(2)), generator_loss(torch.zeros(2), "minimax")
    (tensor(0.6931), tensor(-0.6931))
    """
    check_floats(fake_B, "logits of fake samples")
    if kind not in KINDS:
        raise UnknownName(kind, KINDS, "losses of a generator")
    return F.softplus(-fake_B).mean() if kind == "non-saturating" else -F.softplus(fake_B).mean()
