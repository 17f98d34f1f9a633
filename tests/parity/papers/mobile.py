"""MobileNet v1 and ShuffleNet v1, off the tables of their papers."""

import torch
import torch.nn.functional as F

from ._draw import Written, mean_hw, relu


def mobilenet_v1(draw, x, classes, width):
    """arXiv:1704.04861, table 1."""
    x = draw.conv_norm_relu(x, int(32 * width), 3, 2, 1)
    halving = (128, 256, 512, 1024)
    for cout in (64, 128, 128, 256, 256, 512, *[512] * 5, 1024, 1024):
        stride = 2 if cout in halving and int(cout * width) != x.shape[1] else 1
        x = draw.conv_norm_relu(x, x.shape[1], 3, stride, 1, groups=x.shape[1])
        x = draw.conv_norm_relu(x, int(cout * width), 1)
    return draw.linear(mean_hw(x), classes)


FIRST = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}  # arXiv:1707.01083, table 1: stage 2 by groups


def shufflenet_v1(draw, x, classes, groups, width, stem=24):
    x = draw.conv_norm_relu(x, stem, 3, 2, 1)
    x = F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-torch.inf), 3, 2)
    for stage, repeat in ((2, 3), (3, 7), (4, 3)):
        cout = int(FIRST[groups] * width) * 2 ** (stage - 2)
        for unit in range(repeat + 1):
            stride = 2 if unit == 0 else 1
            ungrouped = stage == 2 and unit == 0
            branch = draw.conv_norm_relu(x, cout // 4, 1, groups=1 if ungrouped else groups)
            batch, maps, height, side = branch.shape
            branch = branch.reshape(batch, groups, maps // groups, height, side)
            branch = branch.transpose(1, 2).reshape(batch, maps, height, side)
            branch = draw.norm(draw.conv(branch, maps, 3, stride, 1, groups=maps))
            added = cout - x.shape[1] if stride == 2 else cout
            branch = draw.norm(draw.conv(branch, added, 1, groups=groups))
            if stride == 2:
                x = relu(torch.cat([F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 2), branch], 1))
            else:
                x = relu(x + branch)
    return draw.linear(mean_hw(x), classes)


STEMS = {(3, 0.5): 12, (8, 0.5): 16, (3, 2.0): 48, (8, 2.0): 48}  # 24 times the width, in groups
SHUFFLED = [(g, 1.0) for g in (1, 2, 3, 4, 8)] + [(g, w) for g in (3, 8) for w in (0.5, 1.5, 2.0)]

WRITTEN = {
    **{f"mobilenet_v1_{width}": Written(mobilenet_v1, {"width": width}, size=(3, 64, 70))
       for width in (1.0, 0.75, 0.5, 0.25)},
    **{f"shufflenet_v1_g{groups}_{width}x": Written(shufflenet_v1, {
        "groups": groups, "width": width, "stem": STEMS.get((groups, width), 24)})
       for groups, width in SHUFFLED},
}  # fmt: skip
