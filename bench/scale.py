"""How cost grows: CPU seconds and peak memory of whole trainings, one thing larger at a time.

Folders of small PNGs of up to 50,000 pictures (`large` adds 200,000 to what was measured before),
pictures from 16 to 64 pixels a side, batches from 16 to 256, networks from 20 to 56 layers,
trainings from 1 to 4 epochs. Each training has a process of its own. Time must grow in line with
the work, memory not with the steps. The picture is docs/scale.svg.

python bench/scale.py [large]
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _timing import RESULTS, record_goals
from PIL import Image

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "scale.svg"
USUAL = {"pictures": 5_000, "side": 24, "batch": 64, "layers": 20, "epochs": 1}
SWEEPS: dict[str, list[int]] = {
    "pictures": [2_000, 10_000, 50_000],
    "side": [16, 32, 64],
    "batch": [16, 64, 256],
    "layers": [20, 32, 56],
    "epochs": [1, 2, 4],
}
LARGE = 200_000
GIGABYTE = 1e9


def folder(root: Path, count: int, side: int) -> Path:
    """A folder of PNGs in ten classes: noise with a stripe whose height tells the class."""
    here = root / f"{count}x{side}"
    if here.is_dir():
        return here
    random, high = np.random.RandomState(0), max(1, side // 10)
    for label in range(10):
        (here / str(label)).mkdir(parents=True)
    for i in range(count):
        label = i % 10
        pixels = random.randint(0, 120, (side, side, 3)).astype(np.uint8)
        pixels[label * high : (label + 1) * high] += 120
        Image.fromarray(pixels).save(here / str(label) / f"{i}.png", compress_level=1)
    return here


def measure(root: Path, **said: Any) -> dict[str, float]:
    """One training in a process of its own -> CPU seconds, seconds to the first step, megabytes."""
    case = {**USUAL, **said}
    data = folder(root, case["pictures"], case["side"])
    words = [sys.executable, __file__, "train", json.dumps({**case, "data": str(data)})]
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return {**case, **json.loads(told.splitlines()[-1])}


def train(case: dict[str, Any]) -> None:
    """The training itself; its last line is what it cost."""
    began, cpu = time.monotonic(), time.process_time()
    import snellen as sn
    from snellen.train.session import Session

    ready: list[float] = []
    original = Session.before_step

    def before_step(session: Session, batch: Any) -> None:
        ready or ready.append(time.monotonic() - began)
        original(session, batch)

    Session.before_step = before_step  # type: ignore[method-assign]
    net = sn.model(f"resnet{case['layers']}_cifar_A", classes=10, width=8)
    with tempfile.TemporaryDirectory() as project:
        sn.train(case["data"], model=net, epochs=case["epochs"], batch=case["batch"],
                 imgsz=case["side"], threads=1, project=project, quiet=True)  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": time.process_time() - cpu, "first": ready[0], "bytes": peak}))


def draw(rows: dict[str, list[dict[str, Any]]]) -> None:
    """CPU seconds and peak memory by each size, both from zero."""
    from matplotlib import pyplot as plt

    plt.rcParams["svg.hashsalt"] = "snellen"
    figure, axes = plt.subplots(2, len(rows), figsize=(11, 4), sharey="row", layout="constrained")
    for column, (what, cases) in enumerate(rows.items()):
        sizes = [case[what] for case in cases]
        for axis, name, unit in ((axes[0], "seconds", 1), (axes[1], "bytes", GIGABYTE)):
            axis[column].plot(sizes, [c[name] / unit for c in cases], "o-", color="#2f6fb3")
            axis[column].set(xlim=(0, None), ylim=(0, None))
        axes[1][column].set_xlabel({"side": "pixels a side"}.get(what, what))
    axes[0][0].set_ylabel("CPU seconds")
    axes[1][0].set_ylabel("peak memory, GB")
    figure.savefig(PICTURE, metadata={"Date": None})


def slope(cases: list[dict[str, Any]], what: str, name: str) -> float:
    """The exponent of growth between the two largest sizes: 1 is in line, 0 is flat."""
    small, large = cases[-2:]
    return float(np.log(large[name] / small[name]) / np.log(large[what] / small[what]))


def main(large: bool) -> None:
    sweeps = {"pictures": [LARGE]} if large else SWEEPS
    rows: dict[str, list[dict[str, Any]]] = {what: [] for what in sweeps}
    if large:
        rows = json.loads((RESULTS / "scale.json").read_text())["rows"]
        rows["pictures"] = [row for row in rows["pictures"] if row["pictures"] < LARGE]
    with tempfile.TemporaryDirectory() as root:
        for what, sizes in sweeps.items():
            for size in sizes:
                rows[what].append(case := measure(Path(root), **{what: size}))
                said = (
                    f"first step after {case['first']:5.1f} s  {case['bytes'] / GIGABYTE:5.2f} GB"
                )
                print(f"  {what:<9} {size:>7,}  {case['seconds']:7.1f} CPU s  {said}", flush=True)
    draw(rows)
    largest = rows["pictures"][-1]
    goals = {
        "time by pictures, exponent": (slope(rows["pictures"], "pictures", "seconds"), 1.1),
        "time by pixels a side, exponent": (slope(rows["side"], "side", "seconds"), 2.1),
        "time by layers, exponent": (slope(rows["layers"], "layers", "seconds"), 1.1),
        "memory by epochs, exponent": (slope(rows["epochs"], "epochs", "bytes"), 0.05),
        f"GB for {largest['pictures']:,} pictures": (largest["bytes"] / GIGABYTE, 2.0),
        f"seconds to the first step of {largest['pictures']:,}": (largest["first"], 30.0),
    }
    record_goals("scale", {k: (*v, "at most") for k, v in goals.items()}, rows=rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["train"]:
        train(json.loads(sys.argv[2]))
    else:
        main("large" in sys.argv[1:])
