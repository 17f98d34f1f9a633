"""`weights=`: what others wrote is taken by its names, and what does not fit is named.

That torchvision's and timm's files give torchvision's and timm's outputs is tests/test_parity.py.
Here the foreign names are written out for a few networks, so that it is tested without them.
"""

import re
import warnings

import pytest
import torch
from running import run_cli
from safetensors.torch import save_file
from torch import nn

import snellen as sn
from snellen.core.errors import DataError
from snellen.models import _weights, describe, listing, load_weights, models, replace_head, row
from snellen.models._names import Named
from snellen.models._row import changed, options


def thin(name, classes=7, channels=3, **change):
    found = row(name)
    torch.manual_seed(0)
    return changed(found, name, {**found.thin, **change}).make(classes, channels)


def torchvisions_names(blocks=(2, 2, 2, 2)):
    """The layers of torchvision's resnet18, one after the other."""
    names = ["conv1", "bn1"]
    for stage, depth in enumerate(blocks, 1):
        for i in range(depth):
            block = f"layer{stage}.{i}"
            names += [f"{block}.{layer}" for layer in ("conv1", "bn1", "conv2", "bn2")]
            if stage > 1 and i == 0:
                names += [f"{block}.downsample.0", f"{block}.downsample.1"]
    return [*names, "fc"]


def as_torchvision(net, blocks=(2, 2, 2, 2)):
    """Our resnet18's numbers under torchvision's names, which it has in the same order."""
    return renamed(net, torchvisions_names(blocks))


def renamed(net, names):
    """The state dict with other names for the layers, which are in the same order."""
    layers = [k for k, m in net.named_modules() if [*m.parameters(recurse=False)]]
    new = dict(zip(layers, names, strict=True))
    return {f"{new[k.rpartition('.')[0]]}.{k.rpartition('.')[2]}": v.clone()
            for k, v in net.state_dict().items()}  # fmt: skip


@pytest.fixture(scope="module")
def pretrained():
    net = thin("resnet18", 5, depths=(2, 2, 2, 2), width=8)
    generator = torch.Generator().manual_seed(1)
    for value in net.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator))
    return net


def fresh(classes=5, channels=3):
    return thin("resnet18", classes, channels, depths=(2, 2, 2, 2), width=8)


def equal(a, b, but=()):
    states = (a.state_dict(), b.state_dict())
    return [k for k in states[0] if k not in but and not torch.equal(*(s[k] for s in states))] == []


def wrapped(state, how):
    """What various trainings write."""
    prefixed = {f"module.{k}": v for k, v in state.items()}
    noise = {k: torch.zeros_like(v) for k, v in state.items()}
    return {
        "plain": state,
        "DataParallel": prefixed,
        "compiled": {f"_orig_mod.{k}": v for k, v in state.items()},
        "a training's": {"epoch": 3, "optimizer": {"lr": 0.1}, "state_dict": prefixed},
        "torchvision's average": {
            "model": noise, "model_ema": {**prefixed, "n_averaged": torch.tensor(9)},
        },
        "timm's average": {"state_dict": noise, "state_dict_ema": state},
        "Lightning's": {"state_dict": {f"model.{k}": v for k, v in state.items()}},
        "a backbone's": {f"backbone.{k}": v for k, v in state.items()},
    }[how]  # fmt: skip


@pytest.mark.parametrize(
    "how",
    ["plain", "DataParallel", "compiled", "a training's", "torchvision's average", "timm's average",
     "Lightning's", "a backbone's"],
)  # fmt: skip
@pytest.mark.parametrize("whose", ["ours", "torchvision's"])
def test_wrapped_weights_are_taken_and_the_wrapping_is_said(pretrained, tmp_path, how, whose):
    state = pretrained.state_dict() if whose == "ours" else as_torchvision(pretrained)
    torch.save(wrapped(state, how), tmp_path / "weights.pth")
    net = fresh()
    notes = load_weights(net, tmp_path / "weights.pth")
    assert equal(net, pretrained)
    said = [note for note in notes if "took" in note]
    assert bool(said) == (how not in ("plain", "a backbone's"))
    assert ("average" in how) == any("it has" in note for note in said)


