"""Whether two answers are the same: cheap sure tests first, then math-verify under guard. Almost
every answer is settled by its spelling or its exact value; what is left goes to math-verify in a
separate process (`verifier.py`). A verdict that rests on a guess says so in `how`."""

import re
from collections.abc import Iterator
from itertools import product

from s1core.grading import verifier
from s1core.grading.spelling import bounds, closing, measure, normalise, pattern, rewritten, value
from s1core.grading.verifier import Verdict

MAX_COMPARED = 400  # characters of a text that math-verify is asked about
MAX_PARTS = 16  # of a list that is compared part by part
_UNORDERED = ("", "{}", "cup")


def equivalent(gold: str, answer: str) -> Verdict:
    r"""Compare two answers: `equivalent("\\frac{1}{2}", "0.5") -> Verdict(True, "value")`. Tests,
    in order: text as it stands, normalised text, words, numerals with a base, lists part by part,
    exact value, units, math-verify. Readings of doubtful text are tried last, as guesses."""
    gold, answer = gold.strip(), answer.strip()
    if gold == answer:
        return Verdict(True, "text")
    if len(answer) > MAX_COMPARED or len(gold) > 4 * MAX_COMPARED:
        return Verdict(False, "too long to compare")
    left, right = normalise(gold), normalise(answer)
    verdict = _same(left, right)
    if verdict.same:
        return verdict
    for one, other, why in _guesses(gold, answer, left, right):
        if (one, other) != (left, right) and (guess := _same(one, other)).same:
            return Verdict(True, f"{guess.how} (guess: {why})")
    return verdict


def _guesses(gold: str, answer: str, left: str, right: str) -> Iterator[tuple[str, str, str]]:
    """Second readings of both sides: what a comma or a blank between digits may stand for."""
    yield normalise(gold, False), right, "a comma read as a separator"
    yield left, normalise(answer, False), "a comma read as a separator"
    for mark, name, why in (("", "grouped", "thousands"), (",", "spaced", "commas")):
        shape = pattern(name)
        one, other = (t.replace(" ", mark) if shape.fullmatch(t) else t for t in (left, right))
        yield one, other, f"blanks read as {why}"


def _same(gold: str, answer: str) -> Verdict:
    """Two normalised texts, at any depth."""
    if gold == answer:
        return Verdict(bool(gold), "normalised text")
    if not gold or not answer:
        return Verdict(False, "empty")
    if gold.casefold() == answer.casefold() and pattern("word").search(gold):
        return Verdict(True, "words")
    lists = _items(gold), _items(answer)
    if lists[0] and lists[1]:
        return _same_lists(*lists)
    gold, answer = _unnamed(gold, answer)
    if (lists[0] or lists[1]) and not pattern("ranges").search(gold + answer):
        return _same_lists(*(_items(text) or ("", (text,)) for text in (gold, answer)))
    for test in (_same_numerals, _same_values, _same_measures):
        if verdict := test(gold, answer):
            return verdict
    if pattern("spaced").fullmatch(gold) or pattern("spaced").fullmatch(answer):
        return Verdict(False, "numbers side by side")
    if any(pattern("words").search(text) for text in (gold, answer)):
        return Verdict(False, "words")
    left, right = rewritten(gold, "readable"), rewritten(answer, "readable")
    for one, near in ((left, bounds(answer)), (right, bounds(gold))):
        if near:
            return verifier.verify(one, "0", (str(near[0]), str(near[1])))
    return verifier.verify(left, right)


def _unnamed(gold: str, answer: str) -> tuple[str, str]:
    r"""Without what an answer is called: `x=5` and `5`, `f(x)=2x` and `2x`, `x\in[0,1]`. Of an
    answer that computes, `34/100=17/50` or `\sqrt2\approx1.41`, the result counts."""
    texts = [text.split(r"\approx")[0] for text in (gold, answer)]
    named = [pattern("assigned").fullmatch(text) for text in texts]
    equations = [re.search(r"(?<![<>!])=", text) for text in texts]
    for one, other in ((0, 1), (1, 0)):
        if named[one] and (not equations[other] or all(named) and named[0][1] == named[1][1]):
            texts[one] = named[one][2]
    for one, other in ((0, 1), (1, 0)):
        computed = one or not re.search(r"(?<!\\)\b[a-z]", texts[one])
        if equations[one] and computed and not equations[other]:
            texts[one] = texts[one].rpartition("=")[2]
    return texts[0], texts[1]


def _same_numerals(gold: str, answer: str) -> Verdict | None:
    """Numerals with a base (`4210_5`), which math-verify compares without it; else None. A base
    that is left out is taken from the other side: the question names it."""
    left, right = pattern("based").fullmatch(gold), pattern("based").fullmatch(answer)
    if not left or not right or not (left[2] or right[2]):
        return None
    try:
        sizes = [int(match[1], int(match[2] or 36)) for match in (left, right)]
    except ValueError:  # a subscript that is no base, a digit that its base has not
        return None
    if left[2] and right[2]:
        return Verdict(sizes[0] == sizes[1], "numeral in its base")
    return Verdict(left[1] == right[1], "numeral (guess: base left out)")


