"""Commands about data: `annotate`, `export`, `report`; `regrade` and `generations` for what others
made, `loop` for how the official code makes it; and `pocket pretrain`, the models that ship."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from s1core.backends import Backend
from s1core.cli import options
from s1core.cli.generate import run_job, settings_path
from s1core.cli.options import DataDir, check_output, echo, number
from s1core.errors import BackendError, InputError, RunError
from s1core.forcing.budget import Budget
from s1core.records import Generation, Problem
from s1lab.cli.profile import note

app = typer.Typer()
pocket = typer.Typer(help="The pocket world: pretrain its models.", no_args_is_help=True)

LOOPS = {
    "harness": ("--budget", "--waits", "--ignore-str", "--max-answer", "--temperature"),
    "readme": ("--budget", "--waits", "--ignore-str"),
    "generate": ("--ignore-str",),
}
"""The official loops, and what can be chosen in each; the rest is fixed in them."""

OUTCOMES = Path("results/generations")


@app.command(
    epilog="Example: s1lab annotate distill problems.jsonl --base-url "
    "http://127.0.0.1:8000/v1 --model teacher --output traces.jsonl"
)
def annotate(
    task: Annotated[Literal["distill", "classify", "judge"], typer.Argument(help="What to ask.")],
    input: Annotated[Path, typer.Argument(help="JSONL of problems (judge: of examples).")],
    base_url: Annotated[str, typer.Option(help="Chat endpoint, up to and including /v1.")],
    model: Annotated[str, typer.Option(help="The model's name there.")],
    output: Annotated[Path, typer.Option(help="JSONL to write; answers are kept beside it.")],
    taxonomy: Annotated[Path | None, typer.Option(help="classify: JSONL of subjects.")] = None,
    concurrency: Annotated[int, number("Questions under way at once.", 1, 1024)] = 8,
    max_tokens: Annotated[int, number("Most tokens per answer.", 1)] = 4096,
) -> None:
    """Get traces, subjects or verdicts from any OpenAI-compatible chat endpoint; resumes.

    The key is read from OPENAI_API_KEY, if the endpoint wants one.
    """
    from s1core.backends.client import Client, Retry
    from s1core.records import Example, read_jsonl
    from s1lab.annotation import tasks

    if (task == "classify") != (taxonomy is not None):
        raise InputError("--taxonomy is for classify, which needs one: s1k/msc_domains.jsonl")
    check_output(output, input, taxonomy)
    kept = output.with_name(output.name + ".answers")
    check_output(kept, input, taxonomy)
    rows = list(read_jsonl(input, Example if task == "judge" else Problem))
    if not rows:
        raise InputError(f"{input} is empty: there is nothing to ask")
    if task == "judge":
        job = tasks.judge(rows)
    else:
        job = tasks.classify(rows, taxonomy) if taxonomy else tasks.distill(rows, model)
    client = Client(base_url, retry=Retry(attempts=6, wait=1.0, longest_wait=300.0))
    said, errors = tasks.ask(job.questions, job.read, kept, client, model, max_tokens, concurrency)
    for key, error in sorted(errors.items())[:5]:
        echo(f"failed: {key}: {error}", err=True)
    if not said:
        raise BackendError(f"none of {len(rows)} questions was answered: {output} is not written")
    options.replace_jsonl(output, [job.row(key, value) for key, value in said.items()])
    left = f"; {len(errors)} failed, the same command asks for them again" if errors else ""
    echo(f"{output}: {len(said)} of {len(rows)}{left}")


@app.command(epilog="Examples: s1lab export pool.sqlite; s1lab export s1k.parquet --source s1K")
def export(
    output: Annotated[Path, typer.Argument(help="A .sqlite, .db, .parquet or .csv file.")],
    source: Annotated[str, typer.Option(help="A data set, e.g. s1K; else the profile's.")] = "",
    data_dir: DataDir = None,
    profile: Annotated[str, typer.Option(help="Profile whose pool is meant.")] = "laptop",
    selection: Annotated[bool, typer.Option(help="The selected examples, not the pool.")] = False,
) -> None:
    """Write a pool, a selection or a data set as a table for DuckDB, Datasette or a spreadsheet."""
    from s1lab.cli.profile import open_pipeline
    from s1lab.data.export import check_table
    from s1lab.data.export import export as write
    from s1lab.data.load import problems

    check_table(output)
    items: list[Any] = problems(source, data_dir) if source else []
    if not source:
        pipeline = open_pipeline(profile)
        items = pipeline.examples() if selection else pipeline.curation()[0]
    count = write(items, output, "selection" if selection else "pool")
    echo(f"{output}: {count:,} rows")


@app.command(epilog="Example: s1lab report wait0.jsonl wait1.jsonl --benchmark AIME24 --format csv")
def report(
    generations: Annotated[list[Path], typer.Argument(help="Files that `generate` wrote.")],
    input: options.Input = None,
    benchmark: options.Bench = "",
    data_dir: DataDir = None,
    kind: Annotated[str, typer.Option(help="math, aime, multiple_choice, countdown.")] = "",
    form: Annotated[str, typer.Option("--format", help="markdown, csv or html.")] = "markdown",
) -> None:
    """Runs side by side: accuracy, tokens, truncation; then which question each run solves."""
    import pandas as pd

    from s1lab.evaluation.report import question_table, summarise, write_table

    problems = options.read_problems(input, benchmark, data_dir, None)
    lines, runs = [], []
    for path, made, grades in options.read_graded(generations, problems, kind, benchmark):
        beside, limit = settings_path(path), None
        if beside.exists():  # `generate` made it
            limit = json.loads(beside.read_text())["budget"]["max_thinking"]
        lines.append(summarise(path.name, made, grades, limit))
        runs.append((path.name, grades))
    for table in (pd.DataFrame(lines), question_table(runs, problems)):
        echo(write_table(table, form))  # type: ignore[arg-type]


@app.command(epilog="Example: s1lab regrade samples_aime24.jsonl --kind aime --disagreements")
def regrade(
    logs: Annotated[list[Path], typer.Argument(help="Samples of the harness, or JSONL logs.")],
    kind: Annotated[str, typer.Option(help="math, aime or multiple_choice.")] = "math",
    disagreements: Annotated[bool, typer.Option(help="List every disagreement.")] = False,
) -> None:
    """Grade anybody's logged generations again and compare with the verdicts in the log."""
    from s1lab.evaluation.logs import read_log, summary
    from s1lab.evaluation.logs import regrade as grade_again

    for path in logs:
        log = read_log(path)
        done = grade_again(log, kind)  # type: ignore[arg-type] - checked there
        found = summary(done)
        if log.torn is not None:
            echo(f"{path}:{log.torn}: torn by a crash, left out", err=True)
        for line in log.left_out[:5]:
            echo(f"left out: {line}", err=True)
        agreed = found["agreement"]
        said = "no stored verdicts" if agreed is None else f"agreement {100 * agreed:.1f}%"
        cut = sum(result.grade.status == "truncated" for result in done)
        rest = f", {len(log.left_out)} rows left out" if log.left_out else ""
        budgets = {r.budget for r in log.responses} - {None}
        known = f", budget {budgets.pop()}" if len(budgets) == 1 else ""
        what = f"{len(done)} responses, {said}, {cut} truncated{rest}"
        echo(f"{path} ({log.layout}{known}): {what}")
        for pair, count in found["confusion"].items():
            echo(f"  {count:6} {pair}")
        for row in found["disagreements"] if disagreements else ():
            echo(f"  {json.dumps(row, ensure_ascii=False)}")


