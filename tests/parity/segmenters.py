"""Compares FCN with torchvision's: logits, auxiliary logits, gradients, in eval and training mode.

    python tests/parity/segmenters.py [fcn_resnet101]

The same drawn weights, which go through a file under torchvision's names; float64. One JSON line;
exits 1 where anything differs. A process of its own for the reason that check.py tells.
"""

import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
from check import TOLERANCE, apart, drawn, images, load_oracles, statistics, through_file

CLASSES, EVAL, TRAINING = 7, (41, 55), (65, 48)  # odd sides: neither is a multiple of eight


def pair(name, generator):
    from torchvision.models import segmentation

    import snellen as sn

    def theirs():
        make = getattr(segmentation, name)
        return make(weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=True)

    nets = drawn(theirs, generator), drawn(
        lambda: sn.model(f"tv:{name}", classes=CLASSES, aux=True), generator
    )  # fmt: skip
    through_file(*nets, wrapped=False)
    return [net.double().requires_grad_(True) for net in nets]


def answers(net, x):
    """Logits and auxiliary logits of x's size, in the net's mode."""
    out = net(x)
    if isinstance(out, dict):
        return out["out"], out["aux"]
    aux = net.aux_logits[0] if net.aux_logits else None
    if aux is not None:
        aux = torch.nn.functional.interpolate(aux, x.shape[-2:], mode="bilinear")
    return out, aux


def compare(theirs, ours, generator):
    x = images(EVAL, generator)
    results = []
    for net in (theirs, ours):
        leaf = x.clone().requires_grad_()
        logits, _ = answers(net.eval(), leaf)
        logits.square().sum().backward()
        results.append((logits.detach(), leaf.grad))
    found = dict(zip(("logits", "gradient"), map(apart, *results), strict=True))
    x = images(TRAINING, generator)
    for layer in (*theirs.modules(), *ours.modules()):
        if isinstance(layer, torch.nn.Dropout):  # they draw in another order, the aux head first
            layer.p = 0.0
    with torch.no_grad():
        (out, aux), (mine, beside) = (answers(net.train(), x) for net in (theirs, ours))
    found |= {"training": apart(out, mine), "aux": apart(aux, beside)}
    return {**found, "statistics": statistics(theirs, ours)}


def main(name="fcn_resnet50"):
    torch.set_num_threads(1)
    load_oracles()
    generator = torch.Generator().manual_seed(3)
    found = compare(*pair(name, generator), generator)
    equal = max(found.values()) < TOLERANCE
    print(json.dumps({"name": f"tv:{name}", "equal": equal, **found}))
    return not equal


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
