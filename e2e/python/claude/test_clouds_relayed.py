"""Claude Code through the relay, with a simulator of another provider behind it.

Claude Code knows nothing of that provider: it talks to Anthropic, as far as it
can see. A turn with a tool must come to its end, the tool must run once, and
the provider must refuse nothing but what `REFUSED` says.
"""

import pytest

from relay_e2e import scripts
from relay_e2e.claude import Claude
from relay_e2e.upstreams import RELAY_KEY, UPSTREAMS, Chain

#: Words of what each refuses at first, and the relay leaves out from then on. Nothing at any: what
#: Claude Code sends and these cannot take, the relay's tables take out before anybody is asked.
REFUSED = {name: [] for name in UPSTREAMS}

TOOL = scripts.tool_use(
    "Bash", {"command": "echo ran >> ran.txt; echo from-the-tool", "description": "says a word"}
)


@pytest.fixture
def chain(tmp_path):
    started = []

    def start(*names):
        folder = tmp_path / "relay"
        folder.mkdir()
        started.append(Chain(folder, *names))
        return started[-1]

    yield start
    for each in started:
        each.close()


def tool_turn(chain, folder, at=-1):
    """Asks for a turn with a tool, and says that it was whole."""
    for script in (TOOL, scripts.text("it ran")):
        chain.sims[at].script(script)
    claude = Claude(folder / "claude")
    run = claude.run(chain.url, "run it", ANTHROPIC_API_KEY=RELAY_KEY)
    seen = run.stdout + run.stderr + chain.relay.said
    assert (run.answer, run.failed, run.tool_results()) == ("it ran", False, ["from-the-tool"]), seen
    assert (claude.place / "ran.txt").read_text() == "ran\n"
    # The client noticed nothing: one request a turn, each answered.
    asked = [each for each in chain.tap.exchanges() if each.method == "POST"]
    assert [each.status for each in asked] == [200, 200], seen
    assert RELAY_KEY not in str(chain.posts(at))
    return run


@pytest.mark.parametrize("name", UPSTREAMS)
def test_a_tool_turn_at(name, chain, tmp_path):
    chain = chain(name)
    tool_turn(chain, tmp_path)
    refusals = chain.refusals()
    assert len(refusals) == len(REFUSED[name]), refusals
    for (status, said), words in zip(refusals, REFUSED[name]):
        assert status == 400 and words in said
    assert len(chain.posts()) == len(chain.answers()) == 2 + len(refusals)


@pytest.mark.parametrize("name", ["bedrock", "vertex", "zai"])
def test_a_tool_turn_survives_the_death_of_anthropic_with_a_second_at(name, chain, tmp_path):
    chain = chain("anthropic-first", name)
    chain.sims[0].default(scripts.text("never seen", fault="reset-before-head"))
    run = tool_turn(chain, tmp_path)
    assert "never seen" not in run.stdout
    # The session stays where it found an answer.
    assert len(chain.posts(0)) == 1
    assert chain.refusals(1) == []
    assert len(chain.posts(1)) == 2
