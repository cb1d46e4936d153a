"""Any OpenAI-compatible `/v1/completions` server: vLLM's, llama.cpp's, Ollama's, SGLang's.

Prompts go out as token ids where the server takes them, else as text; ids come back where it
returns them (vLLM, llama.cpp), else its text is tokenized again: then `exact_tokens=False`. A
request that fails, or a reply that cannot be true, is an error, never an answer.
"""

import functools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

from s1core.backends.base import Completion, Machines, Params, Prompts, SamplingParams, uniforms
from s1core.backends.client import Client, RequestFailed, Retry
from s1core.checkpoints import load_tokenizer
from s1core.errors import BackendError, check_number
from s1core.templates import encode

# Defaults of servers and of models that would bend the distribution, switched off. Templates write
# every special token themselves, and answers keep theirs.
_ALWAYS = {"min_p": 0.0, "repetition_penalty": 1.0, "repeat_penalty": 1.0}
_ALWAYS |= {"add_special_tokens": False, "skip_special_tokens": False}
_TELL_IDS = {"return_token_ids": True, "return_tokens": True, "verbose": True}  # two in llama.cpp


class CompletionsBackend:
    """A server's model as a backend; forcing goes over several requests per row.

    `tokenizer` is the model's own, or its folder or Hub id; a `context_length` (tokens) of None
    asks the server; `token_ids` of None finds out with the first request that is refused;
    `batch_size` are requests in flight, from whatever thread; `outputs` ids that the model can
    give, if more than the tokenizer has. BackendError: the address or the key (see `Client`) cannot
    be used, or the context length is not told. InputError: a number outside its range.
    """

    apart = True  # a row does not depend on what is asked beside it
    exact_tokens: bool | None = None  # every completion so far took and gave ids; None before one

    def __init__(
        self,
        url: str,
        model: str,
        tokenizer: Any,
        *,
        context_length: int | None = None,
        token_ids: bool | None = None,
        batch_size: int = 16,
        outputs: int = 0,
        retry: Retry | None = None,
        key_variable: str = "OPENAI_API_KEY",
    ) -> None:
        check_number("the number of requests in flight", batch_size, 1, 4096)
        if context_length is not None:
            check_number("context_length", context_length, 1, 2**31)
        if token_ids not in (None, True, False):
            raise BackendError(f"token_ids is true or false, not {token_ids!r}")
        self._client = Client(url, key_variable=key_variable, retry=retry)
        if isinstance(tokenizer, (str, os.PathLike)):
            tokenizer = load_tokenizer(tokenizer)
        self.model, self.tokenizer, self.batch_size = model, tokenizer, batch_size
        self._text = functools.partial(tokenizer.decode, clean_up_tokenization_spaces=False)
        self._vocabulary, self._token_ids = frozenset(tokenizer.get_vocab().values()), token_ids
        unknown = set(range(outputs)) - self._vocabulary
        # vLLM lets a request forbid so many ids.
        self._bias = {str(token): -100 for token in unknown} if len(unknown) <= 1024 else {}
        self._pool = ThreadPoolExecutor(batch_size)
        added = tokenizer.get_added_vocab().values()
        self._controls = frozenset({*added, *tokenizer.all_special_ids})
        self.context_length = context_length or self._ask_context_length()

    def complete(self, prompts: Prompts, params: Params) -> list[Completion]:
        """One request per prompt, several in flight; failures become "error" completions."""
        if len(prompts) == 1:
            return [self._complete_row(prompts[0], params[0])]
        return self._side_by_side(self._complete_row, zip(prompts, params, strict=True))

    def force(self, prompts: Prompts, machines: Machines, params: Params) -> list[str]:
        """Step each machine by requests of its own, waiting for no other; one error per row."""
        from s1core.forcing.drive import multi_call

        rows = zip(prompts, machines, params, strict=True)
        return self._side_by_side(lambda *row: multi_call(self, *([x] for x in row))[0], rows)

    def _side_by_side(self, work: Callable[..., Any], rows: Iterable[tuple[Any, ...]]) -> list[Any]:
        asked = [self._pool.submit(work, *row) for row in rows]
        try:
            return [one.result() for one in asked]
        except BaseException:  # Ctrl-C too: nobody waits for what hangs
            for one in asked:
                one.cancel()
            self._client.stop()
            wait(asked)
            self._client.stopped.clear()
            raise

    def _complete_row(self, prompt: Sequence[int], params: SamplingParams) -> Completion:
        """A request; two where the first tokens must be no stop, since few servers know that. What
        nearly all know is a bias on single tokens, but only for a whole request."""
        most, first = params.max_tokens, params.min_tokens
        apart = 0 < first < most
        try:
            made = self._ask(prompt, replace(params, max_tokens=first) if apart else params)
            if apart and made.finish_reason == "length":
                ids, exact = made.token_ids, made.exact_tokens
                draw = params.first_draw + len(ids)
                rest = replace(params, max_tokens=most - len(ids), min_tokens=0, first_draw=draw)
                made = self._ask([*prompt, *ids], rest)
                exact = exact and made.exact_tokens
                made = replace(made, token_ids=ids + made.token_ids, exact_tokens=exact)
        except RequestFailed as failed:
            return Completion((), "error", str(failed), exact_tokens=False)
        self.exact_tokens = made.exact_tokens and self.exact_tokens is not False
        return made

    def _ask(self, ids: Sequence[int], params: SamplingParams) -> Completion:
        def post(prompt: list[int] | str) -> Completion:
            read = functools.partial(self._read, params, isinstance(prompt, list))
            return self._client.call("/completions", self._body(prompt, params), read=read)

        if self._token_ids is not False:
            try:
                return post(list(ids))
            except RequestFailed as failed:
                if self._token_ids or failed.status not in (400, 415, 422):
                    raise
        # Ids were refused for good, perhaps because this server takes text only: try that.
        completion = post(self._same_controls(ids))
        self._token_ids = False
        return completion

    def _same_controls(self, prompt: Sequence[int]) -> str:
        """The prompt as text, where a server reads the same control tokens out of it. One that a
        question spells out (ordinary tokens, see `templates`) would become a real one."""
        text = self._text(prompt)
        both = prompt, encode(self.tokenizer, text)
        meant, read = ([token for token in ids if token in self._controls] for ids in both)
        if meant != read:
            odd = sorted((Counter(read) - Counter(meant)) + (Counter(meant) - Counter(read)))
            names = ", ".join(self.tokenizer.convert_ids_to_tokens(odd or sorted({*read})))
            said = f"this server takes text and would read a question's {names} as control tokens"
            raise RequestFailed(f"{said}; ask one that takes token ids (vLLM's, llama.cpp's)")
        return text

    def _body(self, prompt: list[int] | str, params: SamplingParams) -> dict[str, Any]:
        body = {name: getattr(params, name) for name in ("max_tokens", "temperature", "top_p")}
        body |= {"model": self.model, "prompt": prompt, "top_k": len(self.tokenizer), **_ALWAYS}
        # A continued row must not draw the same numbers again, so the draw is in the seed.
        body["seed"] = int(uniforms([params.seed or 0], [params.first_draw])[0] * 2**31)
        if params.stop_token_ids:
            strings = [self.tokenizer.decode([stop]) for stop in params.stop_token_ids]
            body |= {"stop_token_ids": list(params.stop_token_ids), "stop": strings[:4]}
            # llama.cpp leaves special tokens out of the text in which it looks for stops.
            body["preserved_tokens"] = strings
        barred = self._bias
        if params.min_tokens:
            body["min_tokens"] = params.min_tokens
            barred = {str(stop): -100 for stop in params.stop_token_ids} | barred
        if barred:
            body["logit_bias"] = barred
        return body | (_TELL_IDS if isinstance(prompt, list) else {})

    def _read(self, params: SamplingParams, sent_ids: bool, reply: Any) -> Completion:
        """A completion from a reply, held to what was asked rather than believed."""
        try:
            (choice,) = reply["choices"]
            text, reason = choice["text"], choice["finish_reason"]
            text.encode("utf-8")  # refuses half a surrogate pair, and what is no text
        except (ValueError, LookupError, TypeError, AttributeError):
            raise ValueError(f"no completion in {str(reply)[:200]}") from None
        if reason not in ("stop", "length"):
            raise RequestFailed(f"the reply ended with {reason!r:.60}, not with stop or length")
        told = choice.get("token_ids")
        if told is None and reply.get("__verbose") is not None:
            told = reply["__verbose"].get("tokens")  # where llama.cpp tells the ids
        exact = sent_ids and told is not None and bool(told or not text)
        ids = told if exact else encode(self.tokenizer, text)
        if not all(type(token) is int and token in self._vocabulary for token in ids):
            raise RequestFailed("the reply holds ids that are none of the tokenizer's")
        if self._client.tells_key(text) or self._client.tells_key(self._text(ids)):
            raise RequestFailed("the reply holds the key that was sent; it is not kept")
        stops, most = params.stop_token_ids, params.max_tokens
        first_stop = next((i for i, token in enumerate(ids[:most]) if token in stops), None)
        if first_stop is not None:
            return Completion(tuple(ids[: first_stop + 1]), "stop", exact_tokens=exact)
        # Text that is tokenized again may come out a little longer than it was sampled.
        if len(ids) > (most if exact else most + most // 8 + 3):
            raise RequestFailed(f"the server ignores max_tokens: {len(ids)} ids instead of {most}")
        if reason == "stop" and stops and len(ids) < most:
            # The server left the stop out of its reply, and may say which: vLLM's name, SGLang's.
            told = choice.get("stop_reason", choice.get("matched_stop"))
            if type(told) not in (int, str, type(None)):
                raise ValueError(f"a stop reason that is {type(told).__name__}")
            known = (told, self.tokenizer.eos_token_id, min(stops))
            stop = next(token for token in known if token in stops)
            return Completion((*ids, stop), "stop", exact_tokens=exact)
        return Completion(tuple(ids[:most]), "length", exact_tokens=exact)

    def _ask_context_length(self) -> int:
        def read(reply: Any) -> int:
            (mine,) = (m for m in reply["data"] if self.model in (m["id"], *m.get("aliases", ())))
            length = mine["max_model_len"] if "max_model_len" in mine else mine["meta"]["n_ctx"]
            check_number("the context length it tells", length, 1, 2**31)
            return length

        try:
            return self._client.call("/models", read=read)
        except RequestFailed as failed:
            lacks = f"the server does not tell the context length of {self.model!r}"
            raise BackendError(f"{lacks} ({failed}); give context_length") from None
