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
    obstacles = _obstacles(panel, lines)
    frame = panel.get_window_extent()
    inside = (frame.x0, frame.y0, frame.x1, frame.y1)
    placed: list[Box] = []
    for line in sorted(lines, key=lambda line: -len(line.points)):
        text = panel.text(0, 0, line.name, color=line.colour, fontweight="semibold")
        text.set_in_layout(False)
        size = text.get_window_extent()
        boxes = list(_candidates(panel, line, size.width, size.height))
        best = min(
            range(len(boxes)),
            key=lambda n: (_cost(boxes[n], obstacles, placed, inside), n),
        )
        placed.append(boxes[best])
        text.set_position(panel.transData.inverted().transform(boxes[best][:2]))
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


def _obstacles(panel: Axes, lines: Sequence[Line]) -> list[Any]:
    """Pixels along every line and interval, and the boxes of labels at points."""
    pixels: list[Any] = []
    for line in lines:
        corners = [panel.transData.transform(point) for point in line.points]
        for start, end in zip(corners, corners[1:], strict=False):
            pixels += [start + (end - start) * step / 12 for step in range(13)]
        pixels += corners * 3  # a covered mark is worse than a covered line
    for collection in panel.collections:
        for segment in getattr(collection, "get_segments", list)():
            ends = panel.transData.transform(segment)
            pixels += [ends[0] + (ends[-1] - ends[0]) * step / 6 for step in range(7)]
    for text in panel.texts:
        box = text.get_window_extent()
        pixels += [(box.x0, box.y0), (box.x1, box.y1), (box.x0, box.y1), (box.x1, box.y0)]
    return pixels


def _cost(box: Box, obstacles: Sequence[Any], placed: Sequence[Box], inside: Box) -> float:
    """How much a label here would cover, and how far it would leave the panel."""
    left, bottom, right, top = box
    margin = 3.0
    covered = sum(
        left - margin < x < right + margin and bottom - margin < y < top + margin
        for x, y in obstacles
    )
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
    return covered + 20 * overlaps + outside
