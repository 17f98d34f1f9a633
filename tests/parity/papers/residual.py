"""ResNets, plain nets, ResNeXt, pre-activation, DenseNet, Darknet-53, off their papers' tables."""

import torch
import torch.nn.functional as F

from ._draw import Written, leaky, mean_hw, relu


def cifar_resnet(draw, x, classes, n, *, plain=False):
    """arXiv:1512.03385, section 4.2: 6n + 2 layers; shortcuts of zeros where the width doubles."""
    x = draw.conv_norm_relu(x, 16, 3, 1, 1)
    for width in (16, 32, 64):
        for _ in range(n):
            stride = 1 if width == x.shape[1] else 2
            out = draw.conv_norm_relu(x, width, 3, stride, 1)
            out = draw.norm(draw.conv(out, width, 3, 1, 1))
            if stride == 2:
                x = x[:, :, ::2, ::2]
                x = torch.cat([x, torch.zeros_like(x)], 1)
            x = relu(out if plain else x + out)
    return draw.linear(mean_hw(x), classes)


def resnet50_v1(draw, x, classes, width, depths):
    """arXiv:1512.03385, table 1: conv3_1, conv4_1 and conv5_1 stride on their first 1x1."""
    x = draw.conv_norm_relu(x, width, 7, 2, 3)
    x = F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-torch.inf), 3, 2)
    return draw.linear(mean_hw(bottlenecks(draw, x, width, depths, first=True)), classes)


def bottlenecks(draw, x, width, depths, *, first, groups=1, inner=1):
    for stage, depth in enumerate(depths):
        for block in range(depth):
            stride = 2 if stage and not block else 1
            mid, cout = width * 2**stage * inner, 4 * width * 2**stage
            out = draw.conv_norm_relu(x, mid, 1, stride if first else 1)
            out = draw.conv_norm_relu(out, mid, 3, 1 if first else stride, 1, groups=groups)
            out = draw.norm(draw.conv(out, cout, 1))
            if not block:
                x = draw.norm(draw.conv(x, cout, 1, stride))
            x = relu(x + out)
    return x


def resnext29(draw, x, classes, cardinality):
    """arXiv:1611.05431, section 5.3 and table 7: C x 64d, 3x3 stem, three stages of three."""
    x = draw.conv_norm_relu(x, 64, 3, 1, 1)
    x = bottlenecks(draw, x, 64, (3, 3, 3), first=False, groups=cardinality, inner=cardinality)
    return draw.linear(mean_hw(x), classes)


def preact_cifar(draw, x, classes, units):
    """arXiv:1603.05027, figure 4e and the authors' code: 9 units + 2 layers, stride on the 1x1."""
    x = draw.conv(x, 16, 3, 1, 1)
    for stage in range(3):
        for unit in range(units):
            width, stride = 16 * 2**stage, 2 if stage and not unit else 1
            shortcut_weight = None
            if not unit:  # drawn first; it is applied to what norm and ReLU give
                shortcut_weight = draw.numbers(4 * width, x.shape[1], 1, 1, scale=0.2)
            active = relu(draw.norm(x))
            if shortcut_weight is not None:
                x = F.conv2d(active, shortcut_weight, None, stride)
            out = draw.conv_norm_relu(active, width, 1, stride)
            out = draw.conv_norm_relu(out, width, 3, 1, 1)
            x = x + draw.conv(out, 4 * width, 1)
    x = mean_hw(relu(draw.norm(x)))
    return draw.linear(x, classes)


def plain(draw, x, classes, width, depths):
    """arXiv:1512.03385, figure 3 in the middle: pairs of 3x3, and no way around them."""
    x = stem(draw, x, width)
    for stage, depth in enumerate(depths):
        for block in range(depth):
            stride = 2 if stage and not block else 1
            x = draw.conv_norm_relu(x, width * 2**stage, 3, stride, 1)
            x = draw.conv_norm_relu(x, width * 2**stage, 3, 1, 1)
    return draw.linear(mean_hw(x), classes)


def stem(draw, x, width):
    x = draw.conv_norm_relu(x, width, 7, 2, 3)
    return F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-torch.inf), 3, 2)


