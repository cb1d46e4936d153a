"""`s1core demo`: one budget-forced trace, live, with what the decoder forced highlighted."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
import typer

from s1core.backends import open_engine
from s1core.cli import options
from s1core.cli.options import echo
from s1core.forcing import Budget, Machine, generate
from s1core.records import Origin, Phase, Problem


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
    options.check_engine(backend, url, tokenizer, context_length)
    asked = Budget(budget, waits, max_answer=max_answer)
    server = {"url": url, "tokenizer": tokenizer, "context_length": context_length}
    engine = open_engine(backend, model, batch_size=1, **server)
    echo(question + "\n")
    screen, native = Screen(engine.tokenizer), backend == "hf"
    # vLLM steps its own copy of the machine, and a server is asked over the network.
    machine = partial(WatchedMachine, see=screen.see, every=1 if native else 8)
    how = {"template": template, "temperature": temperature, "seed": seed, "native": native}
    (made,) = generate(engine, [Problem(question, "")], asked, machine=machine, **how)
    screen.flush()
    echo(
        f"\n\n{made.thinking_tokens} thinking tokens, {made.waits_used} Waits, thinking "
        f"{made.outcome}, answer {made.answer_tokens} tokens ({made.finish_reason})"
    )


class WatchedMachine(Machine):
    """A `Machine` that calls `see` with (ids, origin, phase) of what it appends, as it does. It
    asks to be asked after `every` sampled tokens, which changes none of them."""

    def __init__(self, *machine: Any, see: Callable[..., None], every: int = 1) -> None:
        super().__init__(*machine)
        self._see, self._every = see, every

    @property
    def room(self) -> int:
        """Tokens that may be sampled before the machine must be asked again: few."""
        return min(super().room, self._every)

    def _append(self, ids: Sequence[int], origin: Origin, phase: Phase) -> None:
        super()._append(ids, origin, phase)
        if ids:
            self._see(ids, origin, phase)


class Screen:
    """Writes tokens as they come: sampled ones word by word, forced ones in reverse video."""

    def __init__(self, tokenizer: Any) -> None:
        from transformers import TextStreamer

        self._tokenizer = tokenizer
        self._words = TextStreamer(tokenizer, clean_up_tokenization_spaces=False)
        self._words.on_finalized_text = lambda text, **_: echo(text, nl=False)
        self.flush = self._words.end

    def see(self, ids: Sequence[int], origin: Origin, phase: Phase) -> None:
        """Show some ids of one origin and phase."""
        if origin == "sampled":
            self._words.put(np.array(ids))
            return
        self.flush()
        forced = self._tokenizer.decode(list(ids)).strip()
        reverse = sys.stdout is not None and sys.stdout.isatty()
        echo(f" {forced} " if reverse else f"[forced: {forced!r}]", nl=False, reverse=reverse)
        echo("\n" if phase == "answer" else " ", nl=False)
