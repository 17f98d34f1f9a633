"""Exported networks against eager PyTorch: one picture, one thread, in every runtime that is here.

MobileNetV2 at 224 and ResNet-18 at 32 pixels with random weights; LeNet is trained on digits, and
its files are scored before and after. Needs `pip install 'snellen[export]'`. Goals (MobileNetV2):
bf16 6 and int8 6.5 times eager fp32, which `snellen bench RUN` prints for any run.
"""

import contextlib
import io
import tempfile
from dataclasses import asdict

import torch
from _timing import record_goals

import snellen as sn
from snellen.data.inputs import Inputs
from snellen.data.sample import Sample, Target
from snellen.serve.bench import Row, bench
from snellen.serve.predict import Predictor
from snellen.serve.runtime import INSTALL, PRECISIONS, missing, runtimes
from snellen.tasks.classify import Classify
from snellen.tasks.compute import Compute

SECONDS = 40.0


def random_net(name: str, size: int) -> list[Row]:
    """A network as it is born, on random pictures."""
    torch.manual_seed(0)
    net = sn.model(name, classes=1000 if size == 224 else 10, imgsz=size)
    inputs = Inputs(3, size, size, (0.48, 0.46, 0.41), (0.23, 0.22, 0.22), "bytes")
    task = Classify({"classes": ["a", "b"], "inputs": inputs.as_dict()})
    pictures = torch.randint(0, 256, (32, 3, size, size), dtype=torch.uint8)
    samples = [Sample(picture, Target(label=0)) for picture in pictures]
    return bench(Predictor(net, task, Compute.of("cpu")), (samples, samples), seconds=SECONDS)[0]


def lenet() -> tuple[list[Row], list[dict]]:
    """The digits recipe, trained: speed, and the accuracy of each file."""
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.redirect_stdout(io.StringIO()):
            run = sn.train(recipe="digits_lenet", project=folder)
        files = [run.export(name, precision=p) for name, runtime in runtimes().items()
                 for p in PRECISIONS if p not in runtime.refused]  # fmt: skip
        scores = [{"file": f"{f.format} {f.precision}", "difference": f.difference,
                   f.score: (f.before, f.after), "pictures": f.scored} for f in files]  # fmt: skip
        return run.bench(seconds=SECONDS / 4)[0], scores


def show(title: str, rows: list[Row]) -> None:
    print(title)
    for row in rows:
        print(f"  {row.name:<26} {1e3 * row.median:9.3f} ms  p99 {1e3 * row.p99:9.3f}"
              f"  {row.throughput:10,.0f} images/s  {row.faster:6.2f} x eager"
              f" ({row.low:.2f} .. {row.high:.2f})  {row.difference:.1e}")  # fmt: skip


def main() -> None:
    absent = sorted({name for runtime in runtimes().values() for name in missing(runtime)})
    if absent:
        print(f"not measured: {', '.join(absent)} not installed; {INSTALL}")
        return
    small, scores = lenet()
    nets = {
        "MobileNetV2 224": random_net("mobilenet_v2", 224),
        "ResNet-18 32": random_net("resnet18", 32),
        "LeNet-5 8, digits": small,
    }
    for title, rows in nets.items():
        show(title, rows)
    for one in scores:
        print(f"  {one}")
    goals = {
        f"MobileNetV2 224 exported, {p}: batch 1, times faster than eager fp32": (
            max(r.faster for r in nets["MobileNetV2 224"] if r.name.endswith(f" {p}")), goal,
            "at least",
        )
        for p, goal in (("bf16", 6.0), ("int8", 6.5))
    }  # fmt: skip
    versions = {name: _version(name) for r in runtimes().values() for name in r.needs}
    record_goals("export", goals, nets={k: [asdict(r) for r in v] for k, v in nets.items()},
                 accuracy=scores, versions=versions)  # fmt: skip


def _version(name: str) -> str:
    from importlib.metadata import version

    return version(name)


if __name__ == "__main__":
    main()
