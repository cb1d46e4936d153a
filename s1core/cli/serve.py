"""`s1core serve`: vLLM's OpenAI server, with budgets of thinking that any client can ask for."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from typing import Annotated

import typer

from s1core import templates
from s1core.checkpoints import load_tokenizer, locate
from s1core.errors import BackendError, InputError, reasoned


def serve(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Checkpoint folder, Hub id, pocket-s1.")],
    template: Annotated[
        str, typer.Option(help="How it marks thinking; default: the one whose markers it has.")
    ] = "",
) -> None:
    """Serve a model with vLLM, each request with a budget of its own (`vllm_xargs`).

    Every other option is `vllm serve`'s. Extras of a request: max_thinking and min_thinking
    (tokens), waits, ignore_str, answer_cue, max_answer, or effort (low, medium, high). One without
    extras is answered as without us.

    \b
    Examples:
    s1core serve Qwen/Qwen3-8B --reasoning-parser qwen3 --data-parallel-size 8
    curl localhost:8000/v1/chat/completions -H 'Content-Type: application/json' -d \\
    '{"model": "Qwen/Qwen3-8B", "vllm_xargs": {"max_thinking": 2000, "waits": 2},
    "messages": [{"role": "user", "content": "How many r in strawberry?"}]}'
    OpenAI's client: create(..., extra_body={"vllm_xargs": {"effort": "high"}})
    """
    if "--logits-processors" in context.args:
        raise InputError("serve loads a logits processor of its own; leave --logits-processors out")
    folder = locate(model)
    tokenizer = load_tokenizer(model)
    template = template or templates.fitting(tokenizer)
    templates.resolve(template, tokenizer)
    if not importlib.util.find_spec("vllm"):
        raise BackendError("vLLM is not installed; install it with pip install 's1core[gpu]'")
    command = [sys.executable, "-m", "s1core.serving", "serve", folder]
    command += ["--served-model-name", model, "--additional-config"]
    command += [json.dumps({"s1core": {"template": template}}), *context.args]
    command += ["--logits-processors", "s1core.serving.processor:Processor"]
    told = {"S1CORE_SERVED": json.dumps([folder, template])}
    told["VLLM_LOGGING_STREAM"] = "ext://sys.stderr"  # where the reason is looked for
    with reasoned("vLLM"), subprocess.Popen(command, env={**os.environ, **told}) as server:
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        signal.signal(signal.SIGINT, lambda *_: None)  # the server has had it too
        if server.wait() == 2:
            raise typer.Exit(2)  # vLLM has said what is wrong with its options
        if server.returncode > 0:
            raise RuntimeError(f"its server ended with {server.returncode}")
