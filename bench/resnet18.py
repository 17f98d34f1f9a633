"""A ResNet-18 step on 32x32 images, batch 64, through sn.train with everything on.

Peers: plain fp32 eager, and the best plain loop (bf16 autocast, channels_last, fused SGD). Their
steps run between Snellen's own, from step 24 on (the doctor has looked closely by then), one
thread. First frame: at most 1/3 of the first and 1.0 of the second.
"""

import contextlib
import io
import tempfile
import time
from collections.abc import Callable

import torch
from _timing import paired, record, table
from torch.nn import functional as F

import snellen as sn
from snellen.train.session import Session

BATCH, WARM, STEPS, EVERY = 64, 24, 48, 3  # peers run at every third step


def net() -> torch.nn.Module:
    return sn.model("resnet18", classes=10, imgsz=32)


def plain(fast: bool) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """One step of a plain loop: as it is, or with the levers that every tutorial names."""
    model = net()
    if fast:
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, fused=fast)

    def step(x: torch.Tensor, y: torch.Tensor) -> None:
        x = x.float() / 255
        if fast:
            x = x.contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()

    return step


def main() -> None:
    torch.set_num_threads(1)
    x = torch.randint(0, 256, (STEPS * BATCH, 3, 32, 32), dtype=torch.uint8)
    y = torch.randint(0, 10, (STEPS * BATCH,))
    peers = {"plain fp32 eager": plain(False), "plain bf16 + channels_last": plain(True)}
    times: dict[str, list[float]] = {name: [] for name in [*peers, "snellen, everything on"]}
    original, last = Session.after_step, time.process_time()

    def after_step(session: Session, loss: float, lr: float, samples: int) -> None:
        nonlocal last
        original(session, loss, lr, samples)
        mine, step = time.process_time() - last, session.loop.position.step
        if step > WARM and step % EVERY == 0:
            times["snellen, everything on"].append(mine)
            for name, run in peers.items():
                start = time.process_time()
                run(x[:BATCH], y[:BATCH])
                times[name].append(time.process_time() - start)
        last = time.process_time()

    Session.after_step = after_step  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        sn.train((x, y), split=0, model=net(), epochs=1, batch=BATCH, lr=0.01, optim="sgd",
                 threads=1, augment="off", project=folder)  # fmt: skip
    rows = [row for peer in peers for row in paired(times, peer) if row.name != peer]
    print(table(f"ResNet-18 32x32, batch {BATCH}, {len(times['plain fp32 eager'])} steps", rows))
    record("resnet18", rows)


if __name__ == "__main__":
    main()
