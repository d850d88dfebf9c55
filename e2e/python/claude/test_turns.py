"""Claude Code through the relay: ordinary work, the same as without the relay."""

import json
import os
import subprocess

import pytest

from relay_e2e import scripts
from relay_e2e.claude import SESSION, Claude
from relay_e2e.programs import binary, profile


@pytest.fixture
def claude(tmp_path):
    return Claude(tmp_path / "claude")


def shown(run):
    """What a person sees, and whether it worked."""
    return run.answer, run.failed, run.code, run.tool_results()


def test_a_text_turn(sides, claude):
    def act(url):
        claude.fresh()
        return shown(claude.run(url, "say hi"))

    answer, failed, code, _ = sides.both([scripts.text("hello from upstream")], act)
    assert (answer, failed, code) == ("hello from upstream", False, 0)
    (request,) = sides.relayed.upstream_exchanges()
    assert request.target == "/v1/messages?beta=true"
    assert request.request.header("x-claude-code-session-id") == [SESSION]


def test_a_tool_turn(sides, claude):
    call = scripts.tool_use("Bash", {"command": "echo from-the-tool", "description": "says a word"})

    def act(url):
        claude.fresh()
        return shown(claude.run(url, "run it"))

    answer, failed, _, results = sides.both([call, scripts.text("it ran")], act)
    assert (answer, failed) == ("it ran", False)
    assert results == ["from-the-tool"]
    assert len(sides.relayed.upstream_exchanges()) == 2


def test_a_conversation_is_continued(sides, claude):
    thought = scripts.thinking("a thought \u2014 with \U0001f914", "c2lnbmF0dXJl" * 9, "first answer")

    def act(url):
        claude.fresh()
        first = claude.run(url, "one")
        second = claude.run(url, "two", "--continue", session=False)
        return shown(first), shown(second)

    first, second = sides.both([thought, scripts.text("second answer")], act)
    assert (first[0], second[0]) == ("first answer", "second answer")
    history = json.loads(sides.relayed.sim.requests()[1]["body"])["messages"]
    assert "c2lnbmF0dXJl" * 9 in json.dumps(history)


def test_a_subagent_answers(sides, claude):
    call = scripts.tool_use(
        "Agent",
        {"description": "look", "prompt": "look around", "subagent_type": "general-purpose"},
    )
    answers = [call, scripts.text("seen by the subagent"), scripts.text("all is well")]

    def act(url):
        claude.fresh()
        run = claude.run(url, "ask a subagent", CLAUDE_CODE_DISABLE_BACKGROUND_TASKS="1")
        return run.answer, run.failed

    # The agent's id is made up by each run: only what is shown is the same on both sides.
    assert sides.each(answers, act) == ("all is well", False)
    agents = [
        each.request.header("x-claude-code-agent-id") for each in sides.relayed.upstream_exchanges()
    ]
    assert len(agents) == 3
    assert sum(bool(agent) for agent in agents) == 1


def test_the_context_command_counts_tokens_in_a_burst(sides, claude):
    def act(url):
        claude.fresh()
        run = claude.run(url, "/context")
        return run.code, run.failed

    assert sides.each([], act) == (0, False)
    counted = [
        each
        for each in sides.relayed.upstream_exchanges()
        if each.target.startswith("/v1/messages/count_tokens")
    ]
    assert len(counted) > 5
    assert all(each.status == 200 for each in counted)


def test_models_are_discovered(sides, claude):
    def act(url):
        claude.fresh()
        return shown(claude.run(url, "say hi", CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY="1"))

    assert sides.each([scripts.text("hello")], act)[0] == "hello"
    targets = [each.target for each in sides.relayed.upstream_exchanges()]
    assert "/v1/models?limit=1000" in targets


RELAY_KEY = "relay-key-for-tests"


@pytest.mark.parametrize(
    "given",
    [
        {"ANTHROPIC_API_KEY": RELAY_KEY},
        {"ANTHROPIC_API_KEY": "", "ANTHROPIC_AUTH_TOKEN": RELAY_KEY},
        {"ANTHROPIC_API_KEY": RELAY_KEY, "ANTHROPIC_AUTH_TOKEN": RELAY_KEY},
    ],
    ids=["key", "token", "both"],
)
def test_the_relays_key_is_taken_wherever_claude_code_puts_it(relayed, claude, given):
    side = relayed(
        {
            "server": {"auth": {"api_key": RELAY_KEY}},
            "providers": [{"keys": [{"key": "sk-ant-upstream-for-tests"}]}],
        }
    )
    side.sim.script(scripts.text("let in"))
    assert claude.run(side.url, "say hi", **given).answer == "let in"
    (request,) = side.upstream_exchanges()
    assert request.request.header("x-api-key") == ["sk-ant-upstream-for-tests"]
    assert request.request.header("authorization") == []


def test_what_cc_init_writes_makes_claude_code_whole(relayed, claude):
    side = relayed({})
    side.sim.script(scripts.text("hello"))
    words = [binary("cc-relay"), "config", "cc", "init", "--yes", "--url", side.url]
    home = {"PATH": os.environ["PATH"], "HOME": str(claude.home), **profile()}
    subprocess.run(words, env=home, cwd=claude.place, check=True, capture_output=True, timeout=60)
    # The shell says something else: a settings file wins.
    run = claude.run("http://127.0.0.1:1", "say hi")
    assert run.answer == "hello"
    sent = side.upstream_exchanges()
    assert "/v1/models?limit=1000" in [each.target for each in sent], "model discovery"
    (turn,) = [each for each in sent if each.target.startswith("/v1/messages")]
    tools = {tool["name"]: tool for tool in json.loads(turn.request.body)["tools"]}
    assert tools["Bash"]["eager_input_streaming"], "fine-grained tool streaming"
