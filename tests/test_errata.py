"""Every row of docs/errata.md: what the notes print fails here, what stands beside it does not."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import snellen as sn
from snellen.byhand.cross_entropy import cross_entropy_forward
from snellen.byhand.hinge import hinge_forward
from snellen.data.augment import compose
from snellen.data.sample import Batch

PAGE = Path(__file__).resolve().parents[1] / "docs" / "errata.md"
ROWS = re.findall(r"^\| (?!printed|---)(.+?) \| .+ \|$", PAGE.read_text(encoding="utf-8"), re.M)
HELD: dict[str, Callable[[], None]] = {}  # how a row begins -> what holds of it


def row(begins: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Name the row that a function holds."""

    def keep(function: Callable[[], None]) -> Callable[[], None]:
        HELD[begins] = function
        return function

    return keep


def same(a: object, b: object) -> bool:
    return bool(torch.allclose(torch.as_tensor(a), torch.as_tensor(b), rtol=1e-6, atol=1e-9))


@row("SGD:")
def _():
    x, dx, lr = 3.0, 2 * 3.0, 0.1  # of x^2
    assert (x + lr * dx) ** 2 > x**2 > (x - lr * dx) ** 2


def adam(gradients: list[float], lr: float = 0.1, *, printed: str = "") -> list[float]:
    """The positions of full Adam from 0, right or with one misprint."""
    x, m, v, path = 0.0, 0.0, 0.0, []
    for t, dx in enumerate(gradients, 1):
        m = 0.9 * m * 0.1 * dx if printed == "product" else 0.9 * m + 0.1 * dx
        v = 0.999 * v + 0.001 * dx * dx
        first, second = m / (1 - 0.9**t), v / (1 - 0.999**t)
        if printed == "uncorrected":
            first, second = m, v
        x -= lr * first / (math.sqrt(second) + 1e-8)
        path.append(x)
    return path


def adam_of_torch(gradients: list[float]) -> list[float]:
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer, path = torch.optim.Adam([x], lr=0.1), []
    for dx in gradients:
        x.grad = torch.tensor([dx], dtype=torch.float64)
        optimizer.step()
        path.append(x.item())
    return path


DRAWN = [1.0, -0.5, 2.0, 0.3]


@row("Adam: `m")
def _():
    assert same(adam(DRAWN), adam_of_torch(DRAWN))
    assert adam(DRAWN, printed="product") == [0.0] * 4  # m begins at 0 and stays there


@row("Adam: the corrected")
def _():
    first = adam(DRAWN, printed="uncorrected")[0] / adam(DRAWN)[0]
    assert first == pytest.approx(0.1 / math.sqrt(0.001), rel=1e-4)


@row("Adam: `for t")
def _():
    assert 1 - 0.9**0 == 0
    assert adam([2.0])[0] == pytest.approx(-0.1)  # with t = 1 the first step is lr


@row("RMSProp:")
def _():
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    x.grad = torch.tensor([3.0], dtype=torch.float64)
    torch.optim.RMSprop([x], lr=0.1, alpha=0.9, eps=0).step()
    assert x.item() == pytest.approx(-0.1 * 3 / math.sqrt(0.1 * 3 * 3))
    with pytest.raises(SyntaxError):
        compile("decay_rate * grad_squared + (1 - decay_rate) dx * dx", "notes", "eval")


@row("Nesterov momentum")
def _():
    begin = torch.ones(1, dtype=torch.float64)
    right = sn.optim.substituted(lambda x: x, begin, 30, lr=0.1, momentum=0.9)
    assert same(right, sn.optim.look_ahead(lambda x: x, begin, 30, lr=0.1, momentum=0.9))
    x, v = begin, torch.zeros_like(begin)
    for _ in range(30):
        before, v = v, 0.9 * v + x
        x = x - 0.9 * before + 1.9 * v
    assert x.abs() > 1e3 > 1 > right[-1].abs()


@row("1/sqrt(n)")
def _():
    random = torch.Generator().manual_seed(0)
    x_BN = torch.randn(500, 400, generator=random)
    w_NM = torch.randn(400, 400, generator=random) / 400**0.5
    assert float((x_BN @ w_NM).var()) == pytest.approx(1, rel=0.02)
    assert float((x_BN @ (0.01 * w_NM)).var()) == pytest.approx(1e-4, rel=0.02)


