"""Single arrows on any model and data: `sft` and `grade`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from s1core.cli.options import Bench, DataDir, Input, Limit, Model, Template, read_problems
from s1core.errors import InputError

if TYPE_CHECKING:
    pass


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command(
        epilog="Example: s1core sft --model pocket-large --data s1-pocket.jsonl --output my-s1 "
        "--lr 1e-3 --max-seq-len 1024"
    )(sft)
    app.command(epilog="Example: s1core grade out.jsonl --benchmark countdown")(grade)


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
    config: Annotated[
        Path | None, typer.Option(help="YAML of settings of SFTConfig; they win over the options.")
    ] = None,
    limit: Limit = None,
) -> None:
    """Fine-tune a model on traces with the paper's recipe (Section 4.1); resumes when run again.

    Under torchrun (`torchrun --nproc-per-node 8 -m s1core.cli sft ...`) all processes share it.
    """
    import os

    import yaml

    from s1core.checkpoints import download, load_tokenizer, locate
    from s1core.records import Example, read_jsonl
    from s1core.sft import SFTConfig, train

    if limit is not None and limit < 1:
        raise InputError(f"--limit must be at least 1, not {limit}")
    settings: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "max_seq_len": max_seq_len,
        "on_too_long": on_too_long,
        "template": template,
        "seed": seed,
    }
    try:
        row = dict(yaml.safe_load(config.read_text(encoding="utf-8")) if config else {})
        row |= {"betas": tuple(row["betas"])} if "betas" in row else {}  # YAML knows no tuples
        recipe = SFTConfig(**settings | row)
    except (TypeError, ValueError, yaml.YAMLError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{config or 'the options'}: {reason}") from error
    examples = list(read_jsonl(data, Example))[:limit]
    if not examples:
        raise InputError(f"{data} holds no examples; nothing to train on")
    path = locate(model)
    if not Path(path).is_dir():  # an id that nothing pins or mirrors
        path = download(path)
    result = train(path, load_tokenizer(path), examples, recipe, output)
    if os.environ.get("RANK", "0") == "0":
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
) -> None:
    """Grade generations against their problems; accuracy with its interval, file by file."""
    from s1core.cli import benchmarks
    from s1core.grading.files import accuracy, read_generations
    from s1core.grading.grades import grade_all
    from s1core.records import write_jsonl

    problems = read_problems(input, benchmark, data_dir, None)
    kind = kind or (benchmarks.find(benchmark).kind if benchmark else "math")
    every: list[Any] = []
    for path in generations:
        made, torn = read_generations(path)
        if torn is not None:
            typer.echo(f"{path}:{torn}: torn by a crash, left out", err=True)
        if not made:
            raise InputError(f"{path} holds no generations")
        grades = grade_all(problems, made, kind)  # type: ignore[arg-type] - grade_all checks it
        typer.echo(f"{path}: {accuracy(grades, len(problems))}")
        every += grades
    if output is not None:
        typer.echo(f"{output}: {write_jsonl(output, every)} grades")
