"""A pair of the room by hand against the same function of torch, for tests."""

import numpy as np
import torch

TIGHT = {"rtol": 1e-10, "atol": 1e-12}


def numbers(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def same_as_torch(pair, reference, arrays, **settings_):
    """Forward and every gradient of a pair, against a function of torch on the same arrays."""
    forward, backward = pair
    out, cache = forward(**arrays, **settings_)
    leaves = {name: torch.tensor(value, requires_grad=True) for name, value in arrays.items()}
    theirs = reference(*leaves.values())
    np.testing.assert_allclose(out, theirs.detach().numpy(), **TIGHT)
    d_out = numbers(*np.shape(out), seed=7) if np.ndim(out) else np.array(1.7)
    kept = [np.copy(value) for value in arrays.values()]
    ours = backward(d_out, cache)
    ours = ours if isinstance(ours, tuple) else (ours,)
    assert len(ours) == len(arrays)
    wanted = torch.autograd.grad(theirs, list(leaves.values()), torch.tensor(d_out))
    for name, mine, right in zip(arrays, ours, wanted, strict=True):
        assert np.shape(mine) == tuple(right.shape), name
        np.testing.assert_allclose(mine, right.numpy(), err_msg=name, **TIGHT)
    for before, after in zip(kept, arrays.values(), strict=True):
        np.testing.assert_array_equal(before, after)  # nothing that came in was changed


def pair_of(file, name):
    return getattr(file, f"{name}_forward"), getattr(file, f"{name}_backward")
