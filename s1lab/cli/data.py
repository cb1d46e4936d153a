"""Commands about data: `annotate`, `export`, `report`, and `regrade` for what others made."""

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
    check_output,
    echo,
    number,
    read_problems,
    replace_jsonl,
)
from s1core.errors import InputError

if TYPE_CHECKING:
    from s1lab.annotation.batch import Usage


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command(
        epilog="Example: s1lab annotate distill problems.jsonl --base-url "
        "http://127.0.0.1:8000/v1 --model teacher --output traces.jsonl --yes"
    )(annotate)
    app.command(
        epilog="Examples: s1lab export pool.sqlite; s1lab export s1k.parquet --source s1K; "
        "s1lab export selection.csv --selection"
    )(export)
    app.command(
        epilog="Example: s1lab report wait0.jsonl wait1.jsonl --benchmark AIME24 --format csv"
    )(report)
    app.command(epilog="Example: s1lab regrade samples_aime24.jsonl --kind aime --disagreements")(
        regrade
    )


def annotate(
    task: Annotated[str, typer.Argument(help="distill, classify or judge.")],
    input: Annotated[
        Path, typer.Argument(help="JSONL of problems (judge: of examples, with their attempts).")
    ],
    base_url: Annotated[str, typer.Option(help="Chat endpoint, up to and including /v1.")],
    model: Annotated[str, typer.Option(help="The model's name there.")],
    output: Annotated[Path, typer.Option(help="JSONL to write; answers are cached beside it.")],
    taxonomy: Annotated[Path | None, typer.Option(help="classify: JSONL of subjects.")] = None,
    prompt_price: Annotated[float, number("Money per million prompt tokens.", 0, 1e9)] = 0.0,
    completion_price: Annotated[float, number("... and completion tokens.", 0, 1e9)] = 0.0,
    max_cost: Annotated[float | None, number("Stop once this much is spent.", 0, 1e12)] = None,
    concurrency: Annotated[int, number("Questions under way at once.", 1, 1024)] = 8,
    rpm: Annotated[float | None, number("Most requests per minute.", 0.001, 1e9)] = None,
    max_tokens: Annotated[int, number("Most tokens per answer.", 1)] = 4096,
    expected: Annotated[int, number("Tokens expected per answer, for the price.")] = 500,
    yes: Annotated[bool, typer.Option("--yes", help="Ask; without it only price the job.")] = False,
) -> None:
    """Get traces, subjects or verdicts from any OpenAI-compatible chat endpoint; resumes.

    The key is read from OPENAI_API_KEY, if the endpoint wants one.
    """
    from s1core.errors import BackendError
    from s1core.records import Example, Problem, read_jsonl
    from s1lab.annotation import batch, classify, distill, judge
    from s1lab.annotation.chat import ChatConfig

    config = ChatConfig(
        base_url,
        model,
        max_tokens=max_tokens,
        concurrency=concurrency,
        requests_per_minute=rpm,
        prompt_price=prompt_price,
        completion_price=completion_price,
        max_cost=max_cost,
    )
    if task not in ("distill", "classify", "judge"):
        raise typer.BadParameter(f"no task {task!r}; pick one of distill, classify, judge")
    check_output(output, input, taxonomy)
    cache = output.with_name(output.name + ".answers")
    check_output(cache, input, taxonomy)
    rows = list(read_jsonl(input, Example if task == "judge" else Problem))
    if not rows:
        raise InputError(f"{input} is empty: there is nothing to ask")
    subjects: dict[str, Any] = {}
    if task == "classify":
        if taxonomy is None:
            raise InputError("classify needs --taxonomy, e.g. s1k/msc_domains.jsonl of a mirror")
        subjects = classify.read_taxonomy(taxonomy)
    problems = [row.problem for row in rows] if task == "judge" else rows
    attempts = {row.key: row.trace.attempt for row in rows} if task == "judge" else {}
    if len(attempts) < len({(row.key, row.trace.attempt) for row in rows if task == "judge"}):
        raise InputError(f"{input} has several attempts at one question: judge them apart")
    questions = {
        "distill": lambda: distill.questions(problems),
        "classify": lambda: classify.questions(problems, subjects),
        "judge": lambda: judge.questions(problems, attempts),
    }[task]()
    echo("to do:  " + _usage(batch.estimate(questions, config, cache, expected)))
    if not yes:
        echo("nothing was asked; say --yes to start")
        return
    if task == "distill":
        result = distill.distill(problems, config, cache)
        made = list(result.values.values())
    elif task == "classify":
        result = classify.classify(problems, subjects, config, cache)
        made = [{"key": key, "domain": value} for key, value in sorted(result.values.items())]
    else:
        result = judge.judge(problems, attempts, config, cache)
        made = [{"key": key, "correct": value} for key, value in sorted(result.values.items())]
    echo("took:   " + _usage(result.usage))
    for key, error in sorted(result.errors.items())[:5]:
        echo(f"failed: {key}: {error}", err=True)
    if not made:
        raise BackendError(
            f"none of {len(problems)} questions was answered: {output} is not written"
        )
    replace_jsonl(output, made)
    echo(f"{output}: {len(made)} of {len(problems)}, {len(result.errors)} failed")


