"""The networks that no library has, written a second time straight from their papers' tables.

Plain functions of F.conv2d and a few sums, without the zoo's blocks; each draws its weights and
statistics while it runs, in the order in which the paper's layers stand. tests/test_papers.py gives
the same numbers to the zoo's networks and compares outputs and input gradients in float64.
"""

import torch
import torch.nn.functional as F


class Draw:
    """Layers with freshly drawn numbers, each kept in `tensors` in the order of use."""

    def __init__(self, seed=0):
        self.generator = torch.Generator().manual_seed(seed)
        self.tensors = []

    def numbers(self, *shape, scale=1.0, shift=0.0):
        drawn = torch.randn(shape, generator=self.generator, dtype=torch.double) * scale + shift
        self.tensors.append(drawn)
        return drawn

    def conv(self, x, cout, size, stride=1, pad=0, *, groups=1, bias=False):
        height, width = size if isinstance(size, tuple) else (size, size)
        fan = x.shape[1] // groups * height * width
        weight = self.numbers(cout, x.shape[1] // groups, height, width, scale=(2 / fan) ** 0.5)
        shift = self.numbers(cout, scale=0.1) if bias else None
        return F.conv2d(x, weight, shift, stride, pad, groups=groups)

    def norm(self, x, eps=1e-5):
        gain = self.numbers(x.shape[1], scale=0.2, shift=1.0)
        shift = self.numbers(x.shape[1], scale=0.2)
        mean = self.numbers(x.shape[1], scale=0.2)
        var = self.numbers(x.shape[1], scale=0.3).square_().add_(0.5)
        per_map = [v[:, None, None] for v in (gain, shift, mean, var)]
        return (x - per_map[2]) / (per_map[3] + eps).sqrt() * per_map[0] + per_map[1]

    def linear(self, x, outputs, bias=True):
        weight = self.numbers(outputs, x.shape[1], scale=x.shape[1] ** -0.5)
        return x @ weight.T + (self.numbers(outputs, scale=0.1) if bias else 0)

    def conv_norm_relu(self, x, cout, size, stride=1, pad=0, *, groups=1, bias=False):
        return relu(self.norm(self.conv(x, cout, size, stride, pad, groups=groups, bias=bias)))


def relu(x):
    return x * (x > 0)


def leaky(x):
    return torch.where(x > 0, x, 0.1 * x)


def mean_hw(x):
    return x.mean((2, 3))


def max_3_up(x):
    """3x3, stride 2, rounded up as in Caffe: the last window may hang over the edge."""
    height, width = (-(s - 3) % 2 for s in x.shape[2:])
    return F.max_pool2d(F.pad(x, (0, width, 0, height), value=-torch.inf), 3, 2)


def max_same(x):
    return F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-torch.inf), 3, 1)


def mean_same(x):
    """3x3, stride 1; the border's zeros count."""
    return F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 1)


def response_norm(x, size, k, alpha, beta):
    """Krizhevsky 2012, section 3.3: the sum is over `size` maps around each, cut at the ends."""
    out = []
    for i in range(x.shape[1]):
        low, high = max(0, i - size // 2), min(x.shape[1], i + size // 2 + 1)
        out.append(x[:, i] / (k + alpha * x[:, low:high].square().sum(1)) ** beta)
    return torch.stack(out, 1)


def alexnet_norm(x):
    return response_norm(x, 5, 2.0, 1e-4, 0.75)


def caffe_norm(x):
    """GoogLeNet's published form: k = 1, and alpha = 1e-4 shared by the five maps."""
    return response_norm(x, 5, 1.0, 1e-4 / 5, 0.75)


def lenet5(draw, x, classes):
    for maps in (6, 16):
        x = F.avg_pool2d(torch.tanh(draw.conv(x, maps, 5, bias=True)), 2)
    x = x.flatten(1)
    for units in (120, 84):
        x = torch.tanh(draw.linear(x, units))
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


def dense(draw, x, classes, hidden):
    x = x.flatten(1)
    for _ in range(2):
        x = relu(draw.linear(x, hidden))
    return draw.linear(x, classes)


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
