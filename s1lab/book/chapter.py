"""A chapter's numbers, tables and figures, by one rule: a person writes, the numbers come in.

In a cell: `chapter.number("gain", interval, "points", says="higher")`; in the prose
the role `glue:text` with `results_gain`. One kind of quantity has one interval, whoever shows it:

- an accuracy, and any share of generations: `measure.accuracy`, a bootstrap over questions, each
  with all its samples (Wilson's where all score the same, and for numbers that others printed);
- a difference on the same questions: `measure.difference`, a paired bootstrap over questions; where
  both sides were trained with several seeds, over questions and seeds (`crossed_interval`);
- what is computed from several runs (slopes, votes): resampled questions, jointly for all runs.

Each interval says what it is `about`; it travels in the output's metadata to a test that compares
all pages. The text is written for `WRITTEN_FOR` as committed: there, a word (`says`) that no longer
fits its number raises. Elsewhere (another profile, a reproduction) the word that fits is shown.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

from s1core.errors import InputError, RunError
from s1lab import profiles
from s1lab.evaluation import Interval
from s1lab.evaluation.report import NOT_MEASURED, in_parts, written
from s1lab.figures.display import figure_html, render
from s1lab.pipeline import Pipeline
from s1lab.runs import COMMITTED, RunStore, project_root

WRITTEN_FOR = "laptop"
"""The profile (with its own seed) whose committed results the prose tells of."""
REAL = "desk"
"""That of a real model, whose committed results stand beside them."""


def open_chapter(name: str, profile: str, seed: int | None = None) -> "Chapter":
    """The chapter `name` over the runs of a profile: committed ones, or the local store's."""
    loaded = profiles.load(profile)
    as_written = profile == WRITTEN_FOR and seed in (None, loaded.seed)
    pipeline = Pipeline(loaded.with_seed(seed), RunStore.default(profile))
    return Chapter(name, pipeline, strict=as_written and pipeline.store.read_only)


NOTHING = f"<p><em>{NOT_MEASURED}</em></p>"
Row = Mapping[str, Any]
T = TypeVar("T")


