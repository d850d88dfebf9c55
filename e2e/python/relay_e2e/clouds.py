"""The clouds' official clients against simulators that speak the clouds' dialects.

In: a cloud's name. Out: its client, its simulator, and a file with what the
client sent, for a test that compares what the relay sends.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import anthropic
from anthropic.lib.bedrock import AnthropicBedrockMantle

from .programs import Sim

#: Fake: only the simulator knows them.
KEY_ID, SECRET, TOKEN = "AKIDFAKEFORTESTS", "fake/secret+for=tests", "fake-session-token//+="
REGION, PROJECT, DEPLOYMENT = "eu-central-1", "fake-project", "my-opus"

#: Headers that say nothing of the request, or another thing each time.
IDLE = ("host", "content-length", "user-agent", "accept-encoding", "connection", "x-amz-date")


@dataclass
class Cloud:
    """A simulator's flags, the client to it, and the model's name there."""

    flags: list[str]
    client: Callable[[str], Any]
    model: str


def sent(record: dict) -> dict:
    """The parts of a request that a relay must send in the same way."""
    headers = {name.lower(): value for name, value in record["headers"]}
    kept = {
        name: value
        for name, value in sorted(headers.items())
        if name not in IDLE and not name.startswith("x-stainless-")
    }
    if "authorization" in kept:
        # The signature differs each time; what it covers does not.
        kept["authorization"] = kept["authorization"].partition(", Signature=")[0]
        scheme, _, rest = kept["authorization"].partition(" ")
        kept["authorization"] = f"{scheme} {rest.partition('SignedHeaders=')[2]}".strip()
    return {
        "method": record["method"],
        "path": record["path_and_query"],
        "headers": kept,
        "body": json.loads(record["body"]),
    }


def keep(name: str, requests: list[dict]) -> Path:
    """Writes what a client sent to `target/e2e/requests`."""
    folder = Path(os.environ["E2E_BIN"]).parent / "e2e" / "requests"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps([sent(request) for request in requests], indent=2) + "\n")
    return path


def signing(token: str = "") -> dict:
    """The arguments of a client that signs."""
    more = {"aws_session_token": token} if token else {}
    return {"aws_access_key": KEY_ID, "aws_secret_key": SECRET, "aws_region": REGION, **more}


def aws(dialect: str, token: str = "") -> list[str]:
    key = ":".join(filter(None, [KEY_ID, SECRET, token]))
    return ["--dialect", dialect, "--aws-key", key, "--region", REGION]


PATIENCE = {"max_retries": 0, "timeout": 60}

PROFILE = "arn:aws:bedrock:eu-central-1:111122223333:application-inference-profile/abc123"

CLOUDS = {
    "bedrock": Cloud(
        aws("bedrock"),
        lambda url: anthropic.AnthropicBedrock(base_url=url, **signing(), **PATIENCE),
        "eu.anthropic.claude-opus-5-5",
    ),
    "bedrock-session": Cloud(
        aws("bedrock", TOKEN),
        lambda url: anthropic.AnthropicBedrock(base_url=url, **signing(TOKEN), **PATIENCE),
        PROFILE,
    ),
    "bedrock-bearer": Cloud(
        [*aws("bedrock"), "--accept-key", "fake-bearer"],
        lambda url: anthropic.AnthropicBedrock(
            base_url=url, api_key="fake-bearer", aws_region=REGION, **PATIENCE
        ),
        "eu.anthropic.claude-opus-5-5",
    ),
    "mantle": Cloud(
        aws("mantle"),
        lambda url: AnthropicBedrockMantle(base_url=f"{url}/anthropic", **signing(), **PATIENCE),
        "anthropic.claude-opus-5-5",
    ),
    "vertex": Cloud(
        ["--dialect", "vertex", "--project", PROJECT, "--accept-key", "ya29.fake"],
        lambda url: anthropic.AnthropicVertex(
            base_url=f"{url}/v1",
            region="europe-west1",
            project_id=PROJECT,
            access_token="ya29.fake",
            **PATIENCE,
        ),
        "claude-sonnet-4-5@20250929",
    ),
    "foundry": Cloud(
        ["--dialect", "foundry", "--deployment", DEPLOYMENT, "--accept-key", "fake-key"],
        lambda url: anthropic.AnthropicFoundry(
            base_url=f"{url}/anthropic", api_key="fake-key", **PATIENCE
        ),
        DEPLOYMENT,
    ),
    "foundry-entra": Cloud(
        ["--dialect", "foundry", "--deployment", DEPLOYMENT, "--accept-key", "fake-token"],
        lambda url: anthropic.AnthropicFoundry(
            base_url=f"{url}/anthropic", azure_ad_token_provider=lambda: "fake-token", **PATIENCE
        ),
        DEPLOYMENT,
    ),
}


class Side:
    """A cloud that runs."""

    def __init__(self, name: str):
        cloud = CLOUDS[name]
        self.sim = Sim(*cloud.flags)
        self.client = cloud.client(self.sim.url)
        self.model = cloud.model

    def close(self) -> None:
        self.client.close()
        self.sim.stop()
