"""How fast and how small is selection? `python benchmarks/selection.py`

Decontamination is measured against the straightforward implementation, which builds a table from
n-gram to questions for the pool and for the benchmarks and intersects them. Both sides run in
processes of their own, alternating, on one synthetic pool with the row counts of Table 7: 59,029
questions. Memory is the peak of the resident set over what it was with the questions loaded. Then
the whole funnel runs on annotated candidates of the same shape. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from s1core.records import Example, Problem, Trace
from s1core.selection import BenchmarkIndex, Candidate, SelectionConfig, select
from s1lab.data.sources import POOL

# Average thinking length in thousands of tokens, Table 7, in the order of `POOL`.
THINKING = (4.1, 2.9, 3.2, 4.4, 1.2, 0.7, 3.9, 4.7, 2.1, 3.6, 2.9, 2.9, 0.7, 4.0, 3.5, 4.1)
VOCABULARY = [f"w{i}" for i in range(20_000)]


def synthetic_questions(count: int, seed: int, mean_words: float = 33.0) -> Iterator[str]:
    """Questions of Zipf-distributed words, 33 on average as in MATH500, heavy-tailed in length."""
    rng = np.random.default_rng(seed)
    weights = 1.0 / np.arange(1, len(VOCABULARY) + 1)
    cumulative = np.cumsum(weights / weights.sum())
    for start in range(0, count, 4096):
        size = min(4096, count - start)
        lengths = rng.lognormal(np.log(mean_words) - 0.25, 0.7, size).astype(int) + 4
        words = np.searchsorted(cumulative, rng.random(lengths.sum())).tolist()
        place = 0
        for length in lengths.tolist():
            yield " ".join(VOCABULARY[min(w, 19_999)] for w in words[place : place + length])
            place += length


def benchmark_questions() -> list[str]:
    """728 questions: as many as MATH500, GPQA Diamond and AIME24 have together."""
    return list(synthetic_questions(728, seed=1))


def contaminate(questions: Iterator[str], every: int = 400) -> Iterator[str]:
    """Copy a benchmark question into one row in 400, so that there is something to find."""
    copies = benchmark_questions()
    for number, question in enumerate(questions):
        yield f"{question} {copies[number % len(copies)]}" if number % every == 0 else question


def straightforward(questions: list[str], benchmark: list[str], n: int = 8) -> set[int]:
    """Both n-gram tables, intersected: what the official script does, in as few words."""

    def table(texts: list[str]) -> dict[str, set[int]]:
        found: dict[str, set[int]] = defaultdict(set)
        for number, text in enumerate(texts):
            words = text.lower().split()
            for start in range(len(words) - n + 1):
                found[" ".join(words[start : start + n])].add(number)
        return found

    pool, bench = table(questions), table(benchmark)
    contaminated: set[int] = set()
    for gram in pool.keys() & bench.keys():
        contaminated |= pool[gram]
    return contaminated


def lines(path: Path) -> Iterator[str]:
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n")


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def child(side: str, path: Path) -> dict[str, float]:
    """One measurement in this process: seconds, peak MB above the start, rows dropped."""
    benchmark = benchmark_questions()
    if side == "stream":
        before, started = resident_mb(), time.process_time()
        index = BenchmarkIndex({"benchmark": benchmark})
        dropped = sum(found is not None for found in map(index.overlap, lines(path)))
    else:
        questions = list(lines(path))
        before, started = resident_mb(), time.process_time()
        if side == "straightforward":
            dropped = len(straightforward(questions, benchmark))
        else:
            index = BenchmarkIndex({"benchmark": benchmark})
            dropped = sum(found is not None for found in map(index.overlap, questions))
    seconds = time.process_time() - started  # CPU: other load on the machine does not count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "mb": max(peak - before, 0.1), "dropped": dropped}


def synthetic_candidates(times: int) -> list[Candidate]:
    """Annotated candidates with the sources of Table 7 and the paper's rates of loss per stage."""
    rng, numbers = random.Random(0), np.random.default_rng(0)
    total = sum(entry.rows for entry in POOL) * times
    texts = contaminate(synthetic_questions(total, seed=2))
    domains = [f"domain {i}" for i in range(51)]
    weights = [1 / (i + 1) for i in range(51)]
    made: list[Candidate] = []
    for entry, thousand in zip(POOL, THINKING, strict=True):
        count = entry.rows * times
        lengths = numbers.lognormal(np.log(thousand * 1000) - 0.18, 0.6, count).astype(int).tolist()
        labels = rng.choices(domains, weights, k=count)
        for length, domain in zip(lengths, labels, strict=True):
            question = next(texts)
            question = f"{question} ![Image](x)" if rng.random() < 0.047 else question
            problem = Problem(question, "1", "", entry.source_types[0], domain)
            solved = rng.random() > 0.475
            made.append(
                Candidate(
                    Example(problem, Trace("t", "a")),
                    length,
                    solved and rng.random() < 0.7,
                    solved,
                    rng.random() < 0.5,
                    "API error" if rng.random() < 0.083 else "",
                )
            )
    return made


