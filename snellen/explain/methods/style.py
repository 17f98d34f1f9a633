"""Style transfer, arXiv:1508.06576 (notes 003): the maps of one picture, the Gram matrices of
another.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..layers import chosen, features, map_names
from ..method import Method, Question, Seen
from ..seek import descend, missed


@dataclass(frozen=True)
class Style(Method):
    """The picture from which maps at the layer and, `weight` times, Gram matrices at one layer of
    each size miss least of what is wanted. The layer is by default the middle one of these.
    """

    steps: int = 60
    weight: float = 10.0
    name = "style"
    about = "the picture in the style of another one"
    source = "arXiv:1508.06576"
    needs = "style"

    def look(self, question: Question) -> Seen:
        """L-BFGS from the picture itself."""
        assert question.style_1CHW is not None
        x = question.x_1CHW
        names = _one_of_each_size(question)
        layer = chosen(question) if question.layer else names[len(names) // 2]
        every = {layer, *names}
        with torch.no_grad():
            content = features(question, x, [layer])[layer]
            style = {k: gram(v) for k, v in features(question, question.style_1CHW, every).items()}

        def style_missed(found: dict[str, Tensor]) -> Tensor:
            lost = [missed(gram(found[name]), style[name]) for name in names]
            return torch.stack(lost).mean()

        def loss(made: Tensor) -> Tensor:
            found = features(question, made, every)
            return missed(found[layer], content) + self.weight * style_missed(found)

        made = descend(question, x, loss, self.steps)
        with torch.no_grad():
            before, after = (float(style_missed(features(question, p, every))) for p in (x, made))
        words = f"of the style at {', '.join(names)} {before:.1%} were missed, now {after:.1%}"
        return Seen(made_1CHW=made, layer=layer, words=words,
                    facts={"before": before, "after": after})  # fmt: skip


def gram(map_1CHW: Tensor) -> Tensor:
    """map_1CHW -> the mean over its places of the products of its channels, CC.

    >>> gram(torch.tensor([[[[1.0, 1.0]], [[0.0, 2.0]]]]))
    tensor([[1., 1.],
            [1., 2.]])
    """
    rows_CN = map_1CHW[0].float().flatten(1)
    return rows_CN @ rows_CN.T / rows_CN.shape[1]


def _one_of_each_size(question: Question) -> list[str]:
    """The last map of each size, the largest first."""
    names = map_names(question)
    if not names:
        chosen(question)  # raises the error of a network without maps
    with torch.no_grad():
        found = features(question, question.x_1CHW, names)
    return list({found[name].shape[2:]: name for name in names}.values())


METHODS = {Style.name: Style}
