"""The official Python SDK through the relay: a broken stream is never a whole one.

Straight from an upstream that ends cleanly in mid-stream the SDK returns half an
answer and says nothing. Through the relay it has to raise.
"""

import anthropic
import pytest

from relay_e2e import scripts
from relay_e2e.sdk import client, httpx, question

ANSWER = "seven words that make up one answer"


def events_of_the_answer(sides):
    """How many events the whole answer has, as the upstream sends it."""
    with client(sides.direct.url).messages.stream(**question("hi")) as stream:
        stream.get_final_message()
    return sides.direct.client_exchanges()[-1].response.body.count(b"event: ")


def broken(url):
    with pytest.raises((anthropic.APIError, httpx.HTTPError)):
        with client(url).messages.stream(**question("hi")) as stream:
            stream.get_final_message()
    return True


@pytest.mark.parametrize("how", ["reset", "close", "clean-end"])
def test_a_stream_cut_after_any_event_raises(sides, how):
    for side in (sides.direct, sides.relayed):
        side.sim.default(scripts.text(ANSWER))
    events = events_of_the_answer(sides)
    assert events > 5
    for sent in range(1, events):
        script = scripts.text(ANSWER, fault=f"{how}-after-events:{sent}")
        assert sides.on_relay([script], broken), sent


@pytest.mark.parametrize("how", ["reset", "close", "clean-end"])
def test_a_stream_cut_within_an_event_raises(sides, how):
    for sent in (1, 7, 40, 200, 333):
        script = scripts.text(ANSWER, fault=f"{how}-after-bytes:{sent}")
        assert sides.on_relay([script], broken), sent


@pytest.mark.parametrize("fault", ["reset-before-head", "close-before-head"])
def test_an_upstream_that_leaves_without_a_word_raises(sides, fault):
    assert sides.on_relay([scripts.text(ANSWER, fault=fault)] * 2, broken)


def test_a_whole_answer_cut_short_raises(sides):
    def act(url):
        with pytest.raises((anthropic.APIError, httpx.HTTPError)):
            client(url).messages.create(**question("hi"))
        return True

    for script in (
        scripts.text(ANSWER, fault="content-length-short"),
        scripts.text(ANSWER, fault="reset-after-bytes:30"),
    ):
        assert sides.both([script], act)


def test_a_client_that_leaves_is_noticed_upstream(sides):
    def act(url):
        with client(url).messages.stream(**question("hi")) as stream:
            next(iter(stream))
        return True

    endless = scripts.text("on and on", repeat_delta={"times": 1_000_000, "text": "more "}, event_gap_ms=5)
    sides.on_relay([endless], act)
    sides.relayed.sim.wait_for(lambda stats: stats["client_gone"] == 1)
