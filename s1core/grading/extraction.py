r"""From an answer text to the answer: what the grader takes for it, and how it was found.

Order: the last balanced `\boxed{}`, then "Final Answer:", then "Answer:" (the paper's cue and its
harness's pattern, Section 3.1), then "####" and "the answer is", and, when nothing else is there,
the last thing said, flagged as a guess. Every function is linear in the text and evaluates nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_CHARACTERS = 4_000
"""Longest answer worth comparing; anything longer is kept for the record, cut."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """An answer and how it was found; `answer` is None when the text holds none.

    `complete` is False when the answer runs to the very end of the text, so that a generation
    which was cut off may have lost part of it.
    """

    answer: str | None
    method: str
    complete: bool = True
    guess: bool = False


NOTHING = Extraction(None, "nothing found")

_BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\boxed\s+(?P<bare>[^\s{}$\\]+)|\\.|[{}]", re.S)
_JOIN = re.compile(r"(?:[\s$,;]|\\[()]|\\q?quad|\\text\{\s*and\s*\}|and)+")
_CUES = (
    (
        "Final Answer:",
        re.compile(r"final\s{1,9}answer\s{0,9}(?:\*\*|__)?\s{0,9}(?::|$)", re.I | re.M),
    ),
    ("Answer:", re.compile(r"answer\s{0,9}(?:\*\*|__)?\s{0,9}:", re.I)),
    ("####", re.compile(r"^####", re.M)),
    ("the answer is", re.compile(r"\banswer\s{1,9}is\b(?:\s{1,9}therefore)?\s{0,9}:?", re.I)),
)
_FORMULA = re.compile(
    r"\$\$(.{1,500}?)\$\$|\$([^$\n]{1,500})\$|\\\((.{1,500}?)\\\)|\\\[(.{1,500}?)\\\]"
)
_COMMANDS = re.compile(r"\\(?:text|mathrm|mbox)\{[^{}]*\}|\\[A-Za-z]+|\$[^$]*\$")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?")
_THINKING = (
    ("<|im_start|>think", "<|im_start|>answer"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<think>", "</think>"),
)


def split_thinking(text: str) -> tuple[str, str | None]:
    """Split raw model text into thinking and answer by the delimiters of the known templates.

    Returns (thinking, answer); answer is None when thinking starts and never ends, and thinking
    is "" when the text has no delimiter. The last end delimiter counts.
    """
    for start, end in _THINKING:
        if end in text:
            thinking, _, answer = text.rpartition(end)
            return thinking.removeprefix(start).strip(), _without_frame(answer)
        if text.lstrip().startswith(start):
            return text.lstrip().removeprefix(start).strip(), None
    return "", text


def extract_math(text: str, *, after_cue: bool = False) -> Extraction:
    r"""The final answer of a mathematical text: `"so \boxed{\frac12}." -> \frac12 (boxed)`.

    Args:
        after_cue: the decoder forced "Final Answer:" right before this text (Section 3.1).
    """
    boxes = last_boxes(text)
    if boxes:
        answer = ", ".join(boxes)
        method = "boxed" if len(boxes) == 1 else f"{len(boxes)} boxes joined"
        return Extraction(answer[:MAX_CHARACTERS], method)
    cued = _after_cue(text, after_cue)
    return _out_of_sentence(cued) if cued.answer is not None else _last_thing(text)


def extract_expression(text: str, *, after_cue: bool = False) -> Extraction:
    """The expression of a Countdown answer: the first line after the cue, or of the text."""
    cued = _after_cue(text, after_cue)
    return cued if cued.answer is not None else _first_line(text, 0, "first line")


def extract_choice(text: str, letters: str = "ABCD", *, after_cue: bool = False) -> Extraction:
    r"""The letter of a multiple-choice answer: `"**Answer:** (b) 3 m/s" -> B (Answer:)`.

    A text in an answer's place that is not a letter comes back as it is, for the caller to
    compare with the options.
    """
    boxes = last_boxes(text)
    found = Extraction(boxes[-1], "boxed") if boxes else _after_cue(text, after_cue)
    if found.answer is not None:
        letter = _as_letter(found.answer, letters) or _letter_within(found.answer, letters)
        return Extraction(letter or found.answer, found.method, found.complete)
    tail = text[-2_000:]
    lone = list(re.finditer(rf"(?<![A-Za-z\\])\(?\b([{letters}])\b\)?(?![A-Za-z'’])", tail))
    if not lone:
        return NOTHING
    complete = lone[-1].end() < len(tail)
    return Extraction(lone[-1].group(1), "last letter (guess)", complete, guess=True)


def last_boxes(text: str) -> list[str]:
    r"""Contents of the last balanced `\boxed{}`, with the boxes right before that it continues.

    `"x=\boxed{1} or so, x=\boxed{2}" -> ["2"]`; `"\boxed{1} and \boxed{2}" -> ["1", "2"]`.
    An unbalanced box is not one; `\boxed 5` counts as `\boxed{5}`.
    """
    boxes = _boxes(text)
    taken = boxes[-1:]
    for box in reversed(boxes[:-1]):
        between = text[box[3] : taken[0][0]]
        if len(between) > 40 or not _JOIN.fullmatch(between):
            break
        taken.insert(0, box)
    return [content for _, a, b, _ in taken if (content := text[a:b].strip())]


def _boxes(text: str) -> list[tuple[int, int, int, int]]:
    """(start, content start, content end, end) of every balanced box, in order of their ends."""
    found: list[tuple[int, int, int, int]] = []
    open_braces: list[tuple[int, int] | None] = []
    for match in _BRACES.finditer(text):
        token = match.group()
        if token == "{":
            open_braces.append(None)
        elif token == "}":
            box = open_braces.pop() if open_braces else None
            if box is not None:
                found.append((*box, match.start(), match.end()))
        elif token.endswith("{") and len(token) > 2:
            open_braces.append((match.start(), match.end()))
        elif match.group("bare"):
            found.append((match.start(), *match.span("bare"), match.end()))
    return found


def _after_cue(text: str, after_cue: bool) -> Extraction:
    for name, pattern in _CUES:
        for match in reversed(list(pattern.finditer(text))):
            line = _first_line(text, match.end(), name)
            if line.answer is not None:
                return line
    return _first_line(text, 0, "after the forced cue") if after_cue else NOTHING


def _first_line(text: str, start: int, method: str) -> Extraction:
    """The first line with something on it from `start`, without Markdown around it."""
    position = start
    while position < len(text):
        end = text.find("\n", position)
        stop = len(text) if end < 0 else end
        line = text[position : min(stop, position + MAX_CHARACTERS)].strip().strip("*_` ").strip()
        if line in ("$$", r"\[", r"\("):
            close = {"$$": "$$", r"\[": r"\]", r"\(": r"\)"}[line]
            finish = text.find(close, stop)
            if finish > 0:
                return Extraction(text[stop:finish].strip()[:MAX_CHARACTERS], method)
        elif line:
            return Extraction(line, method, complete=end >= 0)
        position = stop + 1
    return NOTHING


def _out_of_sentence(found: Extraction) -> Extraction:
    """`"The total is $204$." -> 204`: a sentence in an answer's place holds the answer last."""
    line = found.answer or ""
    words = re.findall(r"[A-Za-z]{2,}", _COMMANDS.sub(" ", line))
    if len(words) < 3:
        return found
    inner = _last_thing(line)
    if inner.answer is None:
        return found
    return Extraction(inner.answer, f"{found.method} in a sentence", found.complete)


