"""Compares networks with torchvision's and timm's, and with the second writings of the others.

    python tests/parity/check.py [NAME | NAME,column=value | NAME!mutant ...]   all without a name

Outputs and input gradients in eval mode at one size, and at another one of other remainders the
outputs in training mode (dropout with equal random numbers, auxiliary heads) and the statistics
that batch norm has then; all in float64.

The references lie in .oracles/ beside the clone's files, in a folder of their own (`make parity`
puts them there): a torchvision whose compiled operations do not load breaks other packages beside
it, so this runs as a process of its own. The weights go through a file, as a user's would: this
tests the networks and `weights=` at once. Weights and statistics are drawn, since fresh ones (0
and 1) hide a missing norm. One JSON line a network; exits 1 where any differs.
"""

import json
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

ORACLES = Path(__file__).resolve().parents[2] / ".oracles"
TOLERANCE, USUAL = 1e-9, 300  # up to that many layers; more round more. A wrong one is 1e-2
LIBRARIES = {"tv": "torchvision", "timm": "timm"}
SIZES = {  # eval, training: no stage ends at one pixel, pools that round meet odd and even sides
    "ception": ((79, 83), (97, 115)), "alexnet": ((71, 75), (95, 103)),
    "timm:vgg": ((40, 44), (40, 264)),  # wider than its first fc sees: that slides
    "": ((40, 44), (65, 81)),
}  # fmt: skip


@cache
def load_oracles():
    """torchvision's package imports two compiled operations that no classification network uses."""
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(ORACLES))
    for name in ("nms", "qnms"):
        signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        torch.library.define(f"torchvision::{name}", signature)


def reference(name, hidden=None, transform_input=False):
    """Theirs with seven classes; `hidden` narrows AlexNet and VGG where they are wide."""
    library, _, plain = name.partition(":")
    if library == "timm":
        import timm

        net = timm.create_model(plain, num_classes=7)
        if hidden is not None:
            fc1 = net.pre_logits.fc1
            net.pre_logits.fc1 = nn.Conv2d(fc1.in_channels, hidden, fc1.kernel_size)
            net.pre_logits.fc2 = nn.Conv2d(hidden, hidden, 1)
            net.head.fc = nn.Linear(hidden, 7)
        return net
    import torchvision

    own = plain in ("googlenet", "inception_v3")
    quick = {"init_weights": False, "transform_input": transform_input} if own else {}
    net = getattr(torchvision.models, plain)(weights=None, num_classes=7, **quick)
    if hidden is not None:
        at = [i for i, layer in enumerate(net.classifier) if isinstance(layer, nn.Linear)]
        sides = (net.classifier[at[0]].in_features, hidden, hidden, 7)
        for i, cin, cout in zip(at, sides, sides[1:], strict=False):
            net.classifier[i] = nn.Linear(cin, cout)
    return net


def drawn(make, generator):
    """A network without its slow initial weights, and with drawn ones.

    Where activations are cut at 6 or 3 the norms' gains are so large that many values meet the cut.
    """
    from snellen.core.shapes import shapes_alone

    with shapes_alone():
        net = make()
    net.to_empty(device="cpu").requires_grad_(False)
    cut = any(isinstance(m, nn.ReLU6 | nn.Hardswish | nn.Hardsigmoid) for m in net.modules())
    for name, value in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            value.zero_()
        elif name.endswith("running_var") or (value.dim() == 1 and name.endswith("weight")):
            value.uniform_(0.5, 1.5, generator=generator)
            value.mul_(4.0 if cut and name.endswith("weight") else 1.0)
        elif value.dim() > 1:
            value.uniform_(-1, 1, generator=generator).mul_((6 / value[0].numel()) ** 0.5)
        else:
            value.uniform_(-0.3, 0.3, generator=generator)
    return net


def through_file(theirs, ours, wrapped):
    """Their state dict to a file and into our network: sorted by the alphabet, or wrapped."""
    from snellen.models import load_weights

    state = theirs.state_dict()
    with tempfile.TemporaryDirectory() as folder:
        if wrapped:
            path = Path(folder) / "weights.pth"
            names = {f"module.{name}": value for name, value in state.items()}
            torch.save({"epoch": 3, "state_dict": names}, path)
        else:
            path = Path(folder) / "weights.safetensors"
            save_file(state, path)
        load_weights(ours, path)


