"""Every row of every family keeps the promises of a row; a new family is tested unseen."""

import copy

import numpy as np
import pytest
import torch

import snellen as sn
from snellen.core import registry
from snellen.core.errors import LeftOut, UnknownName, UsageError
from snellen.core.shapes import shapes_alone
from snellen.models import describe, layer_table, listing, row
from snellen.models._network import Network, freeze_through, replace_head
from snellen.models._row import changed, options
from snellen.nn.count import count_macs, count_params, layers

NAMES = listing()


def one_of_each_kind():
    """Rows that differ in more than their depth, width and claims: the thin networks to train."""
    kinds = {}
    for name in NAMES:
        found = row(name)
        thinned = changed(found, name, found.thin)
        kinds.setdefault(repr([type(found)] + [getattr(thinned, o) for o in options(found)]), name)
    return list(kinds.values())


KINDS = one_of_each_kind()
ONE_A_FAMILY = sorted({type(row(n)): n for n in reversed(KINDS) if "_cifar" not in n}.values())


def thin(name, classes=7, channels=3, **change):
    found = row(name)
    torch.manual_seed(0)
    return changed(found, name, {**found.thin, **change}).make(classes, channels)


def images(name, batch=2, channels=3):
    side = row(name).thin_size
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
def test_claims_are_what_the_network_counts(name):
    """Parameters alone miss a misplaced stride; multiply-adds catch it."""
    found = row(name)
    with shapes_alone():
        net = sn.model(name)
        macs = count_macs(net, found.input)
    assert net.row == found
    assert net.channels == found.input[0]
    assert count_params(net) == found.params
    assert (count_params(net.aux) if net.aux else 0) == found.aux_params
    assert macs == found.macs


@pytest.mark.parametrize("name", KINDS)
def test_thin_network_learns_with_every_parameter(name):
    net, x = thin(name, channels=2), images(name, channels=2)
    logits = net(x)
    (logits.square().mean() + sum(a.square().mean() for a in net.aux_logits)).backward()
    assert logits.shape == (2, 7)
    assert [a.shape for a in net.aux_logits] == [(2, 7)] * len(net.aux or ())
    for parameter, value in net.named_parameters():
        assert value.grad is not None, parameter
        assert value.grad.isfinite().all(), parameter
        assert value.grad.any(), parameter
    copy.deepcopy(net)  # the graph of aux_logits must not forbid it
    first = net.eval()(x[:1])
    assert first.shape == (1, 7)
    assert net.aux_logits == ()
    found = net.features(x[:1])
    assert list(found) == list(net.stages)
    assert torch.equal(net.head(found[net.stages[-1]]), first)


@pytest.mark.parametrize("name", KINDS)
def test_same_seed_same_network_and_state_dict_round_trip(name):
    x, one, two = images(name), thin(name).eval(), thin(name).eval()
    assert torch.equal(one(x), two(x))
    torch.manual_seed(5)
    found = row(name)
    other = changed(found, name, found.thin).make(7, 3).eval()
    assert not torch.equal(one(x), other(x))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(x), other(x))


