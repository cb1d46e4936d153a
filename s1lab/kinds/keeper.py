"""Keepers: processes on every node that end when whoever asked for them does, even by kill -9.

Under Slurm `srun` starts one on each node of the job; elsewhere this machine is the only node. A
keeper runs one command and ends it, with whatever it started, when the keeper's own input ends: no
GPU stays taken.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

GRACE = 20.0  # seconds between asking a process to end and ending it


def nodes() -> int:
    """Machines of the Slurm job that this is the first process of; 1 outside of one."""
    return int(os.environ.get("SLURM_NNODES") or 1)


def start(
    commands: Sequence[Sequence[str]], log: IO[bytes] | None = None, **told: str
) -> subprocess.Popen:
    """Start one command per node, each under a keeper, `told` in their environment; what they say
    goes to `log` or stderr. They end when the standard input of what is returned is closed."""
    keeper = [sys.executable, "-m", "s1lab.kinds.keeper", json.dumps([*map(list, commands)])]
    if len(commands) > 1:
        share = ["--overlap", f"--nodes={len(commands)}", "--ntasks-per-node=1"]
        keeper = ["srun", *share, "--kill-on-bad-exit=1", *keeper]
    pipes = {"stdin": subprocess.PIPE, "stdout": log or sys.stderr, "stderr": log or sys.stderr}
    # In a session of its own: what kills every process of ours at once leaves it to clean up.
    return subprocess.Popen(keeper, **pipes, start_new_session=True, env=os.environ | told)


def stop(process: subprocess.Popen) -> None:
    """End what `start` started, and wait until it is gone."""
    if process.stdin:
        with suppress(OSError):
            process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=2 * GRACE)
    process.kill()
    process.wait()


def keep(command: Sequence[str]) -> int:
    """Run a command until it ends or this process's input does; nothing of it is left."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def end(how: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, how)

    def listen() -> None:
        while os.read(0, 1):  # nobody writes; it ends when the other side does
            pass
        end(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=GRACE)
        end(signal.SIGKILL)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asked for it answers for it
    signal.signal(signal.SIGTERM, lambda *_: end(signal.SIGKILL))
    threading.Thread(target=listen, daemon=True).start()
    status = child.wait()
    end(signal.SIGKILL)
    return status if status >= 0 else 128 - status


def meeting() -> tuple[str, int]:
    """The first node, by a name that the others know, and a port that is free there."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return os.environ.get("SLURMD_NODENAME", "localhost"), probe.getsockname()[1]


if __name__ == "__main__":
    of = json.loads(sys.argv[1])
    sys.exit(keep(of[int(os.environ["SLURM_PROCID"]) if len(of) > 1 else 0]))
