"""The engine that a profile names, over a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from s1core.checkpoints import locate

if TYPE_CHECKING:
    from s1core.backends.base import Backend
    from s1lab.profiles import Profile


def load_engine(profile: Profile, model: str | Path) -> Backend:
    """Load a model into the profile's engine.

    Args:
        model: a folder, a Hub id, or a model that ships with s1core. One of the profile's
            released checkpoints gets the engine options that the profile has for it.

    Raises:
        InputError: it names a folder, and that is no checkpoint.
        BackendError: the engine is not installed, or does not take the model.
    """
    if profile.engine == "vllm":
        from s1core.backends.vllm import VLLMBackend

        options = dict(profile.engine_options)
        for arm in profile.released.values():
            if arm["model"] == str(model):
                options |= arm.get("engine_options", {})
        return VLLMBackend.from_pretrained(
            locate(model), batch_size=profile.batch_size, seed=profile.seed, **options
        )
    import torch
    from transformers.utils import logging

    from s1core.backends.hf import HFBackend

    logging.disable_progress_bar()  # "Loading weights", once per run
    if profile.threads:
        torch.set_num_threads(profile.threads)
    return HFBackend.from_pretrained(locate(model), batch_size=profile.batch_size)
