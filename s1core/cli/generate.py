"""`s1core generate`: problems in, budget-forced generations out, on any engine, resumable."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from s1core.cli import options
from s1core.cli.options import (
    BatchSize,
    Bench,
    Context,
    DataDir,
    Engine,
    Input,
    Limit,
    Model,
    Template,
    Tokenizer,
    Url,
)

if TYPE_CHECKING:
    from s1core.backends.base import Backend
    from s1core.cli.job import Job
    from s1core.forcing import Budget

# The official loops, and what can be chosen in each; the rest is fixed in them.
LOOPS = {
    "harness": {"--budget", "--waits", "--ignore-str", "--max-answer", "--temperature"},
    "readme": {"--budget", "--waits", "--ignore-str"},
    "generate": {"--ignore-str"},
}


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        epilog="Examples: s1core generate --model my-s1/final --benchmark countdown --limit 20 "
        "--budget 64 --waits 1 --output out.jsonl; s1core generate --backend completions --url "
        "http://localhost:8080/v1 --model NAME --tokenizer FOLDER --input p.jsonl --output o.jsonl"
    )(generate)


def generate(
    model: Model,
    output: Annotated[Path, typer.Option(help="JSONL file; run again to resume.")],
    input: Input = None,
    benchmark: Bench = "",
    data_dir: DataDir = None,
    limit: Limit = None,
    budget: Annotated[int | None, typer.Option(help="Most thinking tokens; default 4096.")] = None,
    waits: Annotated[int | None, typer.Option(help="Ends of thinking replaced.")] = None,
    min_thinking: Annotated[int | None, typer.Option(help="Least thinking tokens.")] = None,
    ignore_str: Annotated[
        list[str] | None, typer.Option(help="What replaces them; given again, drawn in turn.")
    ] = None,
    max_answer: Annotated[int | None, typer.Option(help="Most answer tokens; default 512.")] = None,
    effort: Annotated[str, typer.Option(help="A profile's named budget: low, medium, high.")] = "",
    profile: Annotated[str, typer.Option(help="Profile that defines --effort.")] = "laptop",
    loop: Annotated[str, typer.Option(help="Official loop: harness, readme or generate.")] = "",
    samples: Annotated[int, typer.Option(help="Generations per problem.")] = 1,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.0,
    top_p: Annotated[float, typer.Option(help="Sample from this much probability.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the sampling.")] = 0,
    template: Template = "s1",
    backend: Engine = "hf",
    url: Url = "",
    tokenizer: Tokenizer = "",
    context_length: Context = None,
    engine_option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the engine, such as dtype=float32.")
    ] = None,
    batch_size: BatchSize = 64,
) -> None:
    """Answer problems under a thinking budget (Section 3.1) and write the generations.

    They are on disk block by block; the same command goes on after a crash. What an engine failed
    on is listed in OUTPUT.failures.jsonl, is never graded, and is tried again on the next run.
    """
    given = {
        "--budget": budget,
        "--waits": waits,
        "--min-thinking": min_thinking,
        "--ignore-str": ignore_str,
        "--max-answer": max_answer,
        "--effort": effort or None,
        "--temperature": temperature or None,
        "--top-p": None if top_p == 1.0 else top_p,
        "--samples": None if samples == 1 else samples,
        "--template": None if template == "s1" else template,
    }
    from s1core.cli.job import Job, Record, complete

    options.check_engine(backend, url, tokenizer, context_length)
    check_loop(loop, given)
    engine_options = options.parse_engine_options(engine_option or [], backend)
    job = Job(
        model=model,
        problems=options.read_problems(input, benchmark, data_dir, limit),
        budget=choose_budget(given, effort, profile, loop),
        loop=loop,
        capped=not loop or budget is not None,
        samples=samples,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        template=template,
        batch_size=batch_size,
        backend=backend,
        tokenizer=tokenizer,
        engine_options=engine_options,
    )
    record = Record(output, {**job.settings(), "url": url})
    check_template(job, tokenizer or model)
    engine = options.open_engine(
        backend, model, url, tokenizer, context_length, batch_size, engine_options
    )
    check_prompts(job, engine)
    if complete(job, engine, record):
        raise typer.Exit(1)


def choose_budget(given: dict[str, Any], effort: str, profile: str, loop: str) -> Budget:
    """The budget of the options; --effort, or the official loop, supplies what they leave open."""
    from s1core import profiles
    from s1core.forcing import Budget

    fields: dict[str, Any] = {"max_thinking": 4096}
    if loop:
        from s1core.forcing.compat import SCRIPT_TOKENS

        fields["max_answer"] = SCRIPT_TOKENS
        fields["num_ignore"] = 0 if loop == "harness" else 1
    if effort:
        efforts = profiles.load(profile).efforts
        if effort not in efforts:
            known = ", ".join(efforts) or "none"
            raise typer.BadParameter(
                f"profile {profile!r} has no effort {effort!r}; it defines {known}"
            )
        fields = dict(efforts[effort])
    strings = given["--ignore-str"]
    named = {
        "max_thinking": given["--budget"],
        "num_ignore": given["--waits"],
        "min_thinking": given["--min-thinking"],
        "ignore_str": strings[0] if strings and len(strings) == 1 else strings,
        "max_answer": given["--max-answer"],
    }
    try:
        return Budget(**{**fields, **{k: v for k, v in named.items() if v is not None}})
    except TypeError as error:
        raise profiles.ProfileError(f"effort {effort!r} of {profile!r}: {error}") from error


def check_loop(loop: str, given: dict[str, Any]) -> None:
    """Refuse options that an official loop does not have."""
    if not loop:
        return
    if loop not in LOOPS:
        raise typer.BadParameter(f"no loop {loop!r}; pick one of {', '.join(LOOPS)}")
    if fixed := [n for n, v in given.items() if v is not None and n not in LOOPS[loop]]:
        raise typer.BadParameter(
            f"the official {loop!r} loop has no {' or '.join(fixed)}; leave it out"
        )
    if len(given["--ignore-str"] or ()) > 1:
        raise typer.BadParameter("the official loops have one --ignore-str")


def check_template(job: Job, tokenizer: str) -> None:
    """Refuse a template or a budget that does not fit the model, before its weights are loaded."""
    from s1core import templates
    from s1core.checkpoints import load_tokenizer
    from s1core.forcing.budget import rules

    loaded = load_tokenizer(tokenizer)
    rules(job.budget, templates.resolve(job.template, loaded), loaded)


def check_prompts(job: Job, engine: Backend) -> None:
    """Refuse problems that are there twice or do not fit, before anything is sampled."""
    from s1core import templates
    from s1core.forcing import BudgetError, Machine
    from s1core.forcing.budget import rules
    from s1core.records import RecordError

    tokenizer = engine.tokenizer
    compiled = rules(job.budget, templates.resolve(job.template, tokenizer), tokenizer)
    seen: set[str] = set()
    for number, problem in enumerate(job.problems, start=1):
        if problem.key in seen:
            raise RecordError(f"problem {number} ({problem.key}) is there twice; remove one")
        seen.add(problem.key)
        prompt = templates.prompt_ids(job.template, tokenizer, problem.question)
        try:
            Machine(compiled, prompt, engine.context_length)
        except BudgetError as error:
            raise BudgetError(f"problem {number} ({problem.key}): {error}") from error
