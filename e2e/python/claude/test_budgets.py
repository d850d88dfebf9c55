"""Claude Code through a relay that a budget lets do no more."""

import json

from relay_e2e import scripts
from relay_e2e.claude import Claude


def test_a_spent_budget_ends_the_work_at_once_and_says_why(relayed, tmp_path):
    side = relayed(
        {
            "budgets": [{"name": "work", "per": "session", "tokens": 1}],
            "history": {"file": str(tmp_path / "relay.db")},
        }
    )
    claude = Claude(tmp_path / "claude")
    side.sim.script(scripts.text("first answer"))
    first = claude.run(side.url, "one")
    assert (first.answer, first.failed) == ("first answer", False)
    second = claude.run(side.url, "two", "--continue", session=False)
    assert second.failed
    assert "the budget work is spent" in second.answer
    assert len(side.sim.requests()) == 1
    # Claude Code asked once, took the answer for what it is, and did not ask again.
    served, refused = side.client_exchanges()
    assert (served.status, refused.status) == (200, 429)
    body = json.loads(refused.response.body)
    assert body["error"]["type"] == "billing_error"
