"""Direct labels: a line's name is written beside it, where it covers the least.

A legend makes a reader match colours; a name at the line does not. The place is chosen among a few
candidates per line by counting what each would cover, in pixels of the finished layout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Box = tuple[float, float, float, float]  # left, bottom, right, top in pixels


@dataclass(frozen=True, slots=True)
class Line:
    """A drawn line: its name, its colour, and its points in data coordinates."""

    name: str
    colour: str
    points: tuple[tuple[float, float], ...]


def label_lines(panel: Axes, lines: Sequence[Line]) -> None:
    """Write each line's name inside `panel`, next to one of its points."""
    if len(lines) < 2 and all(line.name == "ours" for line in lines):
        return  # the title says whose line it is
    panel.figure.draw_without_rendering()  # positions are known once the layout is
    fixed = _obstacles(panel)
    frame = panel.get_window_extent()
    inside = (frame.x0, frame.y0, frame.x1, frame.y1)
    placed: list[Box] = []
    for line in sorted(lines, key=lambda line: -len(line.points)):
        text = panel.text(0, 0, line.name, color=line.colour, fontweight="semibold")
        text.set_in_layout(False)
        size = text.get_window_extent()
        own = fixed + _pixels(panel, line)
        others = [pixel for other in lines if other is not line for pixel in _pixels(panel, other)]
        costs = [
            # Near another line a name would seem to be that line's.
            (
                _covered(box, own, 3) + _covered(box, others, 13) + _misplaced(box, placed, inside),
                box,
            )
            for box in _candidates(panel, line, size.width, size.height)
        ]
        best = min(costs, key=lambda choice: choice[0])[1]  # the first of equals
        placed.append(best)
        text.set_position(panel.transData.inverted().transform(best[:2]))
        text.set_verticalalignment("bottom")


def label_ends(panel: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write (x, y, text, colour) to the right of each end, moved apart where they would overlap."""
    low, high = panel.get_ylim()
    gap = 0.06 * (high - low)
    placed: list[float] = []
    for x, y, text, colour in sorted(ends, key=lambda end: end[1]):
        at = max(y, placed[-1] + gap) if placed else y
        placed.append(at)
        panel.annotate(
            text,
            (x, at),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontweight="semibold",
            annotation_clip=False,
        )


def _candidates(panel: Axes, line: Line, width: float, height: float) -> Iterator[Box]:
    """Places beside the line's points, the best one first when nothing is in the way."""
    pad = 9.0
    for x, y in reversed([panel.transData.transform(point) for point in line.points]):
        for left, bottom in (
            (x + pad, y - height / 2),
            (x - pad - width, y - height / 2),
            (x - width / 2, y + pad),
            (x - width / 2, y - pad - height),
            (x - pad - width, y + pad / 2),
            (x + pad, y - pad / 2 - height),
        ):
            yield left, bottom, left + width, bottom + height


def _pixels(panel: Axes, line: Line) -> list[Any]:
    """Pixels along a line; its marks count three times, since a covered mark is worse."""
    corners = [panel.transData.transform(point) for point in line.points]
    along = [
        start + (end - start) * step / 12
        for start, end in zip(corners, corners[1:], strict=False)
        for step in range(13)
    ]
    return along + corners * 3


def _obstacles(panel: Axes) -> list[Any]:
    """Pixels along the intervals, and the corners of labels at points."""
    pixels: list[Any] = []
    for collection in panel.collections:
        for segment in getattr(collection, "get_segments", list)():
            ends = panel.transData.transform(segment)
            pixels += [ends[0] + (ends[-1] - ends[0]) * step / 6 for step in range(7)]
    for text in panel.texts:
        box = text.get_window_extent()
        pixels += [(box.x0, box.y0), (box.x1, box.y1), (box.x0, box.y1), (box.x1, box.y0)]
    return pixels


def _covered(box: Box, pixels: Sequence[Any], margin: float) -> int:
    left, bottom, right, top = box
    return sum(
        left - margin < x < right + margin and bottom - margin < y < top + margin for x, y in pixels
    )


def _misplaced(box: Box, placed: Sequence[Box], inside: Box) -> float:
    """How badly a label would overlap earlier ones or leave the panel."""
    left, bottom, right, top = box
    overlaps = sum(
        left < other[2] and other[0] < right and bottom < other[3] and other[1] < top
        for other in placed
    )
    outside = (
        max(0, inside[0] - left)
        + max(0, right - inside[2])
        + max(0, inside[1] - bottom)
        + max(0, top - inside[3])
    )
    return 20 * overlaps + outside
