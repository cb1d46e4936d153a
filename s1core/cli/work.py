"""Single arrows on any model and data: `select` (Section 2.2), `sft` and `grade`."""

import os
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from s1core import selection
from s1core.checkpoints import download, load_tokenizer, locate
from s1core.cli import options
from s1core.cli.options import Seed, check_output, echo, number, replace_jsonl
from s1core.errors import InputError
from s1core.grading.grades import accuracy
from s1core.jsonl import read_yaml
from s1core.records import Example, from_dict, read_jsonl
from s1core.sft import SFTConfig, train


def select(
    pool: Annotated[Path, typer.Argument(help="JSONL of examples, with annotations or without.")],
    output: Annotated[Path, typer.Option(help="JSONL file for the selected examples.")],
    against: Annotated[
        list[Path] | None, typer.Option(help="JSONL of questions to keep out; may be repeated.")
    ] = None,
    size: Annotated[int, number("How many examples to select.", 1)] = 1000,
    ngram: Annotated[int, number("Shared words that drop a question.", 1)] = 8,
    seed: Seed = 0,
    tokenizer: Annotated[str, typer.Option(help="Counts traces without `thinking_tokens`.")] = "",
) -> None:
    """Decontaminate a pool, drop what is broken or easy, and draw a diverse set of long traces.

    A row has "problem" and "trace", as for `s1core sft`, and may say thinking_tokens (else counted
    in words, or with --tokenizer), small_correct, large_correct, trace_correct and error.

    Example: s1core select pool.jsonl --against aime24.jsonl --against math500.jsonl --size 1000
    --output selected.jsonl
    """
    check_output(output, pool, *(against or []))
    benchmarks = {str(path): list(read_jsonl(path, _question)) for path in against or []}
    encode = load_tokenizer(tokenizer) if tokenizer else None

    def candidate(row: dict[str, Any]) -> selection.Candidate:
        """From a row of a pool: an example, whole or as problem and trace, and what is known."""
        if "example" not in row:
            row["example"] = {n: row.pop(n) for n in ("problem", "trace") if n in row}
        text = from_dict(Example, row["example"]).trace.thinking
        if row.get("thinking_tokens") is None:
            row["thinking_tokens"] = len(encode(text).input_ids if encode else text.split())
        return from_dict(selection.Candidate, row)

    left_out: list[InputError] = []
    candidates = list(read_jsonl(pool, candidate, left_out))
    if left_out:
        echo(f"{len(left_out)} rows were left out; the first: {left_out[0]}", err=True)
    if not candidates:
        raise InputError(f"{pool} holds no examples")
    said = [n for n in selection.ANNOTATIONS if {getattr(c, n) for c in candidates} - {None, ""}]
    if unsaid := ", ".join(name for name in selection.ANNOTATIONS if name not in said):
        echo(f"no row says {unsaid}: selected without", err=True)
    diversity = selection.DiversityConfig(size)
    config = selection.SelectionConfig(ngram, required=tuple(said), diversity=diversity)
    selected, funnel = selection.select(candidates, benchmarks, config, np.random.default_rng(seed))
    echo(f"{'stage':20} {'kept':>8} {'dropped':>8}")
    for row in funnel.rows():
        dropped = "" if row["dropped"] is None else f"{row['dropped']:,}"
        echo(f"{row['stage']:20} {row['kept']:8,} {dropped:>8}")
    replace_jsonl(output, [candidate.example for candidate in selected])
    echo(f"{output}: {len(selected):,} examples")


def _question(row: dict[str, Any]) -> str:
    """The question in a row of a benchmark, from its column `question` or `problem`."""
    question = row.get("question", row.get("problem"))
    if not isinstance(question, str) or not question.strip():
        raise InputError("no text in a column question or problem")
    return question


def sft(
    model: options.Model,
    data: Annotated[Path, typer.Option(help="JSONL file of examples (problem and trace).")],
    output: Annotated[Path, typer.Option(help="Folder of the run; the model is in final/.")],
    template: options.Template = "s1",
    epochs: Annotated[int, number("Passes over the examples.", 1, 10_000)] = 5,
    batch_size: Annotated[int, number("Examples per optimizer step.", 1, 2**20)] = 16,
    lr: Annotated[float, number("Peak learning rate.", 1e-12, 1)] = 1e-5,
    max_seq_len: Annotated[int, number("Longest example, in tokens.", 2)] = 32768,
    seed: Seed = 0,
    config: Annotated[
        Path | None, typer.Option(help="YAML of settings of SFTConfig; they win over the options.")
    ] = None,
) -> None:
    """Fine-tune a model on traces with the paper's recipe (Section 4.1); resumes when run again.

    Under torchrun (`torchrun --nproc-per-node 8 -m s1core.cli sft ...`) all processes share it.

    Example: s1core sft --model pocket-large --data s1-pocket.jsonl --output my-s1 --lr 1e-3
    --max-seq-len 1024
    """
    if not output.name or (output.exists() and not output.is_dir()):
        raise InputError(f"the output {str(output)!r} is not a folder; name one for the run")
    settings: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "seed": seed}
    settings |= {"max_seq_len": max_seq_len, "template": template}
    try:
        recipe = from_dict(SFTConfig, settings | (read_yaml(config) if config else {}))
    except InputError as error:
        raise InputError(f"{config or 'the options'}: {error}") from error
    examples = list(read_jsonl(data, Example))
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
    if output is not None:
        check_output(output, input, *generations)
    problems = options.read_problems(input, benchmark, data_dir, None)
    every, lines = list[Any](), list[str]()
    for path, _, grades in options.read_graded(generations, problems, kind, benchmark):
        lines.append(f"{path}: {accuracy(grades, len(problems))}")
        every += grades
    if output is not None:
        replace_jsonl(output, every)
        lines.append(f"{output}: {len(every)} grades")
    echo("\n".join(lines))