def test_safetensors_in_the_alphabets_order(pretrained, tmp_path):
    state = as_torchvision(pretrained)
    save_file(state, tmp_path / "weights.safetensors")
    net = fresh()
    load_weights(net, tmp_path / "weights.safetensors")
    assert equal(net, pretrained)
    assert next(iter(state)) == "conv1.weight"


def test_another_head_keeps_its_fresh_weights_and_all_others_are_equal(pretrained, tmp_path):
    save_file(as_torchvision(pretrained), tmp_path / "weights.safetensors")
    net, head = fresh(9), fresh(9).head
    notes = load_weights(net, tmp_path / "weights.safetensors")
    assert equal(net, pretrained, but=("head.fc.weight", "head.fc.bias"))
    assert equal(net.head, head)
    assert sum("left as it was" in note for note in notes) == 2


@pytest.mark.parametrize("whose", ["ours", "torchvision's"])
@pytest.mark.parametrize("torn", ["weight", "bias"])
def test_a_head_of_two_numbers_of_classes_is_refused(pretrained, tmp_path, whose, torn):
    state = pretrained.state_dict() if whose == "ours" else as_torchvision(pretrained)
    name = f"{'head.fc' if whose == 'ours' else 'fc'}.{torn}"
    save_file({**state, name: state[name][:3].clone()}, tmp_path / "weights.safetensors")
    for classes in (3, 5, 9):
        net = fresh(classes)
        with pytest.raises(DataError, match=r"head\.fc\.weight|head\.fc\.bias"):
            load_weights(net, tmp_path / "weights.safetensors")
        assert equal(net, fresh(classes))


@pytest.mark.parametrize("whose", ["ours", "torchvision's"])
def test_a_file_without_a_head_fits(pretrained, tmp_path, whose):
    state = pretrained.state_dict() if whose == "ours" else as_torchvision(pretrained)
    without = {k: v for k, v in state.items() if not k.startswith(("head.", "fc."))}
    torch.save(without, tmp_path / "weights.pth")
    net = fresh()
    assert (
        len([n for n in load_weights(net, tmp_path / "weights.pth") if "not in the file" in n]) == 2
    )
    assert equal(net, pretrained, but=("head.fc.weight", "head.fc.bias"))


class Detector(nn.Module):
    """A body of ours with a head of another kind."""

    def __init__(self):
        super().__init__()
        self.body = replace_head(fresh(), None)
        self.boxes = nn.Conv2d(64, 4, 1)


@pytest.mark.parametrize("whose", ["ours", "torchvision's"])
def test_a_body_in_another_net_takes_all_but_the_head(pretrained, tmp_path, whose):
    state = pretrained.state_dict() if whose == "ours" else as_torchvision(pretrained)
    torch.save(state, tmp_path / "weights.pth")
    net = Detector()
    boxes = net.boxes.weight.clone()
    notes = load_weights(net, tmp_path / "weights.pth")
    assert equal(net.body, pretrained)
    assert torch.equal(net.boxes.weight, boxes)
    assert any("fc" in note and "not used" in note for note in notes)


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_other_channels_see_gray_pictures_as_before(pretrained, tmp_path, channels):
    """A picture whose channels are all alike gives what three such channels gave."""
    torch.save(as_torchvision(pretrained), tmp_path / "weights.pth")
    net = fresh(channels=channels)
    notes = load_weights(net, tmp_path / "weights.pth")
    assert equal(net, pretrained, but=("stem.conv.weight",))
    assert any("stem.conv.weight" in note and f"to {channels}" in note for note in notes)
    gray = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        ours = net.stem.conv(gray.expand(-1, channels, -1, -1))
        theirs = pretrained.stem.conv(gray.expand(-1, 3, -1, -1))
    if channels in (1, 6):  # else the colours do not take turns equally often
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def break_one(state, what):
    bad = dict(state)
    if what == "shape":
        bad["layer2.1.conv2.weight"] = torch.zeros(16, 16, 5, 5)
    elif what == "missing leaf":
        del bad["layer2.1.bn2.bias"]
    elif what == "missing layer":
        del bad["layer2.1.conv2.weight"]
    elif what == "unknown layer":
        bad["layer2.1.conv2x.weight"] = torch.zeros(3)
    elif what == "extra layer":
        bad["layer2.1.conv3.weight"] = torch.zeros(16, 16, 3, 3)
    elif what == "transposed":
        bad["fc.weight"] = bad["fc.weight"].T.contiguous()
    return bad


