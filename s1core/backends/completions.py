"""Any OpenAI-compatible `/v1/completions` server: vLLM's, llama.cpp's, Ollama's, SGLang's.

Prompts go out as token ids where the server takes them, else as text; ids come back where the
server returns them (vLLM, llama.cpp), else its text is tokenized again. Anything but ids both ways
is recorded as `exact_tokens=False`. A request that fails after bounded retries is an error, never
an answer. Servers have sampling defaults of their own, so every setting is sent.
"""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from s1core.backends.base import Completion, SamplingParams
from s1core.backends.sampling import uniforms
from s1core.checkpoints import load_tokenizer
from s1core.errors import BackendError
from s1core.templates import encode

if TYPE_CHECKING:
    from s1core.forcing.budget import Machine

_RETRIED_STATUS = {408, 409, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how patiently a request is tried again.

    Attributes:
        attempts: tries in all.
        timeout: seconds without an answer after which a try has failed.
        wait: seconds before the second try; doubles each time.
        longest_wait: most seconds between tries, also when the server asks for more.
    """

    attempts: int = 5
    timeout: float = 600.0
    wait: float = 0.5
    longest_wait: float = 30.0

    def pause(self, attempt: int, asked: str | None) -> float:
        """Seconds to wait after try number `attempt` (from 0); `asked` is Retry-After."""
        own = self.wait * 2**attempt
        server = float(asked) if asked and asked.replace(".", "", 1).isdigit() else 0.0
        return min(max(own, server), self.longest_wait)


class _Failed(Exception):
    """One try that failed; `again` says whether another could succeed."""

    def __init__(self, message: str, again: bool, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.again, self.retry_after = again, retry_after


class CompletionsBackend:
    """A server's model as a backend; forcing goes over several requests per row.

    Args:
        url: the server's address up to and with `/v1`.
        model: the model's name on the server.
        tokenizer: the model's own tokenizer, or its folder or Hub id.
        context_length: in tokens; None asks the server (vLLM and llama.cpp tell, others do not).
        token_ids: send prompts as ids. None finds out with the first request that is refused.
        concurrency: requests in flight.
        key_variable: environment variable that holds the key, if the server wants one.

    Attributes:
        exact_tokens: whether every completion so far took and gave ids; None before the first.

    Raises:
        BackendError: the address is not one, holds a password, or the server does not tell its
            context length.
    """

    def __init__(
        self,
        url: str,
        model: str,
        tokenizer: Any,
        *,
        context_length: int | None = None,
        token_ids: bool | None = None,
        concurrency: int = 16,
        retry: Retry | None = None,
        key_variable: str = "OPENAI_API_KEY",
    ) -> None:
        address = urllib.parse.urlsplit(url)
        if address.username or address.password or address.query:
            raise BackendError(
                "the server's address must hold no user, password or query; put the key in "
                f"the environment variable {key_variable}"
            )
        if address.scheme not in ("http", "https") or not address.hostname:
            raise BackendError(
                f"{url!r} is not an http(s) address; give one such as http://host/v1"
            )
        if isinstance(tokenizer, (str, os.PathLike)):
            tokenizer = load_tokenizer(tokenizer)
        self.url, self.model, self.tokenizer = url.rstrip("/"), model, tokenizer
        self.batch_size = 4 * concurrency
        self.exact_tokens: bool | None = None
        self._retry = retry or Retry()
        self._token_ids = token_ids
        self._concurrency = concurrency
        self._key_variable = key_variable
        self.context_length = context_length or self._ask_context_length()

    def complete(
        self, prompts: Sequence[Sequence[int]], params: Sequence[SamplingParams]
    ) -> list[Completion]:
        """One request per prompt, several in flight; failures become "error" completions."""
        if not prompts:
            return []
        with ThreadPoolExecutor(min(self._concurrency, len(prompts))) as pool:
            completions = list(pool.map(self._complete_row, prompts, params))
        if done := [c.exact_tokens for c in completions if c.finish_reason != "error"]:
            self.exact_tokens = all(done) and self.exact_tokens is not False
        return completions

    def force(
        self,
        prompts: Sequence[Sequence[int]],
        machines: Sequence[Machine],
        params: Sequence[SamplingParams],
    ) -> list[str]:
        """Step every machine over requests of its own: no row waits for another's Waits.

        Returns:
            One error per row, "" for none.
        """
        from s1core.forcing.drive import multi_call

        def row(i: int) -> str:
            return multi_call(self, [prompts[i]], [machines[i]], [params[i]])[0]

        with ThreadPoolExecutor(self._concurrency) as pool:
            return list(pool.map(row, range(len(prompts))))

    def _complete_row(self, prompt: Sequence[int], params: SamplingParams) -> Completion:
        """A request; two where the first tokens must be no stop, since few servers know that.

        What nearly all know is a bias on single tokens, but only for a whole request.
        """
        first = params.min_tokens
        if not first or first >= params.max_tokens:
            return self._complete_one(prompt, params)
        head = self._complete_one(prompt, replace(params, max_tokens=first))
        if head.finish_reason != "length":
            return head
        made = len(head.token_ids)
        rest = replace(
            params,
            max_tokens=params.max_tokens - made,
            min_tokens=0,
            first_draw=params.first_draw + made,
        )
        tail = self._complete_one([*prompt, *head.token_ids], rest)
        ids = () if tail.finish_reason == "error" else (*head.token_ids, *tail.token_ids)
        exact = head.exact_tokens and tail.exact_tokens
        return replace(tail, token_ids=ids, exact_tokens=exact)

    def _complete_one(self, prompt: Sequence[int], params: SamplingParams) -> Completion:
        try:
            if self._token_ids is not False:
                try:
                    return self._read(self._post(self._body(list(prompt), params)), params, True)
                except _Failed as failed:
                    if failed.again or self._token_ids:
                        raise
                    # Refused for good, perhaps because this server takes text only: try that.
                    text = self._text(prompt)
                    completion = self._read(self._post(self._body(text, params)), params, False)
                    self._token_ids = False
                    return completion
            return self._read(self._post(self._body(self._text(prompt), params)), params, False)
        except _Failed as failed:
            return Completion((), "error", str(failed), exact_tokens=False)

    def _text(self, prompt: Sequence[int]) -> str:
        return self.tokenizer.decode(prompt, clean_up_tokenization_spaces=False)

    def _body(self, prompt: list[int] | str, params: SamplingParams) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "prompt": prompt,
            "max_tokens": params.max_tokens,
            "temperature": params.temperature,
            "top_p": params.top_p,
            # Defaults of servers and of models that would bend the distribution, switched off.
            "top_k": len(self.tokenizer),
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "repeat_penalty": 1.0,
            # A continued row must not draw the same numbers again, so the draw is in the seed.
            "seed": int(uniforms([params.seed or 0], [params.first_draw])[0] * 2**31),
        }
        if params.stop_token_ids:
            strings = [self.tokenizer.decode([stop]) for stop in params.stop_token_ids]
            body["stop_token_ids"] = list(params.stop_token_ids)
            body["stop"] = strings[:4]
            # llama.cpp leaves special tokens out of the text in which it looks for stops.
            body["preserved_tokens"] = strings
        if params.min_tokens:
            body["min_tokens"] = params.min_tokens
            body["logit_bias"] = {str(stop): -100 for stop in params.stop_token_ids}
        # Templates write every special token themselves, and answers keep theirs.
        body |= {"add_special_tokens": False, "skip_special_tokens": False}
        if isinstance(prompt, list):
            body["return_token_ids"] = True
            body |= {"return_tokens": True, "verbose": True}  # the same in llama.cpp's words
        return body

    def _read(self, choice: Any, params: SamplingParams, sent_ids: bool) -> Completion:
        """A completion from a reply, held to what was asked rather than believed."""
        text, reason = choice["text"], choice["finish_reason"]
        if reason not in ("stop", "length"):
            raise _Failed(f"the reply ended with {reason!r}, not with stop or length", False)
        ids = choice.get("token_ids")
        exact = sent_ids and isinstance(ids, list) and all(isinstance(i, int) for i in ids)
        ids = ids if exact else encode(self.tokenizer, text)
        stops = frozenset(params.stop_token_ids)
        first_stop = next((i for i, token in enumerate(ids) if token in stops), None)
        if first_stop is not None:
            return Completion(tuple(ids[: first_stop + 1]), "stop", exact_tokens=exact)
        if len(ids) > params.max_tokens and exact:
            raise _Failed(
                f"the server sampled {len(ids)} tokens where at most {params.max_tokens} were "
                "asked for; it ignores max_tokens",
                False,
            )
        if reason == "stop" and stops and len(ids) < params.max_tokens:
            return Completion((*ids, self._stop_id(choice, stops)), "stop", exact_tokens=exact)
        return Completion(tuple(ids[: params.max_tokens]), "length", exact_tokens=exact)

    def _stop_id(self, choice: dict[str, Any], stops: frozenset[int]) -> int:
        """The stop token that the server left out of its reply, or one that stands for it."""
        told = choice.get("stop_reason", choice.get("matched_stop"))  # vLLM's name, SGLang's
        if told in stops:
            return told
        eos = self.tokenizer.eos_token_id
        return eos if eos in stops else min(stops)

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._request("/completions", _first_choice, json.dumps(body).encode())

    def _request(self, path: str, read: Callable[[Any], Any], data: bytes | None = None) -> Any:
        for attempt in range(self._retry.attempts):
            try:
                return read(self._try(path, data))
            except _Failed as failed:
                if not failed.again:
                    raise
                last = failed
                if attempt + 1 < self._retry.attempts:
                    time.sleep(self._retry.pause(attempt, failed.retry_after))
        raise _Failed(f"{last}; gave up after {self._retry.attempts} tries", True)

    def _try(self, path: str, data: bytes | None) -> Any:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self._key_variable):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.url + path, data, headers)  # noqa: S310 - http(s)
        try:
            with urllib.request.urlopen(request, timeout=self._retry.timeout) as reply:  # noqa: S310
                return json.loads(reply.read())
        except urllib.error.HTTPError as error:
            said = error.read(300).decode("utf-8", "replace")
            raise _Failed(
                f"HTTP {error.code} from {self.url}: {said}",
                error.code in _RETRIED_STATUS,
                error.headers.get("Retry-After"),
            ) from None
        except TimeoutError:
            raise _Failed(f"no answer from {self.url} in {self._retry.timeout} s", True) from None
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError) as error:
            raise _Failed(f"no connection to {self.url}: {error}", True) from None
        except ValueError as error:
            raise _Failed(f"the reply from {self.url} is not JSON ({error})", True) from None

    def _ask_context_length(self) -> int:
        try:
            models = self._request("/models", lambda reply: reply["data"])
            mine = next(m for m in models if self.model in (m["id"], *m.get("aliases", ())))
            return int(mine["max_model_len"] if "max_model_len" in mine else mine["meta"]["n_ctx"])
        except (_Failed, KeyError, TypeError, ValueError, StopIteration) as error:
            raise BackendError(
                f"the server does not tell the context length of {self.model!r} ({error}); "
                "give context_length"
            ) from None


def _first_choice(reply: Any) -> dict[str, Any]:
    """The one completion of a reply; a reply without is a failed try like any other."""
    try:
        choice = reply["choices"][0]
        if isinstance(choice["text"], str) and "finish_reason" in choice:
            verbose = reply.get("__verbose") or {}  # where llama.cpp tells the ids
            return {"token_ids": verbose.get("tokens"), **choice}
    except (KeyError, IndexError, TypeError):
        pass
    raise _Failed(f"the reply has no completion: {str(reply)[:200]}", True)
