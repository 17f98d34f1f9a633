"""Gradient clipping is PyTorch's: this file only says where it is."""

from ..core.parts import Part

PARTS = {
    "Gradient clipping": Part(
        "Gradients and checks",
        "torch.nn.utils.clip_grad_norm_, torch.nn.utils.clip_grad_value_",
        "all gradients scaled down to a common norm of c, direction kept; `clip=` of a recipe",
        "000",
    ),
}
