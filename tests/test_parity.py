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
WIDE = ("tv:alexnet", "tv:vgg")  # narrower here, or their tensors take half of the time
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


@pytest.fixture(scope="module")
def compared():
    if not (SCRIPT.parents[2] / ".oracles" / "timm").is_dir():
        pytest.skip("the references are not installed in .oracles")
    command = [sys.executable, str(SCRIPT), *EQUAL, *DIFFERENT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(EQUAL) + len(DIFFERENT), done.stderr
    return {line["name"]: line for line in lines}


@pytest.mark.parametrize("name", EQUAL)
def test_outputs_gradients_and_training_are_the_references(compared, name):
    assert compared[name]["equal"], compared[name]


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_changed_network_of_equal_size_is_told_apart(compared, name):
    assert not compared[name]["equal"]
