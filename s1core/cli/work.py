"""Single arrows on any model and data: `select`, `sft`, `grade`, `report`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from s1core.cli.job import settings_path
from s1core.cli.options import (
    Bench,
    DataDir,
    Input,
    Limit,
    Model,
    Template,
    read_problems,
)

if TYPE_CHECKING:
    from s1core.records import Problem


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command(epilog="Example: s1core select laptop --output s1-pocket.jsonl")(select)
    app.command(
        epilog="Example: s1core sft --model pocket-large --data s1-pocket.jsonl --output my-s1 "
        "--lr 1e-3 --max-seq-len 1024"
    )(sft)
    app.command(
        epilog="Examples: s1core grade out.jsonl --benchmark countdown; "
        "s1core grade a.jsonl b.jsonl --matrix --input problems.jsonl"
    )(grade)
    app.command(
        epilog="Example: s1core report wait0.jsonl wait1.jsonl --benchmark AIME24 --format csv"
    )(report)


def select(
    profile: Annotated[str, typer.Argument(help="Profile whose pool is curated.")] = "laptop",
    output: Annotated[Path | None, typer.Option(help="JSONL file for the examples.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the profile's.")] = None,
) -> None:
    """Curate a pool into the training set: quality, difficulty, diversity (Section 2.2)."""
    from s1core.cli.profile import open_pipeline
    from s1core.records import write_jsonl
    from s1core.selection import Funnel

    pipeline = open_pipeline(profile, seed)
    funnel = Funnel.from_json(pipeline.selection().read_json("funnel.json"))
    typer.echo(f"{'stage':20} {'kept':>8} {'dropped':>8}   paper")
    for row in funnel.rows():
        paper = "" if row["paper"] is None else f"{row['paper']:,}"
        dropped = "" if row["dropped"] is None else f"{row['dropped']:,}"
        typer.echo(f"{row['stage']:20} {row['kept']:8,} {dropped:>8}   {paper}")
    if output is not None:
        typer.echo(f"{output}: {write_jsonl(output, pipeline.examples()):,} examples")


def sft(
    model: Model,
    data: Annotated[Path, typer.Option(help="JSONL file of examples (problem and trace).")],
    output: Annotated[Path, typer.Option(help="Folder of the run; the model is in final/.")],
    template: Template = "s1",
    epochs: Annotated[int, typer.Option(help="Passes over the examples.")] = 5,
    batch_size: Annotated[int, typer.Option(help="Examples per optimizer step.")] = 16,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 1e-5,
    max_seq_len: Annotated[int, typer.Option(help="Longest example, in tokens.")] = 32768,
    on_too_long: Annotated[str, typer.Option(help="truncate, drop or error.")] = "truncate",
    seed: Annotated[int, typer.Option(help="Order of the data.")] = 0,
    limit: Limit = None,
) -> None:
    """Fine-tune a model on traces with the paper's recipe (Section 4.1); resumes when run again."""
    from s1core.checkpoints import load_tokenizer, locate
    from s1core.records import Example, RecordError, read_jsonl
    from s1core.sft import SFTConfig, train

    examples = list(read_jsonl(data, Example))[:limit]
    if not examples:
        raise RecordError(f"{data} holds no examples; nothing to train on")
    config = SFTConfig(
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        max_seq_len=max_seq_len,
        on_too_long=on_too_long,  # type: ignore[arg-type] - SFTConfig checks it
        template=template,
        seed=seed,
    )
    path = locate(model)
    result = train(path, load_tokenizer(path), examples, config, output)
    typer.echo(result.data)
    typer.echo(
        f"{result.steps} steps, {result.supervised_tokens:,} supervised tokens, "
        f"last loss {result.log[-1]['loss']:.4f}: {result.path}"
    )


def grade(
    generations: Annotated[list[Path], typer.Argument(help="Files that `generate` wrote.")],
    input: Input = None,
    benchmark: Bench = "",
    data_dir: DataDir = None,
    kind: Annotated[str, typer.Option(help="math, aime, multiple_choice, countdown.")] = "",
    output: Annotated[Path | None, typer.Option(help="JSONL file for the grades.")] = None,
    form: Annotated[str, typer.Option("--format", help="markdown, csv or html.")] = "markdown",
    matrix: Annotated[bool, typer.Option(help="Add a table question by question.")] = False,
) -> None:
    """Grade generations against their problems; accuracy with its interval, file by file."""
    from s1core.evaluation.report import GradedRun, report
    from s1core.records import write_jsonl

    runs: list[GradedRun] = []
    problems = read_problems(input, benchmark, data_dir, None)
    for path in generations:
        made, grades = _graded(path, problems, kind or _kind(benchmark))
        runs.append(GradedRun(path.name, tuple(made), tuple(grades), _limit(path)))
    typer.echo(report(runs, problems, form, matrix=matrix))  # type: ignore[arg-type]
    if output is not None:
        count = write_jsonl(output, [verdict for run in runs for verdict in run.grades])
        typer.echo(f"{output}: {count} grades")


def report(
    generations: Annotated[list[Path], typer.Argument(help="Files that `generate` wrote.")],
    input: Input = None,
    benchmark: Bench = "",
    data_dir: DataDir = None,
    kind: Annotated[str, typer.Option(help="math, aime, multiple_choice, countdown.")] = "",
    form: Annotated[str, typer.Option("--format", help="markdown, csv or html.")] = "markdown",
) -> None:
    """Runs side by side: accuracy, tokens, truncation; then which question each run solves."""
    from s1core.evaluation.report import GradedRun
    from s1core.evaluation.report import report as table

    problems = read_problems(input, benchmark, data_dir, None)
    runs = []
    for path in generations:
        made, grades = _graded(path, problems, kind or _kind(benchmark))
        runs.append(GradedRun(path.name, tuple(made), tuple(grades), _limit(path)))
    for matrix in (False, True):
        typer.echo(table(runs, problems, form, matrix=matrix))  # type: ignore[arg-type]


def _limit(path: Path) -> int | None:
    """The thinking budget that `generate` wrote beside a file; None when it did not make it."""
    beside = settings_path(path)
    return json.loads(beside.read_text())["budget"]["max_thinking"] if beside.exists() else None


def _kind(benchmark: str) -> str:
    from s1core.evaluation import benchmarks

    return benchmarks.benchmark(benchmark).kind if benchmark else "math"


def _graded(path: Path, problems: list[Problem], kind: str) -> tuple[list[Any], list[Any]]:
    """The generations of a file and their grades; a torn last line is reported and left out."""
    from s1core.evaluation import grade_all
    from s1core.evaluation.files import read_generations
    from s1core.records import RecordError

    made, torn = read_generations(path)
    if torn is not None:
        typer.echo(f"{path}:{torn}: torn by a crash, left out", err=True)
    if not made:
        raise RecordError(f"{path} holds no generations")
    return made, grade_all(problems, made, kind)  # type: ignore[arg-type] - grade_all checks it
