"""math-verify behind a wall: a process that the time limit really stops.

A small server process imports math-verify once and forks workers from itself. A worker answers one
request at a time under a memory limit, an alarm that the kernel delivers even inside C code, and
an audit hook that refuses to run text as code, start programs, open sockets or write files. When a
worker dies, for whatever reason, the server says so and forks the next one (about 10 ms), so a
thousand hostile answers cost a thousand time limits at most and never the run.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from s1core.grading.equivalence import Verdict

TIME_LIMIT = 2.0
"""Seconds of CPU time for one comparison, so that a busy machine grades as an idle one does."""
MEMORY_LIMIT = 2 << 30
"""Bytes of address space for one worker."""
REMEMBERED = 100_000
"""Verdicts kept in memory: votes and several seeds repeat the same comparison."""


class Verifier:
    """A handle on the server process; starts it when first asked and restarts it if it dies."""

    def __init__(self, time_limit: float = TIME_LIMIT, memory_limit: int = MEMORY_LIMIT) -> None:
        self.time_limit = time_limit
        self.memory_limit = memory_limit
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0
        self._lock = threading.Lock()
        self._seen: dict[str, Verdict] = {}

    def __call__(self, gold: str, answer: str) -> Verdict:
        """Compare two LaTeX answers; never raises because of what they contain."""
        request = json.dumps([gold, answer])
        with self._lock:
            if request not in self._seen:
                if len(self._seen) >= REMEMBERED:
                    self._seen.clear()
                self._seen[request] = self._fresh(request)
            return self._seen[request]

    def close(self) -> None:
        """Stop the server and its worker."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        try:
            process.communicate(timeout=1.0)  # the end of its input ends it, worker and all
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

    def _fresh(self, request: str) -> Verdict:
        for _ in range(2):
            reply = self._ask(request)
            if reply:
                same, how = json.loads(reply)
                return Verdict(same, how)
            self.close()
        raise RuntimeError(
            "the math-verify process does not start; is math-verify installed beside s1core?"
        )

    def _ask(self, request: str) -> str:
        process = self._running()
        try:
            process.stdin.write(request + "\n")
            process.stdin.flush()
            return process.stdout.readline()
        except (BrokenPipeError, OSError):
            return ""

    def _running(self) -> subprocess.Popen[str]:
        # A fork of the caller must not share the pipes of its parent.
        if self._process is None or self._owner != os.getpid():
            server = Path(__file__).with_name("verifier_server.py")
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(server), str(self.time_limit), str(self.memory_limit)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
            )
            self._owner = os.getpid()
        return self._process


verify = Verifier()
atexit.register(verify.close)
