"""A small book for tests: one real notebook, one run, the project's own book sources."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]

NOTEBOOK = """# %% [markdown]
# # A chapter
#
# :::{admonition} The claim
# :class: claim
# Accuracy rises with thinking tokens {cite}`muennighoff2025s1`: $a(t) = \\alpha + \\beta\\log_2 t$.
# :::

# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %%
import json
from pathlib import Path

run = Path("../../results") / PROFILE / "generate-abc123def456"
points = json.loads((run / "public" / "points.json").read_text())
print("best", max(row["accuracy"] for row in points), "seed", SEED)

# %%
from myst_nb import glue

from s1lab.figures.curves import scaling_curve
from s1lab.figures.display import show

glue("best", f"{100 * max(row['accuracy'] for row in points):.1f}%", display=False)
show(
    scaling_curve(
        [{"x": p.pop("thinking_tokens"), **p} for p in points], title="Countdown"
    ),
    "chapter-scaling",
    "Accuracy rises from 10% at 8 thinking tokens to 40% at 64.",
    caption="Accuracy against thinking tokens, with 95% intervals.",
    runs=[run.name],
)

# %% [markdown]
# The best point is {glue:text}`best`.
"""

SMALL_NOTEBOOK = """# %% tags=["parameters"]
PROFILE = "laptop"
SEED = 0

# %%
from pathlib import Path

print("seed", SEED, Path("../../results/value.txt").read_text())
"""

API_PAGES = "      - file: api/index\n"

POINTS = [
    {"thinking_tokens": tokens, "accuracy": value, "low": value - 0.05, "high": value + 0.05}
    for tokens, value in [(8, 0.1), (16, 0.2), (32, 0.3), (64, 0.4)]
]


PROVENANCE = {
    "processor": "a CPU",
    "cpus": 2,
    "wall_seconds": 41.3,
    "finished": "2026-01-31 12:00 UTC",
}


def make_project(folder: Path, notebook: str = NOTEBOOK) -> Path:
    """A project folder with one notebook, one committed run and the book's own sources."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").touch()
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "00_chapter.py").write_text(notebook)
    run = folder / "results" / "laptop" / "generate-abc123def456"
    (run / "public").mkdir(parents=True)
    (run / "public" / "points.json").write_text(json.dumps(POINTS))
    settings = {"checkpoint": "sft-0123456789ab", "seed": 3, "samples": 2}
    (run / "manifest.json").write_text(json.dumps({"kind": "generate", "settings": settings}))
    (run / "finished.json").write_text('{"generations": 1280}')
    (run / "provenance.json").write_text(json.dumps(PROVENANCE))
    tuned = run.with_name("sft-0123456789ab")
    tuned.mkdir()
    (tuned / "manifest.json").write_text('{"kind": "sft", "settings": {"model": "tiny@5f"}}')
    ignore = shutil.ignore_patterns("_build", "notebooks", "__pycache__")
    shutil.copytree(CHECKOUT / "book", folder / "book", ignore=ignore)
    # The API reference imports every engine; what it says is asked of the whole book.
    contents = folder / "book" / "_toc.yml"
    text = contents.read_text()
    short = text.replace(API_PAGES, "")
    assert short != text, "the API pages are no longer where this fixture looks for them"
    contents.write_text(short)
    for page in (folder / "book").glob("*.md"):  # this book has one chapter
        text = re.sub(r"\{doc\}`(notebooks/[^`]+)`", r"`\1`", page.read_text(encoding="utf-8"))
        page.write_text(text, encoding="utf-8")
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks" / "sums.txt").write_text('# a CPU\nadding  5/s\n{"twice_once": 2.5}\n')
    return folder


def make_small_project(folder: Path) -> Path:
    """A project whose one notebook imports nothing, for tests about execution itself."""
    for name in ("notebooks", "results"):
        (folder / name).mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    (folder / "notebooks" / "00_small.py").write_text(SMALL_NOTEBOOK)
    (folder / "results" / "value.txt").write_text("0.40")
    return folder
