r"""The letter of a multiple-choice answer, as models state it.

From what is surely a statement to what may be one: a box, "Final Answer: B", "the correct answer is
**B. ...**", a bold letter or a line that names one option alone, a conclusion ("Thus option B ..."),
an option's own words, and last, flagged as a guess, the last letter that stands by itself. A letter
that may be an article, a pronoun or a numeral ("A heavier nucleus") is not taken for an option.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from s1core.grading.extraction import NOTHING, Extraction, extract_cued, last_boxes
from s1core.grading.spelling import normalise

ANY = dict.fromkeys("ABCD", "")
_LISTED = re.compile(r"^\s*\(?([A-J])[).:]\s*(\S.*?)\s*$", re.M)
_MARKS = r"[\s*_`\"'“”‘’$\\({\[:>#-]*"
_ANNOUNCED = (
    re.compile(r"\bfinal answer\b(?:[ *_]{0,4}(?::|\n|$)|[^.\n:]{0,80}?\b(?:is|be|are)\b)", re.I),
    re.compile(
        r"\b(?:(?:correct|best|right|accurate|appropriate|likely|closest|expected) "
        r"(?:answer|option|choice|statement|response|one|term)|answer)\b"
        r"(?:[^.\n:]{0,120}?\b(?:is|be|are|was)\b|[^.\n:]{0,120}?:|[ *_]{0,4}$)",
        re.I | re.M,
    ),
)
_CONCLUDED = re.compile(
    r"\b(?:therefore|thus|hence|so|consequently|conclu\w+|correct\w*|answer|best|must be|most)\b",
    re.I,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z*])|\n+")
_BOLD = re.compile(r"\*\*(.{1,400}?)\*\*", re.S)


def options(question: str) -> dict[str, str]:
    """The options of a multiple-choice question: lines such as `(A) 3 m` or `B. 4 m`."""
    return dict(_LISTED.findall(question))


def extract_choice(
    text: str, known: Mapping[str, str] = ANY, *, after_cue: bool = False
) -> Extraction:
    r"""The letter that a text states: `"**Answer:** (b) 3 m/s" -> B`.

    A text in an answer's place that names no option comes back as it is.

    Args:
        known: the question's options by their letters; words may be empty.
        after_cue: the decoder forced "Final Answer:" right before this text (Section 3.1).
    """
    boxes = last_boxes(text)
    if boxes and (letter := _opening(boxes[-1], known) or named(boxes[-1], known)):
        return Extraction(letter, "boxed")
    for place, method in _statements(text, after_cue):
        line = text[place : place + 800].lstrip("\n *_:").partition("\n")[0]
        letter = named(line, known) or _opening(text[place : place + 800], known)
        if letter or (letter := _within(line, known)):
            return Extraction(letter, method, text[place:].rstrip("*_ .)}$\n")[-1:] != letter)
    for method, pieces in (
        ("bold letter", _BOLD.findall(text)),
        ("line of an option", text.splitlines()),
    ):
        letters = {letter for piece in pieces if (letter := _opening(piece, known, whole=True))}
        if len(letters) == 1:
            return Extraction(letters.pop(), method)
    sentences = [sentence for sentence in _SENTENCE.split(text) if sentence.strip()]
    concluding = [s for s in reversed(sentences) if _CONCLUDED.search(s)] + sentences[:1]
    for find, method in ((_within, "conclusion"), (_mentioned, "words of an option (guess)")):
        for sentence in concluding:
            if letter := find(sentence, known):
                complete = not text.rstrip().endswith(sentence) or text.rstrip()[-1:] in ".!*"
                return Extraction(letter, method, complete, "guess" in method)
    if letter := _opening(text, known):
        return Extraction(letter, "first words", len(text.strip()) > 1)
    letters = {letter for piece in _BOLD.findall(text) if (letter := _mentioned(piece, known))}
    if len(letters) == 1:
        return Extraction(letters.pop(), "words of an option (guess)", guess=True)
    cued = Extraction(boxes[-1], "boxed") if boxes else extract_cued(text, after_cue)
    if cued.answer is not None:
        return cued
    lone = re.findall(
        rf"(?<![A-Za-z\\])([{''.join(known)}])(?![A-Za-z'’]|(?<=[AI]) [a-z])", text[-2_000:]
    )
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
    for pattern, name in zip(_ANNOUNCED, ("Final Answer:", "the answer is"), strict=True):
        yield from ((match.end(), name) for match in reversed(list(pattern.finditer(text))))
        if after_cue and name == "Final Answer:":
            yield 0, "after the forced cue"


def _opening(text: str, known: Mapping[str, str], whole: bool = False) -> str | None:
    """The letter that a text opens with; `whole`: only with its own words or none after it."""
    bare = re.sub(r"\\(?:text|textbf|mathrm|mathbf|mathsf|boxed)\b", "", text[:900])
    match = re.match(
        rf"{_MARKS}(?:(?:option|choice|letter|answer)\s+)?{_MARKS}(?P<letter>[A-Ja-j])"
        r"(?P<mark>[*_)\]}\"'”$]*[).:,;\]}*]|\s*(?:[-–—=]|$)|\s*\n|(?= ))[*_ ]*(?P<rest>.*)",
        bare,
        re.I,
    )
    if match is None or (letter := match["letter"].upper()) not in known:
        return None
    rest, words = plain(match["rest"]), plain(known[letter])
    own = bool(words) and (rest.startswith(words) or words.startswith(rest) and len(rest) > 3)
    if match["letter"].islower() and not (own or re.search(r"[).:\]]|^\s*$", match["mark"])):
        return None
    if whole:
        return letter if not rest or own and match["mark"] else None
    follows = re.match(r"(?:because|since|as|is (?:the )?(?:correct|right|best|answer)|,|\()", rest)
    return letter if match["mark"].strip() or not rest or own or follows and letter != "I" else None


def _within(text: str, known: Mapping[str, str]) -> str | None:
    """The one letter that a sentence chooses: `"The answer is (B)." -> B`; None if in doubt."""
    letters = "".join(known)
    for pattern in (
        rf"\*\*(?:option |choice )?\(?([{letters}])[).:]",
        rf"\b(?:is|be|choose|answer|select|pick)\s+(?:\*\*)?(?:(?i:option|choice)\s+)?\(?([{letters}])\b(?! [a-z])",
        rf"\(?\b(?i:option|choice)\s+\(?([{letters}])\b",
        rf"\(([{letters}])\)",
        rf"(?<![A-Za-z])([{letters}])(?=[.,;:)]|$)",
    ):
        chosen = set(re.findall(pattern, text[:1_500]))
        if len(chosen) == 1:
            return chosen.pop()
        if chosen:
            return None
    return None


def _mentioned(text: str, known: Mapping[str, str]) -> str | None:
    """The one option whose words stand in a sentence, and no other's."""
    spoken = plain(text)
    found = [k for k, words in known.items() if len(plain(words)) > 2 and plain(words) in spoken]
    longest = [
        k for k in found if not any(k != o and plain(known[k]) in plain(known[o]) for o in found)
    ]
    return longest[0] if len(longest) == 1 else None
