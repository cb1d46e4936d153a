"""What is known of the published s1K beside ours: its funnel, and what its questions alone say.

`s1k_audit.json` keeps the second (counts and keys, no question's text) for machines without the
data; `tests/test_data.py` computes it where they are. Near-duplicates of benchmark questions are
reported, not dropped: shared 8-grams miss a paraphrase and catch a formula of speech.
"""

from typing import Any

from s1core.selection import Funnel
from s1lab import packaged
from s1lab.audit.published import published

_COUNTS = {
    "pool": "initial", "missing or failed": "after_api_errors", "format": "after_format_filters",
    "difficulty": "after_difficulty", "pre-selected": "pre_selected", "diversity": "final",
}  # fmt: skip


def beside_paper(funnel: Funnel) -> list[dict[str, Any]]:
    """The funnel's rows with the counts of Section 2.2 and of the official notebook, or None."""
    known = published()["selection"]
    return [
        row | {name: known[name].get(_COUNTS.get(row["stage"])) for name in ("paper", "notebook")}
        for row in funnel.rows()
    ]


def load_audit() -> dict[str, Any]:
    """Sources, crosswords, overlaps with MATH500 and AIME24 of two selections of 1,000 questions:
    s1K as "published", and the run printed in the official selection "notebook". The text of GPQA
    questions is withheld in the mirror, so overlaps are counted over the rest."""
    return packaged("data/s1k_audit.json")
