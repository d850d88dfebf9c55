"""The relay's requests to a cloud beside those of the cloud's official client.

The same call twice: by the cloud's own client straight at a simulator of that
cloud, and by the first-party client through the relay at another. What the two
simulators received may differ only as `DIFFERENCES` says, which is a table in
`docs/providers.md` too.
"""

import json
import re
from pathlib import Path

import anthropic
import pytest

from relay_e2e.clouds import Side
from relay_e2e.upstreams import MODEL, RELAY_KEY, UPSTREAMS, Relayed

PAGE = Path(__file__).parents[3] / "docs" / "providers.md"
HEADING = "## What differs from the official SDKs' own clients, and why"

#: However it is known who asks.
BEDROCK = "bedrock, bedrock-session, bedrock-bearer"
#: Reasons that stand in more than one row.
CLIENT = "the client is named that asks, not the cloud"
OLD = "the version for all models there; the SDK's is for Claude 4.7 and later"
BODY = "Bedrock reads the body's `anthropic_beta`, which both send"
ACCEPT = "AWS's service model has it for streams"
SIGNED = "what a proxy on the way may add or change is not signed; AWS needs no more"
SESSION = "content-type host x-amz-date x-amz-security-token"
#: Where, what, what the official client sends, what the relay sends, and why.
DIFFERENCES = [
    (BEDROCK, "field `anthropic_version`", '`"2026-10-21"`', '`"bedrock-2023-05-31"`', OLD),
    (BEDROCK, "header `accept-encoding`", "`gzip, deflate`", "–", "the relay reads the frames"),
    (BEDROCK, "header `anthropic-beta`", "`interleaved-thinking-2025-05-14`", "–", BODY),
    (BEDROCK, "header `user-agent`", "`AnthropicBedrock/Python …`", "`Anthropic/Python …`", CLIENT),
    (BEDROCK, "header `x-amzn-bedrock-accept`", "–", "`application/json`", ACCEPT),
    ("bedrock", "signed headers", "all but `user-agent`", "`content-type host x-amz-date`", SIGNED),
    ("bedrock-session", "signed headers", "all but `user-agent`", f"`{SESSION}`", SIGNED),
    ("mantle", "header `user-agent`", "`AnthropicBedrockMantle/Python …`", "`Anthropic/Python …`", CLIENT),
    ("mantle", "signed headers", "all but `user-agent`", "`content-type host x-amz-date`", SIGNED),
    ("vertex", "field `anthropic_version`", '`"2026-10-21"`', '`"vertex-2023-10-16"`', OLD),
    ("vertex", "header `user-agent`", "`AnthropicVertex/Python …`", "`Anthropic/Python …`", CLIENT),
    ("foundry", "header `api-key`", "the key", "–", "an older name of `x-api-key`, which both send"),
    ("foundry", "header `user-agent`", "`AnthropicFoundry/Python …`", "`Anthropic/Python …`", CLIENT),
]

#: They frame or route a message, or are another each time.
IDLE = ("host", "content-length", "connection", "transfer-encoding", "x-amz-date")

#: What either may come with, where it does not sign.
KEYS = ("fake-key", "fake-bearer", "ya29.fake")

TOOL = {
    "name": "get_weather",
    "description": "Says what the weather is.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CALL = {
    "max_tokens": 64,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "tools": [TOOL],
    "tool_choice": {"type": "auto"},
    "messages": [
        {"role": "user", "content": "Weather in Zürich?"},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"days": [1.5, 2]}}
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain \u2602"}],
        },
    ],
}
BETAS = ["interleaved-thinking-2025-05-14"]


def whole(client, model):
    assert client.messages.create(model=model, **CALL).content[0].text == "rain"


def streamed(client, model):
    with client.messages.stream(model=model, **CALL) as stream:
        assert "".join(stream.text_stream) == "rain"


def with_betas(client, model):
    assert client.beta.messages.create(model=model, betas=BETAS, **CALL).content[0].text == "rain"


WAYS = [whole, streamed, with_betas]


def official(cloud, way):
    """What the cloud's own client sends."""
    side = Side(cloud)
    try:
        side.sim.default({"text": "rain"})
        way(side.client, side.model)
        (request,) = side.sim.requests()
    finally:
        side.close()
    return request, side.model


def relayed(cloud, way, model, folder):
    """What the relay sends for the first-party client."""
    # The simulated Vertex and the SDK know this model by its own name.
    asked = model if cloud == "vertex" else MODEL
    upstream = Relayed(folder, cloud)
    try:
        upstream.sim.default({"text": "rain"})
        with anthropic.Anthropic(
            api_key=RELAY_KEY, base_url=upstream.url, max_retries=0, timeout=60
        ) as client:
            way(client, asked)
        (request,) = upstream.posts()
        assert RELAY_KEY not in json.dumps(request)
    finally:
        upstream.close()
    return request


def facts(record):
    """The parts of a request by name, as a table says them."""
    headers = [(name.lower(), value) for name, value in record["headers"]]
    parts = {"method": record["method"], "path": f"`{record['path_and_query']}`"}
    for name, value in headers:
        if name in IDLE:
            continue
        key = f"header `{name}`"
        assert key not in parts, f"{name} is sent twice"
        if name == "authorization" and "SignedHeaders=" in value:
            parts["signed headers"] = signed(value, {name for name, _ in headers})
            # Who signs, for which region and service; the day and the signature change.
            value = re.sub(r"/\d{8}/|, .*", " ", value)
        elif name == "authorization":
            assert value.removeprefix("Bearer ") in KEYS
            value = "Bearer"
        if value in KEYS:
            value = "the key"
        elif value:
            # Versions of programs are not what this is about.
            value = f"`{re.sub(r'(?<=/Python )[0-9.]+', '…', value)}`"
        parts[key] = value
    for name, value in json.loads(record["body"]).items():
        parts[f"field `{name}`"] = f"`{json.dumps(value, ensure_ascii=False)}`"
    return parts


def signed(value, sent):
    """Which headers a signature covers."""
    names = re.search(r"SignedHeaders=([^,]*)", value).group(1).split(";")
    rest = sent - {*names, "authorization", "connection"}
    if rest == {"user-agent"}:
        return "all but `user-agent`"
    return f"`{' '.join(names)}`"


def differences(cloud, theirs, ours):
    """Where the two requests differ: cloud, what, theirs, ours."""
    theirs, ours = facts(theirs), facts(ours)
    return {
        (cloud, name, theirs.get(name, "–"), ours.get(name, "–"))
        for name in theirs.keys() | ours.keys()
        if theirs.get(name) != ours.get(name)
    }


@pytest.mark.parametrize("cloud", UPSTREAMS)
def test_the_relay_sends_what_the_official_client_sends(cloud, tmp_path):
    found = set()
    for way in WAYS:
        folder = tmp_path / way.__name__
        folder.mkdir()
        theirs, model = official(cloud, way)
        found |= differences(cloud, theirs, relayed(cloud, way, model, folder))
    rows = [row[:4] for row in DIFFERENCES if cloud in row[0].split(", ")]
    assert sorted(row[1:] for row in found) == sorted(row[1:] for row in rows)


def test_the_page_has_this_table():
    rows = ["| " + " | ".join(row) + " |" for row in DIFFERENCES]
    _, found, section = PAGE.read_text().partition(HEADING + "\n")
    assert found, f"{PAGE} has no such section"
    section = section.partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    assert table[2:] == rows, "\n".join(rows)
