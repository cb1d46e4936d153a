"""One question to a chat endpoint, and one answer: any server that speaks OpenAI's protocol.

Requests, retries and time limits are `s1core.backends.client`'s.
"""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from s1core.backends.client import Client, RequestFailed, Retry
from s1core.errors import BackendError, InputError, check_number

_CONTROL = re.compile(r"<[|｜][A-Za-z_▁][\w▁ ]+[|｜]>|<(?:start|end)_of_turn>|</?think>")
"""Control tokens as models of any family spell them; whose is asked is not known here."""

Message = tuple[str, str]
"""(role, content), e.g. ("user", "What is 2 + 2?")."""


@dataclass(frozen=True, slots=True)
class ChatConfig:
    """Where to ask, how fast and at what price.

    Attributes:
        base_url: up to and including `/v1`, e.g. `http://127.0.0.1:8000/v1`.
        temperature, max_tokens: sampling; part of what identifies a question to the cache.
        retry: after a network error, a reply unlike the protocol's, a 429 or 5xx.
        max_attempts: how often an answer that does not parse is asked for, in all.
        prompt_price, completion_price: money per million tokens; `max_cost` in the same.
        key_variable: environment variable that holds the key; unset for servers without one.
    """

    base_url: str
    model: str
    temperature: float = 0.0
    max_tokens: int = 4096
    concurrency: int = 8
    retry: Retry = Retry(attempts=6, wait=1.0, longest_wait=300.0)
    max_attempts: int = 3
    prompt_price: float = 0.0
    completion_price: float = 0.0
    max_cost: float | None = None
    key_variable: str = "OPENAI_API_KEY"

    def __post_init__(self) -> None:
        if not self.model or not self.model.isprintable():
            raise InputError(f"model must be a name, not {self.model[:40]!r}")
        for name, least, most in (
            ("max_tokens", 1, 2**31), ("concurrency", 1, 1024), ("max_attempts", 1, 1000),
            ("temperature", 0, 100.0), ("prompt_price", 0, 1e9), ("completion_price", 0, 1e9),
            ("max_cost", 0, 1e12),
        ):  # fmt: skip
            if (value := getattr(self, name)) is not None:
                check_number(name, value, least, most, whole=isinstance(most, int))

    def cost(self, prompt: int, completion: int) -> float:
        """Price of this many tokens."""
        return (prompt * self.prompt_price + completion * self.completion_price) / 1e6


@dataclass(frozen=True, slots=True)
class ChatReply:
    """An answer: its text, the reasoning the server kept apart (or ""), and what it took."""

    content: str
    reasoning: str = ""
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0


class ChatClient:
    """Asks one endpoint, from several threads; BackendError if its address or key is none."""

    def __init__(self, config: ChatConfig) -> None:
        self.config = config
        self._client = Client(config.base_url, key_variable=config.key_variable, retry=config.retry)
        self.scrub = self._client.scrub
        self.stop, self.requests, self._lock = self._client.stop, 0, threading.Lock()

    def ask(self, messages: Sequence[Message], seed: int = 0) -> ChatReply:
        """The endpoint's answer to a conversation; another `seed` can give another answer. Raises
        RequestFailed where this question got no usable answer, or spells out a control token, and
        another BackendError where no question would (401 to 404, a redirect)."""
        if spelled := _CONTROL.search(" ".join(content for _, content in messages)):
            raise RequestFailed(
                f"the question spells out {spelled[0]}, which a chat server may take for the "
                "control token; it is not asked"
            )
        config, written = self.config, [{"role": r, "content": text} for r, text in messages]
        body = {"model": config.model, "messages": written, "seed": seed}
        body |= {"temperature": config.temperature, "max_tokens": config.max_tokens}
        asked = sum(len(content) for _, content in messages)
        try:
            return self._client.call(
                "/chat/completions", body, read=lambda r: self._read(r, asked), before=self._count
            )
        except RequestFailed as failed:
            if failed.status in (401, 403):
                why = f"refuses the key in {self.config.key_variable}"
            elif failed.status in (402, 404, 405, 410) or 300 <= failed.status < 400:
                why = f"has no model {self.config.model!r} or is not an OpenAI-compatible address"
            else:
                raise
            raise BackendError(f"{self.config.base_url} {why} ({failed})") from None

    def _count(self) -> None:
        with self._lock:
            self.requests += 1

    def _read(self, answer: Any, asked: int) -> ChatReply:
        """The reply in a chat completion; raises ValueError and its like for what is none."""
        choice = answer["choices"][0]
        message = choice["message"]
        # vLLM and DeepSeek call it reasoning_content, OpenRouter and newer vLLM reasoning.
        reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
        content, finish = message.get("content") or "", choice.get("finish_reason") or "stop"
        (content + reasoning + finish).encode("utf-8")  # half a character could not be written
        if finish in ("content_filter", "tool_calls", "function_call", "abort", "error"):
            raise RequestFailed(f"the answer ended with {finish!r}")
        if self._client.tells_key(f"{content} {reasoning}"):
            raise RequestFailed("the answer repeats the key: it is not kept")
        usage = answer.get("usage") or {}
        spent = []
        for name, characters in (("prompt", asked), ("completion", len(content + reasoning))):
            tokens = usage.get(f"{name}_tokens")
            most = self.config.max_tokens if name == "completion" else 2**40
            if tokens is None:  # a quarter of the characters, so that no limit of cost is missed
                tokens = min(-(-characters // 4), most)
            if type(tokens) is not int or not 0 <= tokens <= most:
                raise ValueError(f"{str(tokens)[:20]} {name} tokens, of {most} at most")
            spent.append(tokens)
        return ChatReply(content, reasoning, finish, *spent)
