"""How fast is the model in the page? `python benchmarks/page_model.py`

Held-out puzzles in headless Chromium, whole generations one after the other; reading the prompts
is in the time, their tokens are not counted. Medians and spreads are printed, then one JSON object:

- tokens_per_second: wall time, what a reader waits for
- tokens_per_cpu_second: the browser's own CPU time, which a busy machine leaves as it is
- added_bytes: what the model adds to the site
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from s1core.grading.countdown import read_question
from s1lab import pocket
from s1lab.book import decoder

ROUNDS, PUZZLES = 5, 12
SCRIPTS = ("decoder-model.js", "decoder-machine.js", "decoder-worker.js", "decoder-page.js")
RUN = """([puzzles, waits, round]) => puzzles.reduce((sum, puzzle) => sum + w.complete(puzzle,
  { budget: 900, waits, ignore: "Wait", temperature: 1, seed: round }, 0).ids.length, 0)"""


def measure(title: str, page: Any, puzzles: list[dict[str, Any]], waits: int) -> list[float]:
    """Median tokens per second of wall and of CPU time; prints a row for each."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def used() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    rounds = []
    for number in range(ROUNDS + 1):  # the first warms up
        began, before = time.perf_counter(), used()
        tokens = page.evaluate(RUN, [puzzles, waits, number])
        rounds.append((tokens / (time.perf_counter() - began), tokens / (used() - before)))
    print(f"\n{title}")
    medians = []
    for name, values in zip(("wall time", "CPU time"), zip(*rounds[1:]), strict=True):
        medians.append(statistics.median(values))
        spread = f"[{min(values):,.0f} to {max(values):,.0f}]"
        print(f"  {name:<28} {medians[-1]:>10,.0f} tokens/s   {spread}")
    return medians


def main() -> None:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sys.exit("playwright is not installed: make setup brings it")
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    if not (chromium := next(found, "")):
        sys.exit("no Chromium on this machine (Debian: apt-get install chromium)")
    puzzles = []
    for problem in pocket.evaluation_problems(PUZZLES):
        numbers, target = read_question(problem.question)
        puzzles.append({"numbers": numbers, "target": target, "question": problem.question})
    static = Path(__file__).parents[1] / "book" / "_static"
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as tool:
        decoder.write_weights(Path(folder))
        weights = Path(folder, decoder.SCRIPT)
        browser = tool.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        for path in (*(static / name for name in SCRIPTS), weights):
            page.add_script_tag(path=str(path))
        page.evaluate("window.w = decoderWorker(decoderShipped), true")
        added = [*static.glob("decoder*"), weights]
        size = sum(path.stat().st_size for path in added) + len(decoder.controls(None))
        print(f"0.8M parameters, headless Chromium {browser.version}; {size / 1e6:.2f} MB added")
        wall, own = measure(f"(a) {PUZZLES} puzzles, no Wait", page, puzzles, 0)
        measure(f"(b) {PUZZLES} puzzles, 4 Waits", page, puzzles, 4)
        browser.close()
    ratios = {"tokens_per_second": round(wall), "tokens_per_cpu_second": round(own)}
    print(json.dumps({**ratios, "added_bytes": size}))


if __name__ == "__main__":
    main()
