"""A tokenizer and a model small enough for unit tests, with ChatML and thinking delimiters."""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import yaml

WORDS = (
    "Use make yes no Wait Hmm Alternatively Final Answer : think answer system user assistant "
    "= + - * / ( ) ; , . ? < > step steps remaining tokens Think for up to about a short long time"
).split()
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


CHECKOUT = Path(__file__).resolve().parents[1]
DATA = CHECKOUT / "tests" / "data"


def rows(name: str) -> list[Any]:
    """A table of `data/`, a JSON value a line."""
    return [json.loads(line) for line in (DATA / name).read_text("utf-8").splitlines()]


@cache
def table(name: str) -> Any:
    """What a YAML file of `data/` holds."""
    return yaml.safe_load((DATA / name).read_text("utf-8"))


def cases(file: str) -> Any:
    """The tables of a test file, by name: its part of `data/cases.yaml`."""
    return table("cases.yaml")[file]


def command(program: str, *words: object, env: dict | None = None, **options: Any) -> Any:
    """Run `s1core` or another command line as a process, with further variables `env`."""
    options = {"capture_output": True, "text": True, "timeout": 300, **options}
    line = [sys.executable, "-m", f"{program}.cli", *map(str, words)]
    return subprocess.run(line, env={**os.environ, **(env or {})}, **options)


def told(program: str, *words: object) -> tuple[Any, str]:
    """Run `s1core` or `s1lab` in this process; its exit code, and all that it shows."""
    shown, code = io.StringIO(), 0
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        try:
            import_module(f"{program}.cli").main([*map(str, words)])
        except SystemExit as ended:
            code = ended.code or 0
    return code, shown.getvalue() + (code if isinstance(code, str) else "")


def files(folder: Path) -> dict[str, bytes]:
    """What a folder holds, by path; locks left out."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in found if p.suffix != ".lock"}


def refused(program: str, *words: object, place: Path | None = None) -> str:
    """What a command says that must refuse: no traceback, not exit code 0, every file as it was."""
    place = place or Path.cwd()
    before = files(place)
    code, text = told(program, *words)
    assert code != 0 and "Traceback" not in text and len(text) < 4_000, (code, text)
    assert files(place).items() >= before.items()
    return " ".join(text.split())


def wait_until(reached: Callable[[], Any], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < limit
        time.sleep(0.005)


def processes(group: int) -> dict[int, str]:
    """The processes of a group, by their ids."""
    told = subprocess.check_output(["ps", "-ewwo", "pgid=,pid=,args="], text=True)
    found = (line.split(maxsplit=2) for line in told.splitlines())
    return {int(pid): args for pgid, pid, args in found if int(pgid) == group}


def public(store: Path) -> dict[str, bytes]:
    """Everything in a store that must be the same on every attempt."""
    named = ("manifest.json", "finished.json")
    kept = (p for p in store.rglob("*") if p.parent.name == "public" or p.name in named)
    return {str(p.relative_to(store)): p.read_bytes() for p in sorted(kept) if p.is_file()}


def write_grades(
    run: Any, right: list[int], tokens: list[int], samples: int = 2, cut: float = float("inf")
) -> None:
    """A finished generation run: `right[i]` of the samples of question i are correct; those that
    think for `cut` tokens or more were cut short."""
    rows = []
    for i, sample in product(range(len(right)), range(samples)):
        correct = sample < right[i]
        row = {"problem_key": f"{i:016x}", "sample": sample, "thinking_tokens": tokens[i]}
        row |= {"answer_tokens": 5, "waits_used": 0, "extracted": "1 + 1" if correct else "1 - 1"}
        row |= {"status": "correct" if correct else "wrong"}
        rows.append(row | {"outcome": "truncated" if tokens[i] >= cut else "ended"})
    (run.path / "finished.json").unlink(missing_ok=True)  # written before under another label
    replace(run, read_only=False).ensure(lambda run: run.write_table("grades.csv", rows))


def save_tiny(folder: Path, **shape: Any) -> str:
    """The tiny model and its tokenizer as a checkpoint; its folder."""
    for part in (tiny_model(**shape), tiny_tokenizer()):
        part.save_pretrained(folder)
    return str(folder)


@cache
def tiny_tokenizer() -> Any:
    """Whole words, integers 0-99 and single characters; `decode(encode(text))` keeps the text."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = dict.fromkeys([*SPECIAL, "\n", " ", *map(str, range(100)), *WORDS])
    words.update(dict.fromkeys("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'\"!_|"))
    vocabulary = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<|endoftext|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        Regex(r"\n| |\d{1,2}|" + "|".join(w for w in WORDS if w.isalpha() and len(w) > 1) + "|."),
        "isolated",
    )
    tokenizer.decoder = decoders.Fuse()
    tiny = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>", "<think>", "</think>"],
        chat_template=CHATML,
    )
    # Without it AutoTokenizer reads a saved copy back as Qwen's own class, with other ids.
    tiny.init_kwargs["auto_map"] = {"AutoTokenizer": ["none", None]}
    return tiny


@cache
def tiny_model(seed: int = 0, kv_heads: int = 2, hidden: int = 32) -> Any:
    """A random Qwen2 whose embedding is padded beyond the tokenizer, as Qwen's own is."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = tiny_tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = Qwen2Config(
            vocab_size=len(tokenizer) + 24,
            hidden_size=hidden,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=kv_heads,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            initializer_range=0.4,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        return Qwen2ForCausalLM(config).eval()