class Chapter:
    """A page: its runs (`pipeline`, `profile`, first `benchmark`), and what it shows of them."""

    def __init__(self, name: str, pipeline: Pipeline, *, strict: bool) -> None:
        self.name, self.pipeline, self.strict = name, pipeline, strict
        self.profile = pipeline.profile
        self.benchmark = self.profile.evaluation.benchmarks[0]

    @cached_property
    def real(self) -> "Chapter | None":
        """The same chapter over the real model's committed results; None where there are none."""
        store = RunStore(project_root() / COMMITTED / REAL, read_only=True)
        if self.profile.name == REAL or not store.runs():
            return None
        return Chapter(
            f"{self.name}_real", Pipeline(profiles.load(REAL), store), strict=self.strict
        )

    def beside(self, rows: Callable[[Pipeline], Iterable[Row]]) -> list[Row]:
        """Show what a function of runs finds in those of the real model; returns its rows."""
        if not (real := self.real):
            return []
        found = list(real.ask(rows, real.pipeline) or ())
        _show(f"<p><strong>{real.profile.title}, {real.benchmark}</strong></p>")
        real.table(found)
        return found

    def number(
        self, name: str, value: Any, unit: str = "", digits: int = 1, *, says: str = ""
    ) -> None:
        """Glue a value under `<chapter>_<name>`, as `written` writes it. `says` is what the prose
        says of an interval: it is "higher" or "lower" than zero, or one "cannot tell". RunError: on
        the committed results it says something else."""
        found = value.says("higher", "lower") if says and value is not None else None
        mark = self._mark(name, found, says) if says else ""
        shown = written(value, unit, digits) + mark * (value is not None)
        _show(shown, f"{self.name}_{name}", quantities([(value, unit)]))

    def numbers(self, unit: str = "", /, **values: Any) -> None:
        """Glue several values of one unit, under their names."""
        for name, value in values.items():
            self.number(name, value, unit)

    def take(
        self, found: Row | None, unit: str = "", *names: str, digits: int = 1, **says: str
    ) -> None:
        """Glue some of what was found, by name; for those in `says` the prose has that word."""
        for name, word in (dict.fromkeys(names, "") | says).items():
            self.number(name, (found or {}).get(name), unit, digits, says=word)

    def ask(self, function: Callable[..., T], *arguments: Any) -> T | None:
        """What a function of the runs finds; None where another profile has no runs for it."""
        try:
            return function(*arguments)
        except (InputError, RunError):
            if self.strict:
                raise
        return None

    def says(self, name: str, found: Any, said: Any = True) -> None:
        """Hold the prose to what it says: `found` (a verdict, a label, a truth) is `said`. Where it
        is not, a mark such as " (here: wrong)" is glued. RunError: on the committed results."""
        _show(self._mark(name, found, said), f"{self.name}_{name}")

    def _mark(self, name: str, found: Any, said: Any) -> str:
        if found == said:
            return ""
        if self.strict:
            told = f"the sentence with {self.name}_{name} says {said!r}, the results {found!r}"
            raise RunError(f"{told}: rewrite it")
        listed = ", ".join(map(str, found)) if isinstance(found, list | set | tuple) else found
        return f" (here: {in_parts(listed)[0]})"

    def table(
        self,
        rows: Iterable[Row],
        units: Mapping[str, str] = MappingProxyType({}),
        digits: int = 1,
        fold: Sequence[str] = (),
    ) -> None:
        """Show rows as a table, each cell as `written` has it; the first column names the row.

        Where a row has intervals over so many questions and no "n", it gets one.
        A column's unit is in its heading, "accuracy (%)" or "gain (points)", or in `units`;
        one of minutes, "cost (min)", has beside them what they cost. Left out is a benchmark that
        is the profile's first in every row. Rows that end with a word of `fold` are folded below.
        """
        listed: dict[str, list[Row]] = {word: [] for word in ("", *fold)}
        for row in rows:
            last = [*row.values()][-1]
            listed[last if last in fold else ""].append(_counted(row))
        if not any(listed.values()):
            _show(NOTHING)
        for word, some in listed.items():
            if some:
                self._table(some, units, digits, word and f"{word}: {len(some)}")

    def _table(self, rows: list[Row], units: Mapping[str, str], digits: int, folded: str) -> None:
        head = list(dict.fromkeys(heading for row in rows for heading in row))
        if {row.get("benchmark") for row in rows} == {self.benchmark}:
            head.remove("benchmark")
        named = {h: h[h.rfind("(") + 1 : -1] for h in head if h.endswith(")")} | dict(units)
        cells = [[(row.get(h), named.get(h, "")) for h in head] for row in rows]
        # Columns with a number are set to the right.
        amount = [not all(isinstance(v, str | bool | None) for v, _ in of) for of in zip(*cells)]
        text = [[self._written(*cell, digits) for cell in row] for row in cells]
        of = "GPU" if self.profile.gpus else "core"
        hour = f"${self.profile.price:.2f} for an hour of a {of}"
        shown = render("table", head=head, amounts=amount, rows=text, price=hour, folded=folded)
        _show(shown, found=quantities(sum(cells, [])))

    def _written(self, value: Any, unit: str, digits: int) -> str:
        """A cell's text: minutes with what they cost."""
        if value is None:
            return "–"
        cost = self.profile.cost(value) if unit == "min" else ""
        return cost or "".join(in_parts(value, unit, digits))

    def figure(self, fig: Any, name: str, alt: str, *, caption: str = "", runs: Any = ()) -> None:
        """Show a figure, `<chapter>-<name>`; None is one that the profile has no results for."""
        look = {"caption": caption, "runs": runs}
        _show(figure_html(fig, f"{self.name}-{name}", alt, **look) if fig else NOTHING)


def quantities(values: Iterable[tuple[Any, str]]) -> dict[str, str]:
    """What is shown of each (interval, unit) that says what it is about, as it is shown."""
    return {
        value.about: "".join(in_parts(value, unit))
        for value, unit in values
        if isinstance(value, Interval) and value.about
    }


def _counted(row: Row) -> Row:
    """The row, with how many questions its intervals are over; no accuracy stands without."""
    over = {value.n for value in row.values() if isinstance(value, Interval) and value.n}
    told = any(heading == "n" or "n = " in heading for heading in row)
    return dict(row) if told or len(over) != 1 else {**row, "n": over.pop()}


def _show(shown: str, name: str = "", found: Mapping[str, str] = MappingProxyType({})) -> None:
    """Display markup, or glue text under a name; `found` goes into the output's metadata."""
    from IPython.display import display

    prefix = "application/papermill.record/"
    glued = {f"{prefix}text/plain": repr(shown)}
    data = glued if name else {"text/html": str(shown), "text/plain": ""}
    metadata = {"scrapbook": {"name": name, "mime_prefix": prefix}} if name else {}
    display(data, raw=True, metadata=metadata | ({"s1": dict(found)} if found else {}))
