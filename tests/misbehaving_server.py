"""A server that answers as no server should: behaviours as data, named by the first part of a path.

A behaviour is what goes over the wire after a request, in turn: bytes are sent (`AUTH` stands for
the request's own Authorization), a number waits so many seconds, a tuple is sent for ever with a
wait between, RESET breaks the connection off.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

AUTH, RESET = b"@authorization@", "reset"
GOOD = {"text": "yes", "finish_reason": "length", "token_ids": [45, 46]}


def http(body: bytes | str, status: str = "200 OK", *headers: str) -> list[Any]:
    body = body.encode() if isinstance(body, str) else body
    lines = (f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close")
    return ["\r\n".join((*lines, "", "")).encode() + body]


def closing(status: str, body: bytes) -> list[Any]:
    """A reply whose length the end of the connection tells: for what holds AUTH."""
    return [f"HTTP/1.1 {status}\r\nConnection: close\r\n\r\n".encode() + body]


def choices(value: Any, **beside: Any) -> list[Any]:
    return http(json.dumps({"choices": value, **beside}))


def with_(field: str, **other: Any) -> Callable[[Any], list[Any]]:
    return lambda value: choices([{**GOOD, **other, field: value}])


def chunked(*parts: Any, status: str = "200 OK") -> list[Any]:
    return [f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode(), *parts]


def each(name: str, reply: Callable[[Any], list[Any]], values: Sequence[Any]) -> dict[str, Any]:
    return {f"{name}-{i}": reply(value) for i, value in enumerate(values)}


ECHO = b'{"choices": [{"text": "yes", "finish_reason": "stop"}]}'
OK = b"HTTP/1.1 200 OK\r\n"
ZEROS = b"10000\r\n" + b"0" * 0x10000 + b"\r\n"
TEXT = {"text": "yes", "finish_reason": "length"}
REPLIES = {
    **each("is", http, ("{}", "null", "[]", "7", '"yes"', "true")),
    **each("choices", choices, (None, {}, "x", 3, [], [GOOD, GOOD], [None], ["yes"], [[]], [5])),
    **each("without", lambda k: choices([{k: GOOD[k]}]), ("text", "finish_reason")),
    **each("text", with_("text"), (None, 3, ["yes"], True, {}, "\ud800")),
    **each("reason", with_("finish_reason"), (None, "", "content_filter", "error", "tool_calls")),
    **each("reason-of", with_("finish_reason"), (["stop"], {}, 1, True, "x" * 10**6)),
    **each("ids", with_("token_ids"), ("45", 45, {"45": 1}, True, [-1], [10**30], [True, False])),
    **each("ids-of", with_("token_ids"), ([45.0], [[45]], [None], ["45"], [{}], [1e999])),
    **each("untrue", with_("token_ids"), ([10**6], [2**31], [45] * 4, [45] * 10**5)),
    **each("verbose", lambda v: choices([TEXT], __verbose=v), ("x", [1], 5, True)),
    **each("tokens", lambda v: choices([TEXT], __verbose={"tokens": v}), ("4", [True], [-7], 7)),
    **each("stop", with_("stop_reason", finish_reason="stop"), ([1], {"a": 1}, 1.5)),
    "long-digits": http(ECHO.replace(b'"yes"', b'"y", "token_ids": [' + b"9" * 5000 + b"]")),
    "long-text": choices([{"text": "yes " * 99, "finish_reason": "stop"}]),
    **each("body", http, (b"", b"{", b'{"choices": [{"te', b"<html>busy</html>", b"\xff\xfe\xfa")),
    **each("body-of", http, (b"NaN", b"{}{}", b"\x00" * 99, b"-Infinity")),
    **each("deep", http, (b"[" * 10**5, b'{"a":' * 10**5, b'{"choices":' + b"[" * 10**5)),
    "closes": [],
    "resets": [RESET],
    **each("head", list, ([OK[:9]], [OK], [b"yes\n"], [b"HTTP/9.9 200 OK\r\n\r\n{}"])),
    **each("head-of", list, ([b"HTTP/1.1 99999 OK\r\n\r\n"], [b"HTTP/1.1 abc\r\n\r\n"])),
    "tls": [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    "length-negative": [OK + b"Content-Length: -5\r\n\r\n{}"],
    "length-text": [OK + b"Content-Length: many\r\n\r\n{}"],
    "length-twice": [OK + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}"],
    "length-too-long": [OK + b"Content-Length: 999\r\n\r\n{}"],
    "length-too-short": [OK + b'Content-Length: 9\r\n\r\n{"choices": []}'],
    "length-6-gb": [OK + b"Content-Length: 6000000000\r\n\r\n", (b"0" * 2**16, 0)],
    "chunk-size": chunked(b"zz\r\n{}\r\n0\r\n\r\n"),
    "chunk-cut": chunked(b"64\r\n{}"),
    "chunk-reset": chunked(b"1\r\n{\r\n", RESET),
    "chunk-flood": chunked((ZEROS, 0)),
    "chunk-drip": chunked((b"1\r\n \r\n", 0.05)),
    "body-drip": [OK + b"Content-Length: 9000\r\n\r\n", (b" ", 0.05)],
    "head-drip": [(b"H", 0.05)],
    "header-drip": [OK, (b"x", 0.05)],
    "header-flood": [OK, (b"X-More: " + b"y" * 1000 + b"\r\n", 0)],
    "continue-flood": [(b"HTTP/1.1 100 Continue\r\n\r\n", 0.001)],
    "silence": [30.0],
    "late": [1.5, *choices([GOOD])],
    "gzip": http(b"\x1f\x8b" + b"0" * 99, "200 OK", "Content-Encoding: gzip"),
    "unknown-coding": http("{}", "200 OK", "Content-Encoding: br, zstd"),
    "charset": http("{}", "500 Oops", "Content-Type: text/html; charset=rot13"),
    **{
        f"redirect-{status}": http("", f"{status} Elsewhere", "Location: @other@/v1/completions")
        for status in (301, 302, 303, 307, 308)
    },
    "redirect-nowhere": http("", "302 Found"),
    "redirect-file": http("", "302 Found", "Location: file:///etc/passwd"),
    "redirect-key": [b"HTTP/1.1 307 T\r\nLocation: @other@/" + AUTH + b"\r\n\r\n"],
    **{
        f"status-{status}": http('{"error": "no"}', f"{status} No")
        for status in (204, 304, 400, 401, 403, 404, 405, 408, 409, 413, 418, 422, 425, 500, 503)
    },
    **each(
        "later",
        lambda when: http("", "429 Busy", f"Retry-After: {when}"),
        ("²", "-5", "nan", "inf", "1e999", "soon", "Wed, 21 Oct 2099"),
    ),
    "error-reset": [b"HTTP/1.1 500 No\r\nContent-Length: 99\r\n\r\n{", RESET],
    "error-flood": chunked((ZEROS, 0), status="500 No"),
    "error-drip": chunked((b"1\r\n \r\n", 0.05), status="400 No"),
    "error-deep": http("[" * 10**5, "400 No"),
    "echo-401": closing("401 No", b"you sent " + AUTH),
    "echo-500": closing("500 No", b"x" * 280 + AUTH),
    "echo-reason": [b"HTTP/1.1 403 " + AUTH + b"\r\nContent-Length: 0\r\n\r\n"],
    "echo-text": closing("200 OK", ECHO.replace(b"yes", AUTH)),
    "echo-finish": closing("200 OK", ECHO.replace(b"stop", AUTH)),
    "echo-no-json": closing("200 OK", AUTH),
    "escapes": http("\x1b[31m\x07\x00\u202e\x9b", "400 No"),
}
"""What each behaviour answers to a request for a completion."""

LENGTHS = "Infinity NaN -1 0 true 1e999 null [] 4.5".split() + ['"4096"', "1" + "0" * 30]
MODEL = '{"data": [{"id": "tiny", "max_model_len": LENGTH}]}'
MODELS = {f"length-{i}": http(MODEL.replace("LENGTH", n)) for i, n in enumerate(LENGTHS)}
"""What it answers when it is asked for its context length."""


class Server(socketserver.ThreadingTCPServer):
    """Serves behaviours; `hosts` has the Authorization of every request, by the host asked."""

    daemon_threads = allow_reuse_address = True

    def __init__(self, host: str = "127.0.0.1", other: str = "") -> None:
        super().__init__((host, 0), _Handler)
        self.other, self.asked = other, []
        self.url = f"http://{host}:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError, IndexError):
            words = self.rfile.readline().decode().split()
            lines = iter(lambda: self.rfile.readline().decode().strip(), "")
            headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
            self.rfile.read(int(headers.get("content-length", 0)))
            self.server.asked.append(words[1])
            behaviours = REPLIES if words[0] == "POST" else MODELS
            for part in behaviours[words[1].split("/")[1]]:
                self.play(part, headers.get("authorization", "").encode())

    def play(self, part: Any, authorization: bytes) -> None:
        if part == RESET:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
        elif isinstance(part, bytes):
            part = part.replace(b"@other@", self.server.other.encode())
            self.wfile.write(part.replace(AUTH, authorization))
        elif isinstance(part, tuple):
            for data, pause in itertools.repeat(part):
                self.wfile.write(data)
                time.sleep(pause)
        else:
            time.sleep(part)
