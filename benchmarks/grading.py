"""How fast is grading? `python benchmarks/grading.py`

Ordinary answers: full texts ending in a boxed answer, two thirds spelled like the gold answer or
nearly so, the others wrong or written in another form (products expanded, fractions as decimals,
lists in another order). Both sides grade the same texts on one core, alternating: ours, and
math-verify as its README uses it (`verify(parse(gold), parse(text))`). Every text is distinct, so
nothing is answered from memory. Time is CPU time, of the guarded process too, start-up included, so
that a busy machine measures what an idle one does. The last line is one JSON object of ratios.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import random
import resource
import statistics
import time
from importlib.metadata import version

from s1core.grading import grade_text
from s1core.grading.verifier import verify
from s1core.records import Problem

PROSE = "We set up the equation and simplify step by step, checking each case in turn. "


def answers(count: int, seed: int) -> list[tuple[Problem, str]]:
    """(problem, text) pairs in the mix that logs of MATH500 show."""
    rng = random.Random(seed)
    return [_one(rng, number) for number in range(count)]


def _one(rng: random.Random, number: int) -> tuple[Problem, str]:
    a, b, c = rng.randint(2, 99), rng.randint(2, 99), rng.randint(2, 9)
    root = rng.choice((2, 3, 5, 7))
    forms = [
        (f"{a * b}", f"{a * b}"),
        (rf"\frac{{{a}}}{{{b}}}", rf"\dfrac{{{a}}}{{{b}}}"),
        (rf"\left( {a}, \frac{{\pi}}{{{c}}} \right)", rf"({a}, \frac{{\pi}}{{{c}}})"),
        (f"{a * 1000 + b:,}", f"{a * 1000 + b}"),
        (rf"{c}\sqrt{{{root}}}", rf"{c}\sqrt{root}"),
        (rf"{a}x^2 + {b}x + {c}", rf"{a}x^2+{b}x+{c}"),
        (rf"{a}^\circ", f"{a}"),
        (f"{a}, {-b}", f"{-b}, {a}"),
        (rf"{c * c}x^2 - {b * b}", rf"({c}x-{b})({c}x+{b})"),
        (rf"{c}\sqrt{{{root}}}", rf"\sqrt{{{c * c * root}}}"),
    ]
    # Two in a hundred need algebra, as in the logs; the others are spelled alike or differ plainly.
    gold, said = rng.choice(forms[8:]) if rng.random() < 0.02 else rng.choice(forms[:8])
    if rng.random() < 0.3:
        gold = f"{a + b + c}"
    text = PROSE * rng.randint(3, 40) + rf"Therefore the answer is $\boxed{{{said}}}$."
    return Problem(f"Question {number}?", gold), text


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def ours(pairs: list[tuple[Problem, str]]) -> tuple[float, int]:
    """CPU seconds and number of correct answers."""
    start = cpu_seconds()
    correct = sum(grade_text(problem, text).status == "correct" for problem, text in pairs)
    verify.close()  # ends the guarded process, so that its time is counted
    return cpu_seconds() - start, correct


def plain(pairs: list[tuple[Problem, str]]) -> tuple[float, int]:
    """The same with math-verify called on the whole text, as its README does."""
    from math_verify import parse
    from math_verify import verify as same

    start = cpu_seconds()
    correct = sum(same(parse(rf"${p.answer}$"), parse(text)) for p, text in pairs)
    return cpu_seconds() - start, correct


def main() -> None:
    """Measure both sides, alternating, and print medians with their spread."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=int, default=10_000, help="per run of ours")
    parser.add_argument("--plain-answers", type=int, default=500, help="per run of math-verify")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    plain(answers(1, seed=-1))  # imports are not part of grading

    rates: dict[str, list[float]] = {"s1core": [], "math-verify": []}
    agree = []
    for number in range(options.rounds):
        pairs = answers(options.answers, seed=number)
        seconds, _ = ours(pairs)
        rates["s1core"].append(60 * len(pairs) / seconds)
        few = pairs[: options.plain_answers]
        seconds, theirs = plain(few)
        rates["math-verify"].append(60 * len(few) / seconds)
        agree.append((ours(few)[1], theirs, len(few)))

    print(f"{'grader':<14}{'per minute':>14}{'lowest':>12}{'highest':>12}")
    for name, values in rates.items():
        middle = statistics.median(values)
        print(f"{name:<14}{middle:>14,.0f}{min(values):>12,.0f}{max(values):>12,.0f}")
    mine, theirs, total = (sum(column) for column in zip(*agree))
    print(f"correct among the same {total}: s1core {mine}, math-verify {theirs}")
    print(
        f"python {platform.python_version()}, math-verify {version('math-verify')}, "
        f"{platform.processor() or platform.machine()}, CPU time of one core"
    )
    middle = {name: statistics.median(values) for name, values in rates.items()}
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"largest process of the guarded comparison: {peak:.0f} MB")
    result = {
        "graded_per_minute": round(middle["s1core"]),
        "graded_vs_math_verify": round(middle["s1core"] / middle["math-verify"], 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
