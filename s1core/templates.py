"""Chat templates and thinking delimiters, for training and inference alike.

The one place that knows how a reasoning model marks where thinking begins and ends. It turns a
question into prompt ids and a trace into assistant ids with one tokenizer; it knows nothing about
budgets, engines or losses.

    >>> TEMPLATES["s1"].think_start, TEMPLATES["s1"].think_end
    ('<|im_start|>think\\n', '<|im_start|>answer\\n')
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from s1core.errors import InputError
from s1core.records import Trace

# Ends of a turn that tokenizers of this field declare besides their `eos_token`.
_KNOWN_EOS = ("<|im_end|>", "<|endoftext|>", "<｜end▁of▁sentence｜>", "<|eot_id|>")


@dataclass(frozen=True)
class Template:
    """How one family of reasoning models delimits thinking (Section 4.1 and Appendix D).

    Attributes:
        name: key in `TEMPLATES`.
        think_start: text that opens thinking, right after the assistant header.
        think_end: text that closes thinking and opens the answer.
        markers: strings that the tokenizer must know as single tokens, since an end of thinking
            is recognised by one token. The released Sky-T1 checkpoints spell theirs out in plain
            text, so they are refused; fine-tunes that added the tokens fit.
        chat_options: extra arguments of the chat template for a direct answer without thinking.
        system: default system prompt; None leaves it to the chat template.
    """

    name: str
    think_start: str
    think_end: str
    markers: tuple[str, ...] = ()
    chat_options: dict[str, Any] = field(default_factory=dict)
    system: str | None = None


_SKY_T1_SYSTEM = (
    "Your role as an assistant involves thoroughly exploring questions through a systematic long "
    "thinking process before providing the final precise and accurate solutions. Please structure "
    "your response into two main sections: Thought and Solution. In the Thought section, detail "
    "your reasoning process using the specified format: <|begin_of_thought|> {thought with steps "
    "separated with '\\n\\n'} <|end_of_thought|> In the Solution section, present the final "
    "solution formatted as follows: <|begin_of_solution|> {final formatted, precise, and clear "
    "solution} <|end_of_solution|>"
)

TEMPLATES: dict[str, Template] = {
    template.name: template
    for template in (
        Template(
            "s1", "<|im_start|>think\n", "<|im_start|>answer\n", ("<|im_start|>", "<|im_end|>")
        ),
        Template("deepseek-r1", "<think>\n", "</think>\n\n", ("<think>", "</think>")),
        Template(
            "qwen3",
            "<think>\n",
            "</think>\n\n",
            ("<|im_start|>", "<think>", "</think>"),
            {"enable_thinking": False},
        ),
        Template(
            "sky-t1",
            "<|begin_of_thought|>\n\n",
            "<|end_of_thought|>\n\n<|begin_of_solution|>\n\n",
            ("<|begin_of_thought|>", "<|end_of_thought|>"),
            system=_SKY_T1_SYSTEM,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Delimiters:
    """A template's delimiters as ids of one tokenizer.

    Attributes:
        think_start_ids, think_end_ids: the delimiters.
        end_of_thinking_ids: first id of the end delimiter, and every end of turn: what a model
            samples when it wants to stop thinking.
        eos_ids: ends of turn alone.
        newline_ids: a line break, put before the end delimiter when thinking is cut mid-line.
    """

    think_start_ids: tuple[int, ...]
    think_end_ids: tuple[int, ...]
    end_of_thinking_ids: frozenset[int]
    eos_ids: frozenset[int]
    newline_ids: tuple[int, ...]


def get(template: str | Template) -> Template:
    """The template of that name (a `Template` is returned as it is).

    Raises:
        InputError: there is no template of that name.
    """
    if isinstance(template, Template):
        return template
    if template not in TEMPLATES:
        raise InputError(f"no template {template!r}; pick one of {', '.join(TEMPLATES)}")
    return TEMPLATES[template]


def encode(tokenizer: Any, text: str) -> list[int]:
    """Ids of `text` alone: no BOS, no EOS, nothing added."""
    return list(tokenizer.encode(text, add_special_tokens=False)) if text else []


def fitting(tokenizer: Any) -> list[str]:
    """Names of the templates whose markers this tokenizer knows as single tokens."""
    return [name for name, template in TEMPLATES.items() if not _missing(template, tokenizer)]


def resolve(template: str | Template, tokenizer: Any) -> Delimiters:
    """Read a template's delimiters from a tokenizer.

    Raises:
        InputError: the tokenizer lacks a marker or an end-of-turn token.
    """
    template = get(template)
    if missing := _missing(template, tokenizer):
        others = [name for name in fitting(tokenizer) if name != template.name]
        advice = f"pick one of {', '.join(others)}" if others else "no known template fits it"
        raise InputError(
            f"this model has no {' and no '.join(missing)}, which the {template.name!r} template "
            f"needs; {advice}"
        )
    vocabulary = tokenizer.get_vocab()
    eos_ids = {vocabulary[token] for token in _KNOWN_EOS if token in vocabulary}
    if tokenizer.eos_token_id is not None:
        eos_ids.add(tokenizer.eos_token_id)
    if not eos_ids:
        raise InputError("this tokenizer has no end-of-turn token; set tokenizer.eos_token")
    think_end_ids = tuple(encode(tokenizer, template.think_end))
    return Delimiters(
        think_start_ids=tuple(encode(tokenizer, template.think_start)),
        think_end_ids=think_end_ids,
        end_of_thinking_ids=frozenset(eos_ids | {think_end_ids[0]}),
        eos_ids=frozenset(eos_ids),
        newline_ids=tuple(encode(tokenizer, "\n")),
    )


def prompt_ids(
    template: str | Template, tokenizer: Any, question: str, system: str | None = None
) -> list[int]:
    """Chat prompt, then the think delimiter: where thinking starts (Section 3.1)."""
    template = get(template)
    text = _chat_text(tokenizer, question, system if system is not None else template.system)
    # Some chat templates (DeepSeek-R1's) open thinking themselves: never open it twice.
    if template.think_start.strip() and text.rstrip().endswith(template.think_start.strip()):
        text = text.rstrip().removesuffix(template.think_start.strip())
    return encode(tokenizer, text) + encode(tokenizer, template.think_start)


def answer_prompt_ids(
    template: str | Template, tokenizer: Any, question: str, system: str | None = None
) -> list[int]:
    """Chat prompt up to the assistant's turn, without thinking: how a base model is asked."""
    template = get(template)
    text = _chat_text(tokenizer, question, system, **template.chat_options)
    if text.rstrip().endswith(template.think_start.strip()):
        text = text.rstrip().removesuffix(template.think_start.strip())
    return encode(tokenizer, text)


def assistant_ids(template: str | Template, tokenizer: Any, trace: Trace) -> list[int]:
    """What the assistant is trained to write for a trace (Appendix D)::

        <|im_start|>think\\n{thinking}\\n<|im_start|>answer\\n{attempt}<|im_end|>

    Delimiters are encoded on their own, exactly as inference forces them.
    """
    template = get(template)
    return [
        *encode(tokenizer, template.think_start),
        *encode(tokenizer, trace.thinking.strip("\n") + "\n"),
        *encode(tokenizer, template.think_end),
        *encode(tokenizer, trace.attempt),
        tokenizer.eos_token_id,
    ]


def _missing(template: Template, tokenizer: Any) -> list[str]:
    vocabulary = tokenizer.get_vocab()
    return [marker for marker in template.markers if marker not in vocabulary]


def _chat_text(tokenizer: Any, question: str, system: str | None, **options: Any) -> str:
    if not getattr(tokenizer, "chat_template", None):
        raise InputError("this tokenizer has no chat template; set tokenizer.chat_template")
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": question})
    return tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, **options
    )
