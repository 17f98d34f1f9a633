"""Activation maximisation, arXiv:1312.6034 (notes 003): the picture a class answers to most."""

from dataclasses import dataclass

from ..method import Method, Question, Seen
from ..seek import descend, noise, roughness


@dataclass(frozen=True)
class ClassTemplate(Method):
    """The picture x with the highest score - strength (|x|^2 + smooth roughness(x)), from noise; of
    a linear network w, blurred by `smooth`. The strength is such that it is as large as one of
    `size` of the range at each pixel.
    """

    steps: int = 60
    size: float = 0.25
    smooth: float = 1.0
    seed: int = 0
    name = "class_template"
    about = "the picture that the class answers to most"
    source = "arXiv:1312.6034"

    def look(self, question: Question) -> Seen:
        """L-BFGS from noise; of the picture only the size counts."""
        start = noise(question, 0.01, self.seed)
        length = self.size * question.reach.expand_as(start).norm()
        strength = question.gradient(start).norm() / (2 * length)
        if not strength:  # all ReLUs are off there
            strength = question.gradient(question.x_1CHW).norm() / (2 * length)
            start = question.x_1CHW
        made = descend(
            question, start, lambda x: -question.score(x).sum() + strength * (
                x.square().sum() + self.smooth * roughness(x)), self.steps,
        )  # fmt: skip
        score = float(question.scores(made)[0, question.target])
        return Seen(made_1CHW=made, words=f"the template scores {score:.4g}")


METHODS = {ClassTemplate.name: ClassTemplate}
