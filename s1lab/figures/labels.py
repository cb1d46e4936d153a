"""Direct labels: a line's name is written beside it, where it covers the least.

A legend makes a reader match colours; a name at the line does not. The place is chosen among a few
candidates per line by counting what each would cover, in pixels of the finished layout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAD = 9.0  # pixels between a line's point and its name


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
    fixed, frame = _obstacles(panel), panel.get_window_extent().extents
    drawn = {line.name: _pixels(panel, line) for line in lines}
    placed: list[np.ndarray] = []
    for line in sorted(lines, key=lambda line: -len(line.points)):
        text = panel.text(0, 0, line.name, color=line.colour, fontweight="semibold", va="bottom")
        text.set_in_layout(False)
        size = text.get_window_extent().size
        near = np.vstack([fixed, drawn[line.name]])
        others = np.vstack([[[-1e9, -1e9]], *(p for n, p in drawn.items() if n != line.name)])

        def cost(box: np.ndarray, near: np.ndarray = near, others: np.ndarray = others) -> float:
            # Near another line a name would seem to be that line's.
            return (
                _covered(box, near, 3) + _covered(box, others, 13) + _misplaced(box, placed, frame)
            )

        best = min(_candidates(panel, line, *size), key=cost)  # the first of equals
        placed.append(best)
        text.set_position(panel.transData.inverted().transform(best[:2]))


def _candidates(panel: Axes, line: Line, width: float, height: float) -> Iterator[np.ndarray]:
    """Places (left, bottom, right, top) beside the line's points, the best one first."""
    for x, y in panel.transData.transform(line.points)[::-1]:
        for left, bottom in (
            (x + PAD, y - height / 2),
            (x - PAD - width, y - height / 2),
            (x - width / 2, y + PAD),
            (x - width / 2, y - PAD - height),
            (x - PAD - width, y + PAD / 2),
            (x + PAD, y - PAD / 2 - height),
        ):
            yield np.array([left, bottom, left + width, bottom + height])


def _pixels(panel: Axes, line: Line) -> np.ndarray:
    """Pixels along a line; its marks count three times, since a covered mark is worse."""
    corners = panel.transData.transform(line.points)
    shares = np.linspace(0, 1, 13)[:, None, None]
    along = corners[:-1] + (corners[1:] - corners[:-1]) * shares
    return np.vstack([along.reshape(-1, 2), *[corners] * 3])


def _obstacles(panel: Axes) -> np.ndarray:
    """Pixels along the intervals, and the corners of labels at points."""
    pixels: list[Any] = [[[-1e9, -1e9]]]
    for collection in panel.collections:
        for segment in getattr(collection, "get_segments", list)():
            ends = panel.transData.transform(segment)
            pixels.append(ends[0] + (ends[-1] - ends[0]) * np.linspace(0, 1, 7)[:, None])
    pixels += [text.get_window_extent().corners() for text in panel.texts]
    return np.vstack(pixels)


def _covered(box: np.ndarray, pixels: np.ndarray, margin: float) -> int:
    inside = (pixels > box[:2] - margin) & (pixels < box[2:] + margin)
    return int(inside.all(axis=1).sum())


def _misplaced(box: np.ndarray, placed: Sequence[np.ndarray], frame: np.ndarray) -> float:
    """How badly a label would overlap earlier ones or leave the panel."""
    overlaps = sum(
        bool((box[:2] < other[2:]).all() and (other[:2] < box[2:]).all()) for other in placed
    )
    outside = np.maximum(frame[:2] - box[:2], 0).sum() + np.maximum(box[2:] - frame[2:], 0).sum()
    return 20 * overlaps + float(outside)