@app.command(
    epilog="Example: s1lab loop harness --model my-s1/final --benchmark AIME24 --budget 4000 "
    "--waits 1 --output out.jsonl"
)
def loop(
    name: Annotated[Literal["harness", "readme", "generate"], typer.Argument(help="Which one.")],
    model: options.Model,
    output: Annotated[Path, typer.Option(help="JSONL file; run again to resume.")],
    input: options.Input = None,
    benchmark: options.Bench = "",
    data_dir: DataDir = None,
    limit: options.Limit = None,
    budget: options.Budget = None,
    waits: options.Waits = None,
    ignore_str: Annotated[str | None, typer.Option(help="What replaces them.")] = None,
    max_answer: options.MaxAnswer = None,
    temperature: options.Temperature = 0.0,
    seed: options.Seed = 0,
    backend: options.Engine = "hf",
    url: options.Url = "",
    tokenizer: options.Tokenizer = "",
    context_length: options.Context = None,
    engine_option: options.EngineOptions = None,
    batch_size: options.BatchSize = 64,
) -> None:
    """Answer problems with one of the official code's own decoding loops.

    The published numbers were made by `harness`; `s1core generate` follows Section 3.1 instead.
    """
    from s1lab.official.loops import SCRIPT_TOKENS, run

    given = (budget, waits, ignore_str, max_answer, temperature or None)
    chosen = [n for n, v in zip(LOOPS["harness"], given, strict=True) if v is not None]
    if fixed := " or ".join(n for n in chosen if n not in LOOPS[name]):
        raise typer.BadParameter(f"the official {name!r} loop has no {fixed}; leave it out")
    check_output(output, input)
    engine = options.check_engine(backend, url, tokenizer, context_length, engine_option)
    problems = options.read_problems(input, benchmark, data_dir, limit)
    usual = {"max_thinking": 4096, "num_ignore": int(name != "harness"), "ignore_str": "Wait"}
    usual["max_answer"] = SCRIPT_TOKENS
    asked = Budget(**usual | {n: v for n, v in zip(usual, given) if v is not None})
    # Without a cap the loop takes one by itself, which may depend on its prompts.
    settings = {"model": model, "budget": {**asdict(asked), "max_thinking": budget}, "samples": 1}
    settings |= {"temperature": temperature, "top_p": 1.0, "seed": seed, "template": "s1"}
    settings |= {"batch_size": batch_size, **engine, "loop": name}

    def make(engine: Backend, block: Sequence[Problem], **_: Any) -> Iterator[Generation]:
        how = (budget, asked.num_ignore, str(asked.ignore_str), asked.max_answer)
        return run(name, engine, block, *how, temperature, seed)

    exact = name == "harness"  # the others tokenize text again on the way
    run_job(problems, asked, settings, make, output, context_length, exact)


