"""Other people's generations: read them, grade them again, and say where the verdicts differ.

A row is a sample of lm-evaluation-harness (`--log_samples`), or a generic object with a question,
a gold answer and one or more responses. One that cannot be used is left out and named; so is a torn
last line, left by a crash. A line that is no JSON is an error with its number.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from s1core.errors import InputError
from s1core.grading.extraction import last_boxes, split_thinking
from s1core.grading.grades import Kind, grade_text
from s1core.records import Grade, Problem, read_recoverable
from s1lab import packaged
from s1lab.evaluation.report import lines

FIELDS = packaged("evaluation/logs.yaml")
_TRUTH = {word: truth for truth in (True, False) for word in FIELDS[truth]}
_CUE = "\nFinal Answer:"


@dataclass(frozen=True, slots=True)
class Logged:
    """One logged response, what the log says about it (None where it is silent), and our grade.
    `cut_off`: it hit a length limit; `budget`: the most thinking tokens."""

    problem: Problem
    text: str
    stored: bool | None
    identity: str
    sample: int = 0
    cut_off: bool | None = None
    budget: int | None = None
    grade: Grade | None = None

    @property
    def agrees(self) -> bool | None:
        """Whether both verdicts are the same; None when the log has none, or we could not tell."""
        if self.stored is None or self.grade is None or self.grade.status == "not_compared":
            return None
        return self.stored == (self.grade.status == "correct")


class LogFile(NamedTuple):
    """The responses of one file, what was left out and why, and the number of a torn last line."""

    layout: str
    responses: tuple[Logged, ...]
    torn: int | None = None
    left_out: tuple[str, ...] = ()


def read_log(path: str | Path) -> LogFile:
    """Read a file of logged generations. Raises InputError: a line other than the last is damaged
    (`path:line`), or no row can be used."""
    rows, torn = read_recoverable(path)
    responses, left_out, layouts = [], [], set()
    filters = [row.get("filter") for _, row in rows if "resps" in row][:1]
    for number, row in rows:
        harness = {"resps", "doc"} <= row.keys()
        if harness and row.get("filter") not in filters:
            continue  # one row per document and filter; a filter is another reading of one text
        try:
            responses += _responses(row, harness, number)
            layouts.add("lm-evaluation-harness" if harness else "generic")
        except InputError as error:
            left_out.append(f"{path}:{number}: {error}")
    if not responses:
        raise InputError(left_out[0] if left_out else f"{path} holds no responses to grade")
    return LogFile(" and ".join(sorted(layouts)), tuple(responses), torn, tuple(left_out))


def regrade(log: LogFile, kind: Kind = "math") -> list[Logged]:
    """The responses of a log, each graded without its thinking, which counts as cut off where it
    never ended, unless the log itself says how it ended."""
    results = []
    for logged in log.responses:
        thinking, answer = split_thinking(logged.text)
        if answer is None and _CUE in thinking:  # forced without the delimiter
            answer = thinking.rpartition(_CUE)[2]
        cut_off = answer is None if logged.cut_off is None else logged.cut_off
        graded = grade_text(logged.problem, answer or "", kind, cut_off=cut_off)
        results.append(replace(logged, grade=graded))
    return results


def known_logs() -> dict[str, Any]:
    """The regrading of four released logs (`regraded_logs.json`), every disagreement explained."""
    return packaged("audit/regraded_logs.json")


def summary(results: Sequence[Logged]) -> dict[str, Any]:
    """A regrading as plain data: counts, and each disagreement with both verdicts."""
    names = {None: "no verdict", True: "correct", False: "wrong"}
    confusion = Counter(f"{names[r.stored]} -> {r.grade.status}" for r in results)
    judged = [result.agrees for result in results if result.agrees is not None]
    head = "id | sample | gold | extracted | stored | ours | method"
    apart = (
        (r.identity, r.sample, r.problem.answer, g.extracted, names[r.stored], g.status, g.method)
        for r, g in ((one, one.grade) for one in results if one.agrees is False)
    )
    return {
        "n": len(results),
        "agreement": round(sum(judged) / len(judged), 4) if judged else None,
        "confusion": dict(sorted(confusion.items())),
        "disagreements": lines(head, apart),
    }


def _responses(row: dict[str, Any], harness: bool, number: int) -> Iterator[Logged]:
    document, gold = (row["doc"], {"target": row.get("target")}) if harness else (row, row)
    if not isinstance(document, dict):
        raise InputError(f"doc is {type(document).__name__}, not an object with the question")
    problem = Problem(_with_options(_text(document, FIELDS["question"]), document), _gold(gold))
    texts = list(_flat(row["resps"] if harness else _first(row, FIELDS["responses"])))
    stored = _first(row, FIELDS["harness_verdict" if harness else "verdict"], None)
    if harness:  # one verdict for all responses; a list is something else
        stored = [None if isinstance(stored, list) else stored] * len(texts)
    verdicts = [*_flat(stored), *[None] * len(texts)]
    cap = re.search(r'"max_tokens_thinking": (\d+)', json.dumps(row.get("arguments")))
    reason, thought = row.get("finish_reason"), _first(row, FIELDS["thought"], None)
    ended = (None if reason is None else reason == "length", cap and int(cap[1]))
    identity = str(_first(row, FIELDS["identity"], number))
    for sample, text in enumerate(texts):
        if not isinstance(text, str):
            kind = type(text).__name__
            raise InputError(f"response {sample} is {kind}, not text (a judgement by likelihood?)")
        if isinstance(thought, str) and "<think>" in thought and "</think>" not in text:
            text = thought + text
        yield Logged(problem, text, _truth(verdicts[sample]), identity, sample, *ended)


def _gold(row: dict[str, Any]) -> str:
    """The gold answer; GSM8K's stands after `####`, a worked solution's in its last box."""
    gold = _text(row, FIELDS["gold"])
    if re.search(r"^####", gold, re.M):
        return gold.rpartition("####")[2].strip()
    boxes = last_boxes(gold)[0] if len(gold) > 200 else []
    if len(gold) > 200 and not boxes:
        raise InputError("the gold answer is a text of its own, without an answer set apart")
    return ", ".join(boxes) or gold


def _with_options(question: str, document: dict[str, Any]) -> str:
    """A question with the options that stand beside it, one to a line: `(A) 3 m`."""
    listed = document.get("choices")
    if isinstance(listed, dict):
        listed = listed.get("text")
    of = (name for name in document if re.fullmatch(r"option_?[A-Ja-j]", name))
    named = {name[-1].upper(): document[name] for name in of}
    if isinstance(listed, list) and len(listed) <= 10:
        named = dict(zip("ABCDEFGHIJ", listed))
    return "\n".join([question, *(f"({letter}) {text}" for letter, text in sorted(named.items()))])


def _truth(value: Any) -> bool | None:
    """A stored verdict: true and false, 1 and 0, or words for them; None for any other score."""
    word = str(value).strip().lower()
    if value is None or isinstance(value, (bool, int, float)):
        return _TRUTH.get(word)
    if not isinstance(value, str) or word not in _TRUTH:
        raise InputError(f"{str(value)[:40]!r} is no verdict; it must be true or false")
    return _TRUTH[word]


def _text(row: dict[str, Any], names: Sequence[str]) -> str:
    """The first of the fields that is there, as text; one number or one text in a list will do."""
    value = _first(row, names)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value != value:
        raise InputError(f"{' or '.join(names[:3])} is {type(value).__name__}, not text")
    if not str(value).strip():
        raise InputError(f"{next(name for name in names if row.get(name) is not None)} is empty")
    return str(value)


def _first(row: dict[str, Any], names: Sequence[str], *default: Any) -> Any:
    found = [*(row[name] for name in names if row.get(name) is not None), *default]
    if not found:
        raise InputError(f"none of the fields {', '.join(names)} is present")
    return found[0]


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    else:
        yield value
