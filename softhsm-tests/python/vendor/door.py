"""Owns the connection to the vendor door: HTTP/2 over mutually authenticated TLS, and what every response must be."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

import httpx

from . import shapes
from .encoding import read
from .errors import Failure, require

CBOR = "application/cbor"
PROBLEM = "application/concise-problem-details+cbor"


@dataclass(frozen=True)
class Identity:
    """Where the daemon is and who the vendor is, as PEM files."""

    url: str
    ca: str
    certificate: str
    key: str
    server_name: str | None = None


class Door:
    """One client of one daemon."""

    def __init__(self, identity: Identity) -> None:
        try:
            context = ssl.create_default_context(cafile=identity.ca)
            context.load_cert_chain(identity.certificate, identity.key)
        except (OSError, ssl.SSLError) as error:
            raise Failure(f"TLS files: {error}") from error
        self._client = httpx.Client(base_url=identity.url, verify=context, http1=False, http2=True, timeout=30, trust_env=False)
        self._extensions = {"sni_hostname": identity.server_name} if identity.server_name else {}

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def send(self, method: str, path: str, body: bytes | None = None) -> httpx.Response:
        """One exchange; whatever the status, it came over HTTP/2."""
        headers = {"accept": f"{CBOR}, {PROBLEM}"}
        if body is not None:
            headers["content-type"] = CBOR
        try:
            response = self._client.request(method, path, content=body, headers=headers, extensions=self._extensions)
        except (httpx.HTTPError, ssl.SSLError, OSError) as error:
            raise Failure(f"{method} {path}: {type(error).__name__}: {error}") from error
        require(response.http_version == "HTTP/2", f"{method} {path}: answered over {response.http_version}")
        return response

    def ask(self, method: str, path: str, shape: shapes.Shape, body: bytes | None = None) -> dict[Any, Any]:
        """One exchange that must succeed and have this shape."""
        what = f"{method} {path}"
        response = self.send(method, path, body)
        kind = media_type(response)
        if response.status_code != 200:
            said = say_problem(response) if kind == PROBLEM else f"{kind}, {response.content[:80]!r}"
            raise Failure(f"{what}: status {response.status_code}: {said}")
        require(kind == CBOR, f"{what}: content type {kind!r}, not {CBOR}")
        value = read(response.content, what)
        shape(value, what)
        return value

    def refused(self, method: str, path: str, body: bytes) -> str:
        """One exchange that must fail as the client's fault; returns the code of the problem."""
        what = f"{method} {path} with a bad body"
        response = self.send(method, path, body)
        require(400 <= response.status_code < 500, f"{what}: status {response.status_code}, not 4xx")
        require(media_type(response) == PROBLEM, f"{what}: content type {media_type(response)!r}, not {PROBLEM}")
        value = read(response.content, what)
        shapes.problem(value, what)
        require(value[-1] != "" and value[shapes.FACTS]["code"] != "", f"{what}: empty title or code")
        require(value[shapes.FACTS]["retry"] is False, f"{what}: says that the same request can succeed later")
        return f"{response.status_code} {value[shapes.FACTS]['code']}"


def media_type(response: httpx.Response) -> str:
    """The content type without parameters."""
    return response.headers.get("content-type", "").split(";")[0].strip().lower()


def say_problem(response: httpx.Response) -> str:
    """A problem body in one line."""
    value = read(response.content, "problem")
    shapes.problem(value, "problem")
    return problem_line(value)


def problem_line(value: dict[Any, Any]) -> str:
    """A problem in one line."""
    return f"{value[shapes.FACTS]['code']}: {value[-1]}{': ' + value[-2] if -2 in value else ''}"
