"""From a row of somebody's log to an outcome: what was asked, thought, forced, and answered.

Four layouts are read: sample files of the official harness under a cap, files with exactly one
forced Wait, files that note the places of their Waits, and score files. Thinking tokens are counted
with the model's own tokenizer, never taken from text lengths.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s1core.errors import InputError
from s1core.grading.extraction import last_boxes
from s1core.grading.grades import grade_text
from s1core.records import Problem, question_key, read_jsonl

THINK, ANSWER, CUE = "<|im_start|>think", "<|im_start|>answer", "Final Answer:"

WAITS = {
    "bn": "অপেক্ষ",
    "de": "Warte",
    "en": "Wait",
    "es": "Espera",
    "fr": "Attend",
    "ja": "待って",
    "ru": "Подожд",
    "sw": "Subiri",
    "te": "వాహించ",
    "th": "รอ",
    "zh": "等待",
}
"""How the forced Wait begins in each language of the one-Wait files."""

Count = Callable[[Sequence[str]], list[int]]
"""Texts to their numbers of tokens."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One logged generation without its text.

    Attributes:
        set: which collection: "global_mmlu", "fork", "mgsm", "simpleqa" or "aime24".
        model: as the collection names it.
        condition: a cap ("500"), a number of Waits, a way of asking, or a checkpoint.
        group: category or language; "" for none.
        question: `question_key` of the question.
        status: of the final answer: correct, wrong, no_answer or truncated.
        method: how the answer was found and compared; "" where the set has one rule for all.
        thinking_tokens: by the model's own tokenizer, forced tokens included; -1 where that
            tokenizer is not at hand.
        cut: whether the decoder ended the thinking.
        waits: forced Waits.
        before: status of what was stated before the Wait; "" where nothing was, or none was forced.
        place: how the Wait was found: "line" (its word opens a line after a single break),
            "repeated" (several do; the last is taken), "noted" (the file says), "" for none.
    """

    set: str
    model: str
    condition: str
    group: str
    question: str
    status: str
    method: str
    thinking_tokens: int
    cut: bool = False
    waits: int = 0
    before: str = ""
    place: str = ""


def outcomes(path: Path, name: str, count: Count) -> list[Outcome]:
    """The outcomes of one file; `name` is its path inside the collection, which says the rest.

    Raises:
        InputError: the file is damaged, or its columns are not those of its layout.
    """
    kind, *parts = name.split("/")
    read = {
        "crosslingual": _one_wait if parts[0] == "mgsm_one_wait" else _harness,
        "tts_knowledge": _noted_waits,
        "skythought_aime24": _scores,
        "simplescaling_results": _authors,
    }[kind]
    try:
        drafts = list(read(parts, read_jsonl(path)))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(f"{path}: a row lacks {error}; it is not the file it should be") from error
    counted = count([thinking for _, thinking in drafts])
    return [_counted(draft, n) for (draft, _), n in zip(drafts, counted, strict=True)]


Draft = tuple[dict[str, Any], str]
"""The fields of an outcome but for its tokens, and the text to count."""


def _counted(fields: dict[str, Any], tokens: int) -> Outcome:
    return Outcome(**{"thinking_tokens": tokens, **fields})


def split(text: str) -> tuple[str, str, bool]:
    """A response of the official harness: thinking, answer, and whether thinking was cut.

    The harness forces the cue after the delimiter exactly where it cut. A response without a
    delimiter is all answer where it never thought, and all thinking where it did.
    """
    thought, closed, answer = text.partition(ANSWER)
    if not thought.startswith(THINK):
        return "", text, False
    cut = answer.startswith(f"\n{CUE}")
    answer = answer.removeprefix(f"\n{CUE}") if cut else answer
    return thought.removeprefix(THINK).removeprefix("\n"), answer if closed else "", cut


def _harness(parts: Sequence[str], rows: Iterator[dict[str, Any]]) -> Iterator[Draft]:
    """lm-evaluation-harness samples; the cap is among the arguments of the request."""
    collection, model, file = parts
    for row in rows:
        doc = row["doc"]
        limit = row["arguments"]["gen_args_0"]["arg_1"].get("max_tokens_thinking")
        thinking, answer, cut = split(row["resps"][0][0])
        options = {k[-1].upper(): v for k, v in doc.items() if re.fullmatch("option_[a-dA-D]", k)}
        listed = "\n".join(f"{letter}. {words}" for letter, words in sorted(options.items()))
        problem = Problem(f"{doc['question'].strip()}\n{listed}", row["target"])
        verdict = grade_text(problem, answer, "multiple_choice", after_cue=cut)
        yield (
            {
                "set": "fork" if collection == "fork" else "global_mmlu",
                "model": "s1.1-32B" if limit else model,
                "condition": str(limit or ""),
                "group": doc.get("subject_category", ""),
                "question": question_key(problem.question),
                "status": verdict.status,
                "method": verdict.method,
                "cut": cut,
            },
            thinking,
        )


TASKS = {"aime": "aime", "math": "math", "gpqa": "multiple_choice"}
"""Kind of grading by what the name of a task contains."""


def _authors(parts: Sequence[str], rows: Iterator[dict[str, Any]]) -> Iterator[Draft]:
    """The authors' own logs: `forcing500/.../samples_aime24_figures_DATE.jsonl`, and the like."""
    run, task = parts[0], parts[-1].removeprefix("samples_").rsplit("_", 1)[0]
    kind = next((kind for name, kind in TASKS.items() if name in task), "math")
    for row in rows:
        asked, settings = (row["arguments"]["gen_args_0"][name] for name in ("arg_0", "arg_1"))
        question = asked.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
        thinking, answer, cut = split(row["resps"][0][0])
        problem = Problem(question, str(row["target"]))
        verdict = grade_text(problem, answer, kind, after_cue=cut)
        yield (
            {
                "set": "authors",
                "model": "s1-32B",
                "condition": run,
                "group": task,
                "question": question_key(question),
                "status": verdict.status,
                "method": verdict.method,
                "cut": cut,
                "waits": int(settings.get("thinking_n_ignore") or 0),
            },
            thinking,
        )


