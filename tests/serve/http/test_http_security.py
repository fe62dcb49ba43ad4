"""Who may come in, and what goes out to whom."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import re
import socket
import sys
from typing import Any

import httpx
import pytest

from instep.domain import ConfigError, Context, Slate
from instep.flow import Flow, Settings
from instep.log import MemoryLog
from instep.serve.http import HttpSettings, configure_logs, make_key

EVENT = {"user_id": "secret-user", "item_id": "i1", "type": "click"}


@pytest.fixture(scope="module")
def keyed(serving: Any) -> Any:
    made = {scope: make_key(scope, {scope}) for scope in ("read", "write", "admin")}
    settings = HttpSettings(port=0, keys=tuple(key for _, key in made.values()))
    with serving(settings) as client:
        yield client, {scope: {"authorization": f"Bearer {text}"} for scope, (text, _) in made.items()}


def test_a_key_is_kept_as_a_hash_and_never_as_itself() -> None:
    text, key = make_key("shop", {"read"})
    assert re.fullmatch(r"instep_[\w-]{43}", text)
    assert text not in repr(key)
    with pytest.raises(ConfigError, match="read, write, admin"):
        make_key("shop", {"all"})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="one or more"):
        make_key("shop", set())


@pytest.mark.parametrize(
    ("method", "path", "body", "scope"),
    [
        ("POST", "/v1/events", EVENT, "write"),
        ("POST", "/v1/sessions/s/merge", {"user_id": "u"}, "write"),
        ("PUT", "/v1/items/i1", {"title": "Tea"}, "write"),
        ("PATCH", "/v1/items/i1", {"title": "Tea"}, "write"),
        ("POST", "/v1/items", [{"item_id": "i2"}], "write"),
        ("PUT", "/v1/users/u", {}, "write"),
        ("PATCH", "/v1/users/u", {}, "write"),
        ("POST", "/v1/recommendations", {"user_id": "u"}, "read"),
        ("GET", "/v1/items/i1", None, "read"),
        ("GET", "/v1/items/i1/similar", None, "read"),
        ("GET", "/v1/trending", None, "read"),
        ("GET", "/v1/search?q=tea", None, "read"),
        ("GET", "/v1/categories", None, "read"),
        ("GET", "/v1/users/u", None, "read"),
        ("GET", "/v1/users/u/history", None, "read"),
        ("GET", "/metrics", None, "read"),
        ("GET", "/v1/users", None, "admin"),
        ("GET", "/v1/users/u/export", None, "admin"),
        ("DELETE", "/v1/items/i2", None, "write"),
        ("DELETE", "/v1/users/u", None, "admin"),
    ],
)
def test_each_address_wants_a_key_with_its_scope(
    keyed: Any, method: str, path: str, body: Any, scope: str
) -> None:
    client, keys = keyed
    for name in ("read", "write", "admin"):
        if name not in (scope, "admin"):
            refused = client.request(method, path, json=body, headers=keys[name])
            assert (refused.status_code, "www-authenticate" in refused.headers) == (403, False)
            assert scope in refused.json()["detail"]
    for headers in ({}, {"authorization": "Bearer instep_wrong"}, {"authorization": "Basic dTpw"}):
        refused = client.request(method, path, json=body, headers=headers)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="instep"')
    done = client.request(method, path, json=body, headers=keys[scope])
    assert done.status_code == (404 if "search" in path else 200)  # this service has no encoder


def test_page_documentation_and_health_need_no_key(keyed: Any) -> None:
    client, _ = keyed
    for path in ("/", "/docs", "/openapi.json", "/health/live", "/health/ready"):
        assert client.get(path).status_code == 200


def test_a_service_that_others_can_reach_does_not_start_without_a_key() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        with pytest.raises(ConfigError, match=r"make an API key first .`instep keys add`"):
            HttpSettings(host=host).check()
    HttpSettings(host="0.0.0.0", keys=(make_key("shop", {"read"})[1],)).check()


def test_too_many_requests_with_one_key_are_told_when_to_come_back(serving: Any) -> None:
    (one, key), (other, other_key) = make_key("one", {"read"}), make_key("other", {"read"})
    settings = HttpSettings(port=0, keys=(key, other_key), rate_per_second=0.01, rate_burst=3)
    with serving(settings) as client:
        statuses = [
            client.get("/v1/categories", headers={"authorization": f"Bearer {one}"}).status_code
            for _ in range(4)
        ]
        assert statuses == [200, 200, 200, 429]
        late = client.get("/v1/categories", headers={"authorization": f"Bearer {one}"})
        assert 90 <= int(late.headers["retry-after"]) <= 101
        assert client.get("/v1/categories", headers={"authorization": f"Bearer {other}"}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.nip.io"]
)
def test_a_name_that_was_bound_to_loopback_elsewhere_is_not_answered(client: httpx.Client, host: str) -> None:
    for path in ("/", "/v1/categories"):
        assert client.get(path, headers={"host": host}).status_code == 421


def test_a_web_page_elsewhere_cannot_drive_the_service(client: httpx.Client) -> None:
    before = client.get("/health/ready").json()["end"]
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"):
        answer = client.post("/v1/events", json=EVENT, headers={"origin": origin})
        assert answer.status_code == 403
    simple = client.post("/v1/events", content=json.dumps(EVENT), headers={"content-type": "text/plain"})
    form = client.post("/v1/events", data={"user_id": "u"})
    assert (simple.status_code, form.status_code) == (415, 415)
    assert client.get("/health/ready").json()["end"] == before
    own = str(client.base_url).rstrip("/")
    assert client.post("/v1/events", json=EVENT, headers={"origin": own}).status_code == 200
    assert client.options("/v1/events", headers={"origin": own}).status_code == 405


def test_a_body_that_is_too_large_is_refused_whether_announced_or_not(serving: Any) -> None:
    with serving(HttpSettings(port=0, max_body_bytes=1000)) as client:
        kind = {"content-type": "application/json"}
        assert client.post("/v1/events", content=b" " * 1001, headers=kind).status_code == 413
        chunks = (b" " * 100 for _ in range(11))
        assert client.post("/v1/events", content=chunks, headers=kind).status_code == 413
        fits = json.dumps(EVENT).encode().ljust(1000)
        assert client.post("/v1/events", content=fits, headers=kind).status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, identity"])
def test_a_compressed_body_is_refused_and_told_what_is_read(client: httpx.Client, coding: str) -> None:
    before = client.get("/health/ready").json()["end"]
    kind = {"content-type": "application/json", "content-encoding": coding}
    for body in (gzip.compress(json.dumps(EVENT).encode()), json.dumps(EVENT).encode()):
        answer = client.post("/v1/events", content=body, headers=kind)
        assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
        assert answer.headers["content-type"] == "application/problem+json"
        assert "Content-Encoding read is identity" in answer.json()["detail"]
    assert client.get("/health/ready").json()["end"] == before
    plain = {**kind, "content-encoding": "Identity"}
    assert client.post("/v1/events", json=EVENT, headers=plain).status_code == 200


def test_a_body_that_does_not_arrive_is_not_waited_for(serving: Any) -> None:
    with serving(HttpSettings(port=0, body_timeout=0.1)) as client:
        url = client.base_url
        connection = http.client.HTTPConnection(url.host, url.port, timeout=30)
        connection.putrequest("POST", "/v1/events")
        connection.putheader("content-type", "application/json")
        connection.putheader("content-length", "10")
        connection.endheaders(b"{")
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["status"]) == (408, 408)
        connection.close()


def test_an_endless_header_is_cut_off(client: httpx.Client) -> None:
    url = client.base_url
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"x" * 80_000)
        assert connection.recv(1024).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_never_finishes_its_header_is_hung_up_on(
    serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instep.serve.http.server.HEAD_SECONDS", 0.1)
    with serving() as client:
        url = client.base_url
        for sent in (b"", b"GET / HTTP/1.1\r\nhost: local"):
            with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
                connection.sendall(sent)
                assert connection.recv(1024) == b""


def test_answers_carry_headers_that_are_safe_in_a_browser(client: httpx.Client) -> None:
    for path in ("/", "/docs", "/openapi.json", "/v1/categories", "/nowhere"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers
    assert client.get("/v1/categories").headers["cache-control"] == "no-store"


def test_a_request_id_is_given_back_and_made_when_it_is_absent_or_odd(client: httpx.Client) -> None:
    given = client.get("/nowhere", headers={"x-request-id": "trace-1.a:b"})
    assert given.headers["x-request-id"] == given.json()["request_id"] == "trace-1.a:b"
    for odd in ("a b", "x" * 65, '"', ""):
        made = client.get("/nowhere", headers={"x-request-id": odd}).headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", made)


def test_neither_keys_nor_users_are_logged_at_info(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = io.StringIO()
    monkeypatch.setattr(sys, "stderr", lines)
    configure_logs("info", json=True)
    text, key = make_key("shop", {"admin"})
    with serving(HttpSettings(port=0, keys=(key,))) as client:
        headers = {"authorization": f"Bearer {text}"}
        client.post("/v1/events", json=EVENT, headers=headers)
        client.post("/v1/events", json={**EVENT, "value": "x"}, headers=headers)
        client.get("/v1/users/secret-nobody", headers=headers)
        client.delete("/v1/users/secret-user", headers=headers)
        client.get("/v1/users/secret-user", headers={"authorization": f"Bearer {text}x"})
    logged = lines.getvalue()
    assert [json.loads(line)["status"] for line in logged.splitlines() if '"refused"' in line] == [
        422,
        404,
        401,
    ]
    assert "secret" not in logged
    assert text not in logged
    assert key.sha256 not in logged


class FaultyFlow(Flow):
    """A flow with a fault of its own."""

    def recommend(self, context: Context) -> Slate:
        raise RuntimeError("broken inside")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_fault_of_the_service_tells_the_client_nothing_and_the_log_no_secret(
    serving: Any, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    lines = io.StringIO()
    monkeypatch.setattr(sys, "stderr", lines)
    configure_logs("info", json=as_json)
    text, key = make_key("shop", {"read"})
    flow = FaultyFlow(MemoryLog(), Settings())
    with serving(HttpSettings(port=0, keys=(key,)), flow) as client:
        headers = {"authorization": f"Bearer {text}", "x-request-id": "trace-7"}
        answer = client.post("/v1/recommendations", json={"user_id": "secret-user"}, headers=headers)
        assert (answer.status_code, answer.json()["status"]) == (500, 500)
        assert "broken" not in answer.text
        assert "trace-7" in answer.json()["detail"]
        assert client.get("/health/live").status_code == 200
    logged = lines.getvalue()
    assert "broken inside" in logged
    assert "trace-7" in logged
    assert "secret" not in logged
    assert text not in logged
    flow.close()


def test_there_is_nothing_else_at_other_addresses(client: httpx.Client) -> None:
    for path in ("/debug", "/admin", "/v1", "/v1/", "/v1/events/", "/console/../app.js", "/console/none.js"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")
    wrong = client.get("/v1/events")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert client.head("/v1/categories").status_code == 200
    assert client.get("/v1/items/%FF").status_code == 400
