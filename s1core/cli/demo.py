"""`s1core demo`: one budget-forced trace, live, with what the decoder forced highlighted."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from s1core.cli import options
from s1core.cli.options import echo


def demo(
    question: Annotated[str, typer.Argument(help="What to ask.")] = "Use 3 7 8 to make 29",
    model: options.Model = "pocket-s1",
    template: options.Template = "s1",
    budget: Annotated[int, options.number("Most thinking tokens.")] = 900,
    waits: Annotated[int, options.number("Ends of thinking replaced by Wait.")] = 1,
    max_answer: Annotated[int, options.number("Most answer tokens.", 1)] = 512,
    temperature: options.Temperature = 1.0,
    seed: options.Seed = 0,
    backend: options.Engine = "hf",
    url: options.Url = "",
    tokenizer: options.Tokenizer = "",
    context_length: options.Context = None,
) -> None:
    """Watch one budget-forced trace as it is sampled; what the decoder forced is highlighted.

    The model that ships with s1core plays Countdown only; any other checkpoint takes any question.

    Examples: s1core demo; s1core demo "How many r in raspberry" --model Qwen/Qwen3-0.6B
    --template qwen3 --budget 2048 --waits 1
    """
    from s1core.forcing import Budget, generate
    from s1core.forcing.watch import watched
    from s1core.records import Problem

    options.check_engine(backend, url, tokenizer, context_length)
    asked = Budget(budget, waits, max_answer=max_answer)
    server = {"url": url, "tokenizer": tokenizer, "context_length": context_length}
    engine = options.open_engine(backend, model, 1, **server)
    echo(question + "\n")
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
    screen.see((), "sampled", "answer", last=True)
    echo(
        f"\n{made.thinking_tokens} thinking tokens, {made.waits_used} Waits, thinking "
        f"{made.outcome}, answer {made.answer_tokens} tokens ({made.finish_reason})"
    )


class Screen:
    """Writes tokens as they come: sampled ones plain, forced ones in reverse video."""

    def __init__(self, tokenizer: Any) -> None:
        from s1core.forcing.watch import TextStream

        self._tokenizer = tokenizer
        self._stream = TextStream(tokenizer)

    def see(self, ids: Sequence[int], origin: str, phase: str, last: bool = False) -> None:
        """Show some ids of one origin and phase; what is held back too, before forced ones."""
        if origin == "sampled":
            echo(self._stream.add(ids, last), nl=last)
            return
        echo(self._stream.add((), last=True), nl=False)
        forced = self._tokenizer.decode(list(ids)).strip()
        reverse = sys.stdout is not None and sys.stdout.isatty()
        echo(f" {forced} " if reverse else f"[forced: {forced!r}]", nl=False, reverse=reverse)
        echo("\n" if phase == "answer" else " ", nl=False)
