"""LeCun 1998, Krizhevsky 2012, Zeiler 2013, VGG's C, SqueezeNet, Darknet-19, the notes' nets."""

import torch
import torch.nn.functional as F

from ._draw import Written, dense, leaky, max_3_up, mean_hw, relu


def response_norm(x, size, k, alpha, beta):
    """Krizhevsky 2012, section 3.3: the sum is over `size` maps around each, cut at the ends."""
    out = []
    for i in range(x.shape[1]):
        low, high = max(0, i - size // 2), min(x.shape[1], i + size // 2 + 1)
        out.append(x[:, i] / (k + alpha * x[:, low:high].square().sum(1)) ** beta)
    return torch.stack(out, 1)


def alexnet_norm(x):
    return response_norm(x, 5, 2.0, 1e-4, 0.75)


def lenet5(draw, x, classes):
    for maps in (6, 16):
        x = F.avg_pool2d(torch.tanh(draw.conv(x, maps, 5, bias=True)), 2)
    x = x.flatten(1)
    for units in (120, 84):
        x = torch.tanh(draw.linear(x, units))
    return draw.linear(x, classes)


def lenet5_bn(draw, x, classes):
    """The same five layers, padded, with norms, ReLU and max pooling."""
    for maps in (16, 32):
        x = F.max_pool2d(draw.conv_norm_relu(x, maps, 5, 1, 2), 2)
    x = x.flatten(1)
    for units in (120, 84):
        x = draw.linear(x, units, bias=False)
        x = relu(draw.norm(x[:, :, None, None]))[:, :, 0, 0]
    return draw.linear(x, classes)


def convnet(draw, x, classes, convs, pools, fcs, width, hidden):
    """INPUT -> [[CONV -> RELU]*N -> POOL]*M -> [FC -> RELU]*K -> FC."""
    for block in range(pools):
        for _ in range(convs):
            x = relu(draw.conv(x, width * 2**block, 3, 1, 1, bias=True))
        x = F.max_pool2d(x, 2)
    x = x.flatten(1)
    for _ in range(fcs):
        x = relu(draw.linear(x, hidden))
    return draw.linear(x, classes)


def mlp(draw, x, classes, hidden):
    x = x.flatten(1)
    for units in hidden:
        x = relu(draw.linear(x, units))
    return draw.linear(x, classes)


C3 = """
X...XXX..XXXX.XX
XX...XXX..XXXX.X
XXX...XXX..X.XXX
.XXX..XXXX..X.XX
..XXX..XXXX.XX.X
...XXX..XXXX.XXX
"""  # LeCun 1998, table I: a row for each map of S2, a column for each map of C3


def lenet5_1998(draw, x, classes):
    def squash(a):
        return 1.7159 * torch.tanh(2 / 3 * a)

    def sample(x):
        total = sum(x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1))
        gain = draw.numbers(x.shape[1], 1, 1, scale=0.3)
        return squash(total * gain + draw.numbers(x.shape[1], 1, 1, scale=0.1))

    x = sample(squash(draw.conv(x, 6, 5, bias=True)))
    rows = C3.split()
    maps = []
    for column in range(16):
        seen = [row for row in range(6) if rows[row][column] == "X"]
        maps.append(draw.conv(x[:, seen], 1, 5, bias=True))
    x = sample(squash(torch.cat(maps, 1)))
    x = squash(draw.conv(x, 120, 5, bias=True)).flatten(1)
    x = squash(draw.linear(x, 84))
    codes = draw.numbers(classes, 84).sign_()
    return torch.stack([-((x - code) ** 2).sum(1) for code in codes], 1)


def two_gpus(draw, x, classes, widths, hidden):
    a, b, c, d, e = widths
    x = relu(draw.conv(x, a, 11, 4, bias=True))
    x = F.max_pool2d(alexnet_norm(x), 3, 2)
    x = relu(draw.conv(x, b, 5, 1, 2, groups=2, bias=True))
    x = F.max_pool2d(alexnet_norm(x), 3, 2)
    x = relu(draw.conv(x, c, 3, 1, 1, bias=True))
    x = relu(draw.conv(x, d, 3, 1, 1, groups=2, bias=True))
    x = F.max_pool2d(relu(draw.conv(x, e, 3, 1, 1, groups=2, bias=True)), 3, 2)
    return dense(draw, x, classes, hidden)


