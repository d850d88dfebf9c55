"""The official Python SDK through the relay: what works, works as without it."""

import json

from relay_e2e import scripts
from relay_e2e.sdk import client, question


def test_a_streamed_text_arrives(sides):
    def act(url):
        with client(url).messages.stream(**question("hi")) as stream:
            return list(stream.text_stream), stream.get_final_message().to_dict()

    pieces, message = sides.both([scripts.text("hello from upstream")], act)
    assert "".join(pieces) == "hello from upstream"
    assert message["stop_reason"] == "end_turn"
    assert message["usage"]["output_tokens"] > 0


def test_every_event_arrives_in_order(sides):
    def act(url):
        return [event.to_dict() for event in client(url).messages.create(**question("hi"), stream=True)]

    events = sides.both([scripts.text("one two three")], act)
    assert events[0]["type"] == "message_start"
    assert events[-1]["type"] == "message_stop"


def test_a_text_that_is_not_streamed_arrives(sides):
    def act(url):
        return client(url).messages.create(**question("hi")).to_dict()

    message = sides.both([scripts.text("all at once")], act)
    assert message["content"] == [{"type": "text", "text": "all at once"}]


def test_a_tool_turn_takes_two_requests(sides):
    tool = {
        "name": "add",
        "description": "Adds.",
        "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
    }

    def act(url):
        anthropic = client(url)
        asked = question("add")
        first = anthropic.messages.create(**asked, tools=[tool])
        call = first.content[0]
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "3"}
        turns = [
            *asked.pop("messages"),
            {"role": "assistant", "content": [block.to_dict() for block in first.content]},
            {"role": "user", "content": [result]},
        ]
        second = anthropic.messages.create(**asked, messages=turns, tools=[tool])
        return call.to_dict(), second.to_dict()

    answers = [scripts.tool_use("add", {"a": 1, "b": 2}), scripts.text("three")]
    call, answer = sides.both(answers, act)
    assert call["input"] == {"a": 1, "b": 2}
    assert answer["content"][0]["text"] == "three"


def test_thinking_goes_back_with_its_signature(sides):
    signature = "EqQBCgIYAhIM+/=" * 20

    def act(url):
        anthropic = client(url)
        asked = question("think", thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2048)
        with anthropic.messages.stream(**asked) as stream:
            first = stream.get_final_message()
        turns = [
            *asked.pop("messages"),
            {"role": "assistant", "content": [block.to_dict() for block in first.content]},
            {"role": "user", "content": "and now?"},
        ]
        anthropic.messages.create(**asked, messages=turns)
        return first.content[0].to_dict()

    answers = [scripts.thinking("let me see \u2014 \U0001f914", signature, "done"), scripts.text("still done")]
    block = sides.both(answers, act)
    assert block["signature"] == signature
    sent = json.loads(sides.relayed.sim.requests()[1]["body"])
    assert sent["messages"][1]["content"][0]["signature"] == signature


def test_tokens_are_counted(sides):
    def act(url):
        asked = question("how many")
        asked.pop("max_tokens")
        return client(url).messages.count_tokens(**asked).input_tokens

    assert sides.both([], act) > 0


def test_models_are_listed_and_described(sides):
    def act(url):
        models = client(url).models
        return [model.to_dict() for model in models.list(limit=1000)], models.retrieve("claude-opus-5-5").to_dict()

    listed, described = sides.both([], act)
    assert described in listed


def test_bytes_that_no_one_may_touch_arrive_untouched(sides):
    """Escapes, odd numbers, deep nesting and unknown fields: the body is not parsed and written again."""

    def act(url):
        extra = {
            "unknown_field": {"z": 1, "a": [1e2, 1.0, -0.0, "\u00e9\U0001f600\u2028"], "deep": [[[[[[]]]]]]},
            "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        }
        return client(url).messages.create(**question("hi"), extra_body=extra).to_dict()

    sides.both([scripts.text("fine")], act)


def test_an_answer_in_single_bytes_is_the_same_answer(sides):
    def act(url):
        with client(url).messages.stream(**question("hi")) as stream:
            return stream.get_final_message().to_dict()

    answer = scripts.text("h\u00e9llo \U0001f600", split="each-byte")
    assert sides.both([answer], act)["content"][0]["text"] == "h\u00e9llo \U0001f600"


def test_a_compressed_stream_arrives(sides):
    def act(url):
        with client(url).messages.stream(**question("hi")) as stream:
            return stream.get_final_message().to_dict()

    assert sides.both([scripts.text("packed", encoding="gzip")], act)["content"][0]["text"] == "packed"


def test_a_large_request_arrives(sides):
    def act(url):
        return client(url).messages.create(**question("x" * 5_000_000)).to_dict()

    sides.both([scripts.text("a lot")], act)