@row("a convolution has")
def _():
    conv = torch.nn.Conv2d(16, 32, 3)
    assert sn.nn.count_params(conv) == 16 * 32 * 3 * 3 + 32
    macs = sn.nn.count_macs(conv, (16, 10, 10))
    assert macs == 8 * 8 * 16 * 32 * 3 * 3


@row("PReLU")
def _():
    x_N = torch.linspace(-2, 2, 9)
    for a, alike in ((0.25, True), (1.0, True), (2.0, False)):
        right = F.prelu(x_N, torch.tensor([a]))
        assert same(right, x_N.clamp(min=0) + a * x_N.clamp(max=0))
        assert same(right, torch.maximum(x_N, a * x_N)) is alike


def kinds(name: str) -> list[str]:
    with torch.device("meta"):
        return [type(part).__name__ for part in sn.model(name, classes=10).modules()]


@row("ResNet has no pooling")
def _():
    names = kinds("resnet18")
    assert names.count("MaxPool2d") == 1
    with torch.device("meta"):
        net = sn.model("resnet18", classes=10)
    shapes = []
    linear = next(part for part in net.modules() if isinstance(part, torch.nn.Linear))
    linear.register_forward_hook(lambda part, x, out: shapes.append(x[0].shape))
    net.eval()(torch.zeros(1, 3, 224, 224, device="meta"))
    assert shapes == [(1, 512)]  # 7x7 maps became one mean each


@row("GoogLeNet and ResNet")
def _():
    for name, inputs in (("inception_v1_nobn", 1024), ("resnet18", 512), ("resnet50", 2048)):
        with torch.device("meta"):
            net = sn.model(name)
        layers = [m for m in net.modules() if isinstance(m, torch.nn.Linear)]
        assert [(m.in_features, m.out_features) for m in layers] == [(inputs, 1000)]


@row("GoogLeNet has 5")
def _():
    for name, params in (("inception_v1_nobn", 6_998_552), ("inception_v1_nobn_aux", 13_378_280)):
        with torch.device("meta"):
            assert sn.nn.count_params(sn.model(name)) == params


@row("VGG-19")
def _():
    assert kinds("vgg19").count("Conv2d") - kinds("vgg16").count("Conv2d") == 3


@row("a kernel of 3")
def _():
    for stride, shared, missed in ((2, 1, 0), (3, 0, 0), (4, 0, 1)):
        first, second = set(range(3)), set(range(stride, stride + 3))
        assert len(first & second) == shared
        assert len(set(range(stride + 3)) - first - second) == missed


@row("averaging the weights")
def _():
    x = torch.tensor([[1.0], [-1.0]])
    weights = [torch.tensor([[3.0]]), torch.tensor([[-3.0]])]
    of_answers = sum((x @ w).relu() for w in weights) / 2
    of_weights = (x @ (sum(weights) / 2)).relu()
    assert of_answers.flatten().tolist() == [1.5, 1.5]
    assert of_weights.flatten().tolist() == [0.0, 0.0]


@row("logistic loss")
def _():
    p, y = torch.tensor(0.2), torch.tensor(1.0)
    printed = y * p.log() + (1 - y) * (1 - p).log()
    assert same(-printed, F.binary_cross_entropy(p, y))
    assert printed < 0


@row("p(y) =")
def _():
    p = 0.2
    assert p**0 * (1 - p) ** (1 - 0) == 1 - p  # y = 0
    assert p**0 * (1 - p ** (1 - 0)) == 1 - p  # printed: right for y = 0 ...
    assert p**1 * (1 - p) ** (1 - 1) == p
    assert p**1 * (1 - p ** (1 - 1)) == 0  # ... and 0 for y = 1


@row("logistic regression")
def _():
    w, x, b = 1.5, 0.4, 0.3
    right = torch.sigmoid(torch.tensor(w * x + b)).item()
    assert 1 / (1 + math.exp(-(w * x + b))) == pytest.approx(right)
    assert 1 / (1 + math.exp(-w * x + b)) < 1 / (1 + math.exp(-w * x)) < right


@row("batch norm does")
def _():
    x_BC = 5 + 3 * torch.randn(64, 1, generator=torch.Generator().manual_seed(0))
    mean, deviation = x_BC.mean(0), x_BC.var(0, correction=0).sqrt()
    still = F.batch_norm(x_BC, None, None, deviation, mean, training=True, eps=1e-12)
    torch.testing.assert_close(still, x_BC)
    printed = F.batch_norm(x_BC, None, None, mean, deviation, training=True, eps=1e-12)
    assert (printed - x_BC).abs().max() > 1


