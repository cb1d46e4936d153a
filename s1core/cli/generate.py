"""`s1core generate`: problems in, budget-forced generations out, on any engine, resumable."""

import itertools
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from filelock import FileLock, Timeout
from tqdm import tqdm

from s1core import forcing, templates
from s1core.backends import Backend, open_engine
from s1core.checkpoints import load_tokenizer
from s1core.cli import options
from s1core.cli.options import echo
from s1core.errors import InputError, RunError
from s1core.forcing.budget import EFFORTS, Budget, Machine, read_effort, rules
from s1core.grading.grades import read_generations
from s1core.records import Generation, Journal, Problem, parse_json, to_json, write_atomically


def generate(
    model: options.Model,
    output: Annotated[Path, typer.Option(help="JSONL file; run again to resume.")],
    input: options.Input = None,
    benchmark: options.Bench = "",
    data_dir: options.DataDir = None,
    limit: options.Limit = None,
    budget: options.Budget = None,
    waits: options.Waits = None,
    min_thinking: Annotated[int | None, options.number("Least thinking tokens.")] = None,
    ignore_str: Annotated[
        list[str] | None, typer.Option(help="What replaces them; given again, drawn in turn.")
    ] = None,
    max_answer: options.MaxAnswer = None,
    effort: Annotated[str, typer.Option(help="A named budget: low, medium or high.")] = "",
    efforts: Annotated[Path | None, typer.Option(help="YAML file that names others.")] = None,
    samples: Annotated[int, options.number("Generations per problem.", 1)] = 1,
    temperature: options.Temperature = 0.0,
    top_p: Annotated[float, options.number("Sample from so much probability.", 1e-9, 1)] = 1.0,
    seed: options.Seed = 0,
    template: options.Template = "s1",
    backend: options.Engine = "hf",
    url: options.Url = "",
    tokenizer: options.Tokenizer = "",
    context_length: options.Context = None,
    engine_option: options.EngineOptions = None,
    batch_size: options.BatchSize = 64,
) -> None:
    """Answer problems under a thinking budget (Section 3.1) and write the generations.

    They are on disk block by block; the same command goes on after a crash. What an engine failed
    on is listed in OUTPUT.failures.jsonl, is never graded, and is tried again on the next run.

    Examples: s1core generate --model my-s1/final --benchmark countdown --limit 20 --budget 64
    --waits 1 --output out.jsonl; s1core generate --backend completions --url
    http://localhost:8080/v1 --model NAME --tokenizer FOLDER --input p.jsonl --output o.jsonl
    """
    given = {"max_thinking": budget, "num_ignore": waits, "min_thinking": min_thinking}
    strings = ignore_str[0] if ignore_str and len(ignore_str) == 1 else ignore_str
    given |= {"ignore_str": strings, "max_answer": max_answer}
    options.check_output(output, input, efforts)
    engine = options.check_engine(backend, url, tokenizer, context_length, engine_option)
    problems = options.read_problems(input, benchmark, data_dir, limit)
    asked = choose_budget(given, effort, efforts)
    how = {"temperature": temperature, "top_p": top_p, "seed": seed, "template": template}
    settings = {"model": model, "samples": samples, **how, "batch_size": batch_size, **engine}
    make = partial(forcing.generate, budgets=asked, **how)
    run_job(problems, asked, settings, make, output, context_length)


def choose_budget(given: dict[str, Any], effort: str, efforts: Path | None) -> Budget:
    """The budget of the options; --effort supplies what they leave open."""
    if efforts and not effort:
        raise typer.BadParameter("--efforts names budgets; choose one of them with --effort")
    fields = read_effort(effort, efforts or EFFORTS) if effort else {"max_thinking": 4096}
    try:
        return Budget(**{**fields, **{k: v for k, v in given.items() if v is not None}})
    except TypeError as error:
        raise InputError(f"effort {effort!r}: {error}") from error


def run_job(
    problems: list[Problem],
    budget: Budget,
    settings: dict[str, Any],
    make: Callable[..., Iterable[Generation]],
    output: Path,
    context_length: int | None,
    exact: bool = True,
) -> None:
    """Check what is asked against its model, output and engine, then make what is missing of it:
    `make(engine, problems, first_sample=, on_failure=)`. The settings are kept beside the output,
    which is continued under the same ones alone; `exact` is False where `make` re-tokenizes."""
    settings = {"problems": [p.key for p in problems], "budget": asdict(budget), **settings}
    record = Record(output, settings)
    tokenizer = load_tokenizer(settings["tokenizer"] or settings["model"])  # before the weights
    own = rules(budget, templates.resolve(settings["template"], tokenizer), tokenizer)
    server = {name: settings[name] for name in ("url", "tokenizer", "batch_size")}
    server |= {"context_length": context_length, **settings["engine_options"]}
    engine, seen = open_engine(settings["backend"], settings["model"], **server), set()
    for number, problem in enumerate(problems, start=1):
        try:
            if problem.key in seen:
                raise InputError("it is there twice; remove one")
            seen.add(problem.key)
            prompt = templates.prompt_ids(settings["template"], tokenizer, problem.question)
            Machine(own, prompt, engine.context_length)
        except InputError as error:
            raise InputError(f"problem {number} ({problem.key}): {error}") from error
    if _complete(record, problems, partial(make, engine), engine, exact):
        raise typer.Exit(1)


