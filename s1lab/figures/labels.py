"""Direct labels: a line's name is written beside it, where it covers the least.

A legend makes a reader match colours; a name at the line does not. The place is chosen among a few
candidates per line by counting what each would cover, in pixels of the finished layout.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

PAD = 9.0  # pixels between a line's point and its name
NOTHING = np.full((1, 2), -1e9)


class Line(NamedTuple):
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
        near = np.vstack([fixed, drawn[line.name]])
        far = np.vstack([NOTHING, *(pixels for n, pixels in drawn.items() if n != line.name)])
        costs = [
            # Near another line a name would seem to be that line's.
            (_covered(box, near, 3) + _covered(box, far, 13) + _misplaced(box, placed, frame), box)
            for box in _candidates(panel, line, *text.get_window_extent().size)
        ]
        best = min(costs, key=lambda choice: choice[0])[1]  # the first of equals
        placed.append(best)
        text.set_position(panel.transData.inverted().transform(best[:2]))


def _candidates(panel: Axes, line: Line, width: float, height: float) -> Iterator[np.ndarray]:
    """Places (left, bottom, right, top) beside the line's points, the best one first."""
    right, left, middle = PAD, -PAD - width, -width / 2
    across = [right, left, middle, middle, left, right]
    up = [-height / 2, -height / 2, PAD, -PAD - height, PAD / 2, -PAD / 2 - height]
    for place in panel.transData.transform(line.points)[::-1]:
        for corner in place + np.column_stack([across, up]):
            yield np.concatenate([corner, corner + [width, height]])


def _pixels(panel: Axes, line: Line) -> np.ndarray:
    """Pixels along a line; its marks count three times, since a covered mark is worse."""
    corners = panel.transData.transform(line.points)
    along = corners[:-1] + np.diff(corners, axis=0) * np.linspace(0, 1, 13)[:, None, None]
    return np.vstack([along.reshape(-1, 2), *[corners] * 3])


def _obstacles(panel: Axes) -> np.ndarray:
    """Pixels along the intervals, and the corners of labels at points."""
    pixels = [NOTHING, *(text.get_window_extent().corners() for text in panel.texts)]
    for collection in panel.collections:
        for segment in getattr(collection, "get_segments", list)():
            start, *_, end = panel.transData.transform(segment)
            pixels.append(np.linspace(start, end, 7))
    return np.vstack(pixels)


def _covered(box: np.ndarray, pixels: np.ndarray, margin: float) -> int:
    return int(((pixels > box[:2] - margin) & (pixels < box[2:] + margin)).all(axis=1).sum())


def _misplaced(box: np.ndarray, placed: Sequence[np.ndarray], frame: np.ndarray) -> float:
    """How badly a label would overlap earlier ones or leave the panel."""
    over = sum(((box[:2] < other[2:] + 2) & (other[:2] < box[2:] + 2)).all() for other in placed)
    outside = np.maximum([frame[:2] - box[:2], box[2:] - frame[2:]], 0).sum()
    return float(80 * over + outside)
