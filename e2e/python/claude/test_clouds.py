"""Claude Code in its cloud modes, straight at a simulator of that cloud.

The simulator is as strict as the cloud is said to be; a client that the cloud
was made for must not meet a refusal there. What it sent is kept, for a test
that compares what the relay sends.
"""

import json

import pytest

from relay_e2e.claude import Claude
from relay_e2e.clouds import DEPLOYMENT, KEY_ID, PROJECT, REGION, SECRET, aws, keep
from relay_e2e.programs import Sim

CLOUDS = {
    "bedrock": (
        aws("bedrock"),
        lambda url: {
            "CLAUDE_CODE_USE_BEDROCK": "1",
            "ANTHROPIC_BEDROCK_BASE_URL": url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        },
    ),
    "vertex": (
        ["--dialect", "vertex", "--project", PROJECT, "--no-credential"],
        lambda url: {
            "CLAUDE_CODE_USE_VERTEX": "1",
            "CLAUDE_CODE_SKIP_VERTEX_AUTH": "1",
            "ANTHROPIC_VERTEX_BASE_URL": f"{url}/v1",
            "ANTHROPIC_VERTEX_PROJECT_ID": PROJECT,
            "CLOUD_ML_REGION": "global",
        },
    ),
    "foundry": (
        ["--dialect", "foundry", "--deployment", DEPLOYMENT],
        lambda url: {
            "CLAUDE_CODE_USE_FOUNDRY": "1",
            "ANTHROPIC_FOUNDRY_BASE_URL": f"{url}/anthropic",
            "ANTHROPIC_FOUNDRY_API_KEY": "fake-key",
            "ANTHROPIC_MODEL": DEPLOYMENT,
            "ANTHROPIC_SMALL_FAST_MODEL": DEPLOYMENT,
        },
    ),
}

ANSWER = "All is well in the cloud."


@pytest.mark.parametrize("name", CLOUDS)
def test_claude_code_is_not_refused_by_its_cloud(name, tmp_path):
    flags, environment = CLOUDS[name]
    sim = Sim(*flags)
    try:
        sim.default({"text": ANSWER})
        run = Claude(tmp_path).run(sim.url, "How is it?", **environment(sim.url))
        posts = [each for each in sim.requests() if each["method"] == "POST"]
    finally:
        sim.stop()
    assert not run.failed
    assert run.answer == ANSWER
    # A refusal would make it ask again, without what was refused.
    turns = [each for each in posts if len(json.loads(each["body"]).get("tools", [])) > 1]
    assert len(turns) == 1, [each["path_and_query"] for each in turns]
    keep(f"claude-{name}", turns)
