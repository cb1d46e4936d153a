"""What runs on the GPUs of every node: torchrun, which trains, and vLLM's server, which samples."""

import shlex
import socket
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from transformers import AutoConfig

from s1core.backends.base import Machines, Params, Prompts
from s1core.backends.completions import CompletionsBackend, Retry
from s1core.checkpoints import load_tokenizer, locate
from s1core.errors import BackendError, RunError, explained, reason_in
from s1core.records import Example, write_atomically, write_jsonl
from s1core.sft import SFTConfig, TrainResult, train
from s1lab.kinds.keeper import meeting, nodes, start, stop

PATIENCE = 3600.0  # seconds in which a server must have started: 64 GB may come over a network
LONGEST = 6 * 3600.0  # seconds that one request may take


def torchrun(processes: int, program: Sequence[str]) -> list[list[str]]:
    """The command of each node that runs `python PROGRAM` in so many processes in all."""
    if processes == 1:
        return [[sys.executable, *program]]
    count, (host, port) = nodes(), meeting()
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", str(count)]
    command += ["--nproc-per-node", str(processes // count), "--rdzv-backend", "c10d"]
    command += ["--rdzv-id", str(port), "--rdzv-endpoint", f"{host}:{port}"]
    return [[*command, *program]] * count


def run(processes: int, program: Sequence[str], wanted: Path, **told: str) -> None:
    """Run `python PROGRAM` under `torchrun`; RunError unless it ends well and `wanted` is there."""
    commands = torchrun(processes, program)
    process = start(commands, **told)
    try:
        status = process.wait()
    finally:
        stop(process)
    if status or not wanted.exists():
        told = "what was wrong is said above, and the same command goes on from the last checkpoint"
        ran = shlex.join(commands[0])
        raise RunError(f"fine-tuning ended with status {status}; {told}. It was: {ran}")


def spawn(
    model: str,
    examples: Sequence[Example],
    config: SFTConfig,
    out: str | Path,
    processes: int,
    threads: int | None = None,
) -> TrainResult:
    """As `s1core.sft.train`, in so many processes over all nodes, which give back all memory of
    their GPUs; RunError where it fails: the same call resumes what was stopped. `threads` of the
    CPU for each, where the number matters."""
    out, model = Path(out).resolve(), str(Path(model).resolve())
    data, settings = out / "examples.jsonl", out / "config.yaml"
    write_jsonl(data, examples)
    row = asdict(config) | {"betas": list(config.betas)}
    write_atomically(settings, [yaml.safe_dump(row, sort_keys=True)])
    program = ["-m", "s1core.cli", "sft", "--model", model, "--data", str(data)]
    program += ["--config", str(settings), "--output", str(out)]
    told = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    run(processes, program, out / "final", **told)
    # A finished run is not repeated: this reads back what it left.
    return train(model, load_tokenizer(model), examples, config, out, device="cpu")


def serve(model: str, port: int, gpus: int, options: Mapping[str, Any]) -> list[list[str]]:
    """`vllm serve` of each node: as many replicas as teams of `tensor_parallel_size` GPUs, behind
    one address. `gpus` are those of all nodes, `options` are named as those of `vllm.LLM`."""
    plain = {"load_format": "safetensors", **options}
    count, replicas = nodes(), max(gpus // plain.get("tensor_parallel_size", 1), 1)
    fronts = ["--api-server-count", str(plain.pop("api_server_count", replicas))]
    command = [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", model]
    for name, value in plain.items():
        flag = name.replace("_", "-")
        told = {True: [f"--{flag}"], False: [f"--no-{flag}"]}
        command += told[value] if isinstance(value, bool) else [f"--{flag}", str(value)]
    first = ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", "model", *fronts]
    if replicas == 1:
        return [command + first]
    command += ["--data-parallel-size", str(replicas)]
    if count == 1:
        return [command + first]
    host, meet = meeting()
    here = replicas // count
    command += ["--data-parallel-size-local", str(here), "--data-parallel-rpc-port", str(meet)]
    command += ["--data-parallel-address", socket.gethostbyname(host)]
    rest = (["--headless", "--data-parallel-start-rank", str(i * here)] for i in range(1, count))
    return [command + first, *(command + more for more in rest)]


class ServedBackend(CompletionsBackend):
    """vLLM's own server over a checkpoint, all its replicas behind one address.

    It may use `gpus` over all nodes, has `batch_size` requests in flight, whoever asks, and adds
    what it says to `log`. Rows that were under way when it died are errors; what is asked of a dead
    one afterwards raises BackendError at once, so that whoever asked can start another; so does one
    that does not start, with vLLM's own reason.
    """

    def __init__(
        self, model: str | Path, *, gpus: int, batch_size: int, log: Path, **options: Any
    ) -> None:
        folder, (_, port) = locate(model), meeting()
        log.parent.mkdir(parents=True, exist_ok=True)
        self.address = f"http://127.0.0.1:{port}"
        with open(log, "ab") as file:
            before = file.tell()
            self._process = start(serve(folder, port, gpus, options), file)
        try:
            self._wait(log, before)
            with explained(f"{folder} cannot be read"):
                config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            told = {"retry": Retry(attempts=4, timeout=LONGEST), "key_variable": "S1CORE_NO_KEY"}
            told |= {"outputs": config.get_text_config().vocab_size, "batch_size": batch_size}
            super().__init__(f"{self.address}/v1", "model", folder, token_ids=True, **told)
        except BaseException:
            self.close()
            raise

    def _wait(self, log: Path, before: int) -> None:
        began = time.monotonic()
        while not self.alive:
            late = time.monotonic() - began > PATIENCE
            if late or self._process.poll() is not None:
                said = log.read_bytes()[before:].decode("utf-8", "replace").splitlines()
                why = f"not within {PATIENCE:.0f} s" if late else reason_in(said)
                raise BackendError(f"vLLM does not start: {why or f'see {log}'}")
            time.sleep(0.5)

    @property
    def alive(self) -> bool:
        """Whether the server and all of its replicas are."""
        if self._process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"{self.address}/health", timeout=60):
                return True
        return False

    def force(self, prompts: Prompts, machines: Machines, params: Params) -> list[str]:
        """As `CompletionsBackend.force`; BackendError where the server is dead."""
        if not self.alive:
            raise BackendError("vLLM's server ended while it was needed")
        return super().force(prompts, machines, params)

    def close(self) -> None:
        """End the server and all its replicas."""
        stop(self._process)
