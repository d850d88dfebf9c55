"""Claude Code through the relay when the upstream fails.

Each test says what Claude Code does by itself. Where that is good, the relay has
to leave it so; where a broken stream would pass for a whole answer, the relay
has to make the break visible.
"""

import http.client
import json

import pytest

from relay_e2e import scripts
from relay_e2e.claude import Claude

#: An answer long enough to be cut in many places.
LONG = "these words take more than one event to say"


@pytest.fixture
def claude(tmp_path):
    return Claude(tmp_path / "claude")


def act(claude, **environment):
    """One turn in a fresh home; what a person sees of it."""

    def run(url):
        claude.fresh()
        done = claude.run(url, "say hi", **environment)
        return done.answer, done.failed

    return run


def asked(sides):
    """The requests that reached the upstream through the relay."""
    return [json.loads(request["body"]) for request in sides.relayed.sim.requests()]


def streams(sides):
    """Which of those requests asked for a stream."""
    return [bool(request.get("stream")) for request in asked(sides)]


def waits(sides):
    """The times between the requests that reached the upstream, in ms."""
    times = [request["at_ms"] for request in sides.relayed.sim.requests()]
    return [later - earlier for earlier, later in zip(times, times[1:])]


def test_a_rate_limit_is_waited_for_and_retried(sides, claude):
    limited = scripts.error(429, "rate_limit_error", "slow down", headers=[["retry-after", "3"]])
    assert sides.both([limited, scripts.text("later")], act(claude)) == ("later", False)
    # The relay passed `retry-after` on: without it the client waits half a second.
    assert waits(sides)[0] >= 3000


def test_a_rate_limit_without_a_time_is_retried(sides, claude):
    limited = scripts.error(429, "rate_limit_error", "slow down", no_headers=["retry-after"])
    assert sides.both([limited, scripts.text("soon")], act(claude)) == ("soon", False)


def test_a_rate_limit_that_lasts_too_long_is_told_at_once(sides, claude):
    limited = scripts.error(429, "rate_limit_error", "come back later", headers=[["retry-after", "90"]])
    answer, failed = sides.both([limited], act(claude))
    assert failed
    assert "come back later" in answer
    assert len(asked(sides)) == 1


@pytest.mark.parametrize("preset", ["overloaded", "api_error_500", "bad_gateway_html", "unavailable_503"])
def test_a_failing_upstream_is_retried(sides, claude, preset):
    assert sides.both([{"preset": preset}, scripts.text("up again")], act(claude)) == ("up again", False)
    assert len(asked(sides)) == 2


@pytest.mark.parametrize(("status", "kind"), [(403, "permission_error"), (413, "request_too_large")])
def test_a_final_refusal_is_told_at_once(sides, claude, status, kind):
    answer, failed = sides.both([scripts.error(status, kind, "never")], act(claude))
    assert failed
    assert len(asked(sides)) == 1


def test_a_400_passes_word_for_word_so_that_betas_are_peeled_off(sides, claude):
    refusals = [
        scripts.error(400, "invalid_request_error", "thinking.display: Extra inputs are not permitted")
        for _ in range(8)
    ]
    _, failed = sides.both(refusals, act(claude))
    assert failed
    betas = [request.request.header("anthropic-beta") for request in sides.relayed.upstream_exchanges()]
    # More than one attempt, each with fewer betas or the same: the client reads the text.
    assert len(betas) > 1
    assert len(betas[-1][0]) < len(betas[0][0])


def test_a_404_is_asked_again_without_a_stream(sides, claude):
    refusal = scripts.error(404, "not_found_error", "model: claude-opus-5-5")
    _, failed = sides.both([refusal, refusal], act(claude))
    assert failed
    assert streams(sides) == [True, False]


def test_a_refusal_by_the_relay_itself_is_told_at_once(relayed, claude):
    side = relayed({"server": {"auth": {"api_key": "relay-key-for-tests"}}, "providers": [{"keys": [{"key": "sk-ant-upstream-for-tests"}]}]})
    answer, failed = act(claude)(side.url)
    assert failed
    assert side.sim.requests() == []
    assert len(side.client_exchanges()) == 1, "a bad key must not be tried again"