@row("softmax: `exp")
def _():
    scores = torch.tensor([3.0, 1.0, -2.0])
    assert same(scores.exp() / scores.exp().sum(), scores.softmax(0))
    assert (scores.exp() / scores.exp().cumsum(0)).sum() > 1.1


@row("softmax, shifted")
def _():
    scores, log_c = torch.tensor([3.0, 1.0, -2.0]), -3.0
    powers = (scores + log_c).exp()
    assert same(powers / (scores + log_c).exp().sum(), scores.softmax(0))
    assert not same(powers / (scores.exp().sum() + log_c), scores.softmax(0))


@row("softmax's loss")
def _():
    losses = {
        (name, last): loss(np.array([[10.0, last, last]]), np.array([0]))[0]
        for name, loss in (("softmax", cross_entropy_forward), ("hinge", hinge_forward))
        for last in (-100.0, 9.0)
    }
    assert losses["softmax", -100.0] < 1e-9 < 0.55 < losses["softmax", 9.0]
    assert losses["hinge", -100.0] == losses["hinge", 9.0] == 0


@row("sigmoid:")
def _():
    x = 0.7
    assert torch.tensor(x).sigmoid().item() == pytest.approx(1 / (1 + math.exp(-x)))
    assert 1 / 1 + math.exp(-x) > 1
    above, below = math.exp(x) - math.exp(-x), math.exp(x) + math.exp(-x)
    assert above / below == pytest.approx(math.tanh(x))
    assert abs(math.exp(x) - math.exp(-x) / math.exp(x) + math.exp(-x)) > 1


@row("dropout: at test")
def _():
    torch.manual_seed(0)
    keep, x_N = 0.8, torch.ones(20_000)
    trained = float((x_N * (torch.rand(20_000) < keep)).mean())
    assert trained == pytest.approx(keep, abs=0.01)
    layer = sn.nn.VanillaDropout(keep).eval()
    assert same(layer(x_N), keep * x_N)


@row("multi-class scores")
def _():
    random = torch.Generator().manual_seed(0)
    w_KI, x_I = torch.randn(3, 5, generator=random), torch.randn(5, generator=random)
    b_K = torch.ones(3)
    assert same((w_KI * x_I).sum(1) + b_K, F.linear(x_I, w_KI, b_K))
    printed = (w_KI * x_I + b_K[:, None]).sum(1)
    assert same(printed - F.linear(x_I, w_KI, b_K), 4 * b_K)  # five times, not once


@row("L1:")
def _():
    losses_N, num_weights = np.array([1.0, 2.0, 3.0, 6.0]), 10
    assert losses_N.sum() / len(losses_N) == losses_N.mean()
    assert losses_N.mean() * num_weights / len(losses_N) != losses_N.mean()


@row("gradient checking")
def _():
    h, slope = 1e-3, math.cos(1.0)
    difference = (math.sin(1 + h) - math.sin(1 - h)) / (2 * h)
    integral = (math.sin(1 + h) + math.sin(1 - h)) / 2  # the mean over the interval
    assert abs(difference - slope) < 1e-6 < 0.1 < abs(integral - slope)


@row("random cropping")
def _():
    x = torch.zeros(4000, 1, 16, 16)
    x[:, :, 0, 0] = 1  # all there is to see is in a corner
    batch = Batch(x, {}, torch.arange(4000), torch.tensor([[16, 16]] * 4000))
    cut = compose("window")(batch, torch.Generator().manual_seed(0))
    places = (16 - cut.x.shape[-1] + 1) ** 2
    seen = float((cut.x.amax((1, 2, 3)) == 1).float().mean())
    assert seen == pytest.approx(1 / places, abs=0.03)


@row("accuracy")
def _():
    true_positive, true_negative, wrong = 20, 70, 10
    total = true_positive + true_negative + wrong
    assert (true_positive + true_negative) / total == 0.9
    assert true_positive / total == 0.2


@row("dropout: p is")
def _():
    torch.manual_seed(0)
    dropped = float((F.dropout(torch.ones(20_000), 0.2) == 0).float().mean())
    assert dropped == pytest.approx(0.2, abs=0.01)


def test_every_row_has_its_test():
    assert [sum(text.startswith(begins) for begins in HELD) for text in ROWS] == [1] * len(ROWS)
    assert len(HELD) == len(ROWS) >= 21


@pytest.mark.parametrize("begins", HELD)
def test_row_holds(begins):
    HELD[begins]()
