"""What can be said about the published s1K from its questions alone.

`s1k_audit.json` keeps it (counts and keys, no question's text) for machines without the data.
Near-duplicates of benchmark questions are reported, not dropped: shared 8-grams miss a paraphrase
and catch a formula of speech (`where $m$ and $n$ are relatively prime positive integers`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from s1core.records import Problem, question_key
from s1core.selection import BenchmarkIndex, Funnel, jaccard
from s1lab.audit.published import published
from s1lab.data.load import benchmark_questions, problems
from s1lab.data.mirror import Mirror
from s1lab.data.sources import source, table7_name

AUDIT_FILE = Path(__file__).with_name("s1k_audit.json")
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
    """The audit that ships with the package."""
    return json.loads(AUDIT_FILE.read_text(encoding="utf-8"))


def audit(data_dir: str | Path) -> dict[str, Any]:
    """Sources, crosswords, overlaps with MATH500 and AIME24 of two selections of 1,000 questions:
    s1K as "published", and the run printed in the official selection "notebook". The text of GPQA
    questions is withheld in the mirror, so overlaps are counted over the rest."""
    mirror = Mirror.open(data_dir)
    selections = {
        name: (problems(known, data_dir), list(mirror.rows(source(known).mirror[0])))
        for name, known in (("published", "s1K questions"), ("notebook", "notebook questions"))
    }
    benchmarks = benchmark_questions(("MATH500", "AIME24"), data_dir)
    result: dict[str, Any] = {}
    for name, (questions, rows) in selections.items():
        types = (row.get("source_type") or row.get("source_type_if_in_notebook") for row in rows)
        result[name] = {
            "rows": len(rows),
            "with_text": len(questions),
            "by_source": _by_source(types),
            "crosswords": sum(p.question.startswith("Solve the crossword") for p in questions),
            "shared_8_grams": {
                b: _overlaps(questions, b, listed) for b, listed in benchmarks.items()
            },
            "near_duplicates": [n._asdict() for n in near_duplicates(questions, benchmarks)],
        }
    keys = [{row["question_hash"] for row in rows} for _, rows in selections.values()]
    result["shared_by_both"] = len(keys[0] & keys[1])
    result["jaccard"] = round(jaccard(*keys), 4)
    return result


def _by_source(types: Iterable[str]) -> dict[str, int]:
    named = (table7_name(kind) if kind else "not recorded" for kind in types)
    return dict(Counter(named).most_common())


def _overlaps(questions: Sequence[Problem], name: str, benchmark: list[str]) -> dict[str, Any]:
    index = BenchmarkIndex({name: benchmark})
    found = [(p, overlap) for p in questions if (overlap := index.overlap(p.question))]
    grams = Counter(ngram for _, (_, ngram) in found)
    return {
        "questions": len(found),
        "by_source": _by_source(p.source for p, _ in found),
        "most_common": [list(pair) for pair in grams.most_common(3)],
    }


class NearDuplicate(NamedTuple):
    """A pool question and the benchmark question most like it, by key, and how alike they are."""

    key: str
    benchmark: str
    benchmark_key: str
    similarity: float


def shingles(question: str) -> frozenset[str]:
    """Runs of three words (letters and digits, lower case), or all: `"Find x, y and z!"` gives
    `{"find x y", "x y and", "y and z"}`."""
    words = re.findall(r"[^\W_]+", question.lower())
    runs = (" ".join(words[i : i + 3]) for i in range(max(len(words) - 2, 1)))
    return frozenset(run for run in runs if run)


def near_duplicates(
    problems: Iterable[Problem], benchmarks: Mapping[str, Iterable[str]], threshold: float = 0.5
) -> list[NearDuplicate]:
    """Pool questions whose shingles have a Jaccard similarity of at least `threshold`, in (0, 1],
    with a benchmark question's (the first of the most similar ones), most similar first."""
    listed = [(name, question_key(q), shingles(q)) for name, of in benchmarks.items() for q in of]
    near: list[NearDuplicate] = []
    for problem in problems:
        own = shingles(problem.question)
        alike = [len(own & there) / (len(own | there) or 1) for *_, there in listed]
        best = max(range(len(alike)), key=alike.__getitem__)
        if alike[best] >= threshold:
            near.append(NearDuplicate(problem.key, *listed[best][:2], alike[best]))
    return sorted(near, key=lambda n: (-n.similarity, n.key))