def zfnet(draw, x, classes, widths, hidden):
    """Figure 3; its sides: 224 -> 110 -> 55 -> 26 -> 13 -> 6."""
    a, b, c, d, e = widths
    x = alexnet_norm(max_3_up(relu(draw.conv(x, a, 7, 2, 1, bias=True))))
    x = alexnet_norm(max_3_up(relu(draw.conv(x, b, 5, 2, bias=True))))
    for width in (c, d, e):
        x = relu(draw.conv(x, width, 3, 1, 1, bias=True))
    x = max_3_up(x)
    assert x.shape[2:] == (6, 6)
    return dense(draw, x, classes, hidden)


def vgg_c(draw, x, classes, widths, hidden):
    for block, width in enumerate(widths):
        for _ in range(2):
            x = relu(draw.conv(x, width, 3, 1, 1, bias=True))
        if block >= 2:
            x = relu(draw.conv(x, width, 1, bias=True))
        x = F.max_pool2d(x, 2)
    return dense(draw, x, classes, hidden)


DARKNET19 = "32 M 64 M 128 64 128 M 256 128 256 M 512 256 512 256 512 M 1024 512 1024 512 1024"


def darknet19(draw, x, classes, scale):
    """arXiv:1612.08242, table 6: the 1x1 stand between the 3x3 and have half their maps."""
    widths = DARKNET19.split()
    for i, word in enumerate(widths):
        if word == "M":
            x = F.max_pool2d(x, 2)
            continue
        before = widths[i - 1] if i else "M"
        size = 1 if before != "M" and int(before) > int(word) else 3
        x = leaky(draw.norm(draw.conv(x, int(word) // scale, size, 1, size // 2)))
    return mean_hw(draw.conv(x, classes, 1, bias=True))


def squeezenet_bypass(draw, x, classes, scale):
    """arXiv:1602.07360, figure 2 in the middle: around fire 3, 5, 7 and 9."""

    def conv(x, cout, size, stride=1, pad=0):
        return relu(draw.conv(x, cout // scale, size, stride, pad, bias=True))

    x = max_3_up(relu(draw.conv(x, 96, 7, 2, bias=True)))
    for fire, squeeze in enumerate((16, 16, 32, 32, 48, 48, 64, 64), 2):
        less = conv(x, squeeze, 1)
        out = torch.cat([conv(less, 4 * squeeze, 1), conv(less, 4 * squeeze, 3, 1, 1)], 1)
        x = x + out if fire in (3, 5, 7, 9) else out
        if fire in (4, 8):
            x = max_3_up(x)
    return mean_hw(relu(draw.conv(x, classes, 1, bias=True)))


NARROW = {"widths": (8, 12, 16, 16, 12), "hidden": 20}
ALEX = {"widths": (96, 256, 384, 384, 256), "hidden": 4096}
VGG = {"widths": (64, 128, 256, 512, 512), "hidden": 4096}
NOTES = {"convs": 2, "pools": 3, "fcs": 1, "width": 32, "hidden": 128}

WRITTEN = {
    "lenet5": Written(lenet5, size=(1, 32, 32)),
    "lenet5_bn": Written(lenet5_bn, size=(1, 32, 32)),
    "lenet5_1998": Written(lenet5_1998, size=(1, 32, 32)),
    "convnet": Written(convnet, NOTES, size=(3, 32, 32)),
    "mlp": Written(mlp, {"hidden": (256, 128)}, size=(1, 28, 28)),
    "alexnet_2gpu": Written(two_gpus, ALEX, NARROW, NARROW, (3, 227, 227)),
    "zfnet": Written(zfnet, ALEX, NARROW, NARROW, (3, 224, 224)),
    "vgg_c": Written(vgg_c, VGG, NARROW, {**NARROW, "pooled": 1}, whole=(3, 224, 224)),
    "darknet19": Written(darknet19, {"scale": 1}, {"scale": 8}, {"width": 4}, (3, 64, 70)),
    "squeezenet1_0_bypass": Written(squeezenet_bypass, {"scale": 1}, size=(3, 64, 70)),
}