@pytest.mark.parametrize(
    ("what", "named"),
    [("shape", r"layer2\.1\.conv2, here layer2\.1\.branch\.1\.conv: weight is \(16, 16, 5, 5\)"),
     ("missing leaf", r"layer2\.1\.bn2 has weight, running_mean.*layer2\.1\.branch\.1\.bn"),
     ("missing layer", r"layer2\.1\.branch\.[01]\.conv: missing in the file"),
     ("unknown layer", r"layer2\.1\.conv2x"),
     ("extra layer", r"layer2\.1\.conv[123]: only in the file"),
     ("transposed", r"fc, here head\.fc: weight is \(64, 5\)")],
)  # fmt: skip
def test_a_misfit_is_named_and_nothing_changes(pretrained, tmp_path, what, named):
    torch.save(break_one(as_torchvision(pretrained), what), tmp_path / "weights.pth")
    net = fresh()
    with pytest.raises(DataError, match=named) as caught:
        load_weights(net, tmp_path / "weights.pth")
    assert "weights.pth" in str(caught.value)
    assert equal(net, fresh())


def test_another_networks_file_is_refused_by_its_names(pretrained, tmp_path):
    torch.save(as_torchvision(pretrained), tmp_path / "resnet18.pth")
    with pytest.raises(DataError, match=r"VGG has no such layers\):\nconv1: weight \(8, 3, 3"):
        load_weights(thin("vgg11"), tmp_path / "resnet18.pth")
    with pytest.raises(DataError, match="neither torchvision nor timm"):
        load_weights(sn.model("lenet5_bn"), tmp_path / "resnet18.pth")
    shallow = thin("resnet18", 5, depths=(2, 2, 2, 1), width=8)
    torch.save(as_torchvision(shallow, (2, 2, 2, 1)), tmp_path / "shallow.pth")
    with pytest.raises(DataError, match=r"layer4\.1\.branch\.1\.conv: missing in the file"):
        load_weights(fresh(), tmp_path / "shallow.pth")
    torch.save(shallow.state_dict(), tmp_path / "own.pth")
    with pytest.raises(DataError, match=r"layer4\.1\.branch\.0\.conv\.weight"):
        load_weights(fresh(), tmp_path / "own.pth")


def test_a_file_for_large_images_says_what_to_do(tmp_path, caplog):
    """The public way; one block a stage of a sixteenth of the width keeps the test quick."""
    small = {"width": 4, "depths": (2, 2, 2, 2)}
    file = tmp_path / "resnet18.pth"
    torch.save(as_torchvision(sn.model("resnet18", 5, **small)), file)
    with pytest.raises(DataError, match=re.compile(r"\(4, 3, 7, 7\).*imgsz above 64", re.DOTALL)):
        sn.model("resnet18", classes=3, imgsz=32, weights=file, **small)
    net = sn.model("resnet18", classes=3, channels=1, weights=file, **small)
    assert "fitted to 1" in caplog.text
    assert "left as it was" in caplog.text
    assert any("fitted to 1" in note for note in net.notes)
    assert net.stem.conv.weight.shape[1] == 1


