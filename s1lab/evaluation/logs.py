"""Other people's generations: read them, grade them again, and say where the verdicts differ.

Two layouts are understood: the sample files of lm-evaluation-harness (`--log_samples`, which is
what simplescaling/results holds) and generic JSONL with a question, a gold answer and one or more
responses, as most evaluation repositories write. A torn last line, left by a crash, is dropped and
reported; a damaged line anywhere else is an error with its number.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from s1core.errors import InputError
from s1core.grading.extraction import split_thinking
from s1core.grading.grades import Kind, TextGrade, grade_text
from s1core.records import Problem, Status, read_recoverable

_QUESTION = ("question", "problem", "prompt", "Question", "Problem")
_GOLD = ("gold", "answer", "target", "gold_answer", "solution", "Answer")
_RESPONSES = ("responses", "response", "generations", "generation", "output", "completion", "code")
_VERDICTS = ("scores", "score", "correct", "is_correct", "correctness")
_TOKENS = ("completion_tokens", "output_tokens", "num_tokens")
_IDENTITY = ("id", "unique_id", "idx", "doc_id")
_HARNESS_VERDICTS = ("exact_match", "acc", "math_verify")


@dataclass(frozen=True, slots=True)
class Logged:
    """One logged response: the problem, the raw text, and what the log says about it.

    `stored` is the log's own verdict, `tokens` its token count and `cut_off` its word on whether
    the response hit a length limit; each None where the log is silent.
    """

    problem: Problem
    text: str
    stored: bool | None
    identity: str
    sample: int = 0
    tokens: int | None = None
    cut_off: bool | None = None


@dataclass(frozen=True, slots=True)
class Regraded:
    """A logged response with our grade beside the stored verdict."""

    logged: Logged
    grade: TextGrade
    thinking: str
    answer: str | None

    @property
    def agrees(self) -> bool | None:
        """Whether both verdicts are the same; None when the log has none."""
        stored = self.logged.stored
        return None if stored is None else stored == (self.grade.status == "correct")


@dataclass(frozen=True, slots=True)
class LogFile:
    """The responses of one file; `torn` is the number of a last line that was cut by a crash."""

    path: Path
    layout: str
    responses: tuple[Logged, ...]
    torn: int | None = None


@dataclass(frozen=True, slots=True)
class Regrade:
    """A regraded file: every response, and the confusion between stored and new verdicts."""

    results: tuple[Regraded, ...]
    confusion: dict[tuple[str, Status], int] = field(default_factory=dict)

    @property
    def disagreements(self) -> tuple[Regraded, ...]:
        return tuple(result for result in self.results if result.agrees is False)

    @property
    def agreement(self) -> float:
        """Share of equal verdicts among responses that have a stored one; NaN when none has."""
        judged = [result.agrees for result in self.results if result.agrees is not None]
        return sum(judged) / len(judged) if judged else float("nan")

    @property
    def truncated(self) -> int:
        return sum(result.grade.status == "truncated" for result in self.results)


def read_log(path: str | Path, *, verdict: str | None = None) -> LogFile:
    """Read a file of logged generations; the layout is recognised by its fields.

    Args:
        verdict: the column of a harness file that holds the stored verdict; None takes the first
            of exact_match, acc, math_verify.

    Raises:
        InputError: a line other than the last is damaged, or a row has no question, gold answer
            or response; the message starts with `path:line`.
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    rows, torn = read_recoverable(path)
    harness = bool(rows) and {"doc", "resps", "target"} <= set(rows[0][1])
    if harness:  # one row per document and filter; a filter is another reading of the same text
        rows = [pair for pair in rows if pair[1].get("filter") == rows[0][1].get("filter")]
    reader = _harness_row if harness else _generic_row
    responses: list[Logged] = []
    for number, row in rows:
        try:
            responses.extend(reader(row, number, verdict))
        except InputError as error:
            raise InputError(f"{path}:{number}: {error}") from error
    layout = "lm-evaluation-harness" if harness else "generic"
    return LogFile(path, layout, tuple(responses), torn)


