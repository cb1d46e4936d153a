"""Engines that sample tokens: transformers (`hf`), vLLM, any completions server."""

from pathlib import Path
from typing import Any

from s1core.backends.base import Backend, Completion, SamplingParams
from s1core.errors import BackendError, InputError, explained

__all__ = ["Backend", "BackendError", "Completion", "SamplingParams", "open_engine"]


def open_engine(
    engine: str,
    model: str | Path,
    *,
    batch_size: int = 64,
    url: str = "",
    tokenizer: str = "",
    context_length: int | None = None,
    **options: Any,
) -> Backend:
    """Start "hf" or "vllm", or connect to a server ("completions").

    Args:
        model: a folder, a Hub id, a model that ships with s1core, or its name on the server.
        batch_size: rows decoded together, or requests in flight.
        url: a server's; it needs `tokenizer` (the model's folder or Hub id) and may need
            `context_length` in tokens.
        options: `dtype` and `device` for hf (a GPU by default, where there is one), arguments of
            `vllm.LLM`, or a server's `timeout`, `attempts`, `key_variable` and `token_ids`.

    BackendError: it cannot be started or reached. InputError: no such engine, checkpoint or value.
    """
    options["batch_size"] = batch_size
    with explained(f"{model} cannot be loaded"):
        if engine == "completions":
            from s1core.backends.completions import CompletionsBackend, Retry

            patience = {n: options.pop(n) for n in ("timeout", "attempts") if n in options}
            options |= {"context_length": context_length, "retry": Retry(**patience)}
            return CompletionsBackend(url, str(model), tokenizer, **options)
        if engine == "hf":
            import torch

            from s1core.backends.hf import HFBackend

            options.setdefault("device", "cuda" if torch.cuda.is_available() else None)
            return HFBackend.from_pretrained(model, **options)
        if engine != "vllm":
            raise InputError(f"no engine {engine!r}; pick one of hf, vllm, completions")
        try:
            from s1core.backends.vllm import VLLMBackend
        except ImportError as error:
            said = f"vLLM cannot be imported ({error}); install it with pip install 's1core[gpu]'"
            raise BackendError(f"{said}, or use --backend hf") from error
        return VLLMBackend.from_pretrained(model, **options)