def test_auxiliary_heads_may_be_absent_on_either_side(tmp_path):
    with_aux, without = thin("googlenet", 7), thin("googlenet", 7, aux=False)
    save_file(with_aux.state_dict(), tmp_path / "with.safetensors")
    save_file(without.state_dict(), tmp_path / "without.safetensors")
    assert any("aux." in note for note in load_weights(without, tmp_path / "with.safetensors"))
    assert equal(without, with_aux)
    notes = load_weights(with_aux, tmp_path / "without.safetensors")
    assert notes
    assert all(note.startswith("aux.") for note in notes)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 7])
def test_filters_for_other_input_channels_keep_their_sum(tmp_path, channels):
    small = {"width": 4, "depths": (1, 1, 1, 1), "imgsz": 32}
    coloured = sn.model("resnet18", 5, **small)
    torch.save(coloured.state_dict(), tmp_path / "rgb.pth")
    net = sn.model("resnet18", 5, channels=channels, weights=tmp_path / "rgb.pth", **small)
    filters, wanted = net.stem.conv.weight, coloured.stem.conv.weight
    assert filters.shape[1] == channels
    torch.testing.assert_close(filters.sum(1), wanted.sum(1))
    if channels == 4:  # red, green, blue, red: the red share is halved
        torch.testing.assert_close(filters[:, 3], wanted[:, 0] / 2)
        torch.testing.assert_close(filters[:, 1], wanted[:, 1])


@pytest.mark.parametrize("junk", [nn.Linear(2, 2), {"a": print}, [torch.zeros(2)]])
def test_pickled_code_is_refused(tmp_path, junk):
    torch.save(junk, tmp_path / "junk.pt")
    with pytest.raises(DataError, match=r"junk\.pt"):
        sn.model("lenet5_bn", weights=tmp_path / "junk.pt")


def test_a_training_starts_from_torchvisions_file(tmp_path):
    """The command line's weights=, on digits with another number of classes and of channels."""
    names = ["conv1", "bn1"]
    for stage in (1, 2, 3):
        for i in range(3):
            names += [f"layer{stage}.{i}.{layer}" for layer in ("conv1", "bn1", "conv2", "bn2")]
    net = sn.model("resnet20_cifar_A", 5)
    torch.save(renamed(net, [*names, "fc"]), tmp_path / "cifar.pth")
    ended = run_cli("train", "digits", "model=resnet20_cifar_A", f"weights={tmp_path}/cifar.pth",
                    "epochs=1", "batch=64", f"project={tmp_path}",
                    "doctor=no")  # fmt: skip
    said = ended.out + ended.err
    assert ended.code == 0, said
    assert "filters for 3 input channels were fitted to 1" in said
    assert "head.fc.weight is (5, 64) in the file, (10, 64) here" in said


def test_lenet_of_1998_takes_its_own_file_for_other_classes(tmp_path):
    """Its last layer has no parameters, only the classes' codes."""
    torch.save(sn.model("lenet5_1998", 10, 1).state_dict(), tmp_path / "weights.pth")
    notes = load_weights(sn.model("lenet5_1998", 7, 1), tmp_path / "weights.pth")
    assert [note.split()[0] for note in notes] == ["head.rbf.code_KD"]


BLOCKS = ("stem.conv1", "stages.0.conv_down", "stages.0.blocks.0.conv1", "stages.0.blocks.0.conv2")
DARKNET = [*(f"{block}.{leaf}" for block in BLOCKS for leaf in ("conv", "bn")), "head.fc"]


def test_a_librarys_file_is_refused_where_its_network_computes_something_else(tmp_path):
    theirs = thin("timm:darknet53", depths=(1,))
    torch.save(renamed(theirs, DARKNET), tmp_path / "timm.pth")
    with pytest.raises(
        DataError, match=r"timm's names, whose network has slope=0\.01 where .* slope=0\.1"
    ):
        load_weights(thin("darknet53", depths=(1,)), tmp_path / "timm.pth")
    ours = thin("darknet53", depths=(1,), slope=0.01)
    load_weights(ours, tmp_path / "timm.pth")
    assert equal(ours, theirs)


