"""Each way to look, on a network whose right answer is known by its making; what stays as it was.

The planted network answers to one pattern, a cross, wherever it is: the convolution is the matched
filter, so the map must lie on the cross, the template be it, and an attack take it away.
"""

import copy

import numpy as np
import pytest
import torch
from sklearn.manifold import trustworthiness
from torch import nn
from torch.nn import functional as F

from snellen.core.errors import UsageError
from snellen.explain.layers import chosen, outputs
from snellen.explain.look import Meaning, explain
from snellen.explain.method import Question, methods
from snellen.explain.methods.patches import seen_by

CROSS = torch.tensor([[-1.0, 1, -1], [1, 1, 1], [-1, 1, -1]])
TOP, LEFT = 9, 14  # of the cross in the picture
MAPS = ("saliency", "gradcam", "guided_backprop", "deconvnet", "integrated_gradients",
        "smoothgrad", "occlusion")  # fmt: skip


def planted(in_place=False, channels=1):
    """Class 0: the cross is there. Class 1: its negative is. Each by its best place."""
    conv = nn.Conv2d(channels, 2, 3, padding=1, bias=True)
    with torch.no_grad():
        conv.weight[:] = torch.stack([CROSS, -CROSS])[:, None] / channels
        conv.bias[:] = -2.0
    return nn.Sequential(conv, nn.ReLU(in_place), nn.AdaptiveMaxPool2d(1), nn.Flatten())


def crossed(channels=1):
    """A faint picture with the cross in it."""
    x = 0.2 * torch.rand(channels, 20, 28, generator=torch.Generator().manual_seed(0))
    x[:, TOP : TOP + 3, LEFT : LEFT + 3] += CROSS
    return x


