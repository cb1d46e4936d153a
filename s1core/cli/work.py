"""Single arrows on any model and data: `select`, `sft`, `generate`, `grade`, `demo`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from s1core.records import Problem

Model = Annotated[str, typer.Option(help="Checkpoint folder, Hub id, pocket-small|large|s1.")]
Template = Annotated[str, typer.Option(help="s1, deepseek-r1, qwen3 or sky-t1.")]
Input = Annotated[Path | None, typer.Option(help="JSONL file of problems.")]
Bench = Annotated[str, typer.Option(help="Benchmark instead of --input: AIME24, GSM8K, ...")]
DataDir = Annotated[Path | None, typer.Option(help="Local mirror of the data sets.")]
Limit = Annotated[int | None, typer.Option(help="Only the first so many problems.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command(epilog="Example: s1core select laptop --output s1-pocket.jsonl")(select)
    app.command(
        epilog="Example: s1core sft --model pocket-large --data s1-pocket.jsonl --output my-s1 "
        "--lr 1e-3 --max-seq-len 1024"
    )(sft)
    app.command(
        epilog="Example: s1core generate --model my-s1/final --benchmark countdown --limit 20 "
        "--budget 64 --waits 1 --output out.jsonl"
    )(generate)
    app.command(
        epilog="Examples: s1core grade out.jsonl --benchmark countdown; "
        "s1core grade a.jsonl b.jsonl --matrix --input problems.jsonl"
    )(grade)
    app.command(
        epilog="Example: s1core report wait0.jsonl wait1.jsonl --benchmark AIME24 --format csv"
    )(report)
    app.command(epilog='Examples: s1core demo; s1core demo "Use 3 7 8 to make 29" --waits 2')(demo)


def select(
    profile: Annotated[str, typer.Argument(help="Profile whose pool is curated.")] = "laptop",
    output: Annotated[Path | None, typer.Option(help="JSONL file for the examples.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the profile's.")] = None,
) -> None:
    """Curate a pool into the training set: quality, difficulty, diversity (Section 2.2)."""
    from s1core.cli.profile import _pipeline
    from s1core.records import write_jsonl
    from s1core.selection import Funnel

    pipeline = _pipeline(profile, seed)
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


def generate(
    model: Model,
    output: Annotated[Path, typer.Option(help="JSONL file; run again to resume.")],
    input: Input = None,
    benchmark: Bench = "",
    data_dir: DataDir = None,
    limit: Limit = None,
    budget: Annotated[int, typer.Option(help="Most thinking tokens.")] = 4096,
    waits: Annotated[int, typer.Option(help="Ends of thinking replaced by --ignore-str.")] = 0,
    min_thinking: Annotated[int, typer.Option(help="Least thinking tokens.")] = 0,
    ignore_str: Annotated[str, typer.Option(help="What replaces an end of thinking.")] = "Wait",
    max_answer: Annotated[int, typer.Option(help="Most answer tokens.")] = 512,
    samples: Annotated[int, typer.Option(help="Generations per problem.")] = 1,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the sampling.")] = 0,
    template: Template = "s1",
    batch_size: Annotated[int, typer.Option(help="Rows decoded together.")] = 64,
) -> None:
    """Answer problems under a thinking budget (Section 3.1) and write the generations."""
    import time
    from dataclasses import asdict

    from s1core.checkpoints import locate
    from s1core.forcing import Budget
    from s1core.records import Generation, write_atomically
    from s1core.runs import Journal, RunError

    path = locate(model)
    problems = _problems(input, benchmark, data_dir, limit)
    asked = Budget(budget, waits, min_thinking, ignore_str, max_answer=max_answer)
    settings = {
        "model": model,
        "problems": [problem.key for problem in problems],
        "budget": asdict(asked),
        "samples": samples,
        "temperature": temperature,
        "seed": seed,
        "template": template,
        "batch_size": batch_size,
    }
    beside = _beside(output)
    if beside.exists() and json.loads(beside.read_text()) != settings:
        raise RunError(
            f"{output} was begun with other settings (see {beside}); choose another --output"
        )

    from s1core.backends.hf import HFBackend  # everything was checked: now load the engine
    from s1core.measure import resume

    backend = HFBackend.from_pretrained(path, batch_size=batch_size)
    write_atomically(beside, [json.dumps(settings, indent=1) + "\n"])
    journal = Journal(output)
    began = time.perf_counter()
    added = resume(
        journal,
        backend,
        problems,
        asked,
        samples=samples,
        temperature=temperature,
        seed=seed,
        template=template,
        progress=True,
    )
    seconds = time.perf_counter() - began
    done = list(journal.records(Generation))
    tokens = sum(g.thinking_tokens + g.answer_tokens for g in done[len(done) - added :])
    cut = sum(g.outcome != "ended" for g in done)
    typer.echo(f"{output}: {len(done)} generations ({added} new), {tokens / seconds:,.0f} tokens/s")
    typer.echo(
        f"thinking tokens {sum(g.thinking_tokens for g in done) / len(done):.1f} on average, "
        f"cut short {cut} of {len(done)}, Waits {sum(g.waits_used for g in done)}"
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
    problems = _problems(input, benchmark, data_dir, None)
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

    problems = _problems(input, benchmark, data_dir, None)
    runs = []
    for path in generations:
        made, grades = _graded(path, problems, kind or _kind(benchmark))
        runs.append(GradedRun(path.name, tuple(made), tuple(grades), _limit(path)))
    for matrix in (False, True):
        typer.echo(table(runs, problems, form, matrix=matrix))  # type: ignore[arg-type]


def _limit(path: Path) -> int | None:
    """The thinking budget that `generate` wrote beside a file; None when it did not make it."""
    beside = _beside(path)
    return json.loads(beside.read_text())["budget"]["max_thinking"] if beside.exists() else None


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".settings.json")


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


def demo(
    question: Annotated[str, typer.Argument(help="What to ask.")] = "Use 3 7 8 to make 29",
    model: Model = "pocket-s1",
    template: Template = "s1",
    budget: Annotated[int, typer.Option(help="Most thinking tokens.")] = 900,
    waits: Annotated[int, typer.Option(help="Ends of thinking replaced by Wait.")] = 1,
    max_answer: Annotated[int, typer.Option(help="Most answer tokens.")] = 64,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the sampling.")] = 0,
) -> None:
    """Watch one budget-forced trace; what the decoder forced is marked.

    The model that ships with s1core plays Countdown only; any other checkpoint takes any question.
    """
    from s1core.backends.hf import HFBackend
    from s1core.checkpoints import locate
    from s1core.figures.trace import printable
    from s1core.forcing import Budget
    from s1core.forcing import generate as force
    from s1core.records import Problem

    backend = HFBackend.from_pretrained(locate(model))
    asked = Budget(budget, waits, max_answer=max_answer)
    (made,) = force(
        backend,
        [Problem(question, "")],
        asked,
        template=template,
        temperature=temperature,
        seed=seed,
    )
    typer.echo(question + "\n")
    for segment in made.segments:
        text = backend.tokenizer.decode(segment.token_ids)
        if segment.origin == "forced":
            text = (
                typer.style(f" {text.strip()} ", reverse=True)
                if sys.stdout.isatty()
                else (f"[forced: {text.strip()!r}]")
            )
            typer.echo(text + ("\n" if segment.phase == "answer" else " "), nl=False)
        else:
            typer.echo(printable(text), nl=False)
    typer.echo("\n")
    typer.echo(
        f"{made.thinking_tokens} thinking tokens, {made.waits_used} Waits, thinking "
        f"{made.outcome}, answer {made.answer_tokens} tokens ({made.finish_reason})"
    )


def _problems(
    path: Path | None, benchmark: str, data_dir: Path | None, limit: int | None
) -> list[Problem]:
    """Problems from a file or a benchmark, exactly one of which must be named."""
    from s1core.evaluation import benchmarks
    from s1core.records import Problem, RecordError, read_jsonl

    if (path is None) == (not benchmark):
        raise typer.BadParameter("name the problems with either --input or --benchmark")
    problems: list[Any]
    if path is None:
        problems = benchmarks.load(benchmark, data_dir, limit=limit)
    else:
        problems = list(read_jsonl(path, Problem))[:limit]
    if not problems:
        raise RecordError(f"{path} holds no problems")
    return problems
