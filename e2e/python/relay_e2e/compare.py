"""Whether the relay is invisible: what went in against what came out.

In: the exchanges on the client's side of the relay and on the upstream's side.
Out: differences in words. Only hop-by-hop headers, `Host` and credentials may
differ; a stream that broke upstream must be broken for the client too.
"""

from __future__ import annotations

from .tap import Exchange, Message

#: Headers that belong to one connection (RFC 9110, 7.6.1).
HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}

CREDENTIALS = {"authorization", "x-api-key"}

#: What the relay may add to an answer that has none.
MAY_ADD = {"date", "x-cc-relay-request-id"}


def headers(message: Message, without: set[str]) -> dict[str, list[str]]:
    """Every header by its name in lower case, repeats in order."""
    found: dict[str, list[str]] = {}
    for name, value in message.headers:
        if name.lower() not in without:
            found.setdefault(name.lower(), []).append(value)
    return found


def request_differences(client: Exchange, upstream: Exchange) -> list[str]:
    """What the upstream received otherwise than the client sent it."""
    without = HOP_BY_HOP | CREDENTIALS | {"host"}
    pairs = {
        "method": (client.method, upstream.method),
        "path and query": (client.target, upstream.target),
        "body sha256": (client.request.sha256, upstream.request.sha256),
        "headers": (headers(client.request, without), headers(upstream.request, without)),
    }
    return [f"{what}: sent {a!r}, received {b!r}" for what, (a, b) in pairs.items() if a != b]


def response_differences(client: Exchange, upstream: Exchange) -> list[str]:
    """What the client received otherwise than the upstream sent it."""
    sent, got = upstream.response, client.response
    if sent is None:
        # Nothing was answered: the relay has to say so in words of its own, or break off.
        return []
    if got is None:
        # A break before the client had a byte of the body is a break all the same.
        return [] if is_broken(sent) else ["the answer did not arrive"]
    found = []
    if sent.start != got.start:
        found.append(f"status: sent {sent.start}, received {got.start}")
    before, after = expected_headers(sent), headers(got, HOP_BY_HOP)
    for name in MAY_ADD - set(before):
        after.pop(name, None)
    if before != after:
        found.append(f"headers: sent {before}, received {after}")
    if is_broken(sent):
        if got.complete:
            found.append("a broken answer reached the client as a whole one")
        if not sent.body.startswith(got.body):
            found.append("a broken answer reached the client with other bytes")
    elif not got.complete and client.left:
        # It closes at an error event, without waiting for the end: what it took has to be right.
        if not sent.body.startswith(got.body):
            found.append("an answer that the client left reached it with other bytes")
    elif not got.complete:
        found.append("a whole answer reached the client broken")
    elif sent.body != got.body:
        found.append(f"body: sent {sent.body!r}, received {got.body!r}")
    return found


def expected_headers(sent: Message) -> dict[str, list[str]]:
    """The answer's headers with what the relay adds so that nothing in between holds a stream up."""
    expected = headers(sent, HOP_BY_HOP)
    if "".join(sent.header("content-type")).startswith("text/event-stream"):
        expected["cache-control"] = ["no-cache, no-transform"]
        expected["x-accel-buffering"] = ["no"]
    return expected


def is_broken(answer: Message) -> bool:
    """Whether an answer ended before its time, at the level of HTTP or of the event stream."""
    if not answer.complete:
        return True
    kinds = "".join(answer.header("content-type"))
    if not kinds.startswith("text/event-stream") or answer.header("content-encoding"):
        return False
    ends = (b"event: message_stop\n", b"event: error\n")
    return not any(end in answer.body for end in ends) or not answer.body.endswith(b"\n\n")


def differences(client: list[Exchange], upstream: list[Exchange]) -> list[str]:
    """Finds for each exchange of the upstream its exchange with the client, and compares them."""
    left = list(client)
    found = []
    for number, seen in enumerate(upstream):
        same = [each for each in left if not request_differences(each, seen)]
        if not same:
            near = [each for each in left if each.target == seen.target] or left
            words = request_differences(near[0], seen) if near else ["nothing of the kind was sent"]
            found.append(f"request {number} ({seen.method} {seen.target}): {'; '.join(words)}")
            continue
        # Equal requests (retries) may have had different answers: take one that fits, if any does.
        fits = [each for each in same if not response_differences(each, seen)]
        chosen = (fits or same)[0]
        words = response_differences(chosen, seen)
        if words:
            found.append(f"answer {number} ({seen.method} {seen.target}): {'; '.join(words)}")
        left.remove(chosen)
    return found
