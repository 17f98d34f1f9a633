"""Limits on a step, and what a step is measured by: gradient clipping and the update ratio."""

from ..core.parts import Part

PARTS = {
    "Gradient clipping": Part(
        "Gradients and checks",
        "torch.nn.utils.clip_grad_norm_, torch.nn.utils.clip_grad_value_",
        "all gradients scaled down to a common norm of c, direction kept; `clip=` of a recipe",
        "000",
    ),
    "Weight-update ratio": Part(
        "Gradients and checks",
        "sn.doctor",
        "|change| / |weight| of a step, about 1e-3; measured for every weight of a training",
        "003",
    ),
}
