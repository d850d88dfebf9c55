"""The relay in front of a simulator that speaks one provider's dialect.

In: a provider's name. Out: a running simulator, and the provider's entry in
the relay's config. The key of the relay's own is made up; the simulator takes
no other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .clouds import DEPLOYMENT, KEY_ID, PROFILE, PROJECT, REGION, SECRET, TOKEN, aws
from .programs import Relay, Sim

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


UPSTREAMS = {
    "bedrock": Upstream(
        aws("bedrock"), "", {"type": "bedrock", "model_prefix": "eu.anthropic.", **STATIC}
    ),
    "bedrock-session": Upstream(
        aws("bedrock", TOKEN),
        "",
        {
            "type": "bedrock",
            "model_mapping": {"*": PROFILE},
            **STATIC,
            "aws_session_token": TOKEN,
        },
    ),
    "bedrock-bearer": Upstream(
        [*aws("bedrock"), *ACCEPT],
        "",
        {"type": "bedrock", "model_prefix": "eu.anthropic.", "aws_region": REGION, **KEYS},
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
}


class Relayed:
    """relay -> simulator"""

    def __init__(self, folder: Path, name: str):
        upstream = UPSTREAMS[name]
        self.sim = Sim(*upstream.flags)
        base = self.sim.url + upstream.base
        entry = {"name": name, **upstream.entry, "base_url": base}
        config = {"server": {"auth": {"api_key": RELAY_KEY}}, "providers": [entry]}
        self.relay = Relay(folder, base, config)
        self.url = self.relay.url

    def posts(self) -> list[dict]:
        """What the upstream was asked, without the relay's own checks."""
        return [each for each in self.sim.requests() if each["method"] == "POST"]

    def close(self) -> None:
        code = self.relay.stop()
        self.sim.stop()
        assert code == 0, self.relay.said
        assert "panicked" not in self.relay.said, self.relay.said
