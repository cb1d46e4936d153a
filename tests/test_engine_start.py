"""An engine that does not start says why in one sentence, also from a process of its own."""

import os

import pytest

from s1core.engine_start import reason_in, reasoned
from s1core.errors import BackendError, InputError


def test_the_reason_is_the_deepest_cause_that_says_something():
    said = "^vLLM does not start: ValueError: To serve at least one request, 4.0 GiB KV .* needed$"
    with pytest.raises(BackendError, match=said), reasoned("vLLM"):
        try:
            raise ValueError("To serve at least one request, 4.0 GiB KV cache is needed")
        except ValueError as error:
            raise RuntimeError("Engine core initialization failed. See root cause.") from error


def test_a_reason_that_a_child_process_wrote_is_found_and_still_shown(capfd):
    written = "(EngineCore pid=7) torch.OutOfMemoryError: CUDA out of memory. Tried 2 GiB\\nmore\\n"
    with pytest.raises(BackendError, match="^vLLM does not start: OutOfMemoryError: CUDA out of"):
        with reasoned("vLLM"):
            os.system(f"printf '{written}' >&2; sleep 0.2")
            raise RuntimeError("Engine core initialization failed. See root cause above.")
    with pytest.raises(BackendError, match="^vLLM does not start: OutOfMemoryError: CUDA out of"):
        with reasoned("vLLM"):  # a command of its own, which tells no more than its exit status
            os.system(f"printf '{written}' >&2; sleep 0.2")
            raise RuntimeError("its server ended with 1")
    assert "CUDA out of memory" in capfd.readouterr().err


def test_without_any_reason_the_error_itself_is_told_and_ours_pass_unchanged():
    with pytest.raises(BackendError, match="Engine core initialization failed"), reasoned("vLLM"):
        raise RuntimeError("Engine core initialization failed.")
    with pytest.raises(InputError, match="^as it is$"), reasoned("vLLM"):
        raise InputError("as it is")


def test_the_reason_is_the_first_line_that_has_one() -> None:
    lines = ["(APIServer) INFO started", "RuntimeError: Engine core initialization failed."]
    lines += ["x.ValidationError: 1 validation error for ModelConfig", "  Value error, too long"]
    assert reason_in(lines) == "Value error, too long"
    assert reason_in([*lines[:2], "", "the end"]) == "the end" and reason_in([]) == ""
