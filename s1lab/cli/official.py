"""`s1lab loop`: the decoding loops of the official code, on any engine, faults included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from s1core.cli import options
from s1core.cli.job import Job
from s1core.cli.options import (
    BatchSize,
    Bench,
    Context,
    DataDir,
    Engine,
    Input,
    Limit,
    Model,
    Tokenizer,
    Url,
)

if TYPE_CHECKING:
    from s1core.backends.base import Backend
    from s1core.records import Generation, Problem

LOOPS = {
    "harness": {"--budget", "--waits", "--ignore-str", "--max-answer", "--temperature"},
    "readme": {"--budget", "--waits", "--ignore-str"},
    "generate": {"--ignore-str"},
}
"""The official loops, and what can be chosen in each; the rest is fixed in them."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        epilog="Example: s1lab loop harness --model my-s1/final --benchmark AIME24 --budget 4000 "
        "--waits 1 --output out.jsonl"
    )(loop)


@dataclass(frozen=True)
class OfficialJob(Job):
    """A job whose blocks are made by an official loop.

    Attributes:
        loop: which one.
        capped: whether a budget was given; else the loop takes one by itself.
    """

    loop: str = ""
    capped: bool = True

    def settings(self) -> dict[str, Any]:
        """As of any job; the cap that a loop takes by itself may depend on its prompts."""
        kept = super().settings()
        del kept["capped"]
        return kept if self.capped else kept | {"budget": {**kept["budget"], "max_thinking": None}}

    def make(
        self, engine: Backend, block: Sequence[Problem], sample: int, on_failure: Callable
    ) -> Iterator[Generation]:
        """The generations of one block."""
        from s1lab.official import loops

        settings = loops.HarnessSettings(
            max_tokens_thinking=self.budget.max_thinking if self.capped else "auto",
            thinking_n_ignore=self.budget.num_ignore,
            thinking_n_ignore_str=str(self.budget.ignore_str),
            max_gen_toks=self.budget.max_answer,
            max_model_len=engine.context_length,
            temperature=self.temperature,
        )
        name = "generate_script" if self.loop == "generate" else self.loop
        return loops.run(name, engine, block, settings, self.seed)

    def exact(self, engine: Backend) -> bool | None:
        """Two of the loops tokenize text again on the way."""
        return super().exact(engine) and self.loop == "harness"


def loop(
    name: Annotated[str, typer.Argument(help="harness, readme or generate.")],
    model: Model,
    output: Annotated[Path, typer.Option(help="JSONL file; run again to resume.")],
    input: Input = None,
    benchmark: Bench = "",
    data_dir: DataDir = None,
    limit: Limit = None,
    budget: Annotated[int | None, typer.Option(help="Most thinking tokens.")] = None,
    waits: Annotated[int | None, typer.Option(help="Ends of thinking replaced.")] = None,
    ignore_str: Annotated[str | None, typer.Option(help="What replaces them.")] = None,
    max_answer: Annotated[int | None, typer.Option(help="Most answer tokens.")] = None,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the sampling.")] = 0,
    backend: Engine = "hf",
    url: Url = "",
    tokenizer: Tokenizer = "",
    context_length: Context = None,
    engine_option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the engine, such as dtype=float32.")
    ] = None,
    batch_size: BatchSize = 64,
) -> None:
    """Answer problems with one of the official code's own decoding loops.

    The published numbers were made by `harness`; `s1core generate` follows Section 3.1 instead.
    """
    from s1core.cli.generate import check_prompts, check_template
    from s1core.cli.job import Record, complete
    from s1core.forcing import Budget
    from s1lab.official.loops import SCRIPT_TOKENS

    if name not in LOOPS:
        raise typer.BadParameter(f"no loop {name!r}; pick one of {', '.join(LOOPS)}")
    given = {
        "--budget": budget,
        "--waits": waits,
        "--ignore-str": ignore_str,
        "--max-answer": max_answer,
        "--temperature": temperature or None,
    }
    if fixed := [n for n, v in given.items() if v is not None and n not in LOOPS[name]]:
        raise typer.BadParameter(
            f"the official {name!r} loop has no {' or '.join(fixed)}; leave it out"
        )
    options.check_engine(backend, url, tokenizer, context_length)
    engine_options = options.parse_engine_options(engine_option or [], backend)
    fields = {
        "max_thinking": budget,
        "num_ignore": (0 if name == "harness" else 1) if waits is None else waits,
        "ignore_str": ignore_str,
        "max_answer": max_answer or SCRIPT_TOKENS,
    }
    defaults = {"max_thinking": 4096}
    job = OfficialJob(
        model=model,
        problems=options.read_problems(input, benchmark, data_dir, limit),
        budget=Budget(**{**defaults, **{k: v for k, v in fields.items() if v is not None}}),
        samples=1,
        temperature=temperature,
        top_p=1.0,
        seed=seed,
        template="s1",
        batch_size=batch_size,
        backend=backend,
        tokenizer=tokenizer,
        engine_options=engine_options,
        loop=name,
        capped=budget is not None,
    )
    record = Record(output, {**job.settings(), "url": url})
    check_template(job, tokenizer or model)
    engine = options.open_engine(
        backend, model, url, tokenizer, context_length, batch_size, engine_options
    )
    check_prompts(job, engine)
    if complete(job, engine, record):
        raise typer.Exit(1)
