"""Single arrows on any model and data: `sft` and `grade`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from s1core.cli import options
from s1core.cli.options import echo, number
from s1core.errors import InputError


def sft(
    model: options.Model,
    data: Annotated[Path, typer.Option(help="JSONL file of examples (problem and trace).")],
    output: Annotated[Path, typer.Option(help="Folder of the run; the model is in final/.")],
    template: options.Template = "s1",
    epochs: Annotated[int, number("Passes over the examples.", 1, 10_000)] = 5,
    batch_size: Annotated[int, number("Examples per optimizer step.", 1, 2**20)] = 16,
    lr: Annotated[float, number("Peak learning rate.", 1e-12, 1)] = 1e-5,
    max_seq_len: Annotated[int, number("Longest example, in tokens.", 2)] = 32768,
    on_too_long: Annotated[str, typer.Option(help="truncate, drop or error.")] = "truncate",
    seed: options.Seed = 0,
    config: Annotated[
        Path | None, typer.Option(help="YAML of settings of SFTConfig; they win over the options.")
    ] = None,
    limit: options.Limit = None,
) -> None:
    """Fine-tune a model on traces with the paper's recipe (Section 4.1); resumes when run again.

    Under torchrun (`torchrun --nproc-per-node 8 -m s1core.cli sft ...`) all processes share it.

    Example: s1core sft --model pocket-large --data s1-pocket.jsonl --output my-s1 --lr 1e-3
    --max-seq-len 1024
    """
    import os

    import yaml

    from s1core.checkpoints import download, load_tokenizer, locate
    from s1core.records import Example, read_jsonl
    from s1core.sft import SFTConfig, train

    if not output.name or (output.exists() and not output.is_dir()):
        raise InputError(f"the output {str(output)!r} is not a folder; name one for the run")
    settings: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "seed": seed}
    settings |= {"max_seq_len": max_seq_len, "on_too_long": on_too_long, "template": template}
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
        echo(result.data)
        echo(
            f"{result.steps} steps, {result.supervised_tokens:,} supervised tokens, "
            f"last loss {result.log[-1]['loss']:.4f}: {result.path}"
        )


def grade(
    generations: Annotated[list[Path], typer.Argument(help="Files that `generate` wrote.")],
    input: options.Input = None,
    benchmark: options.Bench = "",
    data_dir: options.DataDir = None,
    kind: Annotated[str, typer.Option(help="math, aime, multiple_choice, countdown.")] = "",
    output: Annotated[Path | None, typer.Option(help="JSONL file for the grades.")] = None,
) -> None:
    """Grade generations against their problems; accuracy with its interval, file by file.

    Example: s1core grade out.jsonl --benchmark countdown
    """
    from s1core.grading.grades import accuracy

    if output is not None:
        options.check_output(output, input, *generations)
    problems = options.read_problems(input, benchmark, data_dir, None)
    every: list[Any] = []
    lines: list[str] = []
    for path, _, grades in options.read_graded(generations, problems, kind, benchmark):
        lines.append(f"{path}: {accuracy(grades, len(problems))}")
        every += grades
    if output is not None:
        options.replace_jsonl(output, every)
        lines.append(f"{output}: {len(every)} grades")
    echo("\n".join(lines))