def apart(a, b):
    return float((a - b).abs().max() / a.abs().max())


def images(size, generator, batch=2):
    return torch.randn(batch, 3, *size, generator=generator, dtype=torch.double)


def difference(name, changes=None, mutate=None, *, whole=False):
    """What differs, each as a share of the largest value; `whole`: auxiliary heads at full size."""
    import snellen as sn

    generator, changes = torch.Generator().manual_seed(1), changes or {}
    told = {k: changes[k] for k in ("hidden", "transform_input") if k in changes}
    theirs = drawn(lambda: reference(name, **told), generator)
    ours = drawn(lambda: sn.model(name, classes=7, **changes), generator)
    through_file(theirs, ours, wrapped=name.startswith("timm"))
    ours, theirs = ours.double(), theirs.double()
    if mutate is not None:
        mutate(ours)
    small, other = next(sizes for part, sizes in SIZES.items() if part in name)
    x, weights = images(small, generator), torch.randn(2, 7, generator=generator).double()
    results = []
    for net in (theirs, ours):
        leaf = x.clone().requires_grad_()
        logits = net.eval()(leaf)
        (logits * weights).sum().backward()
        results.append((logits.detach(), leaf.grad))
    found = dict(zip(("logits", "gradient"), map(apart, *results), strict=True))
    return {**found, **trained(name, theirs, ours, other, generator, whole=whole)}


def trained(name, theirs, ours, size, generator, *, whole):
    """Outputs, heads and statistics of a forward pass in training mode, with the same dropout."""
    found = {}
    if "inception_v3" in name and ours.aux is not None and not whole:
        found["aux"] = aux_of_v3(theirs, ours, generator)  # alone: it needs 299x299 before it
        theirs.aux_logits, theirs.AuxLogits, ours.aux = False, None, None
    elif "inception_v3" in name:
        size = (299, 299)
    if name.startswith("timm"):  # its constructors leave dropout to the training
        for net in (theirs, ours):
            for layer in net.modules():
                layer.p = layer.drop_rate = 0.0
    x, outputs = images(size, generator), []
    for net in (theirs, ours):
        for parameter in net.parameters():  # or what is frozen stays in eval mode
            parameter.requires_grad_(True)
        torch.manual_seed(2)
        with torch.no_grad():
            outputs.append(net.train()(x))
    if isinstance(outputs[0], tuple):  # torchvision gives the last auxiliary head first
        main, *aux = outputs[0]
        pairs = zip(reversed(aux), ours.aux_logits, strict=True)
        found["aux"] = max(apart(a, b) for a, b in pairs)
        outputs[0] = main
    found["training"] = apart(*outputs)
    found["statistics"] = statistics(theirs, ours)
    return found


def statistics(theirs, ours):
    """The largest difference between the running statistics, after theirs were taken over."""
    from snellen.models._weights import translate

    state = theirs.state_dict()
    if getattr(ours, "aux", None) is None:
        state = {k: v for k, v in state.items() if not k.startswith(("Aux", "aux"))}
    own = ours.state_dict()
    moved = {k: v for k, v in translate(ours, state)[0].items() if "running" in k}
    return max((apart(v, own[k]) for k, v in moved.items()), default=0.0)


def aux_of_v3(theirs, ours, generator):
    """Inception v3's auxiliary head on maps as they come at 299x299, in training mode."""
    maps = torch.randn(2, 768, 17, 17, generator=generator, dtype=torch.double)
    for net in (theirs.AuxLogits, ours.aux["mixed6e"]):
        net.train()
    return apart(theirs.AuxLogits(maps), ours.aux["mixed6e"](maps))


def _replace(net, kind, other, count=None):
    found = [n for n, m in net.named_modules() if isinstance(m, kind)]
    for name in found if count is None else [found[count]]:
        net.set_submodule(name, other(net.get_submodule(name)))


