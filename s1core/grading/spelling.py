r"""One spelling for what answers spell in many, without touching what separates their parts. What
is recognised is in `patterns.yaml`; rewritten is only what math-verify misreads."""

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from s1core.jsonl import read_yaml

_tables = cache(lambda: read_yaml(Path(__file__).with_name("patterns.yaml")))


def table(name: str) -> Any:
    """A table of `patterns.yaml`."""
    return _tables()[name]


@cache
def pattern(name: str, letters: str = "") -> re.Pattern[str]:
    """The pattern of a name; `@` in one stands for `letters`."""
    text = table(name)
    while "(?&" in text:
        text = re.sub(r"\(\?&(\w+)\)", lambda found: f"(?:{table(found[1])})", text)
    return re.compile(text.replace("@", letters) if letters else text)


def rewritten(text: str, rules: str) -> str:
    """`text` after each replacement of a list of `patterns.yaml`, in order."""
    for found, replacement in table(rules):
        text = re.sub(found, replacement, text)
    return text


def normalise(text: str, thousands: bool = True) -> str:
    r"""One spelling: `"$ \dfrac12 $." -> "\frac{1}{2}"`, `"11,\! 111" -> "11111"`. Blanks stay
    where they separate ("3 4"), and commas everywhere but within `10,080`."""
    if not text.isascii():
        text = rewritten(text, "raised").translate(_glyphs())
        text = unicodedata.normalize("NFKC", text).translate(_glyphs())
    text = _stripped(text if "begin" in text else re.sub(r"\\\\(?=[a-zA-Z])", r"\\", text))
    text = pattern("space").sub(lambda m: m[1] or " ", rewritten(text, "joined"))
    text = rewritten(text, "spelled")
    bracketed = re.search(r"[(\[]|\\\{", text) and ", " not in text
    if thousands and not bracketed:
        text = pattern("thousands").sub(lambda m: m[0].replace(",", ""), text)
    text = _arguments(pattern("idle").sub("", text))
    return _stripped(re.sub(r"([_^])\{(\w)\}(?!\w)", r"\1\2", text))


@cache
def _glyphs() -> dict[int, str]:
    names = {code: unicodedata.name(chr(code)).split()[-1].lower() for code in range(0x3B1, 0x3CA)}
    greek = {code: f"\\{name.replace('lamda', 'lambda')} " for code, name in names.items()}
    return greek | {ord(c): to for glyphs, to in table("glyphs").items() for c in glyphs}


def _stripped(text: str) -> str:
    """Without the frame of its sentence: dollars, Markdown, a full stop."""
    before = None
    while text != before:
        before = text
        text = re.sub(r"(?<=.)[.,;:]+$", "", text.strip()).strip()
        for opening, closing in table("wrappers"):
            inside = text[len(opening) : -len(closing)]
            framed = text.startswith(opening) and text.endswith(closing)
            if framed and inside and opening not in inside:
                text = inside
    return text


def _arguments(text: str) -> str:
    r"""Braces around short arguments: `"\frac{x^2}4" -> "\frac{x^2}{4}"`, `"\sqrt(2)"`."""
    parts = re.split(r"(\\(?:frac|binom)(?![a-zA-Z])|\\sqrt(?![a-zA-Z])(?:\[[^\]]*\])?)", text)
    tail = ""
    for command, rest in zip(parts[-2::-2], parts[::-2]):  # the last first: they nest
        tail = command + _braced(rest + tail, "sqrt" not in command)
    return parts[0] + tail


def _braced(text: str, fraction: bool) -> str:
    taken = ""
    for _ in range(1 + fraction):
        text = text.lstrip()
        short = re.match(rf"\\[a-zA-Z]+ ?|\d{'' if fraction else '+'}|[A-Za-z]", text)
        end = closing(text, 0) if text.startswith(("{",) if fraction else ("{", "(")) else 0
        if not end and not short:
            break
        inside, rest = (text[1:end], end + 1) if end else (short[0], short.end())
        taken, text = f"{taken}{{{inside.strip()}}}", text[rest:]
    return taken + text


def closing(text: str, start: int) -> int:
    """Where the bracket at `start` closes; 0 when it does not."""
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] in "([{") - (text[position] in ")]}")
        if depth == 0:
            return position
    return 0


