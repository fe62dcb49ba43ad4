"""An OpenAI-compatible embeddings endpoint as encoder: ``openai:MODEL@https://host/v1``."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from instep.domain import ConfigError, StageError
from instep.encode.base import Kind
from instep.encode.text import readable
from instep.encode.vectors import unit_rows

KEY_VARIABLE: Final = "INSTEP_ENCODER_KEY"
BATCH_TEXTS: Final = 64
RESPONSE_BYTES: Final = 64 << 20
RETRIED: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class _KeepTheKey(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: urllib would send the key along to whatever host the answer names."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class EndpointEncoder:
    """Vectors from an OpenAI-compatible endpoint (OpenAI, vLLM, Ollama, Text Embeddings Inference ...).

    Opening it asks for one vector, so that a wrong address, key or model shows at start-up. The key is read
    from the environment variable INSTEP_ENCODER_KEY and appears in no message. That a text gets the same
    bytes in any batch is up to the endpoint; the cache makes a vector that was once received last.

    Args:
        model: as the endpoint names it.
        url: base address, ending before ``/embeddings``; https, or http on this machine or without a key.
        timeout: seconds a request may take.
        retries: further attempts after a timeout, a lost connection, or an answer that says "later".

    Raises:
        ConfigError: the address is not one, or the endpoint refuses; says which.
    """

    def __init__(self, model: str, url: str, timeout: float = 30.0, retries: int = 3) -> None:
        self._model = model
        self._url = url.rstrip("/") + "/embeddings"
        self._timeout = timeout
        self._retries = retries
        self._key = os.environ.get(KEY_VARIABLE, "")
        self._opener = urllib.request.build_opener(_KeepTheKey)
        _check_address(url, bool(self._key))
        self._dimensions: int | None = None
        try:
            self._dimensions = int(self._request(["dimensions"]).shape[1])
        except StageError as error:
            raise ConfigError(f"{error}. Check the address, the model and {KEY_VARIABLE}.") from error

    @property
    def name(self) -> str:
        """Model and endpoint."""
        return f"openai:{self._model}@{self._url.removesuffix('/embeddings')}"

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._dimensions or 0

    def encode(self, texts: Sequence[str], kind: Kind = "item") -> NDArray[np.float32]:
        """Texts to float32 (len(texts), dimensions), rows of length 1.

        Raises:
            StageError: the endpoint gave no usable answer after all retries.
        """
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        clean = [readable(text) or " " for text in texts]  # many endpoints refuse an empty input
        parts = [
            self._request(clean[start : start + BATCH_TEXTS]) for start in range(0, len(clean), BATCH_TEXTS)
        ]
        return unit_rows(np.concatenate(parts))

    def _request(self, texts: list[str]) -> NDArray[np.float32]:
        """One batch, with retries; float32 (len(texts), d) as the endpoint gave it."""
        body = json.dumps({"model": self._model, "input": texts, "encoding_format": "float"}).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "instep"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self._url, body, headers, method="POST")
        for attempt in range(self._retries + 1):
            wait = 0.25 * 2**attempt
            try:
                with self._opener.open(request, timeout=self._timeout) as response:
                    return self._vectors(response.read(RESPONSE_BYTES + 1), len(texts))
            except urllib.error.HTTPError as error:
                with error:
                    detail = error.read(300).decode("utf-8", "replace")
                problem = f"answered {error.code}: {detail}"
                if error.code not in RETRIED:
                    break
                wait = max(wait, _retry_after(error.headers.get("Retry-After")))
            except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
                problem = f"could not be reached ({error})"
            if attempt < self._retries:
                time.sleep(wait)
        raise StageError(f"the embeddings endpoint {self._url} {self._without_key(problem)}")

    def _vectors(self, answer: bytes, n: int) -> NDArray[np.float32]:
        """The answer's vectors in the order of the question."""
        try:
            if len(answer) > RESPONSE_BYTES:
                raise ValueError(f"more than {RESPONSE_BYTES} bytes")
            data = sorted(json.loads(answer)["data"], key=lambda row: int(row["index"]))
            if [row["index"] for row in data] != list(range(n)):
                raise ValueError(f"vectors for {len(data)} of {n} texts")
            vectors = np.array([row["embedding"] for row in data], np.float32)
            if vectors.ndim != 2 or vectors.shape[1] == 0 or not np.isfinite(vectors).all():
                raise ValueError("vectors that are not equally long rows of finite numbers")
            if self._dimensions not in (None, vectors.shape[1]):
                raise ValueError(f"vectors of {vectors.shape[1]} instead of {self._dimensions} numbers")
        except (ValueError, KeyError, TypeError) as error:
            raise StageError(
                f"the embeddings endpoint {self._url} sent no usable vectors: {error}"
            ) from error
        return vectors

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "(key)") if self._key else text


def _check_address(url: str, has_key: bool) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{url!r} is not an address: the form is openai:MODEL@https://host/v1")
    if parts.username or parts.password:
        raise ConfigError(f"put the key into the environment variable {KEY_VARIABLE}, not into the address")
    if parts.scheme == "http" and has_key and not _is_this_machine(parts.hostname):
        raise ConfigError(f"{url} would send {KEY_VARIABLE} over the network in the clear: use https")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _retry_after(header: str | None) -> float:
    """Seconds to wait that an answer asks for, at most 30; a date or nothing counts as 0."""
    try:
        return min(30.0, max(0.0, float(header or 0)))
    except ValueError:
        return 0.0
