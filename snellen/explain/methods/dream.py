"""DeepDream (Mordvintsev 2015; notes 003): what a layer begins to see is drawn into the picture."""

from dataclasses import dataclass

import torch

from ..layers import chosen, features
from ..method import Method, Question, Seen, slope


@dataclass(frozen=True)
class Dream(Method):
    """`steps` up the slope of the layer's mean square, each by `rate` of the range in the mean, on
    a picture that is shifted a little each time.
    """

    steps: int = 30
    rate: float = 0.01
    shift: int = 4
    seed: int = 0
    name = "dream"
    about = "the picture with more of what a layer sees in it"
    source = "Mordvintsev et al. 2015, Inceptionism"

    def look(self, question: Question) -> Seen:
        """A gradient a step."""
        layer, made = chosen(question), question.x_1CHW
        random = torch.Generator().manual_seed(self.seed)

        def seen(x_1CHW: torch.Tensor) -> torch.Tensor:
            return features(question, x_1CHW, [layer])[layer].float().square().mean()[None]

        before = seen(made).item()
        for step in range(self.steps):
            by = torch.randint(-self.shift, self.shift + 1, (2,), generator=random).tolist()
            up = slope(seen, made.roll(by, (2, 3))).roll([-b for b in by], (2, 3))
            made = question.within(
                made + self.rate * question.reach * up / up.abs().mean().clamp(min=1e-12)
            )
            question.tell(step + 1, self.steps)
        words = f"the layer's mean square goes from {before:.4g} to {seen(made).item():.4g}"
        return Seen(made_1CHW=made, layer=layer, words=words)


METHODS = {Dream.name: Dream}
