r"""One spelling for what answers spell in many, without touching what separates their parts.

What math-verify reads by itself (fractions, powers, functions, sets) is left to it; rewritten is
only what it misreads: short arguments (`\frac12`), Unicode, blanks, thousands, units and words.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

GREEK = {
    chr(code): f"\\{unicodedata.name(chr(code)).split()[-1].lower().replace('lamda', 'lambda')} "
    for code in range(0x3B1, 0x3CA)
}
SIGNS = {
    **dict.fromkeys("−–—‐‑﹣－", "-"),
    **dict.fromkeys("·⋅∙•", r"\cdot "),
    **{"×": r"\times ", "÷": "/", "⁄": "/", "∕": "/", "∞": r"\infty ", "±": r"\pm ", "∓": r"\mp "},
    **dict.fromkeys("“”„", '"'),
    **dict.fromkeys("€£¥", ""),
    **{"≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∪": r"\cup ", "∩": r"\cap "},
    **{
        "∈": r"\in ",
        "∅": r"\emptyset ",
        "°": r"^\circ ",
        "º": r"^\circ ",
        "′": "'",
        "√": r"\sqrt ",
    },
    **{"ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "’": "'", "⟨": "(", "⟩": ")", "∛": r"\sqrt[3] "},
}
_TABLE = str.maketrans(GREEK | SIGNS)
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_LOWERED = re.compile("[₀-₉ₐ-ₜ]+")
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_GROUPS = re.compile(r"(?<=\d)(?:\{,\}|,\s*\\!|\\!|,?\\,|(?<=\d),\\[:; ])\s*(?=\d{3}(?!\d))")
_SPACE = re.compile(
    r"(\\\\)(?:\[[^\]]*\])?|\\[!,;:> ]|\\q?quad\b|~|\\(?:displaystyle|limits)\b|\s+"
)
_WORDS = re.compile(r"\\(?:text|mathrm|mbox|textrm|textnormal|textit|textbf|texttt)\s*\{([^{}]*)\}")
_UPRIGHT = re.compile(
    r"\\[dt]?frac\{\\(?:text|mathrm)\{([^{}]*)\}\}\{\\(?:text|mathrm)\{([^{}]*)\}(\^\{?\d\}?)?\}"
)
_BOLD = re.compile(r"\\(?:mathbf|boldsymbol|mathit|mathsf|bm)\s*\{([^{}]*)\}")
_SIZES = re.compile(r"\\(?:left|right|[bB]igg?[lr]?)(?=[^a-zA-Z])\s*")
_NAMES = re.compile(
    r"(?<![\\A-Za-z])(sqrt|sin|cos|tan|sec|csc|cot|arcsin|arccos|arctan|log|ln|exp|pi|theta|infty|infinity)"
    r"(?![A-Za-z])"
)
_POWER_OF_TEN = re.compile(r"(?<![\w.}])(\d+\.?\d*|\.\d+)[eE]([+-]?\d{1,3})(?![\w.])")
_SCALES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SCALE = re.compile(rf"(?<=\d) (?:({'|'.join(_SCALES)})|dozen)\b")
_MIXED = re.compile(r"(?<![\d.^_/}])(\d+) (\d+)/(\d+)(?![\d.^])")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d|,\d)")
_IDLE = re.compile(r"(?<![\w.})!]) | (?![\w.])|(?<=[})!]) (?![A-Za-z])")
_WRAPPERS = (("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"), ('"', '"'))


def normalise(text: str, thousands: bool = True) -> str:
    r"""One spelling: `"$ \dfrac12 $." -> "\frac{1}{2}"`, `"11,\! 111" -> "11111"`.

    Blanks stay where they separate ("3 4"), and commas everywhere but within `10,080`.
    """
    text = _ascii(text) if not text.isascii() else text
    text = _stripped(text if "begin" in text else re.sub(r"\\\\(?=[a-zA-Z])", r"\\", text))
    text = _SPACE.sub(lambda m: m[1] or " ", _GROUPS.sub("", _SIZES.sub("", text)))
    text = _UPRIGHT.sub(r" \1/\2\3", text)
    text = _BOLD.sub(r"\1", _WORDS.sub(r" \1 ", text))
    text = re.sub(r"\\[dtc](frac|binom)", r"\\\1", text).replace("{,}", ",")
    text = text.replace(r"\varnothing", r"\emptyset").replace("infinity", "infty")
    text = re.sub(r"\\(?:langle|lbrack)\b", "(", text.replace(r"\rangle", ")"))
    text = re.sub(r"^(-?) ?\\?\$ ?([^$]*)$", r"\1\2 dollars", text).replace(r"\$", "")
    text = re.sub(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ\b)|\\degree\b", r"^\\circ ", text)
    text = _NAMES.sub(r"\\\1 ", text.replace("**", "^")).replace("*", r"\cdot ")
    text = _POWER_OF_TEN.sub(lambda m: rf"{m[1]}\cdot 10^{{{int(m[2])}}}", text)
    text = re.sub(r"\s+", " ", re.sub(r"\s*[,;]?\s+(?:and|or)\s+|\s*;\s*", ", ", text)).strip()
    text = _SCALE.sub(lambda m: rf"\\cdot 10^{{{_SCALES[m[1]]}}}" if m[1] else r"\\cdot 12", text)
    text = _MIXED.sub(r"\1\\frac{\2}{\3}", text)
    bracketed = re.search(r"[(\[]|\\\{", text) and ", " not in text
    if thousands and not bracketed:
        text = _THOUSANDS.sub(lambda m: m[0].replace(",", ""), text)
    text = _arguments(_IDLE.sub("", text))
    return _stripped(re.sub(r"([_^])\{(\w)\}(?!\w)", r"\1\2", text))


def _ascii(text: str) -> str:
    text = _RAISED.sub(lambda m: f"^{{{unicodedata.normalize('NFKC', m[0])}}}", text)
    text = _LOWERED.sub(lambda m: f"_{{{unicodedata.normalize('NFKC', m[0])}}}", text)
    text = _VULGAR.sub(lambda m: " " + unicodedata.normalize("NFKC", m[0]), text)
    return unicodedata.normalize("NFKC", text.translate(_TABLE)).translate(_TABLE)


def _stripped(text: str) -> str:
    """Without the frame of its sentence: dollars, Markdown, a full stop."""
    before = None
    while text != before:
        before = text
        text = re.sub(r"(?<=.)[.,;:]+$", "", text.strip()).strip()
        for opening, closing in _WRAPPERS:
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
        if end:
            taken, text = f"{taken}{{{text[1:end].strip()}}}", text[end + 1 :]
        elif short:
            taken, text = f"{taken}{{{short[0].strip()}}}", text[short.end() :]
        else:
            break
    return taken + text


def closing(text: str, start: int) -> int:
    """Where the bracket at `start` closes; 0 when it does not."""
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] in "([{") - (text[position] in ")]}")
        if depth == 0:
            return position
    return 0


_NUMERAL = r"\d+\.?\d*|\.\d+"
_NUMBER = re.compile(
    rf"(?P<sign>[+-]*)(?:(?P<whole>\d+)?\\frac\{{(?P<top>-?(?:{_NUMERAL}))\}}"
    rf"\{{(?P<bottom>-?(?:{_NUMERAL}))\}}"
    rf"|(?P<over>{_NUMERAL})/(?P<under>{_NUMERAL})"
    r"|(?P<start>\d*\.\d*)\\overline\{(?P<period>\d+)\}"
    rf"|(?P<plain>{_NUMERAL})?(?P<ten>(?:(?<=\d)\\(?:cdot|times) ?|(?<!\d))"
    r"10\^(?:\{(?P<up>[+-]?\d{1,3})\}|(?P<one>\d)))?)"
)
_COUNTED = "zero one two three four five six seven eight nine ten eleven twelve".split()


def value(text: str) -> Fraction | None:
    r"""Exact value of a normalised number: `"-1\frac{1}{2}"`, `"3/4"`, `"6.6\times10^{-34}"`."""
    while text[:1] in ("(", "{") and len(text) > 2 and closing(text, 0) == len(text) - 1:
        text = text[1:-1]
    if text.lower() in _COUNTED:
        return Fraction(_COUNTED.index(text.lower()))
    match = _NUMBER.fullmatch(text) if len(text) < 200 else None
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

    `"0.333333" -> (0.3333325, 0.333334)`; None for anything else: an integer is exact.
    """
    match = re.match(r"-?(\d*)\.(\d+)", text)
    size = value(text)
    if match is None or not size or len((match[1] + match[2]).lstrip("0")) < 6 or "over" in text:
        return None
    digits = (match[1] + match[2]).lstrip("0")
    unit = abs(size) / int(digits)
    noise = abs(size) * Fraction(23, 10**17) if len(digits) > 15 else 0  # of a double
    low, high = abs(size) - unit / 2 - noise, abs(size) + unit + noise
    return (low, high) if size > 0 else (-high, -low)