class Record:
    """The files of one output: generations, settings beside them, failures of the last run.
    RunError: another command made or holds the output, or this one with other settings."""

    def __init__(self, output: Path, settings: dict[str, Any]) -> None:
        self.path, self.journal = output, Journal(output)
        self.failures = Journal(output.with_name(f"{output.name}.failures.jsonl"))
        self.settings = json.loads(to_json(settings)) | {"exact_tokens": None}
        self._check()

    def begin(self) -> set[tuple[str, int]]:
        """Hold the output, forget old failures; returns (problem key, sample) of what is done."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            advice = "wait for it or choose another --output"
            raise RunError(f"another command is writing {self.path}; {advice}") from None
        self._check()
        self.journal.mend()
        made = read_generations(self.path)[0] if self.path.exists() else []
        self._write()
        self.failures.path.unlink(missing_ok=True)
        return {(generation.problem_key, generation.sample) for generation in made}

    def note_exact(self, exact: bool | None) -> None:
        """Keep whether token ids were exact so far; once inexact, a file stays so."""
        if exact is not None and self.settings["exact_tokens"] not in (exact, False):
            self.settings["exact_tokens"] = exact
            self._write()

    def _check(self) -> None:
        if not self.path.exists():
            return
        path = settings_path(self.path)
        if not path.exists():
            raise RunError(f"{self.path} was not made by this command; choose another --output")
        try:
            before = parse_json(path.read_bytes())
            if type(before.get("budget")) is not dict:
                raise InputError("budget must be an object")
        except InputError as error:
            advice = f"move it and {self.path} away, then run the command again"
            raise RunError(f"{path} is damaged ({error}); {advice}") from error
        # A server may have moved, and whether its tokens are exact is found out on the way.
        free = {name: before.get(name) for name in ("url", "exact_tokens")}
        if before | free != self.settings | free:
            said = f"was begun with other settings (see {path}); choose another --output"
            raise RunError(f"{self.path} {said}")
        self.settings["exact_tokens"] = free["exact_tokens"]

    def _write(self) -> None:
        write_atomically(settings_path(self.path), [json.dumps(self.settings, indent=1) + "\n"])


def _complete(
    record: Record, problems: list[Problem], make: Any, engine: Backend, exact: bool
) -> int:
    """Make what is missing, block by block, and say how it went; returns how many failed. A killed
    block is computed again as a whole: an engine's last bits depend on what else is in a batch."""
    done, new, failures = record.begin(), list[Generation](), list[Any]()
    samples, size, backend = (record.settings[n] for n in ("samples", "batch_size", "backend"))
    began, speed = time.perf_counter(), "0 tokens/s"
    starts, rows = range(0, len(problems), size), len(problems) * samples
    with tqdm(total=rows, initial=len(done), unit="answer", leave=False, disable=None) as bar:
        for sample, first in itertools.product(range(samples), starts):
            block = problems[first : first + size]
            wanted = {p.key: p for p in block if (p.key, sample) not in done}
            if not wanted:
                continue
            failed: list[Any] = []
            asked = [*wanted.values()] if backend == "completions" else block  # a server: once
            made = make(asked, first_sample=sample, on_failure=failed.append)
            kept = [g for g in made if g.problem_key in wanted]
            record.journal.append(kept)
            if lost := [f for f in failed if f.problem_key in wanted]:
                record.failures.append(lost)
            record.note_exact(exact and getattr(engine, "exact_tokens", True))
            new, failures = new + kept, failures + lost
            tokens = sum(g.thinking_tokens + g.answer_tokens for g in new)
            speed = f"{tokens / (time.perf_counter() - began):,.0f} tokens/s"
            bar.update(len(wanted))
            bar.set_postfix_str(f"{speed}, {_cut(new)} cut short")
    every = list(record.journal.records(Generation))
    echo(f"{record.path}: {len(every)} generations ({len(new)} new), {speed}")
    if every:
        mean = sum(g.thinking_tokens for g in every) / len(every)
        waits = sum(g.waits_used for g in every)
        echo(f"thinking tokens {mean:.1f} on average, cut short {_cut(every)}, Waits {waits}")
    if record.settings["exact_tokens"] is False:
        echo("exact_tokens: false (text was tokenized again on the way)")
    if failures:
        told = f"failed: {len(failures)}, never graded (see {record.failures.path}); the first:"
        echo(f"{told} {failures[0].error}. Run the same command to try them again.", err=True)
    return len(failures)


def _cut(made: Sequence[Generation]) -> str:
    """How often thinking was cut short."""
    cut = sum(g.outcome != "ended" for g in made)
    return f"{cut} of {len(made)} ({cut / max(len(made), 1):.1%})"


def settings_path(output: Path) -> Path:
    """Where the settings of a file of generations are kept."""
    return output.with_name(f"{output.name}.settings.json")
