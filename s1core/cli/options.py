"""What several commands share: options, problems, and the engine that samples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from s1core.backends.base import Backend
    from s1core.records import Problem

Model = Annotated[str, typer.Option(help="Checkpoint folder, Hub id, pocket-small|large|s1.")]
Template = Annotated[str, typer.Option(help="s1, deepseek-r1, qwen3 or sky-t1.")]
Input = Annotated[Path | None, typer.Option(help="JSONL file of problems.")]
Bench = Annotated[str, typer.Option(help="Benchmark instead of --input: AIME24, GSM8K, ...")]
DataDir = Annotated[Path | None, typer.Option(help="Local mirror of the data sets.")]
Limit = Annotated[int | None, typer.Option(help="Only the first so many problems.")]
Engine = Annotated[str, typer.Option(help="Who samples: hf, vllm or completions (a server).")]
Url = Annotated[str, typer.Option(help="The server, up to and with /v1; its key: OPENAI_API_KEY.")]
Tokenizer = Annotated[str, typer.Option(help="For a server: the model's folder or Hub id.")]
Context = Annotated[int | None, typer.Option(help="Context in tokens, where a server hides it.")]
BatchSize = Annotated[int, typer.Option(help="Rows decoded together; requests in flight.")]

ENGINES = ("hf", "vllm", "completions")


def read_problems(
    path: Path | None, benchmark: str, data_dir: Path | None, limit: int | None
) -> list[Problem]:
    """Problems from a file or a benchmark, exactly one of which must be named."""
    from s1core.cli import benchmarks
    from s1core.errors import InputError
    from s1core.records import Problem, read_jsonl

    if (path is None) == (not benchmark):
        raise typer.BadParameter("name the problems with either --input or --benchmark")
    problems: list[Any]
    if path is None:
        problems = benchmarks.load(benchmark, data_dir, limit=limit)
    else:
        problems = list(read_jsonl(path, Problem))[:limit]
    if not problems:
        raise InputError(f"{path} holds no problems")
    return problems


def check_engine(engine: str, url: str, tokenizer: str, context_length: int | None) -> None:
    """Refuse options that do not belong together, before anything is loaded."""
    if engine not in ENGINES:
        raise typer.BadParameter(f"no backend {engine!r}; pick one of {', '.join(ENGINES)}")
    if engine == "completions":
        if not url or not tokenizer:
            raise typer.BadParameter(
                "--backend completions needs --url (such as http://localhost:8000/v1) and "
                "--tokenizer (the model's folder or Hub id); --model is its name on the server"
            )
    elif url or tokenizer or context_length:
        raise typer.BadParameter("--url, --tokenizer and --context-length are for a server")


def parse_engine_options(pairs: list[str], engine: str) -> dict[str, Any]:
    """`["dtype=float32", "tensor_parallel_size=2"]` as arguments; values are JSON where they can.

    Servers take `timeout` (seconds), `attempts`, `key_variable` and `token_ids`.
    """
    parsed: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise typer.BadParameter(f"--engine-option takes NAME=VALUE, not {pair!r}")
        try:
            parsed[name] = json.loads(value)
        except ValueError:
            parsed[name] = value
    allowed = {
        "hf": {"dtype", "device"},
        "completions": {"timeout", "attempts", "key_variable", "token_ids"},
    }.get(engine, set(parsed))
    if unknown := sorted(set(parsed) - allowed):
        raise typer.BadParameter(
            f"the {engine} backend has no option {', '.join(unknown)}; it has "
            f"{', '.join(sorted(allowed))}"
        )
    return parsed


def open_engine(
    engine: str,
    model: str,
    url: str,
    tokenizer: str,
    context_length: int | None,
    batch_size: int,
    arguments: Mapping[str, Any] | None = None,
) -> Backend:
    """Start the engine, or connect to the server.

    Raises:
        BackendError: it cannot be started or reached; the message says what to do.
        InputError: there is no such checkpoint.
    """
    from s1core.checkpoints import locate

    given = dict(arguments or {})
    if engine == "completions":
        return _connect(url, model, tokenizer, context_length, batch_size, given)
    path = locate(model)
    if engine == "vllm":
        return _vllm(path, batch_size, given)
    import torch

    from s1core.backends.hf import HFBackend

    given.setdefault("device", "cuda" if torch.cuda.is_available() else None)
    return HFBackend.from_pretrained(path, batch_size=batch_size, **given)


def _connect(
    url: str,
    model: str,
    tokenizer: str,
    context_length: int | None,
    batch_size: int,
    given: dict[str, Any],
) -> Backend:
    from s1core.backends.completions import CompletionsBackend, Retry

    patience = {name: given.pop(name) for name in ("timeout", "attempts") if name in given}
    server = CompletionsBackend(
        url,
        model,
        tokenizer,
        context_length=context_length,
        concurrency=batch_size,
        retry=Retry(**patience),
        **given,
    )
    server.batch_size = batch_size
    return server


def _vllm(path: str, batch_size: int, given: dict[str, Any]) -> Backend:
    from s1core.errors import BackendError

    try:
        from s1core.backends.vllm import VLLMBackend
    except ImportError as error:
        raise BackendError(
            f"vLLM cannot be imported ({error}); install it with pip install 's1core[gpu]', or "
            "use --backend hf"
        ) from error
    return VLLMBackend.from_pretrained(path, batch_size=batch_size, **given)


def check_output(output: Path, inputs: Iterable[Path | None] = ()) -> None:
    """Refuse an output that is no regular file, or one of the files that are read.

    Raises:
        InputError: it has no name, is a folder or a device, or is an input under any name.
    """
    from s1core.errors import InputError

    if not output.name or (output.exists() and not output.is_file()):
        raise InputError(f"{str(output)!r} is not a regular file: name one to write")
    for path in inputs:
        if path is None:
            continue
        if output.resolve() == path.resolve() or (
            output.exists() and path.exists() and output.samefile(path)
        ):
            raise InputError(f"{output} is read and would be overwritten: name another --output")


def check_replaced(output: Path, count: int) -> None:
    """Refuse to replace a JSONL file by one with fewer rows.

    Raises:
        InputError: it has more than `count` rows now.
    """
    from s1core.errors import InputError

    if output.exists():
        with open(output, "rb") as file:
            held = sum(1 for line in file if line.strip())
        if held > count:
            raise InputError(
                f"{output} holds {held:,} rows, and would be replaced by {count:,}: remove it "
                "first, or name another --output"
            )
