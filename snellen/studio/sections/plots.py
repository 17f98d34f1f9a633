"""The pictures of plots/: the confusion matrix first, where there is one."""

from ...report.section import text
from ..answer import url
from ..recorded import Recorded
from ..section import Section


def build(run: Recorded) -> str:
    """A picture each, under its name; the curves are drawn above."""
    names = sorted(run.plots(), key=lambda name: (name != "confusion.png", name))
    return "".join(
        f'<figure><img class="plot" loading="lazy" src="{url("run", run.key, "plots", name)}"'
        f' alt="{text(name)}"><figcaption>{text(name.removesuffix(".png"))}</figcaption></figure>'
        for name in names
        if name != "curves.png"
    )


SECTIONS = {"plots": Section("Pictures", 30, build)}
