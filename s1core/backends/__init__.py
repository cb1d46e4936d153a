"""Engines that sample tokens: scripted, transformers (`hf`), vLLM, any completions server."""

from s1core.backends.base import Backend, BackendError, Completion, SamplingParams
from s1core.backends.scripted import NativeScriptedBackend, ScriptedBackend, follow

__all__ = [
    "Backend",
    "BackendError",
    "Completion",
    "NativeScriptedBackend",
    "SamplingParams",
    "ScriptedBackend",
    "follow",
]
