"""Fixtures that every area's tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.helpers import save_tiny

# A busy machine must not fail a property; a failure must come back on the next run.
settings.register_profile("s1core", deadline=None, derandomize=True)
settings.load_profile("s1core")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> str:
    """The tiny model and its tokenizer as a checkpoint: its folder."""
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real benchmark files: `S1CORE_DATA_DIR`, else `../shared/data` beside the checkout."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("S1CORE_DATA_DIR", default))
    if not path.is_dir():
        pytest.skip(f"no real data at {path}; set S1CORE_DATA_DIR to the folder that holds it")
    return path
