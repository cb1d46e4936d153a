"""One server that speaks OpenAI's protocol: requests that end, and a key that goes nowhere else.

What the `openai` client leaves open is here: a time limit for a whole try, from the look-up of the
name to the last byte; replies of at most `MOST_BYTES`, uncompressed; no redirect, which would carry
the key to another host; a key that is read for every request and taken out of whatever is shown.
"""

import asyncio
import base64
import concurrent.futures
import contextlib
import functools
import json
import os
import re
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from s1core.errors import BackendError, check_number
from s1core.records import printable

# Of one reply; 32,768 tokens with their ids and an echo of the prompt are half a megabyte.
MOST_BYTES = 8 * 2**20
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


class RequestFailed(BackendError):
    """A request without a usable answer."""

    again = False  # whether another try could succeed
    status = 0  # HTTP's
    retry_after = ""  # as the server said it


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a request is tried again, and for how many seconds."""

    attempts: int = 5  # tries in all
    timeout: float = 600.0  # of a try, however much of its answer is there
    wait: float = 0.5  # before the second try; doubles each time
    longest_wait: float = 30.0  # between tries, also when the server asks for more

    def __post_init__(self) -> None:
        check_number("attempts", self.attempts, 1, 1000)
        for name, least in (("timeout", 0.001), ("wait", 0), ("longest_wait", 0)):
            check_number(name, getattr(self, name), least, 86_400, whole=False)

    def pause(self, attempt: int, asked: str | None) -> float:
        """Seconds to wait after try number `attempt` (from 0); `asked` is Retry-After."""
        server = 0.0
        with contextlib.suppress(ValueError):  # a date, or nonsense: the doubling wait has to do
            server = float(asked or 0)
        # In this order: a server that asks for "nan" seconds gets the doubling wait.
        return min(max(self.wait * 2.0 ** min(attempt, 60), server), self.longest_wait)


class Client:
    """One server, `url` up to and with `/v1`, with its key in the environment's `key_variable`; for
    any thread. BackendError: the address is none or holds a secret, or the key cannot be sent."""

    def __init__(
        self, url: str, *, key_variable: str = "OPENAI_API_KEY", retry: Retry | None = None
    ) -> None:
        import openai

        if not re.fullmatch(r"(?a:[A-Z_a-z]\w*)", str(key_variable or "")):
            raise BackendError("key_variable is no name of an environment variable; give its name")
        self._variable = key_variable
        self.url, self.retry = self._checked(url), retry or Retry()
        self._key()
        self.stopped, self._loop = threading.Event(), _loop()
        self._under_way: set[concurrent.futures.Future[bytes]] = set()
        self._openai = openai.AsyncOpenAI(
            base_url=self.url,
            api_key="each request has its own",
            max_retries=0,  # `call` repeats half a reply too, and no unknown name
            timeout=None,  # one limit stands around the whole try
            default_headers={"Accept-Encoding": "identity"},
            http_client=openai.DefaultAsyncHttpxClient(
                follow_redirects=False, timeout=None, event_hooks={"response": [_bounded]}
            ),
        )
        self._openai.organization = self._openai.project = None  # nobody's account is told

    def call(self, path: str, body: Any = None, *, read: Callable[[Any], Any]) -> Any:
        """Post JSON to a path (get it, without a body), again where that can help; RequestFailed
        where it could not. `read` makes what is returned of the reply, and may raise anything:
        `RequestFailed` where another try is in vain."""
        for attempt in range(self.retry.attempts):
            try:
                return self._try(path, body, read)
            except RequestFailed as failed:
                if not failed.again:
                    raise
                last = attempt + 1 == self.retry.attempts
                if last or self.stopped.wait(self.retry.pause(attempt, failed.retry_after)):
                    failed.args = (f"{failed}; gave up after {attempt + 1} tries",)
                    raise

    def stop(self) -> None:
        """End what is under way (Ctrl-C); refuse requests until `stopped` is cleared."""
        self.stopped.set()
        for future in list(self._under_way):
            future.cancel()

    def scrub(self, text: str) -> str:
        """One line without control codes, and without the key as it is or as servers quote it."""
        if key := os.environ.get(self._variable, ""):
            forms = {key, urllib.parse.quote(key, safe=""), json.dumps(key)[1:-1]}
            forms.add(base64.b64encode(key.encode()).decode())
            pattern = "|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
            text = re.sub(pattern, "[key]", text, flags=re.IGNORECASE)
        return " ".join(printable(text).split())

    def tells_key(self, text: str) -> bool:
        """Whether an answer holds the key (up to 9 characters, as in EMPTY, are no secret)."""
        return len(self._key()) > 9 and self._key() in text

    def _key(self) -> str:
        key = os.environ.get(self._variable, "")
        if not re.fullmatch(r"[\x21-\x7e]*", key):
            raise BackendError(f"{self._variable} holds what no header can carry; set it again")
        return key

    def _checked(self, url: str) -> str:
        """The address without its last slash. Refusals never repeat it: it may hold a secret."""
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            parts, clean = urllib.parse.urlsplit(url), re.fullmatch(r"[\x21-\x7e]+", url)
            bare = clean and not ("@" in parts.netloc or parts.query or parts.fragment)
            if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and bare:
                return url.rstrip("/")
        wanted = f"such as http://host/v1, with no user or query; a key goes into {self._variable}"
        raise BackendError(f"the server's address is not {wanted}")

    def _try(self, path: str, body: Any, read: Callable[[Any], Any]) -> Any:
        request = self._request(path, body, self._key())
        future = asyncio.run_coroutine_threadsafe(request, self._loop)
        self._under_way.add(future)
        if self.stopped.is_set():
            future.cancel()
        try:
            return read(json.loads(future.result()))
        except Exception as error:  # never the job's end, whatever a server does
            raise self._explained(error) from None
        finally:
            future.cancel()
            self._under_way.discard(future)

    async def _request(self, path: str, body: Any, key: str) -> bytes:
        import httpx2
        import openai

        options = {"headers": {"Authorization": f"Bearer {key}" if key else openai.Omit()}}
        told = {} if body is None else {"body": body}
        ask = self._openai.post if told else self._openai.get
        async with asyncio.timeout(self.retry.timeout):
            return (await ask(path, cast_to=httpx2.Response, options=options, **told)).content

    def _explained(self, error: Exception) -> RequestFailed:
        """The sentence for one try that failed, and whether another could succeed."""
        import openai

        first: BaseException = error
        while led := first.__cause__ or (not isinstance(first, ValueError) and first.__context__):
            first = led
        known = error if isinstance(error, RequestFailed) else first
        failed = RequestFailed()
        failed.again = not isinstance(first, (socket.gaierror, ssl.SSLError))
        said = f"no usable answer from {self.url} ({type(first).__name__}: {str(first)[:300]})"
        if isinstance(known, RequestFailed):  # by `read` or `_bounded`, which know best
            failed.again, said = known.again, str(known)
        elif isinstance(error, concurrent.futures.CancelledError):
            failed.again, said = False, "stopped before there was an answer"
        elif isinstance(error, TimeoutError):
            said = f"no answer from {self.url} in {self.retry.timeout:g} s"
        elif isinstance(error, openai.APIStatusError):
            failed.status, headers = error.status_code, error.response.headers
            failed.again = failed.status in _AGAIN
            failed.retry_after = headers.get("retry-after", "")
            said = self.scrub(error.response.content.decode("utf-8", "replace"))[:300]
            if 300 <= failed.status < 400:
                said = f"no redirect is followed, such as to {headers.get('location', 'nowhere')}"
            said = f"HTTP {failed.status} from {self.url}: {said}"
        failed.args = (self.scrub(said),)
        return failed


async def _bounded(reply: Any) -> None:
    """Read a reply whole, or refuse what has no end or hides it."""
    import httpx2

    if reply.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestFailed("the reply is compressed, which was not asked for and hides its size")
    body = bytearray()
    async for part in reply.stream:
        body += part
        if len(body) > MOST_BYTES:
            raise RequestFailed(f"the reply is longer than {MOST_BYTES >> 20} MiB")
    await reply.stream.aclose()
    reply.stream = httpx2.ByteStream(bytes(body))


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """An event loop in a thread of its own, for every client of the process."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="s1core-requests", daemon=True).start()
    return loop