def as_torchvisions_googlenet(net):
    """Our numbers under names that torchvision's order as ours do."""
    ours = {"aux.inception4a": "aux1", "aux.inception4d": "aux2", "head.fc": "fc",
            ".branches.": ".branch"}  # fmt: skip
    return {re.sub("|".join(map(re.escape, ours)), lambda m: ours[m[0]], name): value.clone()
            for name, value in net.state_dict().items()}  # fmt: skip


def test_torchvisions_googlenet_rescales_its_input_as_its_published_weights_want(tmp_path, caplog):
    thinned = {**row("googlenet").thin, "transform_input": True}
    theirs = sn.model("googlenet", 7, **thinned).eval()
    torch.save(as_torchvisions_googlenet(theirs), tmp_path / "googlenet.pth")
    x = torch.randn(2, 3, 80, 80, generator=torch.Generator().manual_seed(1))
    same = sn.model("googlenet", 7, weights=tmp_path / "googlenet.pth", **thinned).eval()
    assert same.notes == ()
    assert torch.equal(same(x), theirs(x))
    plain = {**thinned, "transform_input": False}
    other = sn.model("googlenet", 7, weights=tmp_path / "googlenet.pth", **plain).eval()
    assert "build the network with transform_input=True" in caplog.text
    pixels = x * torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    pixels = pixels + torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    torch.testing.assert_close(other((pixels - 0.5) / 0.5), theirs(x), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(other(x), theirs(x), rtol=0.1)


def unlike(a, b):
    """What two rows of one family compute differently, with tensors of the same sizes."""
    if type(a) is not type(b) or a.params - a.aux_params != b.params - b.aux_params:
        return {}
    one, two = options(a), options(b)
    return {k for k in one if one[k] != two[k] and not k.startswith(("dropout", "aux"))}


def test_lists_of_names_tell_networks_of_equal_tensors_apart():
    """Torchvision's ResNet-50 and the paper's, timm's Darknet-53 and the paper's, and so on."""
    told = 0
    for theirs in (row(n) for n in models() if n.startswith(("tv:", "timm:"))):
        lists = [n for n in theirs.names if isinstance(n, Named)
                 and all(getattr(theirs, k) == v for k, v in n.columns.items())]  # fmt: skip
        for name in listing():
            if unlike(theirs, row(name)):
                told += 1
                for named in lists:
                    other = [k for k, v in named.columns.items() if getattr(row(name), k) != v]
                    assert other, (describe(name), named)
    assert told > 8


def test_all_tensors_that_do_not_fit_are_in_the_error(tmp_path):
    torch.save(sn.model("resnet18", 5, width=4).state_dict(), tmp_path / "own.pth")
    torch.save(as_torchvision(sn.model("resnet18", 5, width=4)), tmp_path / "theirs.pth")
    for file, kinds in (("own.pth", 100), ("theirs.pth", 40)):
        with pytest.raises(DataError, match="all") as caught:
            load_weights(sn.model("resnet18", 5, width=8), tmp_path / file)
        assert len(caught.value.lines) >= kinds
        assert str(caught.value).count("\n") < 8  # what the command line prints
        assert str(caught.value).splitlines()[-1].startswith("name the model")
    assert any("layer4.1.bn2" in line and "running_var" in line for line in caught.value.lines)


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    state = fresh().state_dict()
    state["layer2.0.branch.0.conv.weight"][0, 0, 0, 0] = float("nan")
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(DataError, match=r"not finite in layer2\.0\.branch\.0\.conv\.weight"):
        load_weights(fresh(), tmp_path / "weights.pth")


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.float8_e5m2])
def test_finite_numbers_whose_sum_is_not_are_taken(kind):
    most = torch.full((4, 4), torch.finfo(kind).max).to(kind)
    _weights._refuse_nan({"most": most})
    with pytest.raises(DataError, match="not finite in infinite"):
        _weights._refuse_nan({"infinite": torch.full((2,), float("inf")).to(kind)})


