"""Parts that PyTorch lacks or hides; what PyTorch has is used, not rewritten."""

from ..core.face import show

__getattr__, __dir__ = show(__name__)