def value(text: str) -> Fraction | None:
    r"""Exact value of a normalised number: `"-1\frac{1}{2}"`, `"3/4"`, `"6.6\times10^{-34}"`."""
    while text[:1] in ("(", "{") and len(text) > 2 and closing(text, 0) == len(text) - 1:
        text = text[1:-1]
    if text.lower() in table("counted"):
        return Fraction(table("counted").index(text.lower()))
    match = pattern("number").fullmatch(text) if len(text) < 200 else None
    if not text or match is None:
        return None
    found = match.groupdict()
    if found["period"]:
        nines = 10 ** len(found["period"]) - 1
        places = len(found["start"].partition(".")[2])
        size = Fraction(found["start"] + "0") + Fraction(int(found["period"]), nines * 10**places)
    elif found["plain"] or found["ten"]:
        size = Fraction(found["plain"] or 1) * Fraction(10) ** int(found["up"] or found["one"] or 0)
    else:
        top, bottom = found["top"] or found["over"], found["bottom"] or found["under"]
        if not top or not Fraction(bottom):
            return None
        size = Fraction(top) / Fraction(bottom) + int(found["whole"] or 0)
    return -size if found["sign"].count("-") % 2 else size


def bounds(text: str) -> tuple[Fraction, Fraction] | None:
    """The values that a decimal of six digits or more may stand for, rounded or cut off.
    `"0.333333" -> (0.3333325, 0.333334)`; None for anything else: an integer is exact."""
    match, size = re.match(r"-?(\d*)\.(\d+)", text), value(text)
    digits = (match[1] + match[2]).lstrip("0") if match else ""
    if not size or len(digits) < 6 or "over" in text:
        return None
    unit = abs(size) / int(digits)
    noise = abs(size) * Fraction(23, 10**17) if len(digits) > 15 else 0  # of a double
    low, high = abs(size) - unit / 2 - noise, abs(size) + unit + noise
    return (low, high) if size > 0 else (-high, -low)


@dataclass(frozen=True, slots=True)
class Measure:
    """A quantity: its number as text, the unit as it stands, and what that measures."""

    number: str
    unit: str
    kind: str | None  # e.g. "m^1 s^-2", "" for percent; None when the unit is a word (18 eggs)
    factor: Fraction

    @property
    def scaled(self) -> str:
        """The number in the base unit of its kind; degrees in radians."""
        if self.kind == "degree^1":
            return rf"\frac{{({self.number})\pi}}{{180}}"
        size = value(self.number)
        return f"({self.number})*{self.factor}" if size is None else str(size * self.factor)


def measure(text: str) -> Measure | None:
    r"""Take a unit off: `"9\pi cm^2"`, `"18 eggs"`, `"50%"`, `"700^\circ C"`; None without one. A
    letter that touches its number is a variable (`4t`), and so is any that is no unit."""
    match = pattern("measure").fullmatch(text)
    if match is None or "=" in text or pattern("function").search(match["number"]):
        return None
    number, unit = match["number"], match["unit"].strip()
    kind, factor = dimensions(unit)
    single = len(unit.partition("^")[0]) == 1 and unit[0] not in "mgLsNJWVKCF" and unit != "%"
    if single or kind is None and (match["tight"] or "^" in unit or number.lstrip("-").isalpha()):
        return None
    return Measure(number, unit, kind, factor)


def dimensions(unit: str) -> tuple[str | None, Fraction]:
    """`"km/h" -> ("m^1 s^-1", 5/18)`; None for words that are no known units."""
    powers: dict[str, int] = {}
    factor, sign, units = Fraction(1), 1, _units()
    for word in re.findall(r"/|[^\s/]+", rewritten(unit, "unit_spelled")):
        if word == "/":
            sign = -1
            continue
        name, _, power = word.replace("{", "").replace("}", "").partition("^")
        spelled = (name, name.rstrip(".").lower(), name.lower()[:-1])
        known = next((units[one] for one in spelled if one in units), None)
        if known is None or not re.fullmatch(r"-?\d?", power):
            return None, factor
        exponent = sign * int(power or 1)
        powers[known[0]] = powers.get(known[0], 0) + exponent
        factor *= known[1] ** exponent
    return " ".join(f"{base}^{power}" for base, power in sorted(powers.items()) if base), factor


@cache
def _units() -> dict[str, tuple[str, Fraction]]:
    """What a unit's name measures, and its size in the base unit."""
    listed = ((k, names, size) for k, of in table("units").items() for names, size in of.items())
    return {name: (k, Fraction(str(size))) for k, names, size in listed for name in names.split()}
