"""Each cloud's official client talks straight to a simulator of that cloud.

It proves the simulator from outside: what judges the relay is judged by the
vendors' own code. What each client sent is kept for comparing the relay's.
"""

import json

import anthropic
import pytest

from relay_e2e.clouds import CLOUDS, Side, keep

TOOL = {
    "name": "get_weather",
    "description": "Says what the weather is.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CALL = {"tool_use": {"name": "get_weather", "input": {"city": "Zürich", "days": [1, 2]}}}
QUESTION = {"role": "user", "content": "Weather in Zürich?"}


@pytest.fixture(params=CLOUDS)
def side(request):
    """A running cloud; its name is the test's parameter."""
    running = Side(request.param)
    running.name = request.param
    yield running
    running.close()


def turns(call):
    """The conversation after the tool has been called."""
    return [
        QUESTION,
        {"role": "assistant", "content": [block.to_dict() for block in call.content]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": call.content[0].id, "content": "rain"}
            ],
        },
    ]


def asked(side, messages):
    return {"model": side.model, "max_tokens": 64, "tools": [TOOL], "messages": messages}


def test_a_turn_with_a_tool_streamed_and_not(side):
    side.sim.script({**CALL, "usage": {"input_tokens": 321, "output_tokens": 23}})
    call = side.client.messages.create(**asked(side, [QUESTION]))
    assert call.content[0].input == CALL["tool_use"]["input"]
    assert (call.stop_reason, call.usage.input_tokens) == ("tool_use", 321)

    side.sim.script({**CALL, "usage": {"input_tokens": 321, "output_tokens": 23}})
    with side.client.messages.stream(**asked(side, [QUESTION])) as stream:
        streamed = stream.get_final_message()
    assert streamed.content[0].to_dict() == call.content[0].to_dict()
    assert streamed.usage.output_tokens == 23

    side.sim.script({"text": "It rains in Zürich."})
    with side.client.messages.stream(**asked(side, turns(call))) as stream:
        text = "".join(stream.text_stream)
    assert text == "It rains in Zürich."

    requests = side.sim.requests()
    assert len(requests) == 3
    kept = json.loads(keep(side.name, requests).read_text())
    assert kept[2]["body"]["messages"][2]["content"][0]["content"] == "rain"
    assert "fake" not in kept[0]["headers"].get("authorization", "")


def test_betas_are_where_the_cloud_wants_them(side):
    beta = "interleaved-thinking-2025-05-14"
    side.client.beta.messages.create(**asked(side, [QUESTION]), betas=[beta])
    (request,) = side.sim.requests()
    body = json.loads(request["body"])
    headers = {name.lower(): value for name, value in request["headers"]}
    assert body.get("anthropic_beta", [headers.get("anthropic-beta")]) == [beta]
    assert ("anthropic_beta" in body) == side.name.startswith("bedrock")


def test_a_refusal_arrives_with_its_status(side):
    side.sim.script({"preset": "rate_limited"})
    with pytest.raises(anthropic.RateLimitError):
        side.client.messages.create(**asked(side, [QUESTION]))


def test_an_error_in_a_stream_is_raised(side):
    side.sim.script({"text": "half of", "fault": "error-event-after:3:overloaded_error:too much"})
    with pytest.raises(anthropic.APIStatusError, match="too much"):
        with side.client.messages.stream(**asked(side, [QUESTION])) as stream:
            stream.until_done()


@pytest.mark.parametrize("name", ["bedrock", "mantle"])
@pytest.mark.parametrize("wrong", [{"aws_secret_key": "another"}, {"aws_region": "us-west-2"}])
def test_a_wrong_signature_is_refused(name, wrong):
    side = Side(name)
    try:
        with pytest.raises(anthropic.PermissionDeniedError):
            side.client.with_options(**wrong).messages.create(**asked(side, [QUESTION]))
    finally:
        side.close()
