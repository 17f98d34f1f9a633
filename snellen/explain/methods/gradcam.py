"""Grad-CAM, arXiv:1610.02391: the last maps of a network, each by the mean of its slopes."""

from dataclasses import dataclass

from torch.nn import functional as F

from ..layers import chosen, map_and_slope
from ..method import Method, Question, Seen


@dataclass(frozen=True)
class GradCam(Method):
    """relu(sum over channels of mean slope x map), brought to the size of the picture."""

    name = "gradcam"
    about = "where the last maps that speak for the class are"
    source = "arXiv:1610.02391"

    def look(self, question: Question) -> Seen:
        """One gradient, at a layer."""
        layer = chosen(question)
        map_1CHW, slope_1CHW = map_and_slope(question, layer)
        weight_1C11 = slope_1CHW.mean((2, 3), keepdim=True)
        cam = (weight_1C11 * map_1CHW).sum(1, keepdim=True).clamp(min=0)
        cam = F.interpolate(cam, question.x_1CHW.shape[2:], mode="bilinear")
        words = "" if cam.any() else "no map there speaks for it, so nothing is coloured"
        return Seen(cam[0, 0], layer=layer, words=words)


METHODS = {GradCam.name: GradCam}