@app.command(epilog="Example: s1lab generations generations --tokenizer Qwen2.5/ --check")
def generations(
    folder: Annotated[Path, typer.Argument(help="Folder with the files (see `s1lab fetch`).")],
    tokenizer: Annotated[Path, typer.Option(help="Qwen2.5's tokenizer.json, or its folder.")],
    check: Annotated[bool, typer.Option("--check", help="Compare; write nothing.")] = False,
    output: Annotated[Path, typer.Option(help="Folder of the outcomes.")] = OUTCOMES,
) -> None:
    """Recompute every outcome of the released models from their logged generations (2 minutes)."""
    from s1lab.generations import files

    made = files.recompute(folder, tokenizer, note)
    if not check:
        files.write(made, output)
    elif changed := files.differences(made, output):
        raise RunError(f"{output}: {', '.join(changed)} differ from what was computed here")
    echo(f"{output}: {len(made)} files, {'as' if check else ''} computed from {folder}")


@pocket.command(epilog="Example: s1lab pocket pretrain large --output store/pretrain-large")
def pretrain(
    size: Annotated[Literal["small", "large"], typer.Argument(help="Which model.")],
    output: Annotated[Path, typer.Option(help="Folder of the run; holds its log and the model.")],
) -> None:
    """Train a base model from scratch (about an hour on one core) and measure what it can do."""
    from s1lab.pocket.pretrain import RECIPES, measure
    from s1lab.pocket.pretrain import pretrain as train

    folder = train(RECIPES[size], output, progress=sys.stderr.isatty())
    (folder / "skills.json").write_text(json.dumps(measure(folder), indent=1) + "\n")
    echo(f"model: {folder}")
