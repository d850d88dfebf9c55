"""Claude Code through the relay, in front of each cloud and vendor.

The client speaks the Messages API and knows of no cloud; the simulator is as
strict as the upstream is said to be. A tool turn has to finish, the tool runs
once, and the upstream refuses nothing: what it cannot take was left out before.
"""

import json

import pytest

from relay_e2e import scripts
from relay_e2e.claude import Claude
from relay_e2e.clouds import DEPLOYMENT, KEY_ID, PROJECT, REGION, SECRET, aws
from relay_e2e.programs import Relay, Sim
from relay_e2e.tap import Tap

RELAY_KEY = "relay-key-for-tests"
KEYS = [{"key": "sk-upstream-for-tests"}]
AWS = {
    "aws_region": REGION,
    "aws_access_key_id": KEY_ID,
    "aws_secret_access_key": SECRET,
}

#: The simulator's flags, the path of the base URL, and the provider's settings.
UPSTREAMS = {
    "bedrock": (aws("bedrock"), "", {"type": "bedrock", "model_prefix": "eu.anthropic.", **AWS}),
    "mantle": (
        aws("mantle"),
        "/anthropic",
        {"type": "bedrock", "runtime": "mantle", **AWS},
    ),
    "vertex": (
        ["--dialect", "vertex", "--project", PROJECT, "--no-credential"],
        "/v1",
        {"type": "vertex", "gcp_project_id": PROJECT, "keys": KEYS},
    ),
    "foundry": (
        ["--dialect", "foundry", "--deployment", DEPLOYMENT],
        "/anthropic",
        {"type": "azure", "model_mapping": {"*": DEPLOYMENT}, "keys": KEYS},
    ),
    "zai": (["--dialect", "zai"], "/api/anthropic", {"type": "zai", "keys": KEYS}),
    "minimax": (["--dialect", "minimax"], "/anthropic", {"type": "minimax", "keys": KEYS}),
    "ollama": (["--dialect", "ollama", "--no-credential"], "", {"type": "ollama"}),
}


class Relayed:
    """client -> tap -> relay -> a chain of upstreams"""

    def __init__(self, folder, *names):
        self.sims = {name: Sim(*UPSTREAMS[name][0]) for name in names if name in UPSTREAMS}
        self.sims.update({name: Sim() for name in names if name not in UPSTREAMS})
        providers = []
        for name in names:
            _, base, settings = UPSTREAMS.get(name, ((), "", {"type": "anthropic", "keys": KEYS}))
            url = self.sims[name].url + base
            providers.append({"name": name, "base_url": url, **settings})
        config = {"server": {"auth": {"api_key": RELAY_KEY}}, "providers": providers}
        self.relay = Relay(folder, providers[0]["base_url"], config)
        self.tap = Tap(self.relay.address)

    def close(self):
        self.tap.close()
        code = self.relay.stop()
        for sim in self.sims.values():
            sim.stop()
        assert code == 0, self.relay.said
        assert "panicked" not in self.relay.said, self.relay.said

    def lines(self):
        """The log line of each request."""
        lines = [json.loads(line) for line in self.relay.said.splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event.name") == "request"]


def tool_turn(relayed, claude, sim):
    call = scripts.tool_use(
        "Bash", {"command": "echo ran >> ran.txt; echo from-the-tool", "description": "says a word"}
    )
    for script in (call, scripts.text("it ran")):
        sim.script(script)
    run = claude.run(relayed.tap.url, "run it", ANTHROPIC_API_KEY=RELAY_KEY)
    said = f"{run.stdout}\n{relayed.relay.said}"
    assert (run.answer, run.failed, run.tool_results()) == ("it ran", False, ["from-the-tool"]), said
    assert (claude.place / "ran.txt").read_text() == "ran\n"
    assert [each.status for each in relayed.tap.exchanges()] == [200, 200]


@pytest.mark.parametrize("name", UPSTREAMS)
def test_a_tool_turn_at(name, tmp_path):
    relayed = Relayed(tmp_path, name)
    try:
        tool_turn(relayed, Claude(tmp_path / "claude"), relayed.sims[name])
        # A refusal would be a third request.
        assert len(relayed.sims[name].requests()) == 2, relayed.relay.said
    finally:
        relayed.close()


@pytest.mark.parametrize(
    "names",
    [("anthropic", "bedrock"), ("bedrock", "vertex"), ("vertex", "zai"), ("zai", "anthropic")],
    ids="-to-".join,
)
def test_a_tool_turn_survives_the_first_upstreams_death(names, tmp_path):
    relayed = Relayed(tmp_path, *names)
    try:
        first, second = (relayed.sims[name] for name in names)
        first.default(scripts.text("never seen", fault="reset-before-head"))
        tool_turn(relayed, Claude(tmp_path / "claude"), second)
        assert len(first.requests()) == 1
        hops = [hop["reason"] for line in relayed.lines() for hop in line.get("ccrelay.hops", [])]
        assert hops == ["broken"], relayed.relay.said
    finally:
        relayed.close()
