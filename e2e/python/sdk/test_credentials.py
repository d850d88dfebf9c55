"""Whose credential reaches the upstream."""

import http.client
import json
from urllib.parse import urlsplit

import anthropic
import pytest

from relay_e2e import scripts
from relay_e2e.sdk import question

RELAY_KEY = "relay-key-for-tests"
UPSTREAM_KEY = "sk-ant-upstream-key-for-tests"
CLIENT_KEY = "sk-ant-client-key-for-tests"

GUARDED = {
    "server": {"auth": {"api_key": RELAY_KEY}},
    "providers": [{"keys": [{"key": UPSTREAM_KEY}]}],
}


def credentials(request):
    """The credential headers of a request as the upstream received it."""
    found = {}
    for name, value in request["headers"]:
        if name.lower() in ("x-api-key", "authorization"):
            found.setdefault(name.lower(), []).append(value)
    return found


def ask(url, headers):
    """One request with exactly these headers; returns the status, the headers and the body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    body = json.dumps(question("hi"))
    connection.putrequest("POST", "/v1/messages?beta=true", skip_accept_encoding=True)
    for name, value in [("content-type", "application/json"), ("content-length", str(len(body))), *headers]:
        connection.putheader(name, value)
    connection.endheaders(body.encode())
    answer = connection.getresponse()
    result = answer.status, answer.headers, answer.read()
    connection.close()
    return result


@pytest.mark.parametrize(
    "headers",
    [
        [("x-api-key", RELAY_KEY)],
        [("authorization", f"Bearer {RELAY_KEY}")],
        [("x-api-key", RELAY_KEY), ("authorization", f"Bearer {RELAY_KEY}")],
    ],
    ids=["x-api-key", "bearer", "both"],
)
def test_the_relays_key_is_taken_and_the_upstreams_is_sent(relayed, headers):
    side = relayed(GUARDED)
    side.sim.script(scripts.text("let in"))
    status, _, _ = ask(side.url, headers)
    assert status == 200
    seen = credentials(side.sim.requests()[0])
    assert seen == {"x-api-key": [UPSTREAM_KEY]}
    assert RELAY_KEY not in json.dumps(side.sim.requests())


@pytest.mark.parametrize(
    "headers",
    [[], [("x-api-key", "wrong")], [("authorization", "Bearer wrong")]],
    ids=["none", "wrong key", "wrong token"],
)
def test_a_stranger_is_refused_once_and_for_all(relayed, headers):
    side = relayed(GUARDED)
    status, answer, body = ask(side.url, headers)
    assert status == 401
    # Without this Claude Code repeats a request with a bad key for a minute.
    assert answer["x-should-retry"] == "false"
    fault = json.loads(body)
    assert fault["type"] == "error"
    assert fault["error"]["type"] == "authentication_error"
    assert fault["request_id"]
    assert side.sim.requests() == []


@pytest.mark.parametrize(
    "headers",
    [
        [("x-api-key", CLIENT_KEY)],
        [("authorization", f"Bearer {CLIENT_KEY}")],
        [("x-api-key", CLIENT_KEY), ("authorization", f"Bearer {CLIENT_KEY}")],
    ],
    ids=["x-api-key", "bearer", "both"],
)
def test_a_transparent_relay_passes_the_clients_own_credential(relayed, headers):
    side = relayed({})
    side.sim.script(scripts.text("let in"))
    status, _, _ = ask(side.url, headers)
    assert status == 200
    assert credentials(side.sim.requests()[0]) == {name: [value] for name, value in headers}


def test_the_sdks_key_is_taken_as_it_sends_it(relayed):
    side = relayed(GUARDED)
    side.sim.script(scripts.text("let in"))
    client = anthropic.Anthropic(api_key=RELAY_KEY, base_url=side.url, max_retries=0)
    assert client.messages.create(**question("hi")).content[0].text == "let in"


def test_header_lines_that_repeat_stay_apart(relayed):
    side = relayed({})
    side.sim.script(scripts.text("fine"))
    betas = [("anthropic-beta", "one-2025-01-01"), ("anthropic-beta", "two-2025-01-01,three-2025-01-01")]
    status, _, _ = ask(side.url, [("x-api-key", CLIENT_KEY), *betas, ("X-Claude-Code-Unheard-Of", "kept")])
    assert status == 200
    seen = [(name.lower(), value) for name, value in side.sim.requests()[0]["headers"]]
    assert [pair for pair in seen if pair[0] == "anthropic-beta"] == betas
    assert ("x-claude-code-unheard-of", "kept") in seen