_UNITS = {
    "m": "m meter metre 1, cm centimeter centimetre .01, mm millimeter millimetre .001, "
    "km kilometer kilometre 1000, in inch inches .0254, ft foot feet .3048, yd yard .9144, "
    "mi mile 1609.344",
    "s": "s sec second 1, min minute 60, h hr hour 3600, day 86400, week 604800",
    "g": "g gram 1, kg kilogram 1000, mg milligram .001, lb pound 453.59237, oz ounce 28.349523125",
    "L": "L l liter litre 1, mL ml milliliter millilitre .001",
    "dollar": "dollar usd 1, cent .01",
    "": "% percent percentage .01",
    **{name: f"{name} 1" for name in ("degree", "rad", "N", "J", "W", "V", "Hz", "Pa", "mol", "K")},
    "C": "C Celsius celsius 1",
    "F": "F Fahrenheit fahrenheit 1",
}
KNOWN = {
    name: (base, Fraction(entry.split()[-1]))
    for base, entries in _UNITS.items()
    for entry in entries.split(", ")
    for name in entry.split()[:-1]
}
_PHRASE = r"[A-Za-z%][A-Za-z.'/ -]*(?:\^\{?-?\d\}?[A-Za-z.'/ -]*)*"
_UNIT = re.compile(
    r"(?P<number>.*[\d)}\]!]|.*\\pi|-?[a-z])"
    rf"(?P<unit>\^\\circ ?[CF]?|\\?%|(?P<tight>[A-Za-z]{{2}}[A-Za-z^\d/]*)| {_PHRASE})"
)
_FUNCTION = re.compile(r"\\(?!pi|frac|sqrt|cdot|times)[a-z]")
_SINGLE = set("mgLsNJWVKCF")


