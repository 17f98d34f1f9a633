"""A ResNet-18 step on 32x32 images, batch 64, through sn.train with everything on.

Peers: plain fp32 eager, and the best plain loop (bf16 autocast, channels_last, fused SGD). Each has
a process of its own, with one thread, and they take turns, a step each; Snellen's first 24 steps,
on which the doctor looks closely, come before. First frame: 1/3 of the first and 1.0 of the second.
Where the processor has no units for bfloat16 the best plain loop is fp32, there is no goal beside
the slower one, and figures are kept apart.
"""

import contextlib
import io
import sys
import tempfile
import time
from multiprocessing.connection import Connection

import torch
from _timing import goals_of, paired, record_goals, table, take_turns
from torch.nn import functional as F

from snellen.train.speed import has_fast_bf16

BATCH, WARM, STEPS = 64, 24, 12
BF16 = has_fast_bf16()
EAGER, OURS = "plain fp32 eager", "snellen, everything on"
BEST = f"plain {'bf16 + ' if BF16 else ''}channels_last"


def data(steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randint(0, 256, (steps * BATCH, 3, 32, 32), dtype=torch.uint8)
    return x, torch.randint(0, 10, (steps * BATCH,))


def net() -> torch.nn.Module:
    import snellen as sn

    return sn.model("resnet18", classes=10, imgsz=32)


def plain(turn: Connection, fast: bool) -> None:
    """A plain loop: as it is, or with the levers that every tutorial names."""
    torch.set_num_threads(1)
    model, (images, y) = net(), data(1)
    if fast:
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, fused=fast)
    while turn.recv():
        start = time.process_time()
        x = images.float() / 255
        if fast:
            x = x.contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=fast and BF16):
            loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        turn.send(time.process_time() - start)


def snellen(turn: Connection) -> None:
    """sn.train; after the warm steps each waits for its turn."""
    import snellen as sn
    from snellen.train.session import Session

    original, began = Session.after_step, 0.0

    def after_step(session: Session, loss: float, lr: float, samples: int) -> None:
        nonlocal began
        original(session, loss, lr, samples)
        if session.loop.position.step > WARM:
            turn.send(time.process_time() - began)
        if session.loop.position.step >= WARM:
            if not turn.recv():
                sys.exit()
            began = time.process_time()

    Session.after_step = after_step  # type: ignore[method-assign]
    x, y = data(WARM + STEPS + 2)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        sn.train((x, y), split=0, model=net(), epochs=1, batch=BATCH, lr=0.01, optim="sgd",
                 threads=1, augment="off", project=folder)  # fmt: skip


def main() -> None:
    times = take_turns(
        {
            EAGER: (plain, False),
            BEST: (plain, True),
            OURS: (snellen,),
        },
        STEPS,
    )
    peers = [name for name in times if name.startswith("plain")]
    rows = [row for peer in peers for row in paired(times, peer) if row.name != peer]
    print(table(f"ResNet-18 32x32, batch {BATCH}, {STEPS} steps", rows))
    wanted = {(OURS, BEST): 1.0} | ({(OURS, EAGER): 1 / 3} if BF16 else {})
    name = "resnet18" if BF16 else "resnet18_fp32"
    record_goals(name, goals_of(rows, wanted), rows=[vars(row) for row in rows])


if __name__ == "__main__":
    main()