@pytest.mark.parametrize("name", KINDS)
def test_head_and_stages_are_handled_by_name(name):
    net = thin(name)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    assert replace_head(net, 3)(images(name)).shape == (2, 3)
    replaced = {k for k, v in net.state_dict().items() if "num_batches" not in k and (
        k not in before or before[k].shape != v.shape)}  # fmt: skip
    assert len(replaced) <= 2 * (1 + len(net.aux or ()))
    same = {k: v for k, v in net.state_dict().items() if k not in replaced}
    assert all(torch.equal(v, before[k]) for k, v in same.items() if "running" not in k
               and "num_batches" not in k)  # fmt: skip
    middle = net.stages[len(net.stages) // 2]
    prefixes = tuple(freeze_through(net.train(), middle))
    assert len(prefixes) == len(net.stages) // 2 + 1
    held = {k: v.clone() for k, v in net.state_dict().items() if k.startswith(prefixes)}
    net.train()(images(name))
    for parameter, value in net.named_parameters():
        assert value.requires_grad != parameter.startswith(prefixes), parameter
    assert all(torch.equal(net.state_dict()[k], v) for k, v in held.items())


@pytest.mark.parametrize("name", KINDS)
def test_a_body_gives_the_vector_before_the_logits(name):
    net = replace_head(thin(name), None)
    vector = net.train()(images(name))
    assert vector.dim() == 2
    assert net.aux_logits == ()
    assert replace_head(net, 4)(images(name)).shape == (2, 4)


def test_a_fresh_head_starts_as_the_family_starts_its_own():
    """SqueezeNet's ReLU on the logits leaves a class that starts below 0 without a gradient."""
    net = replace_head(thin("squeezenet1_1"), 12)
    assert torch.equal(net.head.fc.bias, torch.ones(12))
    net(images("squeezenet1_1")).sum().backward()
    assert (net.head.fc.bias.grad > 0).all()
    body = replace_head(thin("squeezenet1_1"), None)
    assert torch.equal(replace_head(body, 3).head.fc.bias, torch.ones(3))
    for of in (thin("googlenet"), copy.deepcopy(thin("googlenet"))):
        fresh = replace_head(of, 3)
        ends = [fresh.head.fc, *(aux[-1] for aux in fresh.aux.values())]
        assert not any(end.bias.any() for end in ends)


def test_a_fresh_convolution_looks_as_the_old_one_did():
    old = torch.nn.Conv2d(8, 6, 3, padding=2, dilation=2, groups=2, padding_mode="reflect")
    net = replace_head(Network({"stem": torch.nn.Identity()}, torch.nn.Sequential(old), 8), 4)
    assert str(net.head[0]) == str(old).replace("8, 6", "8, 4")


def test_features_are_asked_for_by_name():
    net = thin("resnet18").eval()
    x = images("resnet18")
    found = net.features(x, ["layer3.0", "stem.bn", "head.flatten"])
    assert list(found) == ["layer3.0", "stem.bn", "head.flatten"]
    assert torch.equal(found["stem.bn"], net.stem.bn(net.stem.conv(x)))  # before ReLU in place
    assert torch.equal(net.head.fc(found["head.flatten"]), net(x))
    ran = []
    net.layer2.register_forward_hook(lambda *_: ran.append(1))
    assert list(net.features(x, "layer1")) == ["layer1"]
    assert ran == []
    with pytest.raises(UnknownName, match="did you mean layer3"):
        net.features(x, ["layer33"])
    with pytest.raises(UsageError, match="channels=1"):
        net.features(x[:, :1])
    with pytest.raises(UsageError, match=r"inception3a\.branches.* name a layer in it"):
        thin("googlenet").features(images("googlenet"), ["inception3a.branches"])


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [("resnet18", {"stem": "smal"}, "did you mean small"),
     ("densenet121", {"stem": "smal"}, "did you mean small"),
     ("resnet50", {"stride_on": "2x2"}, "there are: 1x1, 3x3"),
     ("resnet18", {"shortcut": "A"}, "there are: none, pad, projection"),
     ("alexnet", {"norm": "befor"}, "did you mean before"),
     ("resnet18", {"block": "botleneck"}, "did you mean bottleneck"),
     ("seresnet50", {"pool": "ciel"}, "did you mean ceil"),
     ("shufflenet_v1_g3_1.0x", {"groups": 5}, "groups=5 is not one of 1, 2, 3, 4, 8"),
     ("shufflenet_v1_g8_1.0x", {"stem_width": 12}, "stem_width=12 is no multiple of groups=8"),
     ("inception_v3", {"modules": ("5z",)}, "modules="),
     ("vgg11", {"depths": (1, 1)}, "a list of 5"),
     ("resnet18", {"width": 8.0}, "not a whole number from 1 up"),
     ("resnet18", {"width": 0}, "not a whole number from 1 up"),
     ("resnet18", {"width": True}, "not a whole number"),
     ("mobilenet_v2", {"dropout": 1.5}, "from 0 to 1"),
     ("mobilenet_v2", {"width": float("nan")}, "from 0.001 to 10000"),
     ("vgg11", {"norm": "yes"}, "not yes or no"),
     ("alexnet", {"groups": (7, 1, 1, 1, 1)}, "make no AlexNet"),
     ("resnet18", {"classes": True}, "classes=True"), ("resnet18", {"channels": 0}, "channels=0"),
     ("resnet18", {"imgsz": 32.0}, "imgsz=32.0")],
)  # fmt: skip
def test_wrong_values_of_options_say_what_may_be(name, options, said):
    with pytest.raises(UsageError, match=said):
        sn.model(name, **options)


