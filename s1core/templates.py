"""Chat templates and thinking delimiters, for training and inference alike. The one place that
knows how a reasoning model marks where thinking begins and ends, and where its turn does. Control
tokens come from the template alone: those that a question or a trace spells out stay text."""

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from s1core.errors import InputError, explained, utf8
from s1core.jsonl import from_dict, read_yaml
from s1core.records import Trace

STEP_MARK = "<|im_start|>"
STEP_HEADER = STEP_MARK + "{left} steps left\n"
"""Opens a step of a trace that counts its steps down (Appendix E.1)."""
_TODAY = datetime.datetime(2025, 1, 31)  # what a chat template that names the day is told


@dataclass(frozen=True)
class Template:
    """How one family of reasoning models delimits thinking (Section 4.1 and Appendix D)."""

    think_start: str  # text that opens thinking, right after the assistant header
    think_end: str  # text that closes thinking and opens the answer
    markers: tuple[str, ...]  # what the tokenizer must know as single tokens
    chat_options: Mapping[str, Any] = field(default_factory=dict)  # of a direct answer
    system: str | None = None  # default system prompt; None leaves it to the chat template


_LISTED = read_yaml(Path(__file__).with_name("templates.yaml"))
_ENDS = tuple(_LISTED["ends_of_turn"])
TEMPLATES = {name: from_dict(Template, row) for name, row in _LISTED["templates"].items()}


@dataclass(frozen=True, slots=True)
class Delimiters:
    """A template's delimiters as ids of one tokenizer."""

    think_start_ids: tuple[int, ...]
    think_end_ids: tuple[int, ...]
    end_of_thinking_ids: frozenset[int]  # first id of the end delimiter, and every end of turn
    eos_ids: frozenset[int]  # ends of turn alone
    newline_ids: tuple[int, ...]  # put before the end delimiter when thinking is cut mid-line


def get(name: str) -> Template:
    """The template of that name; InputError where none has it."""
    if name not in TEMPLATES:
        raise InputError(f"no template {name!r}; pick one of {', '.join(TEMPLATES)}")
    return TEMPLATES[name]


def fitting(tokenizer: Any) -> str:
    """The template whose markers a tokenizer has (any ChatML model: that of s1); or InputError."""
    for name in ("qwen3", "deepseek-r1", "sky-t1", "s1"):
        if not _missing(TEMPLATES[name], tokenizer):
            return name
    raise InputError("this model marks thinking as no known template does; it cannot be forced")


def encode(tokenizer: Any, text: str) -> list[int]:
    """Ids of `text` alone, nothing added, control tokens read as such; InputError: no Unicode."""
    utf8(text)
    return list(tokenizer.encode(text, add_special_tokens=False)) if text else []


def resolve(name: str, tokenizer: Any) -> Delimiters:
    """Read a template's delimiters from a tokenizer; InputError where it lacks one of them."""
    template = get(name)
    if missing := " and no ".join(_missing(template, tokenizer)):
        others = [key for key, one in TEMPLATES.items() if not _missing(one, tokenizer)]
        advice = f"pick one of {', '.join(others)}" if others else "no known template fits it"
        raise InputError(f"this model has no {missing} for template {name!r}; {advice}")
    # Declared by the tokenizer or (`checkpoints.load_tokenizer`) the model, or known by name.
    declared = (tokenizer.eos_token_id, *getattr(tokenizer, "declared_ends", ()))
    named = (_id(tokenizer, name) for name in _ENDS)
    eos_ids = frozenset({*named, *declared, written_end(tokenizer)} - {None})
    if not eos_ids:
        raise InputError("this tokenizer has no end-of-turn token; set tokenizer.eos_token")
    texts = (template.think_start, template.think_end, "\n")
    start, end, newline = (tuple(encode(tokenizer, text)) for text in texts)
    return Delimiters(start, end, eos_ids | {end[0]}, eos_ids, newline)


def written_end(tokenizer: Any) -> int | None:
    """The control token that the chat template writes after an answer; None without one."""
    turns = [("user", "Hi"), ("assistant", "s1core")]
    try:
        text = _chat_text(tokenizer, turns, add_generation_prompt=False)
    except InputError:
        return None
    _, answer, after = text.rpartition("s1core")
    ids = encode(tokenizer, after.strip()) if answer else []
    found = ids and tokenizer.convert_ids_to_tokens(ids[0]) in _controls(tokenizer)
    return ids[0] if found else None


