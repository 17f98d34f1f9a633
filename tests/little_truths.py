"""Objects in images of 96 x 64 pixels, as styles of detection are told of them."""

import torch

from snellen.nn.detector import Truth

SIZE = (64, 96)  # H, W


def truths(seed=0, count=4, images=3):
    """Boxes of 5 to 27 pixels and three classes, some of which cover one another."""
    random = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(images):
        low = torch.rand(count, 2, generator=random) * torch.tensor([60.0, 36.0])
        extent = torch.rand(count, 2, generator=random) * 22 + 5
        labels = torch.randint(3, (count,), generator=random)
        found.append(Truth(torch.cat([low, low + extent], 1), labels))
    return found