def _floored(count):
    def mutate(net):
        pools = [m for m in net.modules() if isinstance(m, nn.MaxPool2d) and m.ceil_mode]
        pools[count].ceil_mode = False

    return mutate


def _slow_norm(net):
    next(m for m in net.modules() if isinstance(m, nn.BatchNorm2d)).momentum = 0.2


def _other_eps(net):
    norm = next(m for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    norm.eps = 1e-3 if norm.eps == 1e-5 else 1e-5


def _reflected(net):
    next(m for m in net.modules() if isinstance(m, nn.Conv2d)).padding_mode = "reflect"


def _late_norms(net):
    """conv -> ReLU -> norm in the place of conv -> norm -> ReLU."""
    for part in list(net.modules()):
        layers = list(part) if isinstance(part, nn.Sequential) else []
        for i in range(len(layers) - 1):
            if isinstance(layers[i], nn.BatchNorm2d) and isinstance(layers[i + 1], nn.ReLU):
                part[i], part[i + 1] = nn.ReLU(), layers[i]


MUTANTS = {
    "unclipped": lambda net: _replace(net, nn.ReLU6, lambda _: nn.ReLU()),
    "last-pool-floors": _floored(-1),
    "first-pool-floors": _floored(0),
    "momentum": _slow_norm,
    "eps": _other_eps,
    "reflected": _reflected,
    "without-last-relu": lambda net: _replace(net, nn.ReLU, lambda _: nn.Identity(), -1),
    "late-norms": _late_norms,
    "aux-without-relu": lambda net: _replace(net.aux, nn.ReLU, lambda _: nn.Identity(), -1),
    "aux-of-largest": lambda net: _replace(net.aux, nn.AvgPool2d, lambda _: nn.MaxPool2d(5, 3)),
    "less-dropout": lambda net: _replace(net, nn.Dropout, lambda old: nn.Dropout(old.p / 2), -1),
}


def comparable():
    import snellen as sn
    from snellen.models import row

    known = [n for n in sn.models() if n.partition(":")[0] in LIBRARIES]
    return [n for n in known if row(n).task == "classify"]  # detectors.py has the others


def smallest_of_each_kind():
    """Of the rows that differ in sizes only, the one with the fewest multiply-adds."""
    from snellen.models import describe, row

    kinds = {}
    for facts in sorted(map(describe, comparable()), key=lambda facts: facts["macs"]):
        words = {k: v for k, v in facts["options"].items() if isinstance(v, str | bool)}
        library = facts["name"].partition(":")[0] if len(row(facts["name"]).names) > 1 else ""
        kinds.setdefault(repr((facts["family"], library, words)), facts["name"])
    return list(kinds.values())


def parse(word):
    name, _, mutant = word.partition("!")
    name, *changes = name.split(",")
    return name, {k: json.loads(v) for k, v in (c.split("=") for c in changes)}, mutant


def allowed(name, changes):
    """How far rounding may lead: TOLERANCE, in proportion for networks deeper than USUAL."""
    import snellen as sn
    from snellen.core.shapes import shapes_alone

    with shapes_alone():
        net = sn.model(name, **changes)
    layers = sum(isinstance(m, nn.Conv2d | nn.Linear) for m in net.modules())
    return TOLERANCE * max(1.0, layers / USUAL)


def tell(word, found):
    """Print a line -> whether it differs."""
    name, changes, _ = parse(word)
    equal = max(found.values()) < allowed(name, changes)
    print(json.dumps({"name": word, "equal": equal, **found}), flush=True)
    return not equal


def main(words):
    torch.set_num_threads(1)
    load_oracles()
    wrong = 0
    for word in words or comparable():
        name, changes, mutant = parse(word)
        wrong += tell(word, difference(name, changes, MUTANTS.get(mutant), whole=not words))
    if not words:
        sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
        from parity.papers import WRITTEN, both

        for name in WRITTEN:
            outputs, gradients = both(name, thin=False)
            found = {"logits": apart(*outputs), "gradient": apart(*gradients)}
            wrong += tell(name, {k: float(v) for k, v in found.items()})
    return wrong > 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
