"""Our networks give what torchvision's and timm's give with the same weights (tests/parity).

The smallest of each kind here; `python tests/parity/check.py` compares all that are named tv: or
timm:, and all that no library has. Skips where the references are not installed.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from parity.check import smallest_of_each_kind

SCRIPT = Path(__file__).parent / "parity" / "check.py"
WIDE = ("tv:alexnet", "tv:vgg", "timm:vgg")  # narrower here, or their tensors take half of the time
PUBLISHED = [f"tv:{name},transform_input=true" for name in ("googlenet", "inception_v3")]
EQUAL = [n + ",hidden=32" * n.startswith(WIDE) for n in smallest_of_each_kind()] + PUBLISHED
DIFFERENT = (  # the same weights in another network: the comparison must see it
    "timm:legacy_seresnet18,relu_before_gate=false",
    "tv:mobilenet_v2!unclipped",
    "tv:googlenet!last-pool-floors",
    "tv:googlenet!aux-without-relu",
    "tv:squeezenet1_1!first-pool-floors",
    "tv:squeezenet1_1!less-dropout",
    "tv:mobilenet_v3_small!momentum",
    "tv:mobilenet_v3_small!eps",
    "tv:mobilenet_v3_small!reflected",
    "tv:squeezenet1_1!without-last-relu",
    "tv:vgg11_bn,hidden=32!late-norms",
    "tv:inception_v3!aux-of-largest",
)
DENSE = ("detectors", "two_stage", "segmenters")  # their scripts
NETWORKS = {"tv:ssd300_vgg16", "tv:fasterrcnn_resnet50_fpn", "tv:maskrcnn_resnet50_fpn",
            "tv:keypointrcnn_resnet50_fpn", "tv:fcn_resnet50"}  # fmt: skip


def lines_of(*command):
    """What a script says of each network, in a process that has the references."""
    if not (SCRIPT.parents[2] / ".oracles" / "timm").is_dir():
        pytest.skip("the references are not installed in .oracles")
    done = subprocess.run(
        [sys.executable, *command], cwd=SCRIPT.parent, capture_output=True, text=True, check=False
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_networks_are_the_references_and_changed_ones_of_equal_size_are_not():
    """Outputs, gradients and training. One test: a fixture would be made by every test process."""
    lines, said = lines_of(str(SCRIPT), *EQUAL, *DIFFERENT)
    assert sorted(line["name"] for line in lines) == sorted((*EQUAL, *DIFFERENT)), said
    assert [line for line in lines if line["equal"] != (line["name"] in EQUAL)] == []


def test_dense_answers_are_torchvisions():
    """Of detectors raw answers, anchors, regions, losses and boxes read off; of FCN logits,
    gradients, auxiliary logits and statistics. The weights come by torchvision's names.
    """
    work = [f"wrong += {name}.main()" for name in DENSE]
    lines, said = lines_of("-c", "\n".join([f"import {', '.join(DENSE)}", "wrong = 0", *work,
                                            "raise SystemExit(wrong)"]))  # fmt: skip
    assert {line["name"] for line in lines} == NETWORKS, said
    assert [line for line in lines if not line["equal"]] == []
