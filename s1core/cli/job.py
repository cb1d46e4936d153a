"""A job of `s1core generate`: what is missing of a file of generations, made block by block."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from s1core.backends.base import Backend
    from s1core.forcing import Budget, Failure
    from s1core.records import Generation, Problem


@dataclass(frozen=True)
class Job:
    """What was asked for; see the options of `generate`."""

    model: str
    problems: list[Problem]
    budget: Budget
    samples: int
    temperature: float
    top_p: float
    seed: int
    template: str
    batch_size: int
    backend: str
    tokenizer: str
    engine_options: dict[str, Any] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """As they are kept beside the output; a file is only continued under the same ones."""
        kept = {name: getattr(self, name) for name in self.__dataclass_fields__}
        kept["budget"] = json.loads(json.dumps(asdict(self.budget)))
        return {**kept, "problems": [problem.key for problem in self.problems]}

    def exact(self, engine: Backend) -> bool | None:
        """Whether token ids went from call to call unchanged; None where it is not known yet."""
        return getattr(engine, "exact_tokens", True)

    def make(
        self, engine: Backend, block: Sequence[Problem], sample: int, on_failure: Callable
    ) -> Iterator[Generation]:
        """The generations of one block."""
        from s1core.forcing import generate as force

        return force(
            engine,
            block,
            self.budget,
            first_sample=sample,
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
            template=self.template,
            on_failure=on_failure,
        )


class Record:
    """The files of one output: generations, settings beside them, failures of the last run."""

    def __init__(self, output: Path, settings: dict[str, Any]) -> None:
        from s1core.errors import RunError
        from s1core.records import Journal

        self.settings, self.path = settings, output
        self._beside = settings_path(output)
        if self._beside.exists():
            before = json.loads(self._beside.read_text(encoding="utf-8"))
            # A server may have moved, and whether its tokens are exact is found out on the way.
            free = dict.fromkeys(("url", "exact_tokens"))
            if {**before, **free} != {**settings, **free}:
                raise RunError(
                    f"{output} was begun with other settings (see {self._beside}); choose another "
                    "--output"
                )
            self.exact = before.get("exact_tokens")
        elif output.exists():
            raise RunError(f"{output} was not made by this command; choose another --output")
        else:
            self.exact = None
        self.journal = Journal(output)
        self.failures = Journal(output.with_name(output.name + ".failures.jsonl"))

    def begin(self) -> set[tuple[str, int]]:
        """Forget old failures; returns (problem key, sample) of what is done."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._write()
        self.failures.path.unlink(missing_ok=True)
        return {(row["problem_key"], row["sample"]) for row in self.journal.records()}

    def note_exact(self, exact: bool | None) -> None:
        """Keep whether token ids were exact so far; once inexact, a file stays so."""
        if exact is not None and self.exact is not False and exact is not self.exact:
            self.exact = exact
            self._write()

    def _write(self) -> None:
        from s1core.records import write_atomically

        text = json.dumps({**self.settings, "exact_tokens": self.exact}, indent=1)
        write_atomically(self._beside, [text + "\n"])


def complete(job: Job, engine: Backend, record: Record) -> int:
    """Make what is missing, block by block, and say how it went; returns how many failed.

    A block that was killed is computed again as a whole, since an engine's last bits depend on
    what else is in its batch. A server is asked for nothing twice.
    """
    from tqdm import tqdm

    done = record.begin()
    failures: list[Failure] = []
    new: list[Generation] = []
    began = time.perf_counter()
    rows = len(job.problems) * job.samples
    with tqdm(total=rows, initial=len(done), unit="answer", leave=False, disable=None) as bar:
        for sample in range(job.samples):
            for first in range(0, len(job.problems), job.batch_size):
                block = job.problems[first : first + job.batch_size]
                missing = [p for p in block if (p.key, sample) not in done]
                if not missing:
                    continue
                wanted = {p.key for p in missing}
                asked = missing if job.backend == "completions" else block
                failed: list[Failure] = []
                made = job.make(engine, asked, sample, failed.append)
                kept = [g for g in made if g.problem_key in wanted]
                record.journal.append(kept)
                lost = [f for f in failed if f.problem_key in wanted]
                if lost:
                    record.failures.append(lost)
                record.note_exact(job.exact(engine))
                new, failures = new + kept, failures + lost
                bar.update(len(missing))
                bar.set_postfix_str(f"{speed(new, began)}, {share_cut(new):.0%} cut short")
    report(record, new, failures, speed(new, began))
    return len(failures)


def speed(new: Sequence[Generation], began: float) -> str:
    """Thinking and answer tokens of this run per second, as text."""
    tokens = sum(g.thinking_tokens + g.answer_tokens for g in new)
    return f"{tokens / (time.perf_counter() - began):,.0f} tokens/s"


def share_cut(made: Sequence[Generation]) -> float:
    """The share whose thinking was cut short."""
    return sum(g.outcome != "ended" for g in made) / max(len(made), 1)


def report(
    record: Record, new: Sequence[Generation], failures: Sequence[Failure], speed: str
) -> None:
    """The last lines: what was made, what it cost, what failed."""
    from s1core.records import Generation

    made = list(record.journal.records(Generation))
    typer.echo(f"{record.path}: {len(made)} generations ({len(new)} new), {speed}")
    if made:
        cut = sum(g.outcome != "ended" for g in made)
        typer.echo(
            f"thinking tokens {sum(g.thinking_tokens for g in made) / len(made):.1f} on average, "
            f"cut short {cut} of {len(made)} ({share_cut(made):.1%}), "
            f"Waits {sum(g.waits_used for g in made)}"
        )
    if record.exact is False:
        typer.echo("exact_tokens: false (text was tokenized again on the way)")
    if failures:
        typer.echo(
            f"failed: {len(failures)}, never graded (see {record.failures.path}); the first: "
            f"{failures[0].error}. Run the same command to try them again.",
            err=True,
        )


def settings_path(output: Path) -> Path:
    """Where the settings of a file of generations are kept."""
    return output.with_name(output.name + ".settings.json")