def cut(path, of):
    """The first half of a file's bytes."""
    path.write_bytes(of.read_bytes()[: of.stat().st_size // 2])


WRONG = {  # what a .pt holds -> what is said
    "a list": (lambda state: [*state.values()], "no weights by name, but a list"),
    "nothing": (lambda state: {}, "an empty dict"),
    "words": (lambda state: {"epoch": 3}, r"a dict of 'epoch' \(a int\); save net.state_dict"),
    "another word": (lambda state: {"nets": {"a": state}}, r"a dict of 'nets' \(a dict\)"),
    "numbers for names": (lambda state: dict(enumerate(state.values())), "no such layers"),
    "another prefix": (lambda state: {f"mine.{k}": v for k, v in state.items()},
                       r"no such layers\):\nmine\.stem\.conv: weight \(8, 3, 3, 3\)"),
    "whole numbers": (lambda state: {k: v.to(torch.int8) for k, v in state.items()},
                      "stem.conv.weight holds int8 numbers"),
    "complex numbers": (lambda state: {k: v + 0j for k, v in state.items()}, "holds complex64"),
    "sparse": (lambda state: {k: v.to_sparse() for k, v in state.items()}, "sparse or meta"),
    "meta": (lambda state: {k: v.to("meta") for k, v in state.items()}, "sparse or meta"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_state_dict_is_said(pretrained, tmp_path, what):
    change, said = WRONG[what]
    torch.save(change(pretrained.state_dict()), tmp_path / "wrong.pt")
    net = fresh()
    with pytest.raises(DataError, match=rf"(?s)wrong\.pt.*{said}") as caught:
        load_weights(net, tmp_path / "wrong.pt")
    assert str(caught.value).count("\n") < 8
    assert equal(net, fresh())


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_types_are_taken(pretrained, tmp_path, kind):
    state = {k: v.to(kind) if v.is_floating_point() else v
             for k, v in pretrained.state_dict().items()}  # fmt: skip
    torch.save(state, tmp_path / "weights.pt")
    net = fresh()
    assert load_weights(net, tmp_path / "weights.pt") == []
    for name, value in net.state_dict().items():
        assert value.dtype == pretrained.state_dict()[name].dtype
        assert torch.equal(value, state[name].to(value.dtype)), name


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("what", ["absent", "a folder", "empty", "a page", "cut off"])
def test_what_is_no_file_of_weights_is_said(pretrained, tmp_path, what, suffix):
    path, whole = tmp_path / f"weights{suffix}", tmp_path / f"whole{suffix}"
    state = pretrained.state_dict()
    torch.save(state, whole) if suffix == ".pt" else save_file(state, whole)
    make = {
        "a folder": path.mkdir, "empty": path.touch, "cut off": lambda: cut(path, whole),
        "a page": lambda: path.write_text("<html>404 not found</html>"),
    }  # fmt: skip
    make.get(what, lambda: None)()
    said = {
        "absent": "no such file", "a folder": "is a folder and no run.*name the file",
        "empty": "is empty.*copy it again", "cut off": "copy it again",
        "a page": "begins with b'<html>404 not fo'.*copy" if suffix == ".pt" else "copy it again",
    }  # fmt: skip
    with pytest.raises(DataError, match=f"(?s){re.escape(path.name)}.*{said[what]}"):
        sn.model("resnet18", weights=path)


def test_a_torchscript_program_and_no_path_are_said(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "script.pt")
    with pytest.raises(DataError, match=r"TorchScript program; save torch\.jit\.load"):
        sn.model("resnet18", weights=tmp_path / "script.pt")
    for word in ("", 5):
        with pytest.raises(sn.UsageError, match=f"weights={word!r} names no file"):
            sn.model("lenet5_bn", weights=word)