def _same_values(gold: str, answer: str) -> Verdict | None:
    """Two numbers, exactly, or one as the other rounded to six digits or more."""
    left, right = value(gold), value(answer)
    if left is None or right is None:
        return None
    if left != right:
        for size, near in ((left, bounds(answer)), (right, bounds(gold))):
            exact = size.denominator == 1 and near and near[1] - near[0] > abs(size) / 10**14
            if near and not exact and near[0] <= size < near[1]:
                return Verdict(True, "value, to the digits given")
    return Verdict(left == right, "value")


def _same_measures(gold: str, answer: str) -> Verdict | None:
    """Quantities; a unit on one side alone is let go, and said to be."""
    one, other = measure(gold), measure(answer)
    if one is None and other is None:
        return None
    if one and other:
        known = None not in (one.kind, other.kind)
        if known and one.kind != other.kind:
            return Verdict(False, "units differ")
        if known and one.factor != other.factor:
            return _same(one.scaled, other.scaled)
        same = _same(one.number, other.number)
        alike = one.kind is not None or one.unit.rstrip("s") == other.unit.rstrip("s")
        return same if alike else Verdict(same.same, f"{same.how} (guess: units not compared)")
    found, bare = (one, answer) if one else (other, gold)
    both = value(found.number) is not None and value(bare) is not None
    if found.kind == "" or found.kind == "degree^1" and not both:  # never equal in radians
        if (same := _same(found.scaled, bare)).same:
            return same
    if found.kind == "" and (value(found.number) or 1) < 1:
        return Verdict(False, "value")
    same = _same(found.number, bare)
    return Verdict(same.same, f"{same.how} (guess: unit left out)")


def _items(text: str) -> tuple[str, tuple[str, ...]] | None:
    r"""Frame and parts of a list, tuple, interval, set, union or matrix; else None.
    `"(1,\frac{2}{3}]" -> ("(]", ("1", "\frac{2}{3}"))`."""
    if matrix := pattern("matrix").fullmatch(text):
        rows = [row.split("&") for row in matrix[2].removesuffix(r"\\").split(r"\\")]
        shape = "x".join(str(len(row)) for row in rows)
        return f"matrix {shape}", tuple(part.strip() for row in rows for part in row)
    if text.startswith(r"\{") and closing(text, 1) == len(text) - 1:
        parts = _split(text[2:-2], ",")
        return ("{}", parts) if parts else None
    if text[:1] in ("(", "[") and closing(text, 0) == len(text) - 1:
        parts = _split(text[1:-1], ",")
        return (text[0] + text[-1], parts) if len(parts) > 1 else None
    parts = tuple(sign for part in _split(text, ",") for sign in _signs(part))
    if len(parts) > 1:
        return "", parts
    parts = _split(text, r"\cup")
    return ("cup", parts) if len(parts) > 1 else None


def _split(text: str, mark: str) -> tuple[str, ...]:
    """Parts between the marks outside all brackets; none when the brackets do not match."""
    depth, parts, start = 0, [], 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return ()
        if depth == 0 and text.startswith(mark, position):
            parts.append(text[start:position].strip())
            start = position + len(mark)
    parts.append(text[start:].strip())
    return tuple(parts) if depth == 0 and all(parts) else ()


def _signs(text: str) -> list[str]:
    r"""Both numbers that `a\pm b` stands for; `\mp` takes the other sign of the first `\pm`."""
    count, found = text.count(r"\pm"), []
    if not 0 < count <= 3:
        return [text]
    for signs in product("+-", repeat=count):
        one = re.sub(r"\\mp ?", "-" if signs[0] == "+" else "+", text)
        for sign in signs:
            one = re.sub(r"\\pm ?", sign, one, count=1)
        found.append(re.sub(r"(^|[=({])\+", r"\1", one))
    return found


def _same_lists(gold: tuple[str, tuple[str, ...]], answer: tuple[str, tuple[str, ...]]) -> Verdict:
    """Part by part; a plain list and a set have no order, so each part looks for its twin."""
    (frame, parts), (other_frame, others) = gold, answer
    if len(parts) == 1 < len({*others}) and other_frame == "":
        if all(_same(parts[0], other).same for other in others):
            return Verdict(True, "one value in several forms")
    ordered = frame not in _UNORDERED
    same_frame = frame == other_frame or not ordered and other_frame in _UNORDERED
    if not same_frame or len(parts) != len(others) or len(parts) > MAX_PARTS:
        return Verdict(False, "parts: another shape")
    how = "part by part" if ordered else "parts in any order"
    left_over, doubts, sure = list(others), [], True
    for part in parts:
        best = Verdict(False, how)
        for other in left_over[:1] if ordered else left_over:
            found = _same(part, other)
            if found.same or (found.same is None and best.same is False):
                best = found
            if found.same:
                left_over.remove(other)
                break
        if best.same is False:
            return best
        sure = sure and bool(best.same)
        doubts += [best.how] if not best.same or "guess" in best.how else []
    return Verdict(sure or None, f"{how}: {doubts[0]}" if doubts else how)
