r"""From an answer text to the answer: what the grader takes for it, and how it was found.

Order: the last balanced `\boxed{}` unless "Final Answer:" follows it, then "Final Answer:", then
"Answer:" (the paper's cue and its harness's pattern, Section 3.1), then "####" and "the answer is",
and, when nothing else is there, the last thing said, flagged as a guess. Every function is linear
in the text and evaluates nothing; `after_cue`: the decoder forced "Final Answer:" before the text.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from s1core.grading.spelling import normalise, pattern, table

MAX_CHARACTERS = 4_000  # of an answer; anything longer is cut


@dataclass(frozen=True, slots=True)
class Extraction:
    """An answer (None when the text holds none) and how it was found. `complete` is False when it
    runs to the very end of the text, so that one which was cut off may have lost part of it."""

    answer: str | None
    method: str
    complete: bool = True
    guess: bool = False


NOTHING = Extraction(None, "nothing found")
ANY = dict.fromkeys("ABCD", "")
FINAL = "Final Answer:"
_DISPLAYS = {"$$": "$$", r"\[": r"\]", r"\(": r"\)"}


def split_thinking(text: str) -> tuple[str, str | None]:
    """Split raw model text into thinking ("" without a delimiter) and answer (None when thinking
    never ends) by the delimiters of the known templates; the last end counts."""
    for start, end in table("thinking"):
        thinking, found, answer = text.rpartition(end)
        if found:
            return thinking.rpartition(start)[2].strip(), pattern("frames").sub("", answer).strip()
        if start in text:
            return text.rpartition(start)[2].strip(), None
    return "", text


def extract_math(text: str, *, after_cue: bool = False) -> Extraction:
    r"""The final answer of a mathematical text: `"so \boxed{\frac12}." -> \frac12 (boxed)`."""
    boxes, end = last_boxes(text)
    cued = extract_cued(text, after_cue)
    later = extract_cued(text[end:])
    if boxes and not (later.method == FINAL and re.search(r"\d|\\", later.answer or "")):
        method = "boxed" if len(boxes) == 1 else f"{len(boxes)} boxes joined"
        return Extraction(", ".join(boxes)[:MAX_CHARACTERS], method)
    return _out_of_sentence(cued) if cued.answer is not None else _last_thing(text)


def last_boxes(text: str) -> tuple[list[str], int]:
    r"""Contents of the last full `\boxed{}`, with the boxes right before that it continues, and
    where it ends: `"x=\boxed{1} or so, x=\boxed{2}" -> ["2"]`; `"\boxed{1} and \boxed{2}" -> ["1",
    "2"]`; the same box twice is one. Unbalanced ones are none; `\boxed 5` counts as `\boxed{5}`."""
    boxes = [box for box in _boxes(text) if text[box[1] : box[2]].strip()]
    taken = boxes[-1:]
    for box in reversed(boxes[:-1]):
        near = box[3] <= taken[0][0] <= box[3] + 40
        if not near or not pattern("between_boxes").fullmatch(text[box[3] : taken[0][0]]):
            break
        taken.insert(0, box)
    contents = dict.fromkeys(text[a:b].strip() for _, a, b, _ in taken)
    return list(contents), taken[-1][3] if taken else 0


def _boxes(text: str) -> list[tuple[int, int, int, int]]:
    """(start, content start, content end, end) of every balanced box, in order of their ends."""
    found: list[tuple[int, int, int, int]] = []
    open_braces: list[tuple[int, int]] = []  # of a box; () of another brace
    for match in pattern("braces").finditer(text):
        if match[0] == "}":
            if box := open_braces and open_braces.pop():
                found.append((*box, *match.span()))
        elif match["bare"]:
            found.append((match.start(), *match.span("bare"), match.end()))
        elif match[0].endswith("{") and match[0] != "\\{":
            open_braces.append(match.span() if len(match[0]) > 1 else ())
    return found


def extract_cued(text: str, after_cue: bool = False, *, first_line: bool = False) -> Extraction:
    """The line after the strongest cue (its last mention first), else the first if `first_line`."""
    for name, cue in table("cues").items():
        for match in reversed(list(re.finditer(cue, text))):
            line = _first_line(text, match.end(), name)
            if line.answer is not None and not pattern("empty_words").match(line.answer):
                return line
    if not after_cue and not first_line:
        return NOTHING
    return _first_line(text, 0, "after the forced cue" if after_cue else "first line")


def _first_line(text: str, start: int, method: str) -> Extraction:
    """The first line with something on it from `start`, without Markdown around it."""
    while start < len(text):
        end = text.find("\n", start)
        stop = len(text) if end < 0 else end
        line = text[start : min(stop, start + MAX_CHARACTERS)].strip().strip("*_` ").strip()
        if line in _DISPLAYS:
            finish = text.find(_DISPLAYS[line], stop)
            if finish > 0:
                return Extraction(text[stop:finish].strip()[:MAX_CHARACTERS], method)
        elif line:
            return Extraction(line, method, complete=end >= 0)
        start = stop + 1
    return NOTHING


def _out_of_sentence(found: Extraction) -> Extraction:
    """`"The total is $204$." -> 204`, `"12 cupcakes for 3 friends" -> 12`: what a sentence says."""
    line = found.answer or ""
    words = re.findall(r"[A-Za-z]{2,}", pattern("commands").sub(" ", line))
    if len(words) < 3:
        return found
    line = clause if pattern("numeral").search(clause := pattern("cause").split(line)[0]) else line
    numbers = list(pattern("numerals").finditer(line))
    if numbers and not pattern("formula").search(line):
        starts = not re.search(r"[A-Za-z]", line[: numbers[0].start()])
        verbs = [] if starts else [verb.end() for verb in pattern("verb").finditer(line)]
        said = [n for n in numbers if not verbs or n.end() > verbs[-1]] or numbers[-1:]
        said = said[:1] if starts or verbs else numbers[-1:]
        return Extraction(said[0].group(), f"{found.method} in a sentence", found.complete)
    inner = _last_thing(line).answer
    return Extraction(inner, f"{found.method} in a sentence", found.complete) if inner else found


def _last_thing(text: str) -> Extraction:
    """The last formula or number of the last lines, flagged: nothing announced it as the answer."""
    tail = pattern("questions").sub(lambda match: " " * len(match[0]), text[-2_000:].rstrip())
    formula, number = ([None, *pattern(n).finditer(tail)][-1] for n in ("formula", "numeral"))
    last = formula if formula and (not number or number.start() < formula.end()) else number
    if last is None:
        return NOTHING
    if last is formula:
        answer, method = formula[formula.lastindex].strip(), "last formula (guess)"
    else:
        several = pattern("several").search(tail)
        answer, method = several[1] if several else last[0], "last number (guess)"
    return Extraction(answer, method, last.end() < len(tail), guess=True)


def options(question: str) -> dict[str, str]:
    """The options of a multiple-choice question: lines such as `(A) 3 m` or `B. 4 m`."""
    return dict(pattern("listed").findall(question))


def extract_choice(
    text: str, known: Mapping[str, str] = ANY, *, after_cue: bool = False
) -> Extraction:
    r"""The letter that a text states: `"**Answer:** (b) 3 m/s" -> B`; a text in its place that
    names no option comes back as it is. `known` are the options by letter; words may be empty. One
    that may be an article, a pronoun or a numeral ("A heavier nucleus") is no letter."""
    text = text if len(text) < 40_000 else f"{text[:8_000]}\n{text[-32_000:]}"
    boxes, _ = last_boxes(text)
    if boxes and (letter := _opening(boxes[-1], known) or named(boxes[-1], known)):
        return Extraction(letter, "boxed")
    for place, method in _statements(text, after_cue):
        line = text[place : place + 800].lstrip("\n *_:").partition("\n")[0]
        letter = named(line, known) or _opening(text[place : place + 800], known)
        if letter or (letter := _within(line, known)):
            return Extraction(letter, method, text[place:].rstrip("*_ .)}$\n")[-1:] != letter)
    places = {"bold letter": pattern("bold").findall(text), "line of an option": text.splitlines()}
    for method, pieces in places.items():
        letters = {_opening(piece, known, whole=True) for piece in pieces} - {None}
        if len(letters) == 1:
            return Extraction(letters.pop(), method)
    sentences = [sentence for sentence in pattern("sentence_end").split(text) if sentence.strip()]
    concluding = [s for s in reversed(sentences) if pattern("concluded").search(s)] + sentences[:1]
    for find, method in ((_within, "conclusion"), (_mentioned, "words of an option (guess)")):
        for sentence in concluding:
            if letter := find(sentence, known):
                complete = not text.rstrip().endswith(sentence) or text.rstrip()[-1:] in ".!*"
                return Extraction(letter, method, complete, "guess" in method)
    if letter := _opening(text, known):
        return Extraction(letter, "first words", len(text.strip()) > 1)
    if boxes or (cued := extract_cued(text, after_cue)).answer is not None:
        return Extraction(boxes[-1], "boxed") if boxes else cued
    lone = pattern("lone", "".join(known)).findall(text[-2_000:])
    return Extraction(lone[-1], "last letter (guess)", True, guess=True) if lone else NOTHING


def named(text: str, known: Mapping[str, str]) -> str | None:
    """The one option whose words are the whole text."""
    same = [letter for letter, words in known.items() if words and plain(words) == plain(text)]
    return same[0] if len(same) == 1 else None


def plain(text: str) -> str:
    """For comparing words: one spelling, lower case, without a closing mark."""
    return normalise(text[:1_000]).lower().strip(" .;,*_\"'“”")


def _statements(text: str, after_cue: bool) -> Iterator[tuple[int, str]]:
    """Where an answer is announced, the surest first."""
    for name, announced in table("announced").items():
        yield from ((m.end(), name) for m in reversed(list(re.finditer(announced, text))))
        if after_cue and name == FINAL:
            yield 0, "after the forced cue"


def _opening(text: str, known: Mapping[str, str], whole: bool = False) -> str | None:
    """The letter that a text opens with; `whole`: only with its own words or none after it."""
    match = pattern("opening").match(pattern("upright").sub("", text[:900]))
    if match is None or (letter := match["letter"].upper()) not in known:
        return None
    rest, words = plain(match["rest"]), plain(known[letter])
    own = bool(words) and (rest.startswith(words) or words.startswith(rest) and len(rest) > 3)
    if match["letter"].islower() and not (own or re.search(r"[).:\]]|^\s*$", match["mark"])):
        return None
    if whole:
        return letter if not rest or own and match["mark"] else None
    follows = pattern("reason").match(rest)
    return letter if match["mark"].strip() or not rest or own or follows and letter != "I" else None


def _within(text: str, known: Mapping[str, str]) -> str | None:
    """The one letter that a sentence chooses: `"The answer is (B)." -> B`; None if in doubt."""
    for way in table("chosen"):
        chosen = set(re.findall(way.replace("@", "".join(known)), text[:1_500]))
        if chosen:
            return chosen.pop() if len(chosen) == 1 else None
    return None


def _mentioned(text: str, known: Mapping[str, str]) -> str | None:
    """The one option whose words stand in a sentence, and no other's."""
    spoken, said = plain(text), {letter: plain(words) for letter, words in known.items()}
    found = [k for k, words in said.items() if len(words) > 2 and words in spoken]
    longest = [k for k in found if not any(k != o and said[k] in said[o] for o in found)]
    return longest[0] if len(longest) == 1 else None