def regrade(log: LogFile, kind: Kind = "math") -> Regrade:
    """Grade every response of a log; thinking is split off by the known delimiters first.

    A response whose thinking never ended counts as cut off, whatever it mentions on the way,
    unless the log itself says how it ended.
    """
    results = []
    for logged in log.responses:
        thinking, answer = split_thinking(logged.text)
        cut_off = answer is None if logged.cut_off is None else logged.cut_off
        verdict = grade_text(logged.problem, answer or "", kind, cut_off=cut_off)
        results.append(Regraded(logged, verdict, thinking, answer))
    names = {None: "no verdict", True: "correct", False: "wrong"}
    confusion = Counter((names[r.logged.stored], r.grade.status) for r in results)
    return Regrade(tuple(results), dict(sorted(confusion.items())))


def known_logs() -> dict[str, Any]:
    """The regrading of four released logs (`regraded_logs.json`), every disagreement explained.

    Per file: source, counts of (stored, ours), and for each disagreement who is right and why.
    """
    text = files("s1lab.audit").joinpath("regraded_logs.json").read_text(encoding="utf-8")
    return json.loads(text)


def summary(regraded: Regrade) -> dict[str, Any]:
    """A regrading as plain data: counts, and each disagreement with both verdicts."""
    return {
        "n": len(regraded.results),
        "agreement": round(regraded.agreement, 4),
        "confusion": {f"{old} -> {new}": n for (old, new), n in regraded.confusion.items()},
        "disagreements": [
            {
                "id": result.logged.identity,
                "sample": result.logged.sample,
                "gold": result.logged.problem.answer,
                "extracted": result.grade.extracted,
                "stored": "correct" if result.logged.stored else "wrong",
                "ours": result.grade.status,
                "method": result.grade.method,
            }
            for result in regraded.disagreements
        ],
    }


def thinking_tokens(regraded: Regrade, count: Callable[[str], int]) -> list[int]:
    """Thinking tokens of every response, as the paper counts them (eval/compute_sample_stats.py).

    Args:
        count: number of tokens of a text, e.g. `lambda t: len(tokenizer.encode(t))`. Logs hold
            text alone; this is the one place where counts come from re-tokenizing.
    """
    return [count(result.thinking) for result in regraded.results]


def _generic_row(row: dict[str, Any], number: int, verdict: str | None) -> Iterator[Logged]:
    problem = Problem(str(_first(row, _QUESTION)), _gold(str(_first(row, _GOLD))))
    texts = _listed(_first(row, _RESPONSES))
    stored = _listed(_first(row, (verdict,) if verdict else _VERDICTS, None))
    identity = str(_first(row, _IDENTITY, number))
    tokens = _first(row, _TOKENS, None)
    reason = row.get("finish_reason")
    for sample, text in enumerate(texts):
        known = stored[sample] if sample < len(stored) else None
        yield Logged(
            problem,
            str(text),
            None if known is None else bool(known),
            identity,
            sample,
            tokens if isinstance(tokens, int) else None,
            None if reason is None else reason == "length",
        )


def _harness_row(row: dict[str, Any], number: int, verdict: str | None) -> Iterator[Logged]:
    document = row["doc"]
    question = str(_first(document, _QUESTION))
    problem = Problem(question, _gold(str(row["target"])))
    columns = (verdict,) if verdict else _HARNESS_VERDICTS
    stored = _first(row, columns, None)
    for sample, text in enumerate(_flat(row["resps"])):
        known = None if stored is None or isinstance(stored, list) else bool(stored)
        yield Logged(problem, str(text), known, str(row.get("doc_id", number)), sample)


def _gold(text: str) -> str:
    """GSM8K's gold answers carry their solution before `####`."""
    return text.rpartition("####")[2].strip() if re.search(r"^####", text, re.M) else text


def _first(row: dict[str, Any], names: Sequence[str], *default: Any) -> Any:
    for name in names:
        if row.get(name) is not None:
            return row[name]
    if default:
        return default[0]
    raise InputError(f"none of the fields {', '.join(names)} is present")


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    else:
        yield value
