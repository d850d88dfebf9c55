"""The relay in front of a simulator that speaks one provider's dialect.

In: a provider's name. Out: a running simulator, and the provider's entry in
the relay's config. The key of the relay's own is made up; the simulator takes
no other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .clouds import DEPLOYMENT, KEY_ID, PROJECT, REGION, SECRET, aws
from .programs import Relay, Sim
from .tap import Message, Tap

RELAY_KEY = "relay-key-for-tests"

#: The model that clients ask for; each entry says what it is called there.
MODEL = "claude-opus-5-5"

STATIC = {"aws_region": REGION, "aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET}
KEYS = {"keys": [{"key": "fake-key"}]}
ACCEPT = ["--accept-key", "fake-key"]


@dataclass
class Upstream:
    """A simulator's flags, the path of its base URL, and the rest of its entry."""

    flags: list[str]
    base: str
    entry: dict = field(default_factory=dict)


def vendor(name: str, base: str, model: str, keyed: bool = True) -> Upstream:
    credential = ACCEPT if keyed else ["--no-credential"]
    entry = {"type": name, "model_mapping": {"*": model}, **(KEYS if keyed else {})}
    return Upstream(["--dialect", name, "--model", model, *credential], base, entry)


UPSTREAMS = {
    "bedrock": Upstream(
        aws("bedrock"), "", {"type": "bedrock", "model_prefix": "eu.anthropic.", **STATIC}
    ),
    "mantle": Upstream(
        aws("mantle"), "/anthropic", {"type": "bedrock", "runtime": "mantle", **STATIC}
    ),
    "vertex": Upstream(
        ["--dialect", "vertex", "--project", PROJECT, *ACCEPT],
        "/v1",
        {"type": "vertex", "gcp_project_id": PROJECT, "gcp_region": "europe-west1", **KEYS},
    ),
    "foundry": Upstream(
        ["--dialect", "foundry", "--deployment", DEPLOYMENT, *ACCEPT],
        "/anthropic",
        {"type": "azure", "model_mapping": {"*": DEPLOYMENT}, **KEYS},
    ),
    "zai": vendor("zai", "/api/anthropic", "glm-4.6"),
    "minimax": vendor("minimax", "/anthropic", "MiniMax-M2"),
    "ollama": vendor("ollama", "", "qwen3-coder", keyed=False),
}


class Chain:
    """client -> tap -> relay -> for each upstream: tap -> simulator

    The first upstream is asked first, the others when it fails.
    """

    def __init__(self, folder: Path, *names: str):
        self.sims, self.taps, entries = [], [], []
        for name in names:
            upstream = UPSTREAMS.get(name) or Upstream([], "", {"type": "anthropic", **KEYS})
            sim = Sim(*upstream.flags)
            tap = Tap(sim.address)
            self.sims.append(sim)
            self.taps.append(tap)
            entries.append({"name": name, **upstream.entry, "base_url": tap.url + upstream.base})
        config = {"server": {"auth": {"api_key": RELAY_KEY}}, "providers": entries}
        self.relay = Relay(folder, entries[0]["base_url"], config)
        self.tap = Tap(self.relay.address)
        self.url = self.tap.url

    def posts(self, at: int = 0) -> list[dict]:
        """What one upstream was asked, without the relay's own checks."""
        return [each for each in self.sims[at].requests() if each["method"] == "POST"]

    def answers(self, at: int = 0) -> list[Message]:
        """What one upstream answered, without the relay's own checks."""
        exchanges = self.taps[at].exchanges()
        return [each.response for each in exchanges if each.method == "POST" and each.response]

    def refusals(self, at: int = 0) -> list[tuple[int, str]]:
        """Each refusal of one upstream: its status and its words."""
        return [
            (each.start[0], each.body.decode(errors="replace"))
            for each in self.answers(at)
            if each.start[0] != 200
        ]

    def close(self) -> None:
        self.tap.close()
        code = self.relay.stop()
        for each in self.taps:
            each.close()
        for each in self.sims:
            each.stop()
        assert code == 0, self.relay.said
        assert "panicked" not in self.relay.said, self.relay.said