def densenet(draw, x, classes, growth, depths):
    """arXiv:1608.06993, table 1: BC, with ImageNet's stem."""
    x = stem(draw, x, 2 * growth)
    for block, depth in enumerate(depths):
        if block:
            x = draw.conv(relu(draw.norm(x)), x.shape[1] // 2, 1)
            x = F.avg_pool2d(x, 2)
        for _ in range(depth):
            new = draw.conv_norm_relu(relu(draw.norm(x)), 4 * growth, 1)
            x = torch.cat([x, draw.conv(new, growth, 3, 1, 1)], 1)
    return draw.linear(mean_hw(relu(draw.norm(x))), classes)


def densenet_cifar(draw, x, classes, growth, layers, bottleneck=False):
    """arXiv:1608.06993, section 3: dense blocks of equal depth; BC halves the maps in between."""
    x = draw.conv(x, 2 * growth if bottleneck else 16, 3, 1, 1)
    for block in range(3):
        for _ in range(layers):
            new = relu(draw.norm(x))
            if bottleneck:
                new = draw.conv_norm_relu(new, 4 * growth, 1)
            x = torch.cat([x, draw.conv(new, growth, 3, 1, 1)], 1)
        if block < 2:
            x = relu(draw.norm(x))
            x = F.avg_pool2d(draw.conv(x, x.shape[1] // (2 if bottleneck else 1), 1), 2)
    return draw.linear(mean_hw(relu(draw.norm(x))), classes)


def darknet53(draw, x, classes, scale):
    """arXiv:1804.02767, table 1."""

    def conv(x, cout, size, stride=1):
        return leaky(draw.norm(draw.conv(x, cout, size, stride, size // 2)))

    x = conv(x, 32 // scale, 3)
    for repeat in (1, 2, 8, 8, 4):
        x = conv(x, 2 * x.shape[1], 3, 2)
        for _ in range(repeat):
            x = x + conv(conv(x, x.shape[1] // 2, 1), x.shape[1], 3)
    return draw.linear(mean_hw(x), classes)


D50, D101, D152 = (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)
SHORT = {"width": 16, "depths": (1, 2, 1, 1)}
PIXELS, FEW = (3, 64, 70), (3, 16, 20)


def first(depths):
    return Written(resnet50_v1, {"width": 64, "depths": depths}, SHORT, SHORT, PIXELS)


def pairs(depths):
    return Written(plain, {"width": 64, "depths": depths}, SHORT, SHORT, PIXELS)


def cifar(n, **how):
    return Written(cifar_resnet, {"n": n, **how}, {"n": 3}, {"depths": (3, 3, 3)})


def groups_of_64(cardinality):
    return Written(resnext29, {"cardinality": cardinality}, {"cardinality": 2}, {"groups": 2}, FEW)


def dense_cifar(growth, layers, **how):
    thin = {"growth": 12, "layers": 3}
    same = {"growth": 12, "depths": (3, 3, 3), **({"width": 24} if how else {})}
    return Written(densenet_cifar, {"growth": growth, "layers": layers, **how}, thin, same, FEW)


WRITTEN = {
    "paper:resnet50": first(D50),
    "paper:resnet101": first(D101),
    "paper:resnet152": first(D152),
    "plain18": pairs((2, 2, 2, 2)),
    "plain34": pairs(D50),
    **{f"resnet{6 * n + 2}_cifar_A": cifar(n) for n in (3, 5, 7, 9, 18, 200)},
    "plain20_cifar": cifar(3, plain=True),
    "plain56_cifar": cifar(9, plain=True),
    "resnext29_8x64d_cifar": groups_of_64(8),
    "resnext29_16x64d_cifar": groups_of_64(16),
    **{f"preact_resnet{9 * n + 2}_cifar": Written(
        preact_cifar, {"units": n}, {"units": 2}, {"depths": (2, 2, 2)}) for n in (18, 111)},
    "densenet264": Written(
        densenet, {"growth": 32, "depths": (6, 12, 64, 48)}, {"growth": 8, "depths": (2, 1, 2, 1)},
        {"growth": 8, "width": 16, "depths": (2, 1, 2, 1)}, PIXELS),
    "densenet40_k12_cifar": dense_cifar(12, 12),
    "densenet100_k12_cifar": dense_cifar(12, 32),
    "densenet_bc100_k12_cifar": dense_cifar(12, 16, bottleneck=True),
    "densenet_bc190_k40_cifar": dense_cifar(40, 31, bottleneck=True),
    "darknet53": Written(darknet53, {"scale": 1}, {"scale": 8}, {"width": 4}, PIXELS),
}  # fmt: skip
