"""Engines that sample tokens: scripted, transformers (`hf`), vLLM, any completions server."""

from s1core.backends.base import Backend, Completion, SamplingParams
from s1core.backends.scripted import NativeScriptedBackend, ScriptedBackend, follow
from s1core.errors import BackendError

__all__ = [
    "Backend",
    "BackendError",
    "Completion",
    "NativeScriptedBackend",
    "SamplingParams",
    "ScriptedBackend",
    "follow",
]
