"""What the relay sends to a cloud, beside what the cloud's own official client sends.

The same call is made twice: by the cloud's client straight to a simulator, and
by the Messages API's client through the relay to another one. Requests are
compared part by part; every difference has to be a row of DIFFERENCES, which
docs/providers.md shows.
"""

import json
from pathlib import Path

import anthropic
import pytest

from relay_e2e.clouds import CLOUDS, KEY_ID, PROFILE, PROJECT, REGION, SECRET, TOKEN, Side, sent
from relay_e2e.programs import Relay, Sim

RELAY_KEY = "relay-key-for-tests"
AWS = {"aws_region": REGION, "aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET}

#: The base URL's path, and the provider's settings, for each of CLOUDS.
PROVIDERS = {
    "bedrock": ("", {"type": "bedrock", **AWS}),
    "bedrock-session": ("", {"type": "bedrock", **AWS, "aws_session_token": TOKEN}),
    "bedrock-bearer": (
        "",
        {"type": "bedrock", "aws_region": REGION, "keys": [{"key": "fake-bearer"}]},
    ),
    "mantle": ("/anthropic", {"type": "bedrock", "runtime": "mantle", **AWS}),
    "vertex": (
        "/v1",
        {
            "type": "vertex",
            "gcp_project_id": PROJECT,
            "gcp_region": "europe-west1",
            "keys": [{"key": "ya29.fake"}],
        },
    ),
    "foundry": ("/anthropic", {"type": "azure", "keys": [{"key": "fake-key"}]}),
}

#: What may differ: the clouds, the part, and why. The table of docs/providers.md.
DIFFERENCES = [
    ("bedrock", "header `accept`, `x-amzn-bedrock-accept`", "both say JSON in the clouds' own words"),
    ("bedrock", "header `anthropic-beta`", "the betas stand in the body, once"),
    ("all", "header `authorization`", "the relay signs host, type, date and token alone: what a proxy on the way may change is not signed"),
    ("all", "header `anthropic-version`", "the client's own passes, or stands in the body"),
    ("bedrock, vertex", "body `anthropic_version`", "the relay says the cloud's first version unless the client's body names one"),
    ("foundry", "header `api-key`", "the key is said once, as `x-api-key`"),
    ("all", "headers `x-cc-relay-*`, `x-api-key`", "none of the relay's own goes out; the client's key stays here"),
]

#: The headers of those rows.
HEADERS = {
    "accept",
    "x-amzn-bedrock-accept",
    "anthropic-beta",
    "authorization",
    "anthropic-version",
    "api-key",
}

TOOL = {
    "name": "get_weather",
    "description": "Says what the weather is.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def call(client, model, stream):
    asked = {
        "model": model,
        "max_tokens": 64,
        "tools": [TOOL],
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Weather in Zürich?"}],
        "betas": ["interleaved-thinking-2025-05-14"],
    }
    if not stream:
        return client.beta.messages.create(**asked)
    with client.beta.messages.stream(**asked) as events:
        return events.get_final_message()


@pytest.fixture(params=PROVIDERS)
def both(request, tmp_path):
    """The cloud's client at a simulator, and the plain one at a relay before another."""
    base, settings = PROVIDERS[request.param]
    side = Side(request.param)
    sim = Sim(*CLOUDS[request.param].flags)
    provider = {"name": "cloud", "base_url": sim.url + base, **settings}
    config = {"server": {"auth": {"api_key": RELAY_KEY}}, "providers": [provider]}
    relay = Relay(tmp_path, sim.url + base, config)
    client = anthropic.Anthropic(base_url=relay.url, api_key=RELAY_KEY, max_retries=0, timeout=60)
    yield request.param, side, sim, client
    client.close()
    assert relay.stop() == 0, relay.said
    sim.stop()
    side.close()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_same_request_but_for_what_is_told(both, stream):
    name, side, sim, client = both
    for each in (side.sim, sim):
        each.script({"text": "It rains."})
    direct = call(side.client, side.model, stream)
    relayed = call(client, side.model, stream)
    assert [block.to_dict() for block in direct.content] == [
        block.to_dict() for block in relayed.content
    ]
    (theirs,) = (sent(each) for each in side.sim.requests())
    (ours,) = (sent(each) for each in sim.requests())
    assert (ours["method"], ours["path"].partition("?")[0]) == (
        theirs["method"],
        theirs["path"].partition("?")[0],
    )
    versions = [body.pop("anthropic_version", None) for body in (theirs["body"], ours["body"])]
    assert (versions[0] is None) == (versions[1] is None), versions
    assert ours["body"] == theirs["body"]
    names = set(ours["headers"]) | set(theirs["headers"])
    differing = {
        header
        for header in names
        if ours["headers"].get(header) != theirs["headers"].get(header)
    }
    assert differing <= HEADERS, {
        header: (theirs["headers"].get(header), ours["headers"].get(header))
        for header in differing - HEADERS
    }
    assert RELAY_KEY not in json.dumps(ours)


def test_the_page_shows_every_difference():
    page = (Path(__file__).parents[3] / "docs" / "providers.md").read_text()
    for where, part, why in DIFFERENCES:
        assert f"| {where} | {part} | {why} |" in page, part


def test_an_inference_profile_is_one_segment(tmp_path):
    sim = Sim(*CLOUDS["bedrock-session"].flags)
    base, settings = PROVIDERS["bedrock-session"]
    provider = {"name": "cloud", "base_url": sim.url + base, **settings}
    provider["model_mapping"] = {"claude-opus-5-5": PROFILE}
    relay = Relay(tmp_path, sim.url + base, {"providers": [provider]})
    client = anthropic.Anthropic(base_url=relay.url, api_key="unused", max_retries=0, timeout=60)
    try:
        sim.script({"text": "It rains."})
        call(client, "claude-opus-5-5", False)
        (request,) = sim.requests()
        assert request["path_and_query"].endswith("application-inference-profile%2Fabc123/invoke")
    finally:
        client.close()
        relay.stop()
        sim.stop()
