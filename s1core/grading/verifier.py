"""math-verify behind a wall: a process that the time limit really stops (`verifier_server.py`).

A worker answers one request at a time under a memory limit, an alarm that the kernel delivers even
inside C code, and an audit hook that refuses to run text as code, start programs, open sockets or
write files. One that dies is replaced; what it was asked "could not be compared".
"""

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from s1core.errors import BackendError

TIME_LIMIT = 2.0  # of CPU time for one comparison, so that a busy machine grades as an idle one
MEMORY_LIMIT = 2 << 30  # bytes of address space for one worker


@dataclass(frozen=True, slots=True)
class Verdict:
    """Same or not, and which test said so; None when they could not be compared."""

    same: bool | None
    how: str


class Verifier:
    """A handle on the server process; starts it when first asked and restarts it if it dies."""

    def __init__(self, time_limit: float = TIME_LIMIT, memory_limit: int = MEMORY_LIMIT) -> None:
        self.limits = str(time_limit), str(memory_limit)
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0
        self._lock = threading.Lock()
        self._ask = lru_cache(100_000)(self._fresh)  # votes and several seeds repeat the same

    def __call__(self, gold: str, answer: str, bounds: tuple[str, str] | None = None) -> Verdict:
        """Compare two LaTeX answers, or a value with `bounds`; never raises for what they hold."""
        with self._lock:
            return self._ask(json.dumps([gold, answer, bounds]))

    def close(self) -> None:
        """Stop the server and its worker."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        try:
            process.communicate(timeout=2.0)  # the end of its input ends it, worker and all
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

    def _fresh(self, request: str) -> Verdict:
        for _ in range(2):
            process = self._running()
            with contextlib.suppress(OSError):
                process.stdin.write(request + "\n")
                process.stdin.flush()
                if reply := process.stdout.readline():
                    return Verdict(*json.loads(reply))
            self.close()
        return Verdict(None, "worker died")

    def _running(self) -> subprocess.Popen[str]:
        # A fork of the caller must not share the pipes of its parent.
        if self._process is None or self._owner != os.getpid():
            server = Path(__file__).with_name("verifier_server.py")
            command, pipe = [sys.executable, "-I", str(server), *self.limits], subprocess.PIPE
            how = {"stdin": pipe, "stdout": pipe, "stderr": subprocess.DEVNULL}
            self._process = subprocess.Popen(command, encoding="utf-8", **how)
            self._owner = os.getpid()
            if not self._process.stdout.readline():
                self.close()
                raise BackendError("math-verify does not start; is it installed with s1core?")
        return self._process


verify = Verifier()
atexit.register(verify.close)