def funnel_child(times: int) -> dict[str, float]:
    pool = synthetic_candidates(times)
    benchmark = {"benchmark": benchmark_questions()}
    started = time.process_time()
    # Ten times the pool has ten times the pre-selected questions: they must not exceed the target.
    target = 1000 * times
    config = SelectionConfig()
    config = SelectionConfig(
        diversity=type(config.diversity)(target=target, long_tokens=9000, correct_sources=())
    )
    selected, funnel = select(pool, benchmark, config, np.random.default_rng(0))
    seconds = time.process_time() - started  # CPU: other load on the machine does not count
    return {
        "seconds": seconds,
        "selected": len(selected),
        **{s.name: s.kept for s in funnel.stages},
    }


def measured(side: str, path: Path | str) -> dict[str, float]:
    """Run this script's `child` in a new process."""
    command = [sys.executable, __file__, "--child", side, "--pool", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def spread(runs: list[dict[str, float]], key: str) -> str:
    values = sorted(run[key] for run in runs)
    return f"{statistics.median(values):8.2f} [{values[0]:.2f}, {values[-1]:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--pool", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child == "funnel":
        print(json.dumps(funnel_child(int(options.pool))))
        return
    if options.child:
        print(json.dumps(child(options.child, Path(options.pool))))
        return

    total = sum(entry.rows for entry in POOL)
    print(f"python {platform.python_version()}, {platform.machine()}, one process at a time")
    with tempfile.TemporaryDirectory() as folder:
        one, ten = Path(folder, "1x.txt"), Path(folder, "10x.txt")
        for path, times in ((one, 1), (ten, 10)):
            with open(path, "w", encoding="utf-8") as file:
                texts = contaminate(synthetic_questions(total * times, seed=0))
                file.writelines(f"{text}\n" for text in texts)
        runs: dict[str, list[dict[str, float]]] = defaultdict(list)
        for _ in range(options.repeats):
            for side in ("straightforward", "ours"):
                runs[side].append(measured(side, one))
            runs["ours, streamed"].append(measured("stream", one))
        runs["ours, streamed, 10x"].append(measured("stream", ten))
    print(f"\nDecontamination of {total:,} questions against 728, 8-grams (median [min, max])")
    print(f"{'':24}{'CPU seconds':>26}{'MB above the questions':>30}{'dropped':>10}")
    for side, measurements in runs.items():
        dropped = {int(run["dropped"]) for run in measurements}
        print(
            f"{side:24}{spread(measurements, 'seconds'):>26}{spread(measurements, 'mb'):>30}"
            f"{', '.join(map(str, dropped)):>10}"
        )
    if {r["dropped"] for r in runs["ours"]} != {r["dropped"] for r in runs["straightforward"]}:
        raise SystemExit("the two implementations disagree about what to drop")

    funnels = {times: measured("funnel", str(times)) for times in (1, 10)}
    print("\nThe whole funnel, annotations given (select, paper variant)")
    for times, run in funnels.items():
        stages = "  ".join(f"{k} {int(v):,}" for k, v in run.items() if k != "seconds")
        print(f"{times:>3}x {run['seconds']:8.2f} CPU s   {stages}")

    def median(side: str, key: str) -> float:
        return statistics.median(run[key] for run in runs[side])

    ratios = {
        "decontaminate_speed": median("straightforward", "seconds") / median("ours", "seconds"),
        "decontaminate_memory": median("ours", "mb") / median("straightforward", "mb"),
        "decontaminate_memory_10x": median("ours, streamed, 10x", "mb")
        / median("ours, streamed", "mb"),
        "decontaminate_seconds_10x": median("ours, streamed, 10x", "seconds")
        / median("ours, streamed", "seconds"),
        "funnel_seconds": funnels[1]["seconds"],
        "funnel_seconds_10x": funnels[10]["seconds"] / funnels[1]["seconds"],
    }
    print(json.dumps({name: round(value, 3) for name, value in ratios.items()}))


if __name__ == "__main__":
    main()
