"""Whether a layer is only looked at: then it must show PyTorch's own operations."""

import torch


def is_traced() -> bool:
    """Whether what runs is being compiled, exported, traced or transformed."""
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch._C._functorch.peek_interpreter_stack() is not None
    )
