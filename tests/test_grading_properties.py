"""Grading by property: an answer equals itself in every spelling, and never a changed one.

Each kind of answer is a seeded generator of `(spellings, spellings of something else)`. The fast
share runs always; `-m slow` draws 5,000 pairs of each kind both ways.
"""

import random
from collections.abc import Callable, Sequence
from fractions import Fraction

import pytest

from s1core.grading.equivalence import equivalent
from tests.helpers import table

Spellings = list[str]
Maker = Callable[[random.Random], tuple[Spellings, Spellings]]
TABLE = table("grading_spellings.yaml")


def spelled(kind: str, **parts: object) -> Spellings:
    """The spellings of a kind, `<name>` replaced by its part."""
    texts = TABLE[kind]
    for name, part in parts.items():
        texts = [text.replace(f"<{name}>", str(part)) for text in texts]
    return texts


def framed(rng: random.Random, text: str) -> str:
    """What may stand around any answer."""
    return rng.choice(("{}", "${}$", " {} ", "{}.", r"\({}\)", "$ {} $.", "**{}**")).format(text)


def fractions(value: Fraction) -> Spellings:
    a, b = abs(value.numerator), value.denominator
    decimal = f"{float(value):.3f}" if 1000 % b == 0 else f"{float(value):.12f}"
    parts = {"s": "-" if value < 0 else "", "a": a, "b": b, "a3": 3 * a, "b3": 3 * b}
    found = spelled("fraction", **parts, decimal=decimal)
    if a < 10 and b < 10:
        found += spelled("short", **parts)
    return found + spelled("mixed", **parts, w=a // b, r=a % b) if a > b > 1 else found


def fraction(rng: random.Random) -> tuple[Spellings, Spellings]:
    a, b = rng.randint(1, 400) * rng.choice((1, -1)), rng.randint(2, 99)
    value = Fraction(a, b)
    other = rng.choice((value + 1, -value, value + Fraction(1, b), Fraction(a + b * 2, b)))
    return fractions(value), fractions(other or value + 5)


def integers(n: int) -> Spellings:
    grouped = {f"g{mark}": f"{n:,}".replace(",", mark) for mark in ("{,}", r"\,", r",\!", " ")}
    return spelled("integer", n=n, g=f"{n:,}", k=n / 1000, **grouped)


def thousands(rng: random.Random) -> tuple[Spellings, Spellings]:
    n = rng.randint(1_000, 9_999_999)
    return integers(n), integers(n + rng.choice((1, -1, 1000, 9 * n)))


def powers_of_ten(d: int, p: int) -> Spellings:
    raised = str(p).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return spelled("scientific", h=f"{d // 100}.{d % 100:02d}", d=d, p=p, p2=p - 2, raised=raised)


def scientific(rng: random.Random) -> tuple[Spellings, Spellings]:
    digits, power = rng.randint(100, 999), rng.randint(-40, 40)
    other = rng.choice(((digits, power + rng.choice((-1, 1, 5))), (1100 - digits, power + 1)))
    return powers_of_ten(digits, power), powers_of_ten(*other)


def percent(rng: random.Random) -> tuple[Spellings, Spellings]:
    n = rng.randint(2, 99)
    value = [f"0.{n:02d}", rf"\frac{{{n}}}{{100}}", *fractions(Fraction(n, 100))]
    other = n + rng.choice((-1, 1, 100))
    same = [*spelled("percent", n=n), rng.choice(value)]
    return same, [*spelled("percent", n=other), f"{other / 100:.2f}"]


def degree(rng: random.Random) -> tuple[Spellings, Spellings]:
    n = rng.randint(5, 360)
    others = spelled("degree", n=n + rng.choice((1, -1, 90)))
    return [*spelled("degree", n=n), str(n)], [*others, str(-n)]


def unit(rng: random.Random) -> tuple[Spellings, Spellings]:
    ways = rng.choice(list(TABLE["units"].values()))
    n = rng.randint(2, 5_000)
    number = rng.choice((str(n), f"{n}.5", rf"\frac{{{n}}}{{7}}", rf"{n}\pi", rf"{n}\sqrt{{2}}"))
    changed = number.replace(str(n), str(n + 3))
    if "\\" in number:
        ways = [way for way in ways if way[0] in " \\"]
    same = [number + way for way in ways]
    if "eggs" not in ways[0] and rng.random() < 0.3:
        return same, [number + r"\text{ dollars}", number + " mg"]
    return [*same, number], [changed + way for way in ways] + [changed]


def parts_of(rng: random.Random, count: int) -> list[int]:
    return rng.sample(range(-30, 500), count)


def lists(rng: random.Random, parts: Sequence[int]) -> Spellings:
    texts = [str(part) for part in rng.sample(parts, len(parts))]
    joined = {"wide": ", ".join(texts), "tight": ",".join(texts), "semi": "; ".join(texts)}
    named, most = " or ".join(f"x={t}" for t in texts), ", ".join(texts[:-1])
    return spelled("listed", **joined, named=named, most=most, last=texts[-1])


def listed(rng: random.Random) -> tuple[Spellings, Spellings]:
    parts = parts_of(rng, rng.randint(2, 5))
    changed = [*parts[:-1], parts[-1] + rng.choice((1, 501, -40))]
    other = rng.choice((changed, parts[:-1] + [parts[-1] + 1000], parts + [777]))
    return lists(rng, parts), lists(rng, other)


def plus_minus(rng: random.Random) -> tuple[Spellings, Spellings]:
    a, b = rng.randint(1, 40), rng.randint(1, 40)
    others = [rf"{a} \pm {b + 1}", f"{a + b}", f"{a + b}, {a - b - 1}", rf"{a + 1}\pm{b}"]
    return spelled("plus_minus", a=a, b=b, sum=a + b, gap=a - b), others


def brackets(parts: Sequence[object], opening: str = "(", closing: str = ")") -> Spellings:
    tight, wide = (mark.join(map(str, parts)) for mark in (",", ", "))
    return spelled("framed", o=opening, c=closing, tight=tight, wide=wide)


def tuples(rng: random.Random) -> tuple[Spellings, Spellings]:
    parts = parts_of(rng, rng.randint(2, 4))
    other = rng.choice((parts[::-1], [*parts[:-1], parts[-1] + 1], [*parts, 8]))
    return brackets(parts), [*brackets(other), "".join(map(str, parts))]


def interval(rng: random.Random) -> tuple[Spellings, Spellings]:
    low = rng.randint(-50, 50)
    high = low + rng.randint(1, 900)
    frame, another = rng.sample([("(", "]"), ("[", ")"), ("[", "]"), ("(", ")")], 2)
    same = brackets([low, high], *frame)
    others = brackets([low, high], *another) + brackets([low, high + 1], *frame)
    return [*same, rf"x \in {same[0]}"], others


def matrices(rows: Sequence[Sequence[object]]) -> Spellings:
    tight = r"\\".join("&".join(map(str, row)) for row in rows)
    wide = r" \\ ".join(" & ".join(map(str, row)) for row in rows)
    lined = wide.replace(r"\\", r"\\[4pt]").replace(" & ", "\n&")
    return spelled("matrix", tight=tight, wide=wide, lined=lined, columns="c" * len(rows[0]))


def matrix(rng: random.Random) -> tuple[Spellings, Spellings]:
    height, width = rng.choice([(h, w) for h in (1, 2, 3) for w in (1, 2, 3) if h * w > 1])
    rows = [[rng.randint(-99, 999) for _ in range(width)] for _ in range(height)]
    changed = [list(row) for row in rows]
    changed[-1][-1] += rng.choice((1, -1, 1000))
    other = changed if height == width or rng.random() < 0.5 else [list(c) for c in zip(*rows)]
    if rng.random() < 0.7:
        return matrices(rows), matrices(other)
    halves = [[rf"\frac{{{cell}}}{{2}}" for cell in row] for row in rows]
    slashes, others = ([[f"{cell}/2" for cell in row] for row in table] for table in (rows, other))
    return matrices(halves) + matrices(slashes), matrices(others)


def radical(rng: random.Random) -> tuple[Spellings, Spellings]:
    a, r = rng.randint(2, 30), rng.choice((2, 3, 5, 6, 7, 10))
    braced = {"{r}": r if r < 10 else f"{{{r}}}", "decimal": f"{a * r**0.5:.9f}"}
    same = spelled("radical", a=a, r=r, ar=a * r, aar=a * a * r, **braced)
    return same, [rf"{a + 1}\sqrt{{{r}}}", rf"{a}\sqrt{{{r + 1}}}", rf"\sqrt{{{a * r}}}"]


def numeral(rng: random.Random) -> tuple[Spellings, Spellings]:
    base = rng.randint(2, 9)
    n = rng.randint(base, 5_000)
    digits, rest = "", n
    while rest:
        digits, rest = str(rest % base) + digits, rest // base
    others = [f"{digits}_{base + 1}", f"{digits}1_{base}", f"{n + 1}_{{10}}"]
    return spelled("numeral", d=digits, b=base), others


def polynomial(rng: random.Random) -> tuple[Spellings, Spellings]:
    a, b, x = rng.randint(1, 9), rng.randint(1, 9), rng.choice("xynt")
    sums = {"sum": a + b, "sum2": 2 * (a + b), "ab": a * b, "ab2": 2 * a * b}
    others = [f"{x}^2 + {a + b}{x} + {a * b + 1}", f"({x}+{a})({x}-{b})", f"({x}+{a})", str(a * b)]
    return spelled("polynomial", x=x, a=a, b=b, **sums), others


def letters(rng: random.Random) -> tuple[Spellings, Spellings]:
    n, (x, other) = rng.randint(2, 99), rng.sample("abknpqrtuvwxyz", 2)
    others = [str(n), f"{n}{other}", f"{n + 1}{x}", f"{n}{x.upper()}", f"{n}{x}_1"]
    return spelled("letters", n=n, x=x), others


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


@pytest.mark.parametrize("pairs", [0, pytest.param(5_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("make", [*CHEAP, *ALGEBRA], ids=lambda make: make.__name__)
def test_an_answer_is_itself_in_every_spelling_and_no_other(make, pairs):
    assert mistakes(make, pairs or (150 if make in CHEAP else 25), seed=min(pairs, 1)) == []
