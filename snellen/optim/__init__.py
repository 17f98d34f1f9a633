"""The notes' optimisers and schedules by their names, over torch.optim."""

from ..core.face import show

__getattr__, __dir__ = show(__name__)
