"""`s1core generate`: problems in, budget-forced generations out, on any engine, resumable."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from s1core.cli import options
from s1core.errors import InputError

if TYPE_CHECKING:
    from s1core.cli.job import Job
    from s1core.forcing import Budget
    from s1core.forcing.budget import Rules

EFFORTS = Path(__file__).with_name("efforts.yaml")


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
    from s1core.cli.job import Job

    given = {
        "max_thinking": budget,
        "num_ignore": waits,
        "min_thinking": min_thinking,
        "ignore_str": ignore_str[0] if ignore_str and len(ignore_str) == 1 else ignore_str,
        "max_answer": max_answer,
    }
    options.check_output(output, input, efforts)
    options.check_engine(backend, url, tokenizer, context_length)
    job = Job(
        model=model,
        problems=options.read_problems(input, benchmark, data_dir, limit),
        budget=choose_budget(given, effort, efforts),
        samples=samples,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        template=template,
        batch_size=batch_size,
        backend=backend,
        tokenizer=tokenizer,
        engine_options=options.parse_engine_options(engine_option, backend),
    )
    run_job(job, output, url, context_length)


def run_job(job: Job, output: Path, url: str, context_length: int | None) -> None:
    """Check a job against its model, output and engine, then make what is missing of it."""
    from s1core import templates
    from s1core.checkpoints import load_tokenizer
    from s1core.cli.job import Record, complete
    from s1core.forcing import Machine

    record = Record(output, {**job.settings(), "url": url})
    _rules(job, load_tokenizer(job.tokenizer or job.model))  # before the weights are loaded
    server = {"url": url, "tokenizer": job.tokenizer, "context_length": context_length}
    engine = options.open_engine(
        job.backend, job.model, job.batch_size, **server, **job.engine_options
    )
    rules, seen = _rules(job, engine.tokenizer), set()
    for number, problem in enumerate(job.problems, start=1):
        if problem.key in seen:
            raise InputError(f"problem {number} ({problem.key}) is there twice; remove one")
        seen.add(problem.key)
        try:
            prompt = templates.prompt_ids(job.template, engine.tokenizer, problem.question)
            Machine(rules, prompt, engine.context_length)
        except InputError as error:
            raise InputError(f"problem {number} ({problem.key}): {error}") from error
    if complete(job, engine, record):
        raise typer.Exit(1)


def choose_budget(given: dict[str, Any], effort: str, efforts: Path | None) -> Budget:
    """The budget of the options; --effort supplies what they leave open."""
    from s1core.forcing import Budget

    fields: dict[str, Any] = {"max_thinking": 4096}
    if effort:
        named = read_efforts(efforts or EFFORTS)
        if effort not in named:
            raise typer.BadParameter(f"no effort {effort!r}; there are {', '.join(named)}")
        fields = named[effort]
    elif efforts:
        raise typer.BadParameter("--efforts names budgets; choose one of them with --effort")
    try:
        return Budget(**{**fields, **{k: v for k, v in given.items() if v is not None}})
    except TypeError as error:
        raise InputError(f"effort {effort!r}: {error}") from error


def read_efforts(path: Path) -> dict[str, Any]:
    """Named budgets of a YAML file, at its top or under `efforts`, as profiles have them."""
    import yaml

    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())[:200]}") from error
    named = read.get("efforts", read) if isinstance(read, dict) else None
    if not named or not all(
        isinstance(name, str) and isinstance(fields, dict) for name, fields in named.items()
    ):
        raise InputError(f"{path} names no budgets; expected such as `low: {{max_thinking: 1000}}`")
    return named


def _rules(job: Job, tokenizer: Any) -> Rules:
    """A job's budget in ids; a template or a budget that does not fit the model is refused."""
    from s1core import templates
    from s1core.forcing.budget import rules

    return rules(job.budget, templates.resolve(job.template, tokenizer), tokenizer)