@dataclass(frozen=True, slots=True)
class Measure:
    """A quantity: its number as text, the unit as it stands, and what that measures.

    `kind` is e.g. "m^1 s^-2", "" for percent; None when the unit is a word (18 eggs).
    """

    number: str
    unit: str
    kind: str | None
    factor: Fraction

    @property
    def scaled(self) -> str:
        """The number in the base unit of its kind; degrees in radians."""
        if self.kind == "degree^1":
            return rf"\frac{{({self.number})\pi}}{{180}}"
        size = value(self.number)
        return f"({self.number})*{self.factor}" if size is None else str(size * self.factor)


def measure(text: str) -> Measure | None:
    r"""Take a unit off: `"9\pi cm^2"`, `"18 eggs"`, `"50%"`, `"700^\circ C"`; None without one.

    A letter that touches its number is a variable (`4t`), and so is any that is no unit.
    """
    match = _UNIT.fullmatch(text)
    if match is None or "=" in text or _FUNCTION.search(match["number"]):
        return None
    number, unit = match["number"], match["unit"].strip()
    kind, factor = dimensions(unit)
    single = len(unit.partition("^")[0]) == 1 and unit[0] not in _SINGLE and unit != "%"
    if single or kind is None and (match["tight"] or "^" in unit or number.lstrip("-").isalpha()):
        return None
    return Measure(number, unit, kind, factor)


def dimensions(unit: str) -> tuple[str | None, Fraction]:
    """`"km/h" -> ("m^1 s^-1", 5/18)`; None for words that are no known units."""
    unit = re.sub(r"(?:degrees?|\^\\circ) ?([CF])(?:elsius|ahrenheit)?$", r"\1", unit)
    unit = unit.replace(r"^\circ", "degree")
    unit = re.sub(r"\b(square|sq|cubic|cu)\.? ([A-Za-z]+)", _power, unit.replace("\\%", "%"))
    unit = re.sub(r"([A-Za-z]+) (squared|cubed)", r"\1^\2", unit).replace(" per ", "/")
    powers: dict[str, int] = {}
    factor, sign = Fraction(1), 1
    for word in re.findall(r"/|[^\s/]+", unit.replace("squared", "2").replace("cubed", "3")):
        if word == "/":
            sign = -1
            continue
        name, _, power = word.replace("{", "").replace("}", "").partition("^")
        known = (
            KNOWN.get(name) or KNOWN.get(name.rstrip(".").lower()) or KNOWN.get(name.lower()[:-1])
        )
        if known is None or not re.fullmatch(r"-?\d?", power):
            return None, factor
        exponent = sign * int(power or 1)
        powers[known[0]] = powers.get(known[0], 0) + exponent
        factor *= known[1] ** exponent
    return " ".join(f"{base}^{power}" for base, power in sorted(powers.items()) if base), factor


def _power(match: re.Match[str]) -> str:
    return f"{match[2]}^{2 if match[1].startswith('sq') else 3}"
