"""What Claude Code said and got, as the history keeps it."""

import json
import subprocess
import time

from relay_e2e import scripts
from relay_e2e.claude import Claude
from relay_e2e.programs import PATIENCE, binary, profile


def test_a_conversation_is_kept_word_for_word_and_by_its_project(relayed, tmp_path):
    file = tmp_path / "relay.db"
    side = relayed({"history": {"file": str(file), "bodies": True}})
    claude = Claude(tmp_path / "claude")
    side.sim.script(scripts.text("first answer"))
    side.sim.script(scripts.text("second answer"))
    assert claude.run(side.url, "one").answer == "first answer"
    second = claude.run(side.url, "two", "--continue", session=False)
    assert second.answer == "second answer"

    home = {"HOME": str(tmp_path), **profile()}

    def ask(*words: str) -> bytes:
        command = [binary("cc-relay"), *words, "--history", str(file)]
        ran = subprocess.run(command, env=home, check=True, capture_output=True, timeout=PATIENCE)
        return ran.stdout

    # It is written behind the path of requests.
    end = time.monotonic() + PATIENCE
    kept = []
    while len(kept) < 2 and time.monotonic() < end:
        kept = json.loads(ask("requests", "--json"))["data"]["requests"]
    exchanges = side.client_exchanges()
    assert len(kept) == len(exchanges) == 2
    for request, exchange in zip(kept, exchanges):
        assert ask("request", request["name"], "--body", "request") == exchange.request.body
        assert ask("request", request["name"], "--body", "response") == exchange.response.body
    (group,) = json.loads(ask("usage", "--by", "project", "--json"))["data"]["groups"]
    assert (group["name"], group["requests"]) == (str(claude.place), 2)