def prompt_ids(
    name: str, tokenizer: Any, question: str, system: str | None = None, thinking: bool = True
) -> list[int]:
    """Chat prompt, then the think delimiter: where thinking starts (Section 3.1). Without
    `thinking` it ends at the assistant's turn. InputError: no chat template takes it."""
    template = get(name)
    # The chat template is given a hole for each of them, and their ids are put there afterwards.
    parts = _split(template, tokenizer, question)
    hole = next(c for c in map(chr, range(0xE000, 0xF900)) if c not in question)
    system = template.system if system is None else system
    turns = [("system", system)] * bool(system) + [("user", hole.join(parts[::2]))]
    options = {} if thinking else template.chat_options
    text = _chat_text(tokenizer, turns, add_generation_prompt=True, **options)
    # Some chat templates (DeepSeek-R1's) open thinking themselves: never open it twice.
    opened = template.think_start.strip()
    if opened and text.rstrip().endswith(opened):
        text = text.rstrip().removesuffix(opened)
    spelled, (first, *rest) = parts[1::2], text.split(hole) if len(parts) > 1 else [text]
    filled = (part for i, after in enumerate(rest) for part in (spelled[i % len(spelled)], after))
    ids = _joined(tokenizer, [first, *filled])
    return ids + encode(tokenizer, template.think_start) if thinking else ids


def assistant_ids(name: str, tokenizer: Any, trace: Trace) -> list[int]:
    """What the assistant is trained to write for a trace (Appendix D): thinking and attempt, each
    after its delimiter, encoded on its own as inference forces it, and the end of turn that the
    chat template writes. Of control tokens in the trace only step headers are real."""
    template, end = get(name), written_end(tokenizer)
    parts = _split(template, tokenizer, trace.thinking.strip("\n") + "\n", steps=True)
    ids = encode(tokenizer, template.think_start) + _joined(tokenizer, parts)
    attempt = _joined(tokenizer, _split(template, tokenizer, trace.attempt))
    ids += encode(tokenizer, template.think_end) + attempt
    return [*ids, tokenizer.eos_token_id if end is None else end]


def _id(tokenizer: Any, token: str) -> int | None:
    """The id of a token; None where the vocabulary lacks it."""
    found = tokenizer.convert_tokens_to_ids(token)
    return found if found is not None and tokenizer.convert_ids_to_tokens(found) == token else None


def _missing(template: Template, tokenizer: Any) -> list[str]:
    return [marker for marker in template.markers if _id(tokenizer, marker) is None]


def _split(template: Template, tokenizer: Any, text: str, steps: bool = False) -> list[str]:
    """Text around the control tokens that it spells out: `[before, token, between, token, after]`.
    With `steps`, those of step headers are no such tokens."""
    names = sorted(_controls(tokenizer) | set(template.markers), key=len, reverse=True)
    header = re.escape(STEP_HEADER).replace(re.escape("{left}"), r"\d+")
    known = "|".join(map(re.escape, names))
    return re.split((f"(?!{header})" if steps else "") + f"({known})", text) if names else [text]


def _joined(tokenizer: Any, parts: list[str]) -> list[int]:
    """Ids of text split at control tokens, each of which is encoded as a run of ordinary tokens."""
    pieces = [(p[:1], p[1:]) if number % 2 else (p,) for number, p in enumerate(parts)]
    return [token for both in pieces for piece in both for token in encode(tokenizer, piece)]


def _controls(tokenizer: Any) -> set[str]:
    """The names of a tokenizer's control tokens."""
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    special = {token.content for token in added if token.special}
    named = {name for name in _ENDS if _id(tokenizer, name) is not None}
    return {name for name in special | named | {*tokenizer.all_special_tokens} if len(name) > 1}


def _chat_text(tokenizer: Any, turns: list[tuple[str, str]], **options: Any) -> str:
    template = getattr(tokenizer, "chat_template", None)
    if not template:
        raise InputError("this tokenizer has no chat template; set tokenizer.chat_template")
    if "strftime_now" in str(template):
        options["strftime_now"] = _TODAY.strftime
    messages = [{"role": role, "content": content} for role, content in turns]
    roles = " and ".join(role for role, _ in turns)
    with explained(f"this model's chat template does not take a {roles} message"):
        return tokenizer.apply_chat_template(messages, tokenize=False, **options)
