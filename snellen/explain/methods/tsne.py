"""t-SNE of features (van der Maaten and Hinton 2008; notes 003): which pictures lie together."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...core.errors import UsageError
from ..layers import chosen, features
from ..method import Method, Question, Seen

FEW = 4  # pictures have no map of their own


@dataclass(frozen=True)
class Tsne(Method):
    """Each picture a dot, by the mean of each map at the layer; near dots have like features. Its
    colour is its class, or what the network says; the picture that is asked about is the star.
    """

    perplexity: float = 30.0
    seed: int = 0
    name = "tsne"
    about = "which pictures lie together in the features"
    source = "van der Maaten and Hinton 2008, JMLR 9"
    needs = "data"

    def look(self, question: Question) -> Seen:
        """A pass over the pictures, then scikit-learn's t-SNE."""
        from sklearn.manifold import TSNE

        assert question.others is not None
        layer, others = chosen(question), list(question.others())
        if len(others) < FEW:
            raise UsageError(f"tsne wants {FEW} pictures or more; {len(others)} came")
        x_NCHW = torch.cat([question.x_1CHW, *(x[None] for x, _ in others)])
        found, kinds = [], []
        with torch.no_grad():
            for part in question.parts(x_NCHW):
                found.append(_flat(features(question, part, [layer])[layer]))
                kinds += question.read(part).argmax(1).tolist()
        kinds[1:] = [k if own is None else own
                     for k, (_, own) in zip(kinds[1:], others, strict=True)]  # fmt: skip
        perplexity = min(self.perplexity, len(others) / 3)
        places_N2 = TSNE(perplexity=perplexity, random_state=self.seed, init="pca").fit_transform(
            torch.cat(found).cpu().numpy()
        )
        facts = {"places": places_N2.tolist(), "kinds": kinds}
        drawing = _drawn(places_N2, kinds, question)
        return Seen(drawing=drawing, layer=layer, words=f"{len(others)} pictures", facts=facts)


def _flat(map_BCHW: Tensor) -> Tensor:
    return map_BCHW.float().mean((2, 3))


def _drawn(places_N2: np.ndarray, kinds: list[int], question: Question) -> Image.Image:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((7, 6), layout="constrained")
    axes = figure.subplots()
    for k in sorted(set(kinds[1:])):
        rows = [i for i, kind in enumerate(kinds) if i and kind == k]
        axes.scatter(
            places_N2[rows, 0], places_N2[rows, 1], s=14, label=question.name(k), color=f"C{k % 10}"
        )
    axes.scatter(
        places_N2[:1, 0], places_N2[:1, 1], marker="*", s=220, color="black", label="the picture"
    )
    axes.set_axis_off()
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


METHODS = {Tsne.name: Tsne}
