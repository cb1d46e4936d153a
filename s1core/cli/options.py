"""What the commands share: options, problems in, text and files out, the engine that samples."""

import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from s1core.errors import InputError
from s1core.grading.grades import grade_all, read_generations
from s1core.records import Generation, Grade, Problem, printable, read_jsonl, write_jsonl


def number(help: str, least: float = 0, most: float = 2**31 - 1) -> Any:
    """An option for a finite number in [least, most]; typer refuses whatever else is given."""

    def finite(value: float | None) -> float | None:
        if value is not None and not math.isfinite(value):
            raise typer.BadParameter(f"{value} is not a finite number")
        return value

    return typer.Option(help=help, min=least, max=most, callback=finite)


Model = Annotated[str, typer.Option(help="Checkpoint folder, Hub id, pocket-small|large|s1.")]
Template = Annotated[str, typer.Option(help="s1, deepseek-r1, qwen3 or sky-t1.")]
Input = Annotated[Path | None, typer.Option(help="JSONL file of problems.")]
Bench = Annotated[str, typer.Option(help="Benchmark instead of --input: AIME24, GSM8K, ...")]
DataDir = Annotated[Path | None, typer.Option(help="Local mirror of the data sets.")]
Limit = Annotated[int | None, number("Only the first so many.", 1)]
Engine = Annotated[Literal["hf", "vllm", "completions"], typer.Option(help="Who samples.")]
Url = Annotated[str, typer.Option(help="The server, up to and with /v1; its key: OPENAI_API_KEY.")]
Tokenizer = Annotated[str, typer.Option(help="For a server: the model's folder or Hub id.")]
Context = Annotated[int | None, number("Context in tokens, where a server hides it.", 1)]
EngineOptions = Annotated[list[str] | None, typer.Option(help="NAME=VALUE, as dtype=float32.")]
BatchSize = Annotated[int, number("Rows decoded together; requests in flight.", 1, 2**20)]
Budget = Annotated[int | None, number("Most thinking tokens; default 4096.")]
Waits = Annotated[int | None, number("Ends of thinking replaced by the ignore string.")]
MaxAnswer = Annotated[int | None, number("Most answer tokens; default 512.", 1)]
Temperature = Annotated[float, number("0 is greedy.", 0, 100)]
Seed = Annotated[int, number("Of whatever is drawn at random.")]

ENGINES: dict[str, set[str] | None] = {
    "hf": {"dtype", "device"},
    "vllm": None,
    "completions": {"timeout", "attempts", "key_variable", "token_ids"},
}
"""The engines, and the options of each; None leaves them to the engine."""


def echo(text: str = "", *, err: bool = False, nl: bool = True, reverse: bool = False) -> None:
    """Show text that may come from a model or a file: no escape in it reaches the terminal. Where
    nobody reads on (`| head`), the work goes on all the same, in silence."""
    stream = sys.stderr if err else sys.stdout
    shown = printable(text)
    try:
        typer.echo(typer.style(shown, reverse=True) if reverse else shown, file=stream, nl=nl)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def check_output(output: Path, *inputs: Path | None) -> None:
    """Refuse (InputError) an output that is no regular file, has no name, or is an input."""
    if not output.name or (output.exists() and not output.is_file()):
        raise InputError(f"the output {str(output)!r} is not a regular file; name one to write")
    for path in inputs:
        if path is not None and output.exists() and path.exists() and output.samefile(path):
            raise InputError(f"{output} is an input too; choose another output")


def replace_jsonl(output: Path, records: list[Any]) -> None:
    """Write records to a file whose rows they may replace, but never by fewer (InputError)."""
    if output.exists() and (held := output.read_bytes().count(b"\n")) > len(records):
        fewer = f"{output} holds {held} rows and would be replaced by {len(records)}"
        raise InputError(f"{fewer}; remove it first or choose another output")
    write_jsonl(output, records)


def find_benchmark(name: str) -> tuple[Any, Any]:
    """Who offers a benchmark, and what it is there: its `name` and `kind`. A package offers them by
    an entry point of the group `s1core.benchmarks`, with `benchmark(name)` and `load(name,
    data_dir, limit=...)`, a list of problems. InputError: nothing that is installed does."""
    refused = InputError(f"no benchmark {name!r}: nothing that is installed offers any")
    for point in entry_points(group="s1core.benchmarks"):
        try:
            return (offer := point.load()), offer.benchmark(name)
        except InputError as error:
            refused = error
    raise refused


def read_problems(
    path: Path | None, benchmark: str, data_dir: Path | None, limit: int | None
) -> list[Problem]:
    """Problems from a file or a benchmark, exactly one of which must be named; InputError where
    there are none, a line is no problem, or one question has two answers."""
    if (path is None) == (not benchmark):
        raise typer.BadParameter("name the problems with either --input or --benchmark")
    if path is None:
        problems = find_benchmark(benchmark)[0].load(benchmark, data_dir, limit=limit)
    else:
        problems = list(read_jsonl(path, Problem))[:limit]
    if not problems:
        raise InputError(f"{path or benchmark} holds no problems")
    golds: dict[str, str] = {}
    for problem in problems:
        if golds.setdefault(problem.key, problem.answer) != problem.answer:
            twice = f"two answers for the question {problem.question[:60]!r}; remove one"
            raise InputError(f"{path or benchmark} has {twice}")
    return problems


def read_graded(
    paths: list[Path], problems: list[Problem], kind: str, benchmark: str
) -> Iterator[tuple[Path, list[Generation], list[Grade]]]:
    """Files of generations, each with its grades; `kind` "" is the benchmark's own, else math.
    InputError: an unknown kind, a file without generations, or one of other problems."""
    kind = kind or (find_benchmark(benchmark)[1].kind if benchmark else "math")
    for path in paths:
        made, torn = read_generations(path)
        if torn is not None:
            echo(f"{path}:{torn}: torn by a crash, left out", err=True)
        if not made:
            raise InputError(f"{path} holds no generations")
        yield path, made, grade_all(problems, made, kind)  # type: ignore[arg-type] - checked there


def check_engine(
    engine: str,
    url: str,
    tokenizer: str,
    context_length: int | None,
    pairs: list[str] | None = None,
) -> dict[str, Any]:
    """Refuse options that do not belong together, before anything is loaded; what a job keeps of
    them. `["dtype=float32", "attempts=2"]` are arguments by name, in JSON where they can be."""
    if engine == "completions" and not (url and tokenizer):
        needs = "--backend completions needs --url and --tokenizer (the model's folder or Hub id)"
        raise typer.BadParameter(f"{needs}; --model is its name on the server")
    if engine != "completions" and (url or tokenizer or context_length):
        raise typer.BadParameter("--url, --tokenizer and --context-length are for a server")
    parsed: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise typer.BadParameter(f"--engine-option takes NAME=VALUE, not {pair!r}")
        parsed[name] = value
        with suppress(ValueError, RecursionError):
            parsed[name] = json.loads(value)
    allowed = ENGINES[engine] or set(parsed)
    if unknown := ", ".join(sorted(set(parsed) - allowed)):
        has = ", ".join(sorted(allowed))
        raise typer.BadParameter(f"the {engine} backend has no option {unknown}; it has {has}")
    return {"backend": engine, "tokenizer": tokenizer, "engine_options": parsed, "url": url}
