"""Networks that find boxes: what they give, at the sizes that they take."""

import json
from dataclasses import replace

import pytest
import torch

import snellen as sn
from snellen.core import registry
from snellen.core.errors import UsageError
from snellen.data.scenes import SHAPES
from snellen.data.world_set import WorldSet, world_source
from snellen.data.worlds import World
from snellen.models import layer_table, listing, row
from snellen.models._network import replace_head
from snellen.nn.detector import Truth

NAMES = listing("detect")
STYLES = registry.collect("snellen.nn", "STYLES")
SIZES = {"5": [[8.0, 9.0]] * 5, "9": [[8.0, 9.0]] * 9}  # of anchors, by how many there are


def thin(name, classes=3):
    torch.manual_seed(0)
    return sn.model(name, classes=classes, **row(name).thin)


def style_of(net, classes=3):
    facts = json.loads(json.dumps(net.head.style(classes, SIZES)))
    return STYLES[facts.pop("name")](**facts)


def leaves(raw):
    return raw if isinstance(raw, list) else [raw]


@pytest.mark.parametrize("size", [(64, 96), (96, 64), (128, 128)])
@pytest.mark.parametrize("name", NAMES)
def test_maps_have_the_shapes_that_the_style_reads(name, size):
    net = thin(name).eval()
    with torch.no_grad():
        raw = net(torch.zeros(2, 3, *size))
    truth = Truth(torch.tensor([[4.0, 6, 30, 40]]), torch.tensor([1]))
    perfect = style_of(net).oracle([truth] * 2, size)
    assert [m.shape for m in leaves(raw)] == [m.shape for m in leaves(perfect)]


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns_and_an_image_is_its_own(name):
    net, random = thin(name), torch.Generator().manual_seed(0)
    x, size = torch.randn(3, 3, 64, 96, generator=random), (64, 96)
    truth = [
        Truth(torch.tensor([[4.0, 6, 30, 40], [50, 20, 58, 30]]), torch.tensor([1, 2])),
        Truth(torch.tensor([[60.0, 6, 80, 40], [8, 0, 90, 60]]), torch.tensor([1, 0])),
        Truth(torch.zeros(0, 4), torch.zeros(0).long()),
    ]
    sum(style_of(net).loss(net(x), truth, size).values()).backward()
    for parameter, value in net.named_parameters():
        assert value.grad is not None, parameter
        assert value.grad.isfinite().all(), parameter
    taught = [p for p, value in net.named_parameters() if value.grad.any()]
    assert len(taught) >= 0.8 * len(list(net.parameters()))  # a map may have no object
    with torch.no_grad():
        whole, alone = (leaves(net.eval()(part)) for part in (x, x[1:2]))
    for one, many in zip(alone, whole, strict=True):
        torch.testing.assert_close(one[0], many[1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_other_classes_change_the_last_layers_alone(name):
    net = thin(name)
    before = {k: v.shape for k, v in net.state_dict().items()}
    replace_head(net, 5)
    again = thin(name, 5)
    assert {k: v.shape for k, v in net.state_dict().items()} == {
        k: v.shape for k, v in again.state_dict().items()
    }
    changed = [k for k, v in net.state_dict().items() if v.shape != before[k]]
    assert {k.rpartition(".")[2] for k in changed} == {"weight", "bias"}
    assert all(k.startswith("head.") for k in changed)


@pytest.mark.parametrize("name", NAMES)
def test_layers_are_told_of_every_detector(name):
    assert sum(line["macs"] for line in layer_table(name)) == row(name).macs


def test_sizes_that_do_not_fit_are_said():
    net = sn.model("yolov2-small", classes=3)
    with pytest.raises(UsageError, match="would"):
        net(torch.zeros(1, 3, 100, 104))
    with pytest.raises(UsageError, match="imgsz="):
        sn.model("tv:ssd300_vgg16", imgsz=96)


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("yolov1-small", {}),
        ("yolov2-small", {"augment": "flip+multiscale"}),
        ("ssd-small", {}),
        ("faster_rcnn-small", {}),
    ],
)
def test_a_training_runs_and_its_answers_do_not_depend_on_the_batch(model, more, tmp_path):
    whole = world_source(World(), SHAPES)
    source = replace(whole, train=WorldSet(0, 24, World()), val=WorldSet(1, 6, World()))
    run = sn.train(
        source, task="detect", model=model, epochs=2, batch=8, project=tmp_path, quiet=True,
        doctor=False, **more,
    )  # fmt: skip
    assert 0 <= run.metrics["mAP50-95"] <= 1
    pictures = [source.val[i].image_CHW.permute(1, 2, 0).numpy() for i in range(4)]
    for one, picture in zip(run.predict(pictures), pictures, strict=True):
        alone = run.predict([picture])[0]
        torch.testing.assert_close(alone.scores_N[:3], one.scores_N[:3], atol=1e-4, rtol=1e-3)


def test_a_network_that_was_made_beforehand_is_trained(tmp_path):
    whole = world_source(World(), SHAPES)
    source = replace(whole, train=WorldSet(0, 8, World()), val=WorldSet(1, 4, World()))
    run = sn.train(
        source, task="detect", model=thin("ssd-small", 6), epochs=1, batch=4, project=tmp_path,
        quiet=True, doctor=False,
    )  # fmt: skip
    assert run.status == "finished"
