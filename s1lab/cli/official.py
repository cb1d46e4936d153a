"""`loop` runs the official code's decoding loops, `generations` reads what released models said."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from s1core.backends import Backend
from s1core.cli import options
from s1core.cli.generate import run_job
from s1core.errors import RunError
from s1core.forcing.budget import Budget
from s1core.records import Generation, Problem
from s1lab.cli.profile import note

app = typer.Typer()

LOOPS = {
    "harness": ("--budget", "--waits", "--ignore-str", "--max-answer", "--temperature"),
    "readme": ("--budget", "--waits", "--ignore-str"),
    "generate": ("--ignore-str",),
}
"""The official loops, and what can be chosen in each; the rest is fixed in them."""

OUTCOMES = Path("results/generations")


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
    data_dir: options.DataDir = None,
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
    options.check_output(output, input)
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
    options.echo(f"{output}: {len(made)} files, {'as' if check else ''} computed from {folder}")