def test_want_of_memory_is_not_the_columns_fault():
    with pytest.raises(RuntimeError, match="memory"):
        sn.model("mlp", hidden=[10**13])


def test_values_of_other_makes_are_taken():
    net = sn.model("resnet18", classes=np.int64(3), imgsz=np.int32(32), depths=[1, 1, 1, 1])
    assert net.head.fc.out_features == 3
    assert net.row.depths == (1, 1, 1, 1)


def test_wrong_inputs_say_which_would_do():
    resnet, lenet = sn.model("resnet18", classes=2), sn.model("lenet5")
    with pytest.raises(UsageError, match="channels=1"):
        resnet(torch.zeros(2, 1, 32, 32))
    with pytest.raises(UsageError, match=r"one image is x\[None\]"):
        resnet(torch.zeros(3, 32, 32))
    with pytest.raises(UsageError, match="32x32 would"):
        lenet(torch.zeros(2, 1, 28, 28))
    with pytest.raises(UsageError, match="70x70 and 95x95 would"):
        sn.model("inception_v2_bn", imgsz=72)
    with pytest.raises(UsageError, match="63x63 would"):
        sn.model("alexnet", imgsz=32)
    with pytest.raises(UsageError, match="two images or more"):
        resnet.train()(torch.zeros(1, 3, 32, 32))
    with pytest.raises(UsageError, match="aux=False"):
        sn.model("inception_v3", imgsz=128)  # in training mode
    with pytest.raises(UsageError, match="imgsz=320 where it is made"):
        lenet(torch.zeros(2, 1, 320, 320))
    with pytest.raises(UsageError, match=r"give x.to\(torch.float32\)"):
        resnet(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    with pytest.raises(UsageError, match="ndarray; a tensor is wanted"):
        resnet(np.zeros((2, 3, 32, 32)))
    with pytest.raises(UsageError, match="classes=0"):
        replace_head(lenet, 0)
    assert replace_head(sn.model("lenet5").double(), 3).head.fc.weight.dtype == torch.float64
    with pytest.raises(UsageError, match="classes=0"):
        sn.model("resnet18", classes=0)


def test_another_error_inside_a_network_stays_itself():
    net = sn.model("lenet5_bn", imgsz=8)
    net.conv1.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(ValueError("mine")))
    with pytest.raises(ValueError, match="mine"):
        net(torch.zeros(2, 1, 8, 8))


def test_imgsz_fits_the_network_to_the_images():
    assert sn.model("lenet5_bn", classes=10, channels=1, imgsz=16)(torch.zeros(2, 1, 16, 16)).shape
    small = sn.model("resnet18", classes=10, imgsz=32)
    assert small.stem(torch.zeros(1, 3, 32, 32)).shape[2:] == (32, 32)
    large = sn.model("resnet18", imgsz=32, stem="imagenet")
    assert large.stem(torch.zeros(1, 3, 32, 32)).shape[2:] == (8, 8)


