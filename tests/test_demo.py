"""The demo shows tokens when they are sampled, marks what was forced, and changes nothing."""

import contextlib
import os
import sys
import threading
from functools import partial

import pytest

from s1core.backends.hf import HFBackend
from s1core.cli import main
from s1core.cli.demo import WatchedMachine
from s1core.forcing import Budget, generate
from s1core.records import Problem
from tests.helpers import tiny_model, tiny_tokenizer

PROBLEM = Problem("Use 3 7 to make 10", "")


@pytest.mark.parametrize("every", [1, 3, 8])
@pytest.mark.parametrize("seed", range(4))
def test_a_watched_generation_is_the_unwatched_one_and_all_of_it_is_seen(every, seed):
    backend = HFBackend(tiny_model(), tiny_tokenizer())
    budget = Budget(40, num_ignore=2, max_answer=9)
    seen = []
    options = {"temperature": 1.0, "seed": seed}
    (plain,) = generate(backend, [PROBLEM], budget, **options)
    see = lambda ids, origin, phase: seen.append((ids, origin, phase))  # noqa: E731
    machine = partial(WatchedMachine, see=see, every=every)
    (shown,) = generate(backend, [PROBLEM], budget, machine=machine, **options)
    assert shown == plain
    assert [t for ids, _, _ in seen for t in ids] == plain.token_ids()
    forced = [t for ids, origin, _ in seen if origin == "forced" for t in ids]
    assert forced == plain.token_ids(origin="forced")


def test_a_token_is_seen_before_the_model_is_asked_for_the_next():
    events = []
    backend = HFBackend(tiny_model(), tiny_tokenizer())
    handle = backend.model.register_forward_hook(lambda *_: events.append("model"))
    try:
        see = lambda ids, origin, phase: events.append((origin, len(ids)))  # noqa: E731
        machine = partial(WatchedMachine, see=see)
        list(generate(backend, [PROBLEM], Budget(12, max_answer=4), machine=machine))
    finally:
        handle.remove()
    sampled = [i for i, event in enumerate(events) if event == ("sampled", 1)]
    assert len(sampled) >= 12
    assert all("model" in events[a:b] for a, b in zip(sampled, sampled[1:], strict=False))


def test_in_a_terminal_what_was_forced_is_in_reverse_video_and_comes_live(monkeypatch):
    pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
    ours, theirs = pty.openpty()
    reads: list[bytes] = []

    def watch():
        with contextlib.suppress(OSError):  # Linux says so when the other side has closed
            while read := os.read(ours, 4096):
                reads.append(read)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with open(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        with pytest.raises(SystemExit) as done:
            main(["demo", "--waits", "1"])
    watcher.join(timeout=60)
    os.close(ours)
    shown = b"".join(reads).decode()
    assert done.value.code == 0
    assert "\x1b[7m Wait \x1b[0m" in shown and "\x1b[7m <|im_start|> answer \x1b[0m" in shown
    assert "1 Waits" in shown
    assert len(reads) > 10  # piece by piece, not at the end
