"""Grading by property: an answer equals itself in every spelling, and never a changed one.

Each kind of answer is a seeded generator of `(spellings, spellings of something else)`. The fast
share runs always; `-m slow` draws 5,000 pairs of each kind both ways.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction

import pytest

from s1core.grading.equivalence import equivalent

Spellings = list[str]
Maker = Callable[[random.Random], tuple[Spellings, Spellings]]


def framed(rng: random.Random, text: str) -> str:
    """What may stand around any answer."""
    return rng.choice(("{}", "${}$", " {} ", "{}.", r"\({}\)", "$ {} $.", "**{}**")).format(text)


def fraction_spellings(value: Fraction) -> Spellings:
    a, b = abs(value.numerator), value.denominator
    sign = "-" if value < 0 else ""
    found = [rf"{sign}\frac{{{a}}}{{{b}}}", f"{sign}{a}/{b}", rf"{sign}\dfrac{{{a}}}{{{b}}}"]
    found += [rf"{sign}\frac{{{3 * a}}}{{{3 * b}}}", rf"\frac{{{sign}{a}}}{{{b}}}"]
    found += [rf"x = {sign}\tfrac{{{a}}}{{{b}}}", f"{sign} {a} / {b}"]
    if a < 10 and b < 10:
        found.append(rf"{sign}\frac{a}{b}")
    if a > b > 1:
        found += [rf"{sign}{a // b}\frac{{{a % b}}}{{{b}}}", f"{sign}{a // b} {a % b}/{b}"]
        found.append(rf"{sign}{a // b} \frac{{{a % b}}}{{{b}}}")
    if 1000 % b == 0:
        found.append(f"{float(value):.3f}")
    else:
        found.append(f"{float(value):.12f}")
    return found


def fraction(rng: random.Random) -> tuple[Spellings, Spellings]:
    a, b = rng.randint(1, 400) * rng.choice((1, -1)), rng.randint(2, 99)
    value = Fraction(a, b)
    other = rng.choice((value + 1, -value, value + Fraction(1, b), Fraction(a + b * 2, b)))
    return fraction_spellings(value), fraction_spellings(other or value + 5)


def integer_spellings(n: int) -> Spellings:
    grouped = f"{n:,}"
    found = [str(n), grouped, grouped.replace(",", "{,}"), grouped.replace(",", r"\,")]
    found += [grouped.replace(",", r",\!"), grouped.replace(",", " "), f"{n}.0", f"({n})", f"x={n}"]
    return [*found, rf"\text{{{n}}}", rf"{n / 1000}\times 10^3", f"{n}e0", f"+{n}", f"{n:07d}"]


def thousands(rng: random.Random) -> tuple[Spellings, Spellings]:
    n = rng.randint(1_000, 9_999_999)
    return integer_spellings(n), integer_spellings(n + rng.choice((1, -1, 1000, 9 * n)))


def scientific_spellings(digits: int, power: int) -> Spellings:
    head = f"{digits // 100}.{digits % 100:02d}"
    found = [rf"{head}\times10^{{{power}}}", rf"{head} \cdot 10^{{{power}}}", f"{head}e{power}"]
    raised = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    found += [f"{head} × 10^{{{power}}}", f"{head}E{power}", f"{head}*10^{{{power}}}"]
    return [*found, rf"{digits}\times 10^{{{power - 2}}}", f"{head}×10{raised}"]


def scientific(rng: random.Random) -> tuple[Spellings, Spellings]:
    digits, power = rng.randint(100, 999), rng.randint(-40, 40)
    other = rng.choice(((digits, power + rng.choice((-1, 1, 5))), (1099 - digits, power)))
    if other == (digits, power):
        other = digits, power + 1
    return scientific_spellings(digits, power), scientific_spellings(*other)


def percent_spellings(n: int) -> Spellings:
    found = [rf"{n}\%", f"{n}%", f"{n} percent", rf"{n}\text{{ percent}}", rf"{n} \%", f"{n} %"]
    return [*found, rf"{n}\text{{%}}"]


def percent(rng: random.Random) -> tuple[Spellings, Spellings]:
    n = rng.randint(2, 99)
    value = [f"0.{n:02d}", rf"\frac{{{n}}}{{100}}", *fraction_spellings(Fraction(n, 100))]
    same = percent_spellings(n) + [rng.choice(value)]
    other = n + rng.choice((-1, 1, 100))
    return same, percent_spellings(other) + [f"{other / 100:.2f}"]


def degree_spellings(n: int) -> Spellings:
    found = [rf"{n}^\circ", rf"{n}^{{\circ}}", f"{n}°", f"{n} degrees", rf"{n}\text{{ degrees}}"]
    return [*found, rf"{n}\degree", rf"x={n}^\circ", rf"{n} ^ \circ"]


def degree(rng: random.Random) -> tuple[Spellings, Spellings]:
    n = rng.randint(5, 360)
    return [*degree_spellings(n), str(n)], [*degree_spellings(n + rng.choice((1, -1, 90))), str(-n)]


UNITS = {
    "cm": (r"\text{ cm}", " centimeters", r"\,\mathrm{cm}", " cm", "cm", r"\mbox{ cm}"),
    "m/s": (r"\text{ m/s}", " m/s", " meters per second", r"\ \mathrm{m/s}"),
    "m^2": (r"\text{ m}^2", r"\text{ m}^{2}", " square meters", r"\,\mathrm{m^2}", " m²"),
    "m/s^2": (r"\text{ m/s}^2", " m/s^2", " m/s²", r"\ \mathrm{m/s^2}"),
    "eggs": (" eggs", r"\text{ eggs}", r"\ \text{eggs}"),
    "C": ("°C", r"^\circ C", r"^\circ\text{C}", " degrees Celsius", r"\,^{\circ}\mathrm{C}"),
    "kg": (" kg", "kg", r"\text{ kg}", " kilograms"),
    "hours": (" hours", r"\text{ hours}", " hour", r"\text{ hr}"),
}


def unit(rng: random.Random) -> tuple[Spellings, Spellings]:
    ways = UNITS[rng.choice(list(UNITS))]
    n = rng.randint(2, 5_000)
    number = rng.choice((str(n), f"{n}.5", rf"\frac{{{n}}}{{7}}", rf"{n}\pi", rf"{n}\sqrt{{2}}"))
    changed = number.replace(str(n), str(n + 3))
    if "frac" in number or "pi" in number or "sqrt" in number:
        ways = [way for way in ways if way[0] in " \\"]
    same = [number + way for way in ways]
    if "eggs" not in ways[0] and rng.random() < 0.3:
        return same, [number + r"\text{ dollars}", number + " mg"]
    return [*same, number], [changed + way for way in ways] + [changed]


def parts_of(rng: random.Random, count: int) -> list[int]:
    return rng.sample(range(-30, 500), count)


def list_spellings(rng: random.Random, parts: Sequence[object]) -> Spellings:
    shuffled = rng.sample(list(parts), len(parts))
    texts = [str(part) for part in shuffled]
    last = f"{', '.join(texts[:-1])} and {texts[-1]}"
    found = [", ".join(texts), last, last.replace(" and", ", and"), last.replace(" and", " or")]
    found += [last.replace(" and", r"\text{ and }"), last.replace(" and", r", \text{ and }")]
    found += ["; ".join(texts), " or ".join(f"x={t}" for t in texts), "x = " + ", ".join(texts)]
    return [*found, rf"\{{{', '.join(texts)}\}}", rf"\left\{{{','.join(texts)}\right\}}"]


def listed(rng: random.Random) -> tuple[Spellings, Spellings]:
    parts = parts_of(rng, rng.randint(2, 5))
    changed = [*parts[:-1], parts[-1] + rng.choice((1, 501, -40))]
    other = rng.choice((changed, parts[:-1] + [parts[-1] + 1000], parts + [777]))
    return list_spellings(rng, parts), list_spellings(rng, other)


def plus_minus(rng: random.Random) -> tuple[Spellings, Spellings]:
    a, b = rng.randint(1, 40), rng.randint(1, 40)
    both = f"{a + b}, {a - b}"
    same = [rf"{a} \pm {b}", rf"{a}±{b}", rf"x={a}\pm {b}", both, f"{a - b} and {a + b}"]
    return same, [rf"{a} \pm {b + 1}", f"{a + b}", f"{a + b}, {a - b - 1}", rf"{a + 1}\pm{b}"]


def tuple_spellings(parts: Sequence[object], opening: str = "(", closing: str = ")") -> Spellings:
    inside = [str(part) for part in parts]
    tight, wide = ",".join(inside), ", ".join(inside)
    found = [
        f"{opening}{tight}{closing}",
        f"{opening}{wide}{closing}",
        f"{opening} {wide} {closing}",
    ]
    return [
        *found,
        rf"\left{opening}{wide}\right{closing}",
        rf"\bigl{opening}{tight}\bigr{closing}",
    ]


def tuples(rng: random.Random) -> tuple[Spellings, Spellings]:
    parts = parts_of(rng, rng.randint(2, 4))
    other = rng.choice((parts[::-1], [*parts[:-1], parts[-1] + 1], [*parts, 8]))
    joined = ["".join(map(str, parts))]
    return tuple_spellings(parts), tuple_spellings(other) + joined


def interval(rng: random.Random) -> tuple[Spellings, Spellings]:
    low = rng.randint(-50, 50)
    parts: list[object] = [low, low + rng.randint(1, 900)]
    frames = [("(", "]"), ("[", ")"), ("[", "]"), ("(", ")")]
    frame, another = rng.sample(frames, 2)
    same = tuple_spellings(parts, *frame)
    moved = [parts[0], parts[1] + 1]
    return same + [rf"x \in {same[0]}"], tuple_spellings(parts, *another) + tuple_spellings(
        moved, *frame
    )


def matrix_spellings(rows: Sequence[Sequence[object]]) -> Spellings:
    tight = r"\\".join("&".join(map(str, row)) for row in rows)
    wide = r" \\ ".join(" & ".join(map(str, row)) for row in rows)
    found = [rf"\begin{{{e}}}{tight}\end{{{e}}}" for e in ("pmatrix", "bmatrix")]
    found += [
        rf"\begin{{pmatrix}} {wide} \\ \end{{pmatrix}}",
        rf"\begin{{bmatrix}} {wide} \end{{bmatrix}}",
    ]
    lined = wide.replace(r"\\", r"\\[4pt]").replace(" & ", "\n&")
    columns = "c" * len(rows[0])
    found.append(rf"\begin{{pmatrix}}{lined}\end{{pmatrix}}")
    return [*found, rf"\left[\begin{{array}}{{{columns}}} {wide} \end{{array}}\right]"]


def matrix(rng: random.Random) -> tuple[Spellings, Spellings]:
    height, width = rng.randint(1, 3), rng.randint(1, 3)
    if height == width == 1:
        height = 2
    rows = [[rng.randint(-99, 999) for _ in range(width)] for _ in range(height)]
    changed = [list(row) for row in rows]
    changed[-1][-1] += rng.choice((1, -1, 1000))
    other = changed if height == width or rng.random() < 0.5 else [list(c) for c in zip(*rows)]
    halves = [[rf"\frac{{{cell}}}{{2}}" for cell in row] for row in rows]
    slashes = [[f"{cell}/2" for cell in row] for row in rows]
    if rng.random() < 0.3:
        return (
            matrix_spellings(halves) + matrix_spellings(slashes),
            matrix_spellings([[f"{cell}/2" for cell in row] for row in other]),
        )
    return matrix_spellings(rows), matrix_spellings(other)


def radical(rng: random.Random) -> tuple[Spellings, Spellings]:
    a, root = rng.randint(2, 30), rng.choice((2, 3, 5, 6, 7, 10))
    same = [rf"{a}\sqrt{{{root}}}", rf"\sqrt{{{a * a * root}}}", f"{a}√{root}", f"{a}*sqrt({root})"]
    same += [
        rf"{a} \sqrt {root}" if root < 10 else rf"{a} \sqrt{{{root}}}",
        rf"\sqrt{{{root}}}\cdot {a}",
    ]
    same += [rf"\frac{{{a * root}}}{{\sqrt{{{root}}}}}", f"{a * root**0.5:.9f}"]
    return same, [rf"{a + 1}\sqrt{{{root}}}", rf"{a}\sqrt{{{root + 1}}}", rf"\sqrt{{{a * root}}}"]


def numeral(rng: random.Random) -> tuple[Spellings, Spellings]:
    base = rng.randint(2, 9)
    n = rng.randint(base, 5_000)
    digits, rest = "", n
    while rest:
        digits, rest = str(rest % base) + digits, rest // base
    same = [
        f"{digits}_{base}",
        f"{digits}_{{{base}}}",
        f"({digits})_{base}",
        rf"{digits}_{{{base}}}",
    ]
    return same, [f"{digits}_{base + 1}", f"{digits}1_{base}", f"{n + 1}_{{10}}"]


def polynomial(rng: random.Random) -> tuple[Spellings, Spellings]:
    a, b = rng.randint(1, 9), rng.randint(1, 9)
    x = rng.choice("xynt")
    same = [f"{x}^2 + {a + b}{x} + {a * b}", f"({x}+{a})({x}+{b})", f"{a * b}+{a + b}{x}+{x}²"]
    same += [rf"\frac{{2{x}^2+{2 * (a + b)}{x}+{2 * a * b}}}2", f"{x}({x}+{a + b}) + {a * b}"]
    return same, [
        f"{x}^2 + {a + b}{x} + {a * b + 1}",
        f"({x}+{a})({x}-{b})",
        f"({x}+{a})",
        str(a * b),
    ]


def letters(rng: random.Random) -> tuple[Spellings, Spellings]:
    n, name = rng.randint(2, 99), rng.choice("abknpqrtuvwxyz")
    same = [f"{n}{name}", f"{n} {name}", rf"{n} \cdot {name}", f"{name}*{n}", rf"{n}\,{name}"]
    other = rng.choice([c for c in "abknpqrtuvwxyz" if c != name])
    return same, [str(n), f"{n}{other}", f"{n + 1}{name}", f"{n}{name.upper()}", f"{n}{name}_1"]


CHEAP: list[Maker] = [
    *(fraction, thousands, scientific, percent, degree, unit, listed, plus_minus, tuples, interval),
    *(matrix, numeral),
]
ALGEBRA: list[Maker] = [radical, polynomial, letters]


def mistakes(make: Maker, pairs: int, seed: int) -> list[tuple[str, str, str]]:
    """Draw until there are `pairs` pairs each way; what was judged wrongly."""
    rng, found = random.Random(f"{make.__name__}{seed}"), []
    for _ in range(pairs):
        same, others = make(rng)
        left, right = framed(rng, rng.choice(same)), framed(rng, rng.choice(same))
        if equivalent(left, right).same is not True:
            found.append(("same", left, right))
        left, right = rng.choice(((left, rng.choice(others)), (rng.choice(others), left)))
        if equivalent(left, right).same is not False:
            found.append(("different", left, right))
    return found


@pytest.mark.parametrize("make", [*CHEAP, *ALGEBRA], ids=lambda make: make.__name__)
def test_an_answer_is_itself_in_every_spelling_and_no_other(make: Maker) -> None:
    assert mistakes(make, 150 if make in CHEAP else 25, seed=0) == []


@pytest.mark.slow
@pytest.mark.parametrize("make", [*CHEAP, *ALGEBRA], ids=lambda make: make.__name__)
def test_five_thousand_pairs_of_each_kind_each_way(make: Maker) -> None:
    assert mistakes(make, 5_000, seed=1) == []