def tiny(channels=3, norm=True):
    """A usual network, untrained, with all that could be moved by a look."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(channels, 6, 3, padding=1), nn.BatchNorm2d(6) if norm else nn.Identity(),
              nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(True),
              nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)]  # fmt: skip
    return nn.Sequential(*layers)


def look(net, x, method, **how):
    """The method with what it needs, in few steps."""
    random = torch.Generator().manual_seed(0)
    others = torch.rand(6, *x.shape, generator=random)
    more = {"data": {"data": others}, "style": {"style": others[0]}}
    short = {"steps": 3} if "steps" in [*methods()[method].__dataclass_fields__] else {}
    return explain(net, x, method, **more.get(methods()[method].needs, {}), **{**short, **how})


@pytest.mark.parametrize("method", MAPS)
@pytest.mark.parametrize("in_place", [False, True])
def test_a_map_lies_on_what_the_network_was_built_to_see(method, in_place):
    how = {"patch": 3, "stride": 1} if method == "occlusion" else {}
    found = explain(planted(in_place), crossed(), method, target=0, **how)
    weight = np.abs(found.map)
    near = weight[TOP - 2 : TOP + 5, LEFT - 2 : LEFT + 5].sum()
    assert found.map.shape == (20, 28)
    assert near > (0.9 if method != "smoothgrad" else 0.6) * weight.sum() > 0
    assert found.picture.size == (28, 20)


def test_saliency_of_a_linear_network_is_the_weight():
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 5 * 7, 3))
    weight_CHW = net[1].weight.detach()[1].view(3, 5, 7)
    for method in ("saliency", "smoothgrad"):
        found = explain(net, torch.rand(3, 5, 7), method, target=1)
        np.testing.assert_allclose(found.map, weight_CHW.abs().amax(0), rtol=1e-5)
    found = explain(net, x := torch.rand(3, 5, 7), "integrated_gradients", target=1)
    np.testing.assert_allclose(found.map, (weight_CHW * x).sum(0), rtol=1e-4, atol=1e-6)


def test_integrated_gradients_add_up_to_the_rise_of_the_score():
    net, x = tiny().eval(), torch.rand(3, 16, 12)
    with torch.no_grad():
        rise = net(x[None])[0, 2] - net(0 * x[None])[0, 2]
    found = explain(net, x, "integrated_gradients", target=2, steps=200)
    assert found.map.sum() == pytest.approx(float(rise), rel=0.01)


def test_occlusion_is_what_the_score_loses():
    net, x = tiny().eval(), torch.rand(3, 8, 12)
    hidden = x.clone()
    hidden[:, 4:8, 8:12] = 0
    with torch.no_grad():
        before, after = net(torch.stack([x, hidden]))[:, 1]
    found = explain(net, x, "occlusion", target=1, patch=4, stride=4)
    assert found.map[4:8, 8:12] == pytest.approx(float(before - after), abs=1e-6)


def test_fast_gradient_sign_of_a_linear_network_has_a_closed_form():
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
    x, ends = torch.full((3, 4, 4), 0.5), (torch.tensor(0.0), torch.tensor(1.0))
    found = explain(net, x, "fgsm", eps=0.02, meaning=Meaning(bounds=ends))
    with torch.no_grad():
        fall = (net(x[None]) - net(found.made)).item()
    assert fall == pytest.approx(0.02 * net[1].weight.abs().sum().item(), rel=1e-4)
    assert found.map == pytest.approx(0.02, rel=1e-4)


def learned(seed=0):
    """A small network that tells digits apart, in a second."""
    from sklearn.datasets import load_digits

    torch.manual_seed(seed)
    x, y = load_digits(return_X_y=True)
    x_NCHW, y_N = torch.tensor(x).float().view(-1, 1, 8, 8) / 16, torch.tensor(y)
    net = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                        nn.Linear(192, 10))  # fmt: skip
    solver = torch.optim.Adam(net.parameters(), 0.01)
    for rows in torch.randperm(1400).split(64) * 4:
        solver.zero_grad(set_to_none=True)
        F.cross_entropy(net(x_NCHW[rows]), y_N[rows]).backward()
        solver.step()
    return net, x_NCHW[1400:], y_N[1400:]


@pytest.fixture(scope="module")
def digits():
    return learned()


ENDS = Meaning(bounds=(torch.tensor(0.0), torch.tensor(1.0)))


def test_fast_gradient_signs_take_a_trained_network_below_guessing(digits):
    """Accuracy on 60 held-out digits was .95 to .97, and after it .05 to .07, of three seeds."""
    net, x_NCHW, y_N = digits
    made = [explain(net, x, "fgsm", target=int(y), eps=0.2, meaning=ENDS).made
            for x, y in zip(x_NCHW[:60], y_N, strict=False)]  # fmt: skip
    with torch.no_grad():
        before, after = (float((net(some).argmax(1) == y_N[:60]).float().mean())
                         for some in (x_NCHW[:60], torch.cat(made)))  # fmt: skip
    assert before > 0.85
    assert after < 0.25


def test_an_attack_reaches_its_goal_within_its_distance(digits):
    net, x_NCHW, _ = digits
    for target in (3, 7):
        found = explain(net, x_NCHW[0], "attack", target=target, eps=0.3, meaning=ENDS)
        with torch.no_grad():
            assert int(net(found.made).argmax()) == target == found.target
        assert float((found.made - x_NCHW[:1]).abs().max()) <= 0.3 + 1e-6
        assert 0 <= float(found.made.min()) <= float(found.made.max()) <= 1
    own = int(net(x_NCHW[:1]).argmax())
    with pytest.raises(UsageError, match=f"says {own} already; attack wants another target"):
        explain(net, x_NCHW[0], "attack", target=own)


def test_a_template_is_what_the_network_matches():
    linear = nn.Sequential(nn.Flatten(), nn.Linear(60, 2))
    found = explain(linear, torch.rand(1, 6, 10), "class_template", target=1, smooth=1e-9)
    weight_N = linear[1].weight[1].detach()
    cosine = F.cosine_similarity(found.made.flatten(), weight_N, 0)
    assert float(cosine) > 0.999
    made = explain(planted(), crossed(), "class_template", target=0).made[0, 0]
    patches = F.unfold(made[None, None], 3)[0]
    best = F.cosine_similarity(patches, CROSS.flatten()[:, None], 0).max()
    assert float(best) > 0.9


def test_a_dream_has_more_of_what_the_layer_sees():
    net, x = planted(), crossed()
    made = explain(net, x, "dream", layer="1").made
    with torch.no_grad():
        before, after = (net[:2](some).square().mean() for some in (x[None], made))
    assert float(after) > 4 * float(before)


def test_an_inversion_has_what_the_layer_kept_and_nothing_else():
    keeps = nn.Conv2d(1, 9, 3, padding=1, bias=False)
    with torch.no_grad():
        keeps.weight[:] = torch.eye(9).view(9, 1, 3, 3)
    net = nn.Sequential(keeps, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x = torch.rand(1, 10, 12)
    found = explain(net, x, "inversion", layer="0", smooth=1e-9)
    assert float((found.made[0] - x).abs().max()) < 0.02
    with torch.no_grad():  # a layer that sees red alone
        blind = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Flatten(), nn.Linear(2 * 120, 2))
        blind[0].weight[:] = torch.tensor([[1.0, 0.0], [2.0, 0.0]])[..., None, None]
    found = explain(blind, torch.rand(2, 10, 12) + 1, "inversion", smooth=1e-9)
    assert float(found.made[0, 1].abs().max()) < 0.1  # the noise it began with


def test_a_style_is_taken_over_and_the_picture_kept():
    net = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with torch.no_grad():
        net[0].weight[:] = torch.eye(3)[..., None, None]
    x = crossed(3).abs()
    style = torch.rand(3, 20, 28) * torch.tensor([1.0, 0.1, 0.1])[:, None, None]
    found = explain(net, x, "style", style=style, weight=100)
    assert found.facts["after"] < 0.1 * found.facts["before"]
    means = found.made[0].mean((1, 2))  # red, as the style is
    assert float(means[0]) > 2 * float(means[1:].max())
    both = torch.stack([found.made[0, 0].flatten(), x[0].flatten()])
    assert float(torch.corrcoef(both)[0, 1]) > 0.7


def test_patches_are_the_places_of_the_pattern():
    random = torch.Generator().manual_seed(1)
    data, places = 0.2 * torch.rand(8, 1, 20, 28, generator=random), []
    for one in data[:5]:
        i, j = (int(torch.randint(0, n - 3, (1,), generator=random)) for n in (20, 28))
        one[0, i : i + 3, j : j + 3] += CROSS
        places.append((j, i, j + 3, i + 3))
    found = explain(planted(), crossed(), "patches", target=0, data=data, channels=1, most=5)
    boxes = {row: box for _, row, *box in found.facts["boxes"]}
    assert found.layer == "1"
    assert boxes == {row: list(place) for row, place in enumerate(places)}


def test_what_a_place_sees_is_its_receptive_field():
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3, stride=2))
    with torch.no_grad():
        for layer in net:
            layer.weight.fill_(1.0)
    question = Question(net, torch.rand(1, 1, 15, 15), lambda x: net(x).flatten(1))
    assert seen_by(question, question.x_1CHW, "1", (0, 1, 3)) == (6, 2, 11, 7)


def test_t_sne_keeps_neighbours_together(digits):
    """Three of four neighbours of a dot are of its class: chance is one in ten."""
    net, x_NCHW, y_N = digits
    pairs = list(zip(x_NCHW[:90], y_N, strict=False))
    found = explain(net, x_NCHW[100], "tsne", data=pairs, perplexity=8)
    places = torch.tensor(found.facts["places"])[1:]
    assert found.facts["kinds"][1:] == y_N[:90].tolist()
    near = torch.cdist(places, places).topk(4, largest=False).indices[:, 1:]
    assert float((y_N[near] == y_N[:90, None]).float().mean()) > 0.4
    with torch.no_grad():
        features = net[:3](x_NCHW[:90]).mean((2, 3))
    assert trustworthiness(features, places, n_neighbors=4) > 0.9


def test_filters_and_activations_are_those_of_the_network():
    net, x = planted(), crossed()
    found = explain(net, x, "filters")
    assert found.layer == "0"
    first = np.asarray(found.picture.convert("L"))[:48, :48]
    expected = np.kron(((CROSS + 1) / 2 * 255).numpy(), np.ones((16, 16)))
    np.testing.assert_array_equal(first, expected)
    maps = explain(net, x, "activations")
    with torch.no_grad():
        strongest = int(net[:2](x[None])[0].amax((1, 2)).argmax())
    assert (maps.layer, maps.facts["channels"][0]) == ("1", strongest)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * 20 * 28, 2))
    assert "2 of 2 filters, (3, 20, 28)" in explain(linear, torch.rand(3, 20, 28), "filters").words


@pytest.mark.parametrize("method", sorted(methods()))
def test_a_look_changes_nothing(method):
    """Modes, hooks, gradients, statistics, what is learned, random numbers, the picture."""
    net, x = tiny(), torch.rand(3, 16, 12)
    net[1].eval()
    net[0].weight.requires_grad_(False)
    net[9].bias.grad = torch.full((4,), 7.0)
    state, own, noise = copy.deepcopy(net.state_dict()), x.clone(), torch.get_rng_state()
    look(net, x, method, target=None if method == "attack" else 1)
    assert torch.equal(noise, torch.get_rng_state())
    assert [m.training for m in net.modules()].count(False) == 1
    assert not any(m._forward_hooks or m._backward_hooks for m in net.modules())
    assert [p.requires_grad for p in net.parameters()].count(False) == 1
    assert [n for n, p in net.named_parameters() if p.grad is not None] == ["9.bias"]
    assert torch.equal(net[9].bias.grad, torch.full((4,), 7.0))
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert torch.equal(x, own)


def test_hooks_and_modes_are_as_before_when_a_look_fails():
    class Fails(nn.Sequential):
        def forward(self, x):
            super().forward(x)
            raise ValueError("no answer today")

    net = Fails(nn.Conv2d(1, 2, 3)).train()
    with pytest.raises(ValueError, match="no answer today"):
        explain(net, torch.rand(1, 8, 8))
    with pytest.raises(ValueError, match="no answer today"), outputs(net):
        net(torch.rand(1, 1, 8, 8))
    assert net.training
    assert not net[0]._forward_hooks


NETS = {
    "bf16": lambda: tiny().bfloat16(),
    "float64": lambda: tiny().double(),
    "channels last": lambda: tiny().to(memory_format=torch.channels_last),
    "frozen": lambda: tiny().requires_grad_(False),
}


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("method", sorted(methods()))
def test_every_method_works_on_every_kind_of_network(method, kind):
    found = look(NETS[kind](), torch.rand(3, 16, 12), method)
    assert found.map is None or (found.map.shape == (16, 12) and np.isfinite(found.map).all())
    assert found.made is None or found.made.isfinite().all()
    assert found.picture.width > 0
    assert str(found).startswith(method)


@pytest.mark.parametrize("method", MAPS)
def test_kinds_of_numbers_tell_the_same(method):
    nets = planted(), planted().bfloat16()
    plain, half = (look(net, crossed(), method, target=0).map for net in nets)
    assert np.corrcoef(plain.ravel(), half.ravel())[0, 1] > 0.95


def test_the_layer_is_the_last_map_whatever_it_is_called():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.first = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
            self.side = nn.Conv2d(4, 2, 1)  # of which the answer does not depend

        def forward(self, x):
            x = F.relu(self.first(F.relu(self.last(x))))
            self.side(x)
            return x.mean((2, 3))

    assert explain(Odd(), torch.rand(1, 9, 9)).layer == "first"
    assert explain(Odd(), torch.rand(1, 9, 9), layer="last").layer == "last"
    mapping = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Conv2d(3, 4, 1))  # its answer is a map itself
    assert explain(mapping, torch.rand(1, 9, 9)).layer == "0"
    with pytest.raises(UsageError, match=r"no 'frist' in the layers .* did you mean first"):
        explain(Odd(), torch.rand(1, 9, 9), layer="frist")
    with pytest.raises(UsageError, match="layer=side gives no map that the score depends on"):
        explain(Odd(), torch.rand(1, 9, 9), layer="side")
    question = Question(Odd(), torch.rand(1, 1, 9, 9), nn.Flatten())
    assert question.layer == ""
    with pytest.raises(UsageError, match="no layer of the network gives a map"):
        chosen(question)


def test_of_maps_the_pixels_of_the_class_are_explained():
    """A network that says of each pixel whether it is bright: class 1 is the cross alone."""
    net = nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        net.weight[:], net.bias[:] = torch.tensor([-1.0, 1.0])[:, None, None, None], 0.0
        net.bias[0] = 1.0
    found = explain(net, crossed(), "saliency")
    said = net(crossed()[None])[0].argmax(0).numpy() == 1
    assert found.target == 1
    assert ((found.map > 0) == said).all()


BAD = [
    ({"method": "gradcm"}, "no 'gradcm' in the methods of explain; did you mean gradcam"),
    ({"method": "occlusion", "pach": 2}, "no 'pach' in the settings of occlusion; did you mean pa"),
    ({"method": "occlusion", "patch": -1}, "patch=-1 is not a whole number 0 or more"),
    ({"method": "fgsm", "eps": float("nan")}, "eps=nan is not a number above 0"),
    ({"method": "style"}, "style needs a second picture"),
    ({"method": "tsne"}, "tsne needs further pictures"),
    ({"target": 4}, r"target=4: the network has the answers 0\.\.3"),
    ({"target": "cat", "meaning": Meaning(names=list("abcd"))}, "no 'cat' in the answers"),
]


@pytest.mark.parametrize(("how", "words"), BAD)
def test_what_cannot_be_followed_is_said(how, words):
    with pytest.raises(UsageError, match=words):
        explain(tiny(), torch.rand(3, 8, 8), **how)


def test_answers_without_slopes_or_meaning_are_refused():
    class Counts(nn.Module):
        def forward(self, x):
            return (x > 0.5).float().sum((1, 2, 3))

    with pytest.raises(UsageError, match=r"no gradient to its input.*occlusion needs none"):
        explain(Counts(), torch.rand(1, 8, 8), "saliency")
    assert explain(Counts(), torch.rand(1, 8, 8), "occlusion").map.min() >= 0
    with pytest.raises(UsageError, match="the network's answer is tuple; scores"):
        explain(nn.MaxPool2d(2, return_indices=True), torch.rand(1, 8, 8))
    with pytest.raises(UsageError, match="the network has no ReLU"):
        explain(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), torch.rand(1, 8, 8), "deconvnet")
    with pytest.raises(UsageError, match="the picture has NaN or Inf"):
        explain(tiny(), torch.full((3, 8, 8), torch.nan))
    with pytest.raises(UsageError, match=r"x has shape \(8, 8\)"):
        explain(tiny(), torch.rand(8, 8))


def test_captum_says_the_same():
    attr = pytest.importorskip("captum.attr", reason="captum, the extra `explain`, is not here")
    net, x = tiny().eval(), torch.rand(1, 3, 16, 12)
    for module in net:
        if isinstance(module, nn.ReLU):
            module.inplace = False  # on which captum's backward hooks raise
    slow = {"sliding_window_shapes": (3, 5, 5), "strides": (3, 2, 2)}
    theirs = {
        "saliency": attr.Saliency(net).attribute(x.clone().requires_grad_(), target=1).amax(1),
        "integrated_gradients": attr.IntegratedGradients(net).attribute(x, target=1).sum(1),
        "occlusion": attr.Occlusion(net).attribute(x, target=1, **slow).mean(1),
        "gradcam": F.interpolate(
            attr.LayerGradCam(net, net[5]).attribute(x, target=1, relu_attributions=True),
            (16, 12), mode="bilinear")[:, 0],
    }  # fmt: skip
    for name, kind in {"guided_backprop": "GuidedBackprop", "deconvnet": "Deconvolution"}.items():
        with pytest.warns(UserWarning, match="backward hooks"):
            found = getattr(attr, kind)(net).attribute(x.clone().requires_grad_(), target=1)
        theirs[name] = found.abs().amax(1)
    for name, map_1HW in theirs.items():
        how = {"patch": 5, "stride": 2} if name == "occlusion" else {}
        found = explain(net, x[0], name, target=1, **how)
        np.testing.assert_allclose(found.map, map_1HW.detach()[0], rtol=1e-4, atol=1e-7)