def _one_wait(parts: Sequence[str], rows: Iterator[dict[str, Any]]) -> Iterator[Draft]:
    """Files of the README's loop with one translated Wait, then the forced cue, then the answer."""
    _, size, way, file = parts
    language = Path(file).stem
    for row in rows:
        _, _, text = row["output"].rpartition(THINK)
        thinking, answer, cut = _cued(text)
        first, place = _before_wait(thinking, WAITS[language])
        gold, final = float(row["gold_answer"]), stated_number(answer, language)
        earlier = stated_number(first, language, guess=False) if place else None
        yield (
            {
                "set": "mgsm",
                "model": f"s1.1-{size}",
                "condition": way,
                "group": language,
                "question": question_key(str(row["prompt"])),
                "status": "no_answer" if final is None else _verdict(gold, final),
                "method": "",
                "cut": cut,
                "waits": int(bool(place)),
                "before": "" if earlier is None else _verdict(gold, earlier),
                "place": place,
            },
            thinking,
        )


def _verdict(gold: float, number: float) -> str:
    return "correct" if number == gold else "wrong"


def _cued(text: str) -> tuple[str, str, bool]:
    """Thinking, answer, and whether thinking was cut.

    The loop put its cue on a line of its own where thinking had ended, and right behind the last
    token where the cap had cut it.
    """
    ended = [m.start() for m in re.finditer(rf"(?<!\n)\n{CUE}", text)]
    at = ended[-1] + 1 if ended else text.rfind(CUE)
    if at < 0:
        return text, "", True
    return text[:at], text[at + len(CUE) :], not ended


def _before_wait(thinking: str, word: str) -> tuple[str, str]:
    """What stands before the forced Wait, and how it was found (see `Outcome.place`)."""
    found = [m.start() for m in re.finditer(rf"(?<!\n)\n{re.escape(word)}", thinking)]
    if not found:
        return "", ""
    return thinking[: found[-1]], "line" if len(found) == 1 else "repeated"


_NUMBER = re.compile(r"-?(?:\d{1,3}(?:[,\u202f\xa0 ]\d{3})+|\d+)(?:\.\d+)?")
_DOTTED = re.compile(r"(?<![\d.])(\d{1,3})((?:\.\d{3})+)(?![\d.])")


def stated_number(text: str, language: str = "en", *, guess: bool = True) -> float | None:
    r"""The number that a text in any script states as its answer: `"... \boxed{1,200}"` is 1200.

    The last box, else the only number of the last paragraph. With `guess`, else the last number of
    all, as this benchmark is usually graded; None where there is none.
    """
    plain = "".join(str(unicodedata.digit(c)) if c.isdecimal() else c for c in text)
    plain = plain.replace("{,}", ",").replace("\\,", "").replace("\\!", "")
    if language in ("de", "es"):  # 1.200 is twelve hundred there
        plain = _DOTTED.sub(lambda m: m[1] + m[2].replace(".", ""), plain)
    boxes = [box for box in last_boxes(plain) if _NUMBER.search(box)]
    paragraphs = [part for part in re.split(r"\n\s*\n", plain) if part.strip()]
    last = _numbers(paragraphs[-1]) if paragraphs else []
    if boxes:
        return _numbers(boxes[-1])[-1]
    if len(set(last)) == 1:
        return last[0]
    every = _numbers(plain) if guess else []
    return every[-1] if every else None


def _numbers(text: str) -> list[float]:
    return [float(re.sub(r"[,\u202f\xa0 ]", "", n)) for n in _NUMBER.findall(text)]


def _noted_waits(parts: Sequence[str], rows: Iterator[dict[str, Any]]) -> Iterator[Draft]:
    """Files that note where each Wait was put, and another model's verdict (A, B or C)."""
    _, file = parts
    model, _, waits = Path(file).stem.split("_")
    verdicts = {"A": "correct", "B": "wrong", "C": "no_answer"}
    for row in rows:
        yield (
            {
                "set": "simpleqa",
                "model": model,
                "condition": waits.removeprefix("exd"),
                "group": "",
                "question": question_key(row["problem"]),
                "status": verdicts[row["grading"]],
                "method": "",
                "thinking_tokens": int(row["thinking_tokens"]),
                "cut": not row["response"],
                "waits": len(row.get("append_wait_place") or ()),
                "place": "noted" if row.get("append_wait_place") else "",
            },
            "",
        )


def _scores(parts: Sequence[str], rows: Iterator[dict[str, Any]]) -> Iterator[Draft]:
    """Score files with one response per question."""
    (file,) = parts
    for row in rows:
        problem = Problem(row["question"], str(row["gt"]))
        thinking, closed, answer = row["code"][0].partition("<|end_of_thought|>")
        verdict = grade_text(problem, answer, "aime", cut_off=not closed)
        stored = "stored correct" if row["score"][0] is True else "stored wrong"
        yield (
            {
                "set": "aime24",
                "model": "Sky-T1 32B run",
                "condition": Path(file).stem.removeprefix("checkpoint-"),
                "group": "",
                "question": question_key(problem.question),
                "status": verdict.status,
                "method": f"{verdict.method}; {stored}",
                "cut": not closed,
            },
            thinking,
        )
