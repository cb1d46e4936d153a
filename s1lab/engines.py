"""The engine that a profile names, over a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1core.backends import open_engine

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
    options: dict[str, Any] = {"device": "cpu"}  # where hf gives the same bytes on every machine
    if profile.engine == "vllm":
        options = {**profile.engine_options, "seed": profile.seed}
        for arm in profile.released.values():
            if arm["model"] == str(model):
                options |= arm.get("engine_options", {})
    else:
        import torch
        from transformers.utils import logging

        logging.disable_progress_bar()  # "Loading weights", once per run
        if profile.threads:
            torch.set_num_threads(profile.threads)
    return open_engine(profile.engine, model, batch_size=profile.batch_size, **options)
