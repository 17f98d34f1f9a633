"""docs/models.svg: published accuracy over multiply-adds, a disc's area is the parameters.

Accuracies, with whose they are, and sizes are columns of the rows.
"""

import math
from typing import Any

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 780, 430, 46, 190, 14, 44
X, Y = (2.5e7, 3e10), (48.0, 85.0)  # multiply-adds, percent
AREA = 0.6  # square pixels for 100,000 parameters


def svg() -> str:
    """The picture: a line a family, its networks by size."""
    from snellen.models import describe, listing

    families: dict[str, list[dict[str, Any]]] = {}
    for facts in map(describe, listing()):
        if facts["top1"]:
            families.setdefault(facts["family"], []).append(facts)
    parts = [_axes()]
    for i, (family, facts) in enumerate(sorted(families.items())):
        hue = i * 5 % len(families) * 360 // len(families)  # neighbours are far apart
        colour = f"hsl({hue} 65% {(38, 52)[i % 2]}%)"
        parts.append(_family(sorted(facts, key=lambda f: f["macs"]), colour))
        y = TOP + 12 + 19 * i
        x = WIDTH - RIGHT + 16
        parts.append(f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{colour}"/>'
                     f'<text x="{x + 10}" y="{y}">{family}</text>')  # fmt: skip
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="11" fill="#333">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _family(facts: list[dict[str, Any]], colour: str) -> str:
    points = [(_x(f["macs"]), _y(f["top1"])) for f in facts]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    discs = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_radius(f["params"]):.1f}">'
        f"<title>{f['name']}: {f['top1']} %, {f['macs']:,} multiply-adds, {f['params']:,} "
        "parameters</title></circle>"
        for f, (x, y) in zip(facts, points, strict=True)
    ]
    return (f'<g fill="{colour}" fill-opacity="0.55" stroke="{colour}">'
            f'<polyline points="{line}" fill="none"/>{"".join(discs)}</g>')  # fmt: skip


def _axes() -> str:
    lines = []
    for macs, word in ((3e7, "30 M"), (1e8, "100 M"), (3e8, "300 M"), (1e9, "1 G"), (3e9, "3 G"),
                       (1e10, "10 G"), (3e10, "30 G")):  # fmt: skip
        x = _x(macs)
        lines.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#e4e4e4"/>'
                     f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 15}" '
                     f'text-anchor="middle">{word}</text>')  # fmt: skip
    for percent in range(50, 86, 5):
        y = _y(percent)
        lines.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e4e4e4"/>')
        lines.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{percent}</text>')
    middle = (LEFT + WIDTH - RIGHT) // 2
    lines.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">multiply-adds of one '
                 "image; the area of a disc is the number of parameters</text>")  # fmt: skip
    lines.append(f'<text transform="translate(12 {HEIGHT // 2}) rotate(-90)" '
                 'text-anchor="middle">published top-1 on ImageNet, %</text>')  # fmt: skip
    return "\n".join(lines)


def _x(macs: float) -> float:
    low, high = map(math.log, X)
    return LEFT + (math.log(macs) - low) / (high - low) * (WIDTH - RIGHT - LEFT)


def _y(percent: float) -> float:
    return HEIGHT - BOTTOM - (percent - Y[0]) / (Y[1] - Y[0]) * (HEIGHT - BOTTOM - TOP)


def _radius(params: int) -> float:
    return math.sqrt(AREA * params / 1e5 / math.pi)
