"""One question to a chat endpoint, and one answer: any server that speaks OpenAI's protocol.

Used for distilling traces, classifying domains and judging answers (Section 2.1, Appendix C).
This module knows HTTP, retries and pacing; what is asked, and what becomes of many answers, is for
`batch` to know.
The key comes from an environment variable and is never stored, printed or sent elsewhere.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from s1core.errors import BackendError

Message = tuple[str, str]
"""(role, content), e.g. ("user", "What is 2 + 2?")."""

_RETRIED = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_MAX_REPLY_BYTES = 64 * 2**20


class ChatFailure(RuntimeError):
    """This one question got no usable answer; `requests` is how many were made for it."""

    def __init__(self, message: str, requests: int) -> None:
        super().__init__(message)
        self.requests = requests


@dataclass(frozen=True, slots=True)
class ChatConfig:
    """Where to ask, how fast and at what price.

    Attributes:
        base_url: up to and including `/v1`, e.g. `http://127.0.0.1:8000/v1`.
        model: the model's name at that endpoint.
        temperature, max_tokens: sampling; part of what identifies a question to the cache.
        concurrency: questions under way at once.
        requests_per_minute: most requests started per minute; None for no limit.
        timeout: seconds to wait for one reply.
        max_retries: how often a request is repeated after a network error, a reply that is not the
            protocol's, or a status that asks for it (429, 5xx).
        backoff: seconds before the first repetition, doubled each time (at most 60); a
            `Retry-After` header counts when it is longer.
        max_attempts: how often an answer that does not parse is asked for, in all.
        prompt_price, completion_price: money per million tokens.
        max_cost: stop asking once this much was spent; None for no limit.
        key_variable: environment variable that holds the key; unset for servers without one.
    """

    base_url: str
    model: str
    temperature: float = 0.0
    max_tokens: int = 4096
    concurrency: int = 8
    requests_per_minute: float | None = None
    timeout: float = 600.0
    max_retries: int = 5
    backoff: float = 1.0
    max_attempts: int = 3
    prompt_price: float = 0.0
    completion_price: float = 0.0
    max_cost: float | None = None
    key_variable: str = "OPENAI_API_KEY"

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Price of this many tokens."""
        total = prompt_tokens * self.prompt_price + completion_tokens * self.completion_price
        return total / 1e6


@dataclass(frozen=True, slots=True)
class ChatReply:
    """An answer: its text, the reasoning the server kept apart (or ""), and what it took."""

    content: str
    reasoning: str = ""
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    requests: int = 1


class Pacer:
    """Spaces requests evenly over time, for all threads together."""

    def __init__(self, requests_per_minute: float | None) -> None:
        self._gap = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next request may start."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self._gap
        time.sleep(max(0.0, start - now))

    def pause(self, seconds: float) -> None:
        """Let nobody start for this long: the server asked for it."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another host: refuse it."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class ChatClient:
    """Asks one endpoint; safe to use from several threads."""

    def __init__(self, config: ChatConfig) -> None:
        if not config.base_url.startswith(("http://", "https://")):
            raise BackendError(
                f"{config.base_url!r} is not an address: it starts with http or https"
            )
        self.config = config
        self._pacer = Pacer(config.requests_per_minute)
        self._stopped = threading.Event()
        self._opener = urllib.request.build_opener(_NoRedirect)

    def stop(self) -> None:
        """Retry nothing from now on; requests under way still end."""
        self._stopped.set()

    def ask(self, messages: Sequence[Message], seed: int = 0) -> ChatReply:
        """The endpoint's answer, after as many retries as it takes, up to `max_retries`.

        Args:
            messages: the conversation so far.
            seed: passed on to the server, so that asking again can give another answer.

        Raises:
            ChatFailure: no usable answer to this question; others may fare better.
            BackendError: the endpoint refuses everything (401, 403, 404) or cannot be an endpoint.
        """
        problem = ""
        for attempt in range(self.config.max_retries + 1):
            self._pacer.wait()
            pause = min(self.config.backoff * 2**attempt, 60.0)
            try:
                return self._read(self._post(messages, seed), attempt + 1)
            except urllib.error.HTTPError as error:
                problem = f"HTTP {error.code}: {_excerpt(error)}"
                if error.code in (401, 403):
                    raise BackendError(
                        f"{self.config.base_url} refuses the key in {self.config.key_variable} "
                        f"(HTTP {error.code}): check that variable"
                    ) from None
                if error.code == 404 or 300 <= error.code < 400:
                    raise BackendError(
                        f"{self.config.base_url} has no model {self.config.model!r} or is not an "
                        f"OpenAI-compatible address ({problem})"
                    ) from None
                if error.code not in _RETRIED:
                    raise ChatFailure(problem, attempt + 1) from None
                if error.code == 429:
                    pause = max(pause, _seconds(error.headers.get("Retry-After")))
                    self._pacer.pause(pause)
            except (OSError, http.client.HTTPException) as error:
                problem = f"{type(error).__name__}: {error}"
            except (ValueError, LookupError, TypeError) as error:
                problem = f"not a chat completion: {error}"
            if attempt == self.config.max_retries or self._stopped.wait(pause):
                break
        raise ChatFailure(f"gave up after {attempt + 1} requests; last: {problem}", attempt + 1)

    def _post(self, messages: Sequence[Message], seed: int) -> Any:
        body = {
            "model": self.config.model,
            "messages": [{"role": role, "content": content} for role, content in messages],
            "temperature": self.config.temperature,
            "max_tokens": self.config.max_tokens,
            "seed": seed,
        }
        headers = {"Content-Type": "application/json"}
        key = os.environ.get(self.config.key_variable, "")
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(
            f"{self.config.base_url.rstrip('/')}/chat/completions",
            json.dumps(body).encode("utf-8"),
            headers,
        )
        with self._opener.open(request, timeout=self.config.timeout) as response:
            return json.loads(response.read(_MAX_REPLY_BYTES))

    def _read(self, answer: Any, requests: int) -> ChatReply:
        choice = answer["choices"][0]
        message = choice["message"]
        usage = answer.get("usage") or {}
        content = message.get("content") or ""
        # vLLM and DeepSeek call it reasoning_content, OpenRouter and newer vLLM reasoning.
        reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
        if not isinstance(content, str) or not isinstance(reasoning, str):
            raise TypeError("the message is not text")
        return ChatReply(
            content,
            reasoning,
            choice.get("finish_reason") or "stop",
            int(usage.get("prompt_tokens") or 0),
            int(usage.get("completion_tokens") or 0),
            requests,
        )


def _excerpt(error: urllib.error.HTTPError) -> str:
    try:
        return " ".join(error.read(300).decode("utf-8", "replace").split())
    except OSError:
        return str(error.reason)


def _seconds(value: str | None) -> float:
    try:
        return min(max(float(value or 0), 0.0), 300.0)
    except ValueError:  # a date: the doubling pause has to do
        return 0.0
