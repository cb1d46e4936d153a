"""The selection funnel: what each stage keeps, the paper's share beside ours (Section 2.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from s1lab.figures.style import WIDTH, ink, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def funnel(rows: Sequence[Mapping[str, Any]], *, title: str = "") -> Figure:
    """Bars for the share of the pool that is left after each stage, with the number of questions.

    Args:
        rows: `stage`, `kept`, and optionally `paper` (the paper's count, drawn as a hollow point
            at its own share), as `s1lab.data.audit.beside_paper` gives them. The first is the pool.
        title: title of the figure.

    Raises:
        ValueError: there are no rows, or the pool is empty.
    """
    import matplotlib.pyplot as plt

    if not rows or not rows[0]["kept"]:
        raise ValueError("a funnel starts with a pool that is not empty")
    pool, paper_pool = rows[0]["kept"], rows[0].get("paper")
    fig, panel = plt.subplots(figsize=(WIDTH, 0.9 + 0.38 * len(rows)))
    panel.grid(axis="y", visible=False)
    panel.grid(axis="x", visible=True)
    for place, row in enumerate(reversed(rows)):
        share = 100 * row["kept"] / pool
        panel.barh(place, share, height=0.56, color=ink("ours"))
        ends = [share]
        if paper_pool and row.get("paper"):
            ends.append(100 * row["paper"] / paper_pool)
            panel.plot(
                ends[1], place, "o", markerfacecolor="none", markeredgecolor=ink("paper"),
                markeredgewidth=1.6, zorder=3, clip_on=False,
            )  # fmt: skip
        panel.annotate(
            f"{row['kept']:,}",
            (max(ends), place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=10,
            color=ink("text"),
        )
    panel.set_yticks(range(len(rows)), [r["stage"] for r in reversed(rows)], color=ink("text"))
    panel.set_xlim(0, 112)
    panel.set_xticks(range(0, 101, 25))
    panel.spines["left"].set_visible(False)
    known = any(row.get("paper") for row in rows)
    panel.set_xlabel("share of the pool (%)" + ("; hollow: the paper" if known else ""))
    panel.set_title(title)
    return fig