@pytest.mark.parametrize("name", [n for n in ONE_A_FAMILY if "stem" in row(n).small])
def test_small_images_keep_their_size_longer(name):
    """At 32x32 the last maps are at least twice as large as the unchanged network's."""
    sides = []
    for imgsz in (32, None):
        with shapes_alone():
            net = sn.model(name, imgsz=imgsz).eval()
            sides.append(list(net.features(torch.zeros(1, 3, 32, 32)).values())[-1].shape[-1])
    assert sides[0] >= 2 * sides[1]


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
def test_shufflenet_has_every_width_of_the_papers_tables(groups):
    """1x, 0.5x and 0.25x of table 2, and larger ones, near the width that is asked for."""
    last = {1: 576, 2: 800, 3: 960, 4: 1088, 8: 1536}[groups]  # table 1
    for width in (0.25, 0.5, 1.0, 1.5, 2.0):
        with shapes_alone():
            net = sn.model(f"shufflenet_v1_g{groups}_1.0x", width=width).eval()
            assert net(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)
        assert abs(net.head.fc.in_features / (last * width) - 1) < 0.1


def test_template_keeps_the_notes_size_rules():
    with pytest.raises(UsageError, match="imgsz=24"):
        sn.model("convnet", imgsz=28)
    with pytest.raises(UsageError, match="one of 3, 5"):
        sn.model("convnet", kernel=4)
    net = sn.model("convnet", classes=10, convs=1, pools=2, fcs=0, imgsz=28, channels=1)
    pools = [layer for layer in layers(net, (1, 28, 28)) if layer["kind"] == "MaxPool2d"]
    assert [pool["shape"] for pool in pools] == [[32, 14, 14], [64, 7, 7]]


def test_lenet_of_1998_has_the_papers_connections():
    """Each output of C1, C3, C5 and F6 counts its inputs and a bias, S2 and S4 four and a bias."""
    net = sn.model("lenet5_1998", classes=10, channels=1)
    table = {layer["name"]: layer for layer in layers(net, (1, 32, 32))}
    outputs = [torch.Size(layer["shape"]).numel() for layer in table.values() if layer["macs"]]
    sampled = [6 * 14 * 14, 16 * 5 * 5]
    radial = 10 * 84
    connections = describe("lenet5_1998")["macs"] + sum(outputs) + 5 * sum(sampled) + radial
    assert connections == 340_908
    assert count_params(net) == 60_000


def test_wrong_words_name_the_right_ones():
    with pytest.raises(UnknownName, match="did you mean resnet50"):
        sn.model("resnet5o")
    with pytest.raises(UnknownName, match="did you mean stem"):
        sn.model("resnet50", stm="small")
    with pytest.raises(UsageError, match="a name is wanted"):
        sn.model(5)
    with pytest.raises(UsageError, match="'resnet18' is the one there is"):
        sn.model("paper:resnet18")


@pytest.mark.parametrize("name", [n for n in listing(None) if n not in NAMES])
def test_a_network_of_another_task_is_its_row_too(name):
    with shapes_alone():
        net = sn.model(name)
    assert count_params(net) == row(name).params


def test_bare_names_are_torchvisions_then_the_papers():
    assert describe("resnet50")["macs"] == 4_089_184_256
    assert row("lenet5") is row("paper:lenet5")
    assert row("darknet53") is row("paper:darknet53") is not row("timm:darknet53")
    assert row("inception_v3") is row("tv:inception_v3") is not row("timm:inception_v3")
    assert "mobilenetv2_100" not in listing()  # torchvision's mobilenet_v2 by another name
    assert {"tv:resnet50", "resnet50", "lenet5_bn"} <= set(sn.models())


def test_family_dropped_in_as_one_file_is_found(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "tiny_family.py").write_text(FAMILY)
    monkeypatch.setenv("SNELLEN_PATH", str(tmp_path))
    registry.collect.cache_clear()
    try:
        assert "tiny" in sn.models()
        net = sn.model("tiny", classes=3)
        assert isinstance(net, Network)
        assert net(torch.zeros(2, 3, 8, 8)).shape == (2, 3)
        assert describe("tiny")["params"] == count_params(sn.model("tiny", classes=5))
        assert {"tiny", "mine:wide"} <= set(listing())
        (tmp_path / "models" / "other.py").write_text(
            "from snellen.models.mlp import MLP\nTABLE = {'resnet18': MLP(1, 1)}"
        )
        registry.collect.cache_clear()
        with pytest.warns(LeftOut, match=r"other\.py .*declares 'resnet18', which .*resnet has"):
            assert sn.model("resnet18", classes=2).row.family == "ResNet"
    finally:
        registry.collect.cache_clear()


