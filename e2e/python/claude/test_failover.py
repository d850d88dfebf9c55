"""Claude Code through a relay with two upstreams, the first of which fails.

The client must not notice: it asks once a turn, every answer is whole, and a
tool runs exactly once. What the second upstream gets is what the first one
got, but for the credential.
"""

import json

import pytest

from relay_e2e import scripts
from relay_e2e.claude import Claude
from relay_e2e.programs import Relay, Sim
from relay_e2e.tap import Tap

RELAY_KEY = "relay-key-for-tests"

#: The ways in which the first upstream fails, each before the client could see a word of it.
FAILURES = {
    "dies before the first byte": scripts.text("never seen", fault="reset-before-head"),
    "dies in message_start": scripts.text("never seen", fault="reset-after-bytes:40"),
    "dies after message_start": scripts.text("never seen", fault="reset-after-events:1"),
    "ends after message_start": scripts.text("never seen", fault="clean-end-after-events:1"),
    "gives up after message_start": scripts.text(
        "never seen", fault="error-event-after:1:overloaded_error:Overloaded"
    ),
    "is rate-limited": scripts.error(
        429, "rate_limit_error", "slow down", headers=[["retry-after", "30"]]
    ),
    "is overloaded": scripts.error(529, "overloaded_error", "Overloaded"),
}


class Pair:
    """client -> tap -> relay -> two upstreams"""

    def __init__(self, folder):
        self.first, self.second = Sim(), Sim()
        config = {
            "server": {"auth": {"api_key": RELAY_KEY}},
            "providers": [
                {"name": "first", "keys": [{"key": "sk-ant-first-for-tests"}]},
                {
                    "name": "second",
                    "type": "anthropic",
                    "base_url": self.second.url,
                    "keys": [{"key": "sk-ant-second-for-tests"}],
                },
            ],
        }
        self.relay = Relay(folder, self.first.url, config)
        self.tap = Tap(self.relay.address)

    def close(self):
        self.tap.close()
        code = self.relay.stop()
        self.first.stop()
        self.second.stop()
        assert code == 0, self.relay.said
        assert "panicked" not in self.relay.said, self.relay.said

    def hops(self):
        """The reason of each hop, as the relay's log tells it."""
        lines = [json.loads(line) for line in self.relay.said.splitlines() if line.startswith("{")]
        requests = [line for line in lines if line.get("event.name") == "request"]
        return [[hop["reason"] for hop in line.get("ccrelay.hops", [])] for line in requests]


@pytest.fixture
def pair(tmp_path):
    pair = Pair(tmp_path)
    yield pair
    pair.close()


@pytest.mark.parametrize("failure", FAILURES)
def test_a_tool_turn_survives_an_upstream_that(pair, tmp_path, failure):
    claude = Claude(tmp_path / "claude")
    pair.first.default(FAILURES[failure])
    call = scripts.tool_use("Bash", {"command": "echo ran >> ran.txt; echo from-the-tool", "description": "says a word"})
    for script in (call, scripts.text("it ran")):
        pair.second.script(script)
    run = claude.run(pair.tap.url, "run it", ANTHROPIC_API_KEY=RELAY_KEY)
    assert (run.answer, run.failed, run.tool_results()) == ("it ran", False, ["from-the-tool"])
    assert (claude.place / "ran.txt").read_text() == "ran\n"
    # Nobody noticed: one request a turn, each answered.
    assert [each.status for each in pair.tap.exchanges()] == [200, 200]
    served = pair.second.requests()
    assert len(served) == 2
    # The session stays where it found an answer, so the first was asked once.
    (tried,) = pair.first.requests()
    assert tried["body"] == served[0]["body"]
    assert "never seen" not in run.stdout
    sent = {name.lower(): value for name, value in served[0]["headers"]}
    assert sent["x-api-key"] == "sk-ant-second-for-tests"
