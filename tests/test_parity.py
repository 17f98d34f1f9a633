"""Our networks give what torchvision's and timm's give with the same weights (tests/parity).

One small row a family here; `python tests/parity/check.py` compares all that are named tv: or
timm:. Skips where the references are not installed.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "parity" / "check.py"
EQUAL = (
    "tv:resnet18", "tv:resnet50", "tv:resnext50_32x4d", "tv:densenet121", "tv:googlenet",
    "tv:squeezenet1_1", "tv:mobilenet_v2", "tv:mobilenet_v3_small", "tv:shufflenet_v2_x0_5",
    "tv:inception_v3", "timm:inception_v4", "timm:inception_resnet_v2", "timm:legacy_seresnet18",
    "timm:seresnet50", "timm:resnetv2_18", "timm:mobilenetv1_100", "timm:darknet53",
    "timm:legacy_xception",
)  # fmt: skip
DIFFERENT = (  # the same weights in another network: the comparison must see it
    'tv:resnet50,stride_on="1x1"',
    'timm:seresnet50,pool="ceil"',
    "timm:darknet53,slope=0.1",
    "timm:legacy_seresnet18,relu_before_gate=false",
    "tv:squeezenet1_1,bypass=true",
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
def test_outputs_and_input_gradients_are_the_references(compared, name):
    assert compared[name]["equal"], compared[name]


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_changed_network_of_equal_size_is_told_apart(compared, name):
    assert not compared[name]["equal"]
