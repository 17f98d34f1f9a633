"""GoogLeNet and BN-Inception, off the tables of their papers."""

import torch
import torch.nn.functional as F

from ._draw import Written, max_3_up, max_same, mean_hw, mean_same, relu
from .classic import response_norm


def caffe_norm(x):
    """GoogLeNet's published form: k = 1, and alpha = 1e-4 shared by the five maps."""
    return response_norm(x, 5, 1.0, 1e-4 / 5, 0.75)


GOOGLENET = """
3a  64  96 128 16  32  32
3b 128 128 192 32  96  64
pool
4a 192  96 208 16  48  64
4b 160 112 224 24  64  64
4c 128 128 256 24  64  64
4d 112 144 288 32  64  64
4e 256 160 320 32 128 128
pool
5a 256 160 320 32 128 128
5b 384 192 384 48 128 128
"""  # arXiv:1409.4842, table 1


def inception_v1(draw, x, classes, scale, aux=False):
    """The logits, or with `aux` those of the two auxiliary heads and then the main one."""

    def conv(x, cout, size, stride=1):
        return relu(draw.conv(x, cout // scale, size, stride, size // 2, bias=True))

    x = caffe_norm(max_3_up(conv(x, 64, 7, 2)))
    x = max_3_up(caffe_norm(conv(conv(x, 64, 1), 192, 3)))
    branches = {}
    for line in GOOGLENET.strip().splitlines():
        name, *widths = line.split()
        if name == "pool":
            x = max_3_up(x)
            continue
        one, less3, three, less5, five, pool = map(int, widths)
        x = torch.cat(
            [conv(x, one, 1), conv(conv(x, less3, 1), three, 3), conv(conv(x, less5, 1), five, 5),
             conv(max_same(x), pool, 1)], 1
        )  # fmt: skip
        branches[name] = x
    logits = []
    for name in ("4a", "4d") if aux else ():
        small = conv(F.avg_pool2d(branches[name], 5, 3), 128, 1).flatten(1)
        logits.append(draw.linear(relu(draw.linear(small, 1024 // scale)), classes))
    logits.append(draw.linear(mean_hw(x), classes))
    return torch.stack(logits)


BN_INCEPTION = """
3a  64  64  64  64  96 avg  32
3b  64  64  96  64  96 avg  64
3c   0 128 160  64  96 max   0
4a 224  64  96  96 128 avg 128
4b 192  96 128  96 128 avg 128
4c 160 128 160 128 160 avg 128
4d  96 128 192 160 192 avg 128
4e   0 128 192 192 256 max   0
5a 352 192 320 160 224 avg 128
5b 352 192 320 192 224 max 128
"""  # arXiv:1502.03167, figure 5; the pools of 4c and 4d as published (96 in the figure)


def inception_v2(draw, x, classes, bias=False, gated=0):
    def conv(x, cout, size, stride=1):
        return draw.conv_norm_relu(x, cout, size, stride, size // 2, bias=bias)

    x = max_3_up(conv(x, 64, 7, 2))
    x = max_3_up(conv(conv(x, 64, 1), 192, 3))
    for line in BN_INCEPTION.strip().splitlines():
        one, less, three, less_twice, twice, project = map(
            int, line.replace("avg", "").replace("max", "").split()[1:]
        )
        stride = 1 if one else 2
        parts = [conv(x, one, 1)] if one else []
        parts.append(conv(conv(x, less, 1), three, 3, stride))
        parts.append(conv(conv(conv(x, less_twice, 1), twice, 3), twice, 3, stride))
        pooled = mean_same(x) if "avg" in line else max_same(x) if one else max_3_up(x)
        parts.append(conv(pooled, project, 1) if project else pooled)
        x = torch.cat(parts, 1)
        if gated:
            x = x * gate(draw, x, gated)
    return draw.linear(mean_hw(x), classes)


def gate(draw, x, reduction):
    """arXiv:1709.01507, equations 2 and 3."""
    squeezed = mean_hw(x)[:, :, None, None]
    hidden = relu(draw.conv(squeezed, x.shape[1] // reduction, 1, bias=True))
    return 1 / (1 + torch.exp(-draw.conv(hidden, x.shape[1], 1, bias=True)))


SMALL = (3, 38, 38)
THIN = ({"scale": 8}, {"scale": 8})

WRITTEN = {
    "inception_v1_nobn": Written(
        inception_v1, {"scale": 1}, *THIN, size=(3, 76, 90), whole=(3, 224, 224)
    ),
    "inception_v1_nobn_aux": Written(
        inception_v1,
        {"scale": 1, "aux": True},
        {"scale": 16},
        {"scale": 16, "dropout": 0.0, "dropout_aux": 0.0},
        (3, 224, 224),
    ),
    "inception_v2_bn": Written(inception_v2, size=(3, 70, 70)),
    "inception_v2_bn_convbias": Written(inception_v2, {"bias": True}, size=SMALL),
    "se_inception_v2": Written(inception_v2, {"gated": 16}, size=SMALL),
}
