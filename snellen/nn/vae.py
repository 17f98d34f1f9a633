"""Variational autoencoder (notes 003; Kingma and Welling, arXiv:1312.6114).

An encoder says q(z|x) = N(mean, std^2), a decoder p(x|z), and z is N(0, 1) before anything is seen.
log p(x) has no closed form, its evidence lower bound can be estimated without bias:
ELBO = E_q log p(x|z) - D(q|N(0, 1)) = log p(x) - D(q|p(z|x)).
Importance weights (arXiv:1509.00519) close the gap as the number of draws grows.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import UsageError
from ..core.numbers import check_counts
from ..core.parts import Part
from ._labels import check_floats, holds, widen
from .divergence import gaussian_kl

PARTS = {
    "Variational autoencoder (VAE)": Part(
        "Generative models", "sn.nn.VAE",
        "x to mean and spread of z, z to the logits of x; the bound ELBO, and the evidence itself",
        "003",
    ),
    "Reparametrisation": Part(
        "Generative models", "sn.nn.reparametrise",
        "z = mean + std e with e from N(0, 1): a draw with a gradient", "003",
    ),
}  # fmt: skip


class VAE(nn.Module):
    """x_BCHW in 0..1 -> logits_BCHW, the picture seen through the mean of q(z|x).

    `encoder`: x -> (B, 2 latent), means, then log-variances; `decoder`: z_BD -> logits like x.
    Each pixel is a Bernoulli variable; a gray one is the share of ones.

    >>> encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    >>> decoder = nn.Sequential(nn.Linear(2, 16), nn.Unflatten(1, (1, 4, 4)))
    >>> net, x_BCHW = VAE(encoder, decoder, latent=2), torch.zeros(3, 1, 4, 4)
    >>> net(x_BCHW).shape, net.elbo(x_BCHW).shape, net.draw(5).shape
    (torch.Size([3, 1, 4, 4]), torch.Size([3]), torch.Size([5, 1, 4, 4]))
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent: int) -> None:
        super().__init__()
        check_counts(latent=latent)
        self.encoder, self.decoder, self.latent = encoder, decoder, latent

    def forward(self, x: Tensor) -> Tensor:
        """x_BCHW -> logits_BCHW."""
        return self.decoder(self.encode(x)[0])

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x_BCHW -> mean_BD, std_BD of q(z|x).

        Raises UsageError for pixels that are no floats in 0..1, and an encoder of another width.
        """
        check_floats(x, "pixels")
        if not holds((x >= 0) & (x <= 1)):
            raise UsageError("x has pixels outside 0..1; of bytes make x / 255")
        out = self.encoder(x)
        if out.shape != (len(x), 2 * self.latent):
            raise UsageError(
                f"the encoder gives {tuple(out.shape)} for {len(x)} pictures; mean and log-variance"
                f" of {self.latent} latent numbers are wanted, ({len(x)}, {2 * self.latent})"
            )
        mean_BD, log_variance_BD = widen(out).chunk(2, 1)
        return mean_BD, (log_variance_BD / 2).exp()

    def elbo(self, x: Tensor, draws: int = 1) -> Tensor:
        """x_BCHW -> bound_B on log p(x), in nats, by `draws` of z; minus its mean is the loss."""
        mean_BD, std_BD = self.encode(x)
        told_SB = self._told(x, reparametrise(mean_BD, std_BD, draws))
        zero, one = mean_BD.new_zeros(()), mean_BD.new_ones(())
        return told_SB.mean(0) - gaussian_kl(mean_BD, std_BD, mean2_D=zero, std2_D=one)

    @torch.no_grad()
    def evidence(self, x: Tensor, draws: int = 100) -> Tensor:
        """x_BCHW -> log p(x)_B, in nats, by importance sampling from q; low rather than high."""
        mean_BD, std_BD = self.encode(x)
        z_SBD = reparametrise(mean_BD, std_BD, draws)
        noise_SBD = (z_SBD - mean_BD) / std_BD
        prior_less_q_SBD = (noise_SBD.square() - z_SBD.square()) / 2 + std_BD.log()
        weight_SB = self._told(x, z_SBD) + prior_less_q_SBD.sum(2)
        return weight_SB.logsumexp(0) - math.log(draws)

    @torch.no_grad()
    def draw(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Number -> pixels_BCHW in 0..1 that the decoder expects of so many z from N(0, 1)."""
        like = next(self.decoder.parameters())
        check_counts(count=count)
        z_BD = torch.randn(count, self.latent, generator=generator, device=like.device)
        return self.decoder(z_BD.to(like)).sigmoid()

    def _told(self, x: Tensor, z_SBD: Tensor) -> Tensor:
        """x_BCHW, z_SBD -> log p(x|z)_SB."""
        logits = widen(self.decoder(z_SBD.flatten(0, 1)))
        x_SBCHW = x.to(logits).expand(len(z_SBD), *x.shape)
        if logits.shape[1:] != x.shape[1:]:
            raise UsageError(f"the decoder gives {tuple(logits.shape[1:])} a picture; the shape "
                             f"of x is wanted, {tuple(x.shape[1:])}")  # fmt: skip
        lost = F.binary_cross_entropy_with_logits(logits, x_SBCHW.flatten(0, 1), reduction="none")
        return -lost.flatten(1).sum(1).view(z_SBD.shape[:2])


def reparametrise(mean_BD: Tensor, std_BD: Tensor, draws: int = 1) -> Tensor:
    """mean_BD, std_BD -> z_SBD = mean + std e, e from N(0, 1); gradients reach mean and std.

    >>> reparametrise(torch.ones(1, 2), torch.zeros(1, 2))
    tensor([[[1., 1.]]])
    """
    check_counts(draws=draws)
    shape = (draws, *mean_BD.shape)
    return mean_BD + std_BD * torch.randn(shape, dtype=mean_BD.dtype, device=mean_BD.device)
