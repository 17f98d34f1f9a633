"""Compares networks with torchvision's and timm's: outputs and input gradients in float64.

    python tests/parity/check.py [NAME | NAME,column=value ...]      all rows without a name

The references lie in .oracles/ beside the clone's files, in a folder of their own (`make parity`
puts them there): a torchvision whose compiled operations do not load breaks other packages beside
it, so this runs as a process of its own. The weights go through a file, as a user's would: this
tests the networks and `weights=` at once. Statistics of batch norm are drawn, since fresh ones (0
and 1) hide a missing norm. One JSON line a network; exits 1 where any differs.
"""

import json
import sys
import tempfile
import warnings
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

ORACLES = Path(__file__).resolve().parents[2] / ".oracles"
TOLERANCE = 1e-9
LIBRARIES = {"tv": "torchvision", "timm": "timm"}


def load_oracles():
    """torchvision's package imports two compiled operations that no classification network uses."""
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(ORACLES))
    for name in ("nms", "qnms"):
        signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        torch.library.define(f"torchvision::{name}", signature)


def reference(name):
    library, _, plain = name.partition(":")
    if library == "timm":
        import timm

        return timm.create_model(plain, num_classes=7)
    import torchvision

    quick = {"init_weights": False} if plain in ("googlenet", "inception_v3") else {}
    return getattr(torchvision.models, plain)(weights=None, num_classes=7, **quick)


def randomise_norms(net, generator):
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            size = layer.running_mean.shape
            layer.running_mean.copy_(0.2 * torch.randn(size, generator=generator))
            layer.running_var.copy_(0.5 + torch.rand(size, generator=generator))
            layer.weight.data.copy_(0.5 + torch.rand(size, generator=generator))
            layer.bias.data.copy_(0.2 * torch.randn(size, generator=generator))


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


def difference(name, changes, size):
    """Largest relative difference of the logits and of the input's gradient."""
    import snellen as sn

    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    ours, theirs = sn.model(name, classes=7, **changes), reference(name)
    randomise_norms(theirs, generator)
    through_file(theirs, ours, wrapped=name.startswith("timm"))
    ours, theirs = ours.double(), theirs.double()
    x = torch.randn(2, 3, size, size + 4, generator=generator, dtype=torch.double)
    weights = torch.randn(2, 7, generator=generator, dtype=torch.double)
    results = []
    for net in (theirs, ours):
        leaf = x.clone().requires_grad_()
        logits = net.eval()(leaf)
        (logits * weights).sum().backward()
        results.append((logits.detach(), leaf.grad))
    return [float((a - b).abs().max() / a.abs().max()) for a, b in zip(*results, strict=True)]


def smallest_size(name):
    """Small, but so that no stage ends at one pixel and hides a wrong padding."""
    return next((s for part, s in {"alexnet": 71, "ception": 79}.items() if part in name), 40)


def comparable():
    import snellen as sn

    return [n for n in sn.models() if n.partition(":")[0] in LIBRARIES]


def parse(word):
    name, *changes = word.split(",")
    return name, {k: json.loads(v) for k, v in (c.split("=") for c in changes)}


def main(words):
    torch.set_num_threads(1)
    load_oracles()
    wrong = 0
    for word in words or comparable():
        name, changes = parse(word)
        logits, gradient = difference(name, changes, smallest_size(name))
        equal = max(logits, gradient) < TOLERANCE
        wrong += not equal
        line = {"name": word, "equal": equal, "logits": logits, "gradient": gradient}
        print(json.dumps(line), flush=True)
    return wrong > 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
