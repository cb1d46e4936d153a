"""`s1core demo`: one budget-forced trace, live, with what the decoder forced highlighted."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from s1core.cli.options import Context, Engine, Model, Template, Tokenizer, Url


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        epilog='Examples: s1core demo; s1core demo "How many r in raspberry" --model '
        "Qwen/Qwen3-0.6B --template qwen3 --budget 2048 --waits 1"
    )(demo)


def demo(
    question: Annotated[str, typer.Argument(help="What to ask.")] = "Use 3 7 8 to make 29",
    model: Model = "pocket-s1",
    template: Template = "s1",
    budget: Annotated[int, typer.Option(help="Most thinking tokens.")] = 900,
    waits: Annotated[int, typer.Option(help="Ends of thinking replaced by Wait.")] = 1,
    max_answer: Annotated[int, typer.Option(help="Most answer tokens.")] = 512,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the sampling.")] = 0,
    backend: Engine = "hf",
    url: Url = "",
    tokenizer: Tokenizer = "",
    context_length: Context = None,
) -> None:
    """Watch one budget-forced trace as it is sampled; what the decoder forced is highlighted.

    The model that ships with s1core plays Countdown only; any other checkpoint takes any question.
    """
    from s1core.cli.options import check_engine, open_engine
    from s1core.forcing import Budget, generate
    from s1core.forcing.watch import watched
    from s1core.records import Problem, printable

    check_engine(backend, url, tokenizer, context_length)
    asked = Budget(budget, waits, max_answer=max_answer)
    engine = open_engine(backend, model, url, tokenizer, context_length, 1)
    typer.echo(printable(question) + "\n")
    screen = Screen(engine.tokenizer)
    (made,) = generate(
        engine,
        [Problem(question, "")],
        asked,
        template=template,
        temperature=temperature,
        seed=seed,
        # vLLM steps its own copy of the machine, and a server is asked over the network.
        machine=watched(screen.see, every=1 if backend == "hf" else 8),
        native=backend == "hf",
    )
    screen.end()
    typer.echo(
        f"{made.thinking_tokens} thinking tokens, {made.waits_used} Waits, thinking "
        f"{made.outcome}, answer {made.answer_tokens} tokens ({made.finish_reason})"
    )


class Screen:
    """Writes tokens as they come: sampled ones plain, forced ones in reverse video."""

    def __init__(self, tokenizer: Any) -> None:
        from s1core.forcing.watch import TextStream

        self._tokenizer = tokenizer
        self._stream = TextStream(tokenizer)

    def see(self, ids: Sequence[int], origin: str, phase: str) -> None:
        """Show some ids of one origin and phase."""
        from s1core.records import printable

        if origin == "sampled":
            self._write(printable(self._stream.add(ids)))
            return
        text = printable(self._tokenizer.decode(list(ids))).strip()
        shown = (
            typer.style(f" {text} ", reverse=True) if sys.stdout.isatty() else f"[forced: {text!r}]"
        )
        self._write(printable(self._stream.rest()) + shown + ("\n" if phase == "answer" else " "))

    def end(self) -> None:
        """Show what was held back, and leave an empty line."""
        from s1core.records import printable

        self._write(printable(self._stream.rest()) + "\n\n")

    def _write(self, text: str) -> None:
        typer.echo(text, nl=False)
        sys.stdout.flush()