@pytest.mark.parametrize("fault", ["reset-before-head", "close-before-head"])
def test_an_upstream_that_leaves_without_a_word_is_retried(sides, claude, fault):
    answers = [scripts.text(LONG, fault=fault), scripts.text("once more")]
    assert sides.on_relay(answers, act(claude)) == ("once more", False)


@pytest.mark.parametrize("how", ["reset", "close", "clean-end"])
def test_a_stream_cut_in_a_text_block_is_retried_as_a_stream(sides, claude, how):
    answers = [scripts.text(LONG, fault=f"{how}-after-events:5"), scripts.text("the whole answer")]
    assert sides.on_relay(answers, act(claude)) == ("the whole answer", False)
    assert streams(sides) == [True, True]


@pytest.mark.parametrize("how", ["reset", "close", "clean-end"])
def test_a_stream_cut_after_a_text_block_is_never_a_whole_answer(sides, claude, how):
    last = events(scripts.text(LONG), sides)
    answers = [scripts.text(LONG, fault=f"{how}-after-events:{last - 2}"), scripts.text("the whole answer")]
    answer, failed = sides.on_relay(answers, act(claude))
    assert not failed
    assert answer.endswith("the whole answer")
    assert len(asked(sides)) == 2


@pytest.mark.parametrize("how", ["reset", "close", "clean-end"])
def test_a_stream_without_its_last_event_is_never_half_an_answer(sides, claude, how):
    """Everything is there but `message_stop`.

    Claude Code asks again if it learns of the break together with `message_delta`, and
    takes what it has, which is all of it, if it learns later. That the break reaches it
    at all is compared when the test ends: by itself it would see a clean end.
    """
    last = events(scripts.text(LONG), sides)
    answers = [scripts.text(LONG, fault=f"{how}-after-events:{last - 1}"), scripts.text("the whole answer")]
    answer, failed = sides.on_relay(answers, act(claude))
    assert not failed
    assert answer in (LONG, "the whole answer")
    assert len(asked(sides)) == (1 if answer == LONG else 2)


def test_an_error_event_passes_as_it_is(sides, claude):
    broken = scripts.text(LONG, fault="error-event-after:5:overloaded_error:Overloaded")
    assert sides.both([broken, scripts.text("not streamed")], act(claude)) == ("not streamed", False)
    assert streams(sides) == [True, False]


@pytest.mark.parametrize("how", ["reset", "close", "clean-end"])
def test_a_cut_in_a_tool_call_does_not_run_the_tool(sides, claude, how):
    call = scripts.tool_use("Bash", {"command": "touch ran-by-mistake", "description": "marks"})
    last = events(call, sides)
    # Before content_block_stop, message_delta and message_stop: the arguments are there, the end is not.
    answers = [{**call, "fault": f"{how}-after-events:{last - 3}"}, scripts.text("asked again")]
    answer, failed = sides.on_relay(answers, act(claude))
    assert (answer, failed) == ("asked again", False)
    assert not (claude.place / "ran-by-mistake").exists()
    before, after = asked(sides)
    assert before["messages"] == after["messages"], "the turn was not simply asked again"


@pytest.mark.parametrize("how", ["reset", "close", "clean-end"])
def test_a_cut_after_a_tool_call_goes_on_with_the_turn(sides, claude, how):
    """Claude Code starts a tool as soon as its block is whole.

    So it may have run when the break comes, or not: in both cases the conversation goes on.
    """
    call = scripts.tool_use("Bash", {"command": "echo whole > ran", "description": "marks"})
    last = events(call, sides)
    answers = [{**call, "fault": f"{how}-after-events:{last - 2}"}, scripts.text("went on")]
    answer, failed = sides.on_relay(answers, act(claude))
    assert not failed
    assert answer.endswith("went on")
    assert len(asked(sides)) == 2
    ran = claude.place / "ran"
    assert not ran.exists() or ran.read_text() == "whole\n"


def events(script, sides):
    """How many events an answer has when nothing cuts it."""
    sides.direct.sim.script(script)
    connection = http.client.HTTPConnection(*sides.direct.sim.address, timeout=30)
    body = json.dumps({"model": "m", "max_tokens": 1, "stream": True, "messages": []})
    connection.request("POST", "/v1/messages", body, {"x-api-key": "k", "content-type": "application/json"})
    count = connection.getresponse().read().count(b"event: ")
    connection.close()
    assert count > 5
    return count
