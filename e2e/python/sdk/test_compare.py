"""The comparison itself: it finds each kind of change, and finds none where there is none."""

import socket

import pytest

from relay_e2e.compare import differences
from relay_e2e.tap import Tap, parse

REQUEST = (
    b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: relay\r\nX-Api-Key: client\r\n"
    b"Anthropic-Beta: one\r\nAnthropic-Beta: two\r\nContent-Length: 7\r\n\r\n"
    b'{"a":1}'
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
RELAYED_HEAD = HEAD + b"cache-control: no-cache, no-transform\r\nx-accel-buffering: no\r\ndate: today\r\n"
START = b"event: message_start\ndata: {}\n\n"
STOP = b"event: message_stop\ndata: {}\n\n"


def chunked(*pieces, end=True):
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return b"\r\n" + body + (b"0\r\n\r\n" if end else b"")


SENT = HEAD + chunked(START, STOP)


def found(client_request=REQUEST, client_answer=None, upstream_request=REQUEST, upstream_answer=SENT):
    if client_answer is None:
        client_answer = RELAYED_HEAD + chunked(START, STOP)
    client = parse(client_request, client_answer)
    return differences(client, parse(upstream_request, upstream_answer))


def test_an_invisible_relay_shows_no_difference():
    own_key = REQUEST.replace(b"X-Api-Key: client", b"x-api-key: relays").replace(b"Host: relay", b"Host: up")
    assert found(upstream_request=own_key) == []


def test_chunks_may_be_cut_otherwise():
    assert found(client_answer=RELAYED_HEAD + chunked(START[:5], START[5:] + STOP)) == []


@pytest.mark.parametrize(
    "changed",
    [
        REQUEST.replace(b"?beta=true", b""),
        REQUEST.replace(b'{"a":1}', b'{"a":2}'),
        REQUEST.replace(b"Beta: one\r\nAnthropic-Beta: two", b"Beta: two\r\nAnthropic-Beta: one"),
        REQUEST.replace(b"Beta: one\r\nAnthropic-Beta: two", b"Beta: one,two"),
        REQUEST.replace(b"Anthropic-Beta: one\r\n", b""),
        REQUEST.replace(b"Host: relay\r\n", b"Host: up\r\nVia: relay\r\n"),
    ],
    ids=["query", "body", "order of repeats", "repeats joined", "header lost", "header added"],
)
def test_a_changed_request_is_found(changed):
    assert len(found(upstream_request=changed)) == 1


@pytest.mark.parametrize(
    "changed",
    [
        RELAYED_HEAD.replace(b"200 OK", b"201 Created") + chunked(START, STOP),
        RELAYED_HEAD + chunked(START, STOP.replace(b"{}", b"{ }")),
        RELAYED_HEAD + b"x-more: 1\r\n" + chunked(START, STOP),
        RELAYED_HEAD + chunked(START, STOP, end=False),
        b"",
    ],
    ids=["status", "body", "header added", "cut", "nothing"],
)
def test_a_changed_answer_is_found(changed):
    assert len(found(client_answer=changed)) == 1


@pytest.mark.parametrize("clean", [True, False], ids=["clean end", "cut"])
def test_a_broken_stream_must_be_broken_for_the_client(clean):
    broken = HEAD + chunked(START, end=clean)
    assert found(upstream_answer=broken, client_answer=RELAYED_HEAD + chunked(START, end=False)) == []
    assert len(found(upstream_answer=broken, client_answer=RELAYED_HEAD + chunked(START))) == 1
    made_up = RELAYED_HEAD + chunked(START, STOP)
    assert len(found(upstream_answer=broken, client_answer=made_up)) == 1


def test_a_client_that_leaves_took_what_it_took():
    """An SDK closes at an error event, before the end of the answer is on the wire."""
    upstream = parse(REQUEST, SENT)

    def left(answer, client_left=True):
        return differences(parse(REQUEST, answer, client_left), upstream)

    cut = RELAYED_HEAD + chunked(START, end=False)
    assert left(cut) == []
    assert len(left(cut, client_left=False)) == 1
    assert len(left(RELAYED_HEAD + chunked(STOP, end=False))) == 1


def test_the_tap_knows_who_ended_first():
    for client_first in (True, False):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            tap = Tap(listener.getsockname())
            client = socket.create_connection(tap.address)
            client.sendall(REQUEST)
            server, _ = listener.accept()
            server.recv(65536)
            server.sendall(HEAD + chunked(START, end=False))
            client.recv(65536)
            first, second = (client, server) if client_first else (server, client)
            first.close()
            # Its end has come through when the other side sees it.
            while second.recv(65536):
                pass
            second.close()
            (exchange,) = tap.exchanges()
            assert exchange.left == client_first
            tap.close()


def test_requests_on_one_connection_are_told_apart():
    first, second = parse(REQUEST * 2, SENT + HEAD + chunked(START, end=False))
    assert (first.response.complete, second.response.complete) == (True, False)
    assert [each.target for each in (first, second)] == ["/v1/messages?beta=true"] * 2