def _usage(usage: Usage) -> str:
    return (
        f"{usage.questions} questions, {usage.cached} known, {usage.requests} requests, "
        f"{usage.prompt_tokens:,} + {usage.completion_tokens:,} tokens, cost {usage.cost:.2f}"
    )


def export(
    output: Annotated[Path, typer.Argument(help="A .sqlite, .db, .parquet or .csv file.")],
    source: Annotated[str, typer.Option(help="A data set, e.g. s1K; else the profile's.")] = "",
    data_dir: Annotated[Path | None, typer.Option(help="Local mirror of the data sets.")] = None,
    profile: Annotated[str, typer.Option(help="Profile whose pool is meant.")] = "laptop",
    selection: Annotated[bool, typer.Option(help="The selected examples, not the pool.")] = False,
    gated_text: Annotated[bool, typer.Option(help="Keep gated text (GPQA): not to share.")] = False,
) -> None:
    """Write a pool, a selection or a data set as a table for DuckDB, Datasette or a spreadsheet."""
    from s1lab.cli.profile import open_pipeline
    from s1lab.data.export import check_table
    from s1lab.data.export import export as write
    from s1lab.data.load import problems

    check_table(output)
    items: list[Any]
    if source:
        items = problems(source, data_dir)
    elif selection:
        items = open_pipeline(profile, None).examples()
    else:
        items = open_pipeline(profile, None).curation()[0]
    count = write(items, output, "selection" if selection else "pool", gated_text)
    echo(f"{output}: {count:,} rows")


def report(
    generations: Annotated[list[Path], typer.Argument(help="Files that `generate` wrote.")],
    input: Input = None,
    benchmark: Bench = "",
    data_dir: DataDir = None,
    kind: Annotated[str, typer.Option(help="math, aime, multiple_choice, countdown.")] = "",
    form: Annotated[str, typer.Option("--format", help="markdown, csv or html.")] = "markdown",
) -> None:
    """Runs side by side: accuracy, tokens, truncation; then which question each run solves."""
    from s1core.grading import grade_all
    from s1core.grading.grades import read_generations
    from s1lab.data import benchmarks
    from s1lab.evaluation.report import GradedRun
    from s1lab.evaluation.report import report as table

    if not kind:
        kind = benchmarks.benchmark(benchmark).kind if benchmark else "math"
    problems = read_problems(input, benchmark, data_dir, None)
    runs = []
    for path in generations:
        made, torn = read_generations(path)
        if torn is not None:
            typer.echo(f"{path}:{torn}: torn by a crash, left out", err=True)
        if not made:
            raise InputError(f"{path} holds no generations")
        grades = grade_all(problems, made, kind)  # type: ignore[arg-type] - grade_all checks it
        runs.append(GradedRun(path.name, tuple(made), tuple(grades), _limit(path)))
    for matrix in (False, True):
        typer.echo(table(runs, problems, form, matrix=matrix))  # type: ignore[arg-type]


def _limit(path: Path) -> int | None:
    """The thinking budget that `generate` wrote beside a file; None when it did not make it."""
    beside = settings_path(path)
    return json.loads(beside.read_text())["budget"]["max_thinking"] if beside.exists() else None


def regrade(
    logs: Annotated[
        list[Path], typer.Argument(help="lm-evaluation-harness samples, or other JSONL logs.")
    ],
    kind: Annotated[str, typer.Option(help="math, aime or multiple_choice.")] = "math",
    verdict: Annotated[str, typer.Option(help="Column with the stored verdict.")] = "",
    disagreements: Annotated[bool, typer.Option(help="List every disagreement.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> None:
    """Grade anybody's logged generations again and compare with the verdicts in the log."""
    from s1core.grading.grades import KINDS
    from s1lab.evaluation.logs import read_log, summary
    from s1lab.evaluation.logs import regrade as grade_again

    if kind not in KINDS:
        raise InputError(f"unknown kind of grading {kind!r}; pick one of {', '.join(KINDS)}")
    for path in logs:
        log = read_log(path, verdict=verdict or None)
        if log.torn is not None:
            typer.echo(f"{path}:{log.torn}: torn by a crash, left out", err=True)
        for line in log.left_out[:5]:
            typer.echo(f"left out: {line}", err=True)
        done = grade_again(log, kind)  # type: ignore[arg-type] - checked above
        found = summary(done)
        if as_json:
            found |= {"left_out": list(log.left_out), "torn": log.torn}
            typer.echo(json.dumps({"file": str(path), **found}, indent=1, ensure_ascii=False))
            continue
        agreed = found["agreement"]
        said = "no stored verdicts" if agreed is None else f"agreement {100 * agreed:.1f}%"
        cut = sum(result.grade.status == "truncated" for result in done)
        rest = f", {len(log.left_out)} rows left out" if log.left_out else ""
        budgets = {r.budget for r in log.responses} - {None}
        budget = f", budget {budgets.pop()}" if len(budgets) == 1 else ""
        typer.echo(
            f"{path} ({log.layout}{budget}): {len(done)} responses, {said}, {cut} truncated{rest}"
        )
        for pair, count in found["confusion"].items():
            typer.echo(f"  {count:6} {pair}")
        for row in found["disagreements"] if disagreements else ():
            typer.echo(f"  {json.dumps(row, ensure_ascii=False)}")