def _letter_within(answer: str, letters: str) -> str | None:
    """The one letter that a sentence chooses: `"The answer is (B)." -> B`; None if in doubt."""
    for pattern in (rf"\(([{letters}])\)", rf"\b(?:is|choose|option|choice)\s+([{letters}])\b"):
        chosen = set(re.findall(pattern, answer))
        if len(chosen) == 1:
            return chosen.pop()
    return None


def _last_thing(text: str) -> Extraction:
    """The last formula or number of the last lines, flagged: nothing announced it as the answer."""
    tail = text[-2_000:].rstrip()
    formulas = list(_FORMULA.finditer(tail))
    numbers = list(_NUMBER.finditer(tail))
    if formulas and (not numbers or numbers[-1].start() < formulas[-1].end()):
        content = next(group for group in formulas[-1].groups() if group is not None)
        complete = formulas[-1].end() < len(tail)
        return Extraction(content.strip(), "last formula (guess)", complete, guess=True)
    if numbers:
        complete = numbers[-1].end() < len(tail)
        return Extraction(numbers[-1].group(), "last number (guess)", complete, guess=True)
    return NOTHING


def _as_letter(answer: str, letters: str) -> str | None:
    """The letter an answer starts with or consists of: `"(b) 3 m/s" -> B`, `"both" -> None`."""
    bare = re.sub(r"\\(?:text|textbf|mathrm|mathbf|mathsf)\b|[{}$*\\]", "", answer).strip()
    match = re.match(r"(?:option|choice)?\s*[(\[]?([A-Za-z])(?:[)\].:,]|\s|$)", bare, re.I)
    letter = match.group(1).upper() if match else ""
    sentence = match is not None and match.group(1).islower() and bare[match.end() :].strip()
    framed = match is not None and bare[match.end(1) : match.end(1) + 1] in (")", "]", ".", ":")
    return letter if letter and letter in letters and (framed or not sentence) else None


def _without_frame(answer: str) -> str:
    for mark in ("<|begin_of_solution|>", "<|end_of_solution|>", "<|im_end|>"):
        answer = answer.replace(mark, "")
    return answer.strip()