FAMILY = """
from dataclasses import dataclass
from torch import nn
from snellen.models import Network, Row, conv_bn, pooled_head

@dataclass(frozen=True)
class Tiny(Row):
    params: int = 0
    macs: int = 0
    width: int = 4
    input: tuple = (3, 8, 8)
    classes: int = 5
    family, paper, thin = "Tiny", "nobody 2026", {}

    def build(self, classes, channels):
        stages = {"a": conv_bn(channels, self.width, 3)}
        return Network(stages, pooled_head(self.width, classes), channels)

TABLE = {"tiny": Tiny(), "mine:wide": Tiny(width=8)}
"""


def test_layer_table_counts_and_reaches():
    table = layer_table("resnet18")
    assert sum(line["macs"] for line in table) == describe("resnet18")["macs"]
    assert sum(line["params"] for line in table) == describe("resnet18")["params"]
    reach = {line["name"]: line["receptive_field"] for line in table}
    assert reach["stem.conv"] == 7
    assert reach["stem.3"] == 11
    assert reach["layer4.1.branch.1.conv"] == 435  # known from the literature
    pair = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, dilation=2), torch.nn.Conv2d(1, 1, 3))
    assert [line["receptive_field"] for line in layers(pair, (1, 16, 16))] == [5, 7]


@pytest.mark.parametrize(
    ("name", "layer", "pixels"),
    [("alexnet", "conv5.2", 195), ("alexnet", "head.0", 195), ("vgg16", "head.0", 212),
     ("legacy_seresnet18", "layer4.1.branch.2", 435), ("paper:resnet50", "layer4", 483),
     ("paper:resnet101", "layer4", 1027), ("mobilenet_v1_1.0", "block13", 315),
     ("inception_v3", "mixed7c", 1311), ("inception_v4", "c3", 2071),
     ("inception_resnet_v2", "conv", 3039)],
)  # fmt: skip
def test_receptive_fields_are_the_published_ones(name, layer, pixels):
    """Araujo 2019, Computing receptive fields of convolutional neural networks (Distill)."""
    reaches = [r["receptive_field"] for r in layer_table(name) if r["name"].startswith(layer)]
    assert max(reaches) == pixels


def test_activations_of_vgg16_take_what_its_table_says():
    """Outputs of convolutions and pools in the paper's table, ReLU in place, then the fcs."""
    maps = sum(w * (d * s**2 + (s // 2) ** 2)
               for w, d, s in zip((64, 128, 256, 512, 512), (2, 2, 3, 3, 3),
                                  (224, 112, 56, 28, 14), strict=True))  # fmt: skip
    dropout, pooled = 2 * 4096, 512 * 7 * 7
    numbers = maps + pooled + 2 * 4096 + dropout + 1000
    assert sum(r["activation_bytes"] for r in layer_table("vgg16")) == 4 * numbers


def test_activations_of_resnet50_take_what_its_table_says():
    """Each convolution and its norm keep their output, each block its sum; ReLU is in place."""
    numbers = 2 * 64 * 112**2 + 64 * 56**2 + 2048 + 1000
    for stage, depth in enumerate((3, 4, 6, 3)):
        width, side = 64 << stage, 56 >> stage
        for block in range(depth):
            before = side * 2 if stage and not block else side
            numbers += 2 * width * before**2 + 2 * width * side**2 + 2 * 4 * width * side**2
            numbers += 4 * width * side**2  # the sum
            numbers += 2 * 4 * width * side**2 if not block else 0  # the projection
    assert sum(r["activation_bytes"] for r in layer_table("resnet50")) == 4 * numbers


def test_concatenations_have_lines_of_their_own():
    """DenseNet's cost in memory: every layer writes all maps before it once more."""
    table = {r["name"]: r for r in layer_table("densenet121")}
    assert table["dense1.5"]["activation_bytes"] == 4 * (64 + 6 * 32) * 56**2
    assert table["dense1.5"]["params"] == 0
