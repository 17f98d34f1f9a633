"""Fast gradient sign method, arXiv:1412.6572 (notes 003): one step that spoils the answer."""

from dataclasses import dataclass

from ..adversary import moved, words
from ..method import Method, Question, Seen


@dataclass(frozen=True)
class Fgsm(Method):
    """Every pixel moves by `eps` of the range against the target; the map is by how much. The score
    of a linear network falls by eps * range * sum |w|.
    """

    eps: float = 8 / 255
    name = "fgsm"
    about = "a picture one small step away, on which the answer fails"
    source = "arXiv:1412.6572"

    def look(self, question: Question) -> Seen:
        """One gradient."""
        made = moved(question, question.x_1CHW, question.target, -self.eps)
        return Seen(
            (made - question.x_1CHW)[0].abs().amax(0), made_1CHW=made,
            words=words(question, made, question.target),
        )  # fmt: skip


METHODS = {Fgsm.name: Fgsm}
