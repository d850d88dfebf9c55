"""What Prometheus's own tool says of the relay's metrics, alerts and settings."""

import json
import re
import subprocess
from pathlib import Path

from relay_e2e.programs import HTTP
from relay_e2e.scripts import text
from relay_e2e.sdk import client

CONTRIB = Path(__file__).parents[3] / "contrib" / "prometheus"
DASHBOARD = CONTRIB.parent / "grafana" / "cc-relay.json"


def promtool(*words: str, given: str | None = None) -> str:
    done = subprocess.run(
        ["promtool", *words], input=given, capture_output=True, text=True, cwd=CONTRIB, timeout=60
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def page(relay) -> str:
    url = re.search(r"http://[^ \"]+/metrics", relay.said)
    assert url, relay.said
    with HTTP.open(url.group(0), timeout=10) as answer:
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        return answer.read().decode()


def test_a_scrape_is_well_formed_and_has_every_metric_of_the_alerts(relayed):
    side = relayed({"metrics": {"enabled": True, "prometheus_listen": "127.0.0.1:0"}})
    side.sim.script(text("hello"))
    client(side.url).messages.create(
        model="claude-opus-5-5", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
    )
    scrape = page(side.relay)
    # The tool reads the older format, in which a counter's type is named with its `_total`.
    older = re.sub(r"^# (TYPE|HELP) (\S+) (.*)$", named(scrape), scrape, flags=re.M)
    older = "\n".join(line for line in older.splitlines() if not line.startswith(("# UNIT", "# EOF")))
    promtool("check", "metrics", given=older + "\n")
    known = set(re.findall(r"^# TYPE (\S+)", scrape, flags=re.M))
    for file in [*CONTRIB.glob("*.yaml"), DASHBOARD]:
        for name in set(re.findall(r"ccrelay_[a-z0-9_]+", file.read_text())):
            family = re.sub(r"_(total|bucket|count|sum)$", "", name)
            assert {name, family} & known, f"{file.name} names {name}, which nobody counts"


def named(scrape: str):
    """Writes the head of a counter as the older format wants it."""
    counters = set(re.findall(r"^# TYPE (\S+) counter$", scrape, flags=re.M))

    def rename(found: re.Match) -> str:
        kind, name, rest = found.groups()
        return f"# {kind} {name}{'_total' if name in counters else ''} {rest}"

    return rename


def test_alerts_fire_when_they_should_and_not_else():
    promtool("check", "rules", "alerts.yaml")
    promtool("test", "rules", "alerts.test.yaml")
    rules = re.findall(r"alert: (\w+)", (CONTRIB / "alerts.yaml").read_text())
    tested = (CONTRIB / "alerts.test.yaml").read_text()
    assert rules and all(f"alertname: {rule}" in tested for rule in rules)


def test_prometheus_takes_the_settings():
    assert "SUCCESS" in promtool("check", "config", "prometheus.yaml")


def test_prometheus_understands_every_question_of_the_dashboard(tmp_path):
    panels = json.loads(DASHBOARD.read_text())["panels"]
    questions = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(questions) >= len(panels) > 10
    # As rules, since these are what the tool reads.
    rules = [
        {"record": f"question:{number}", "expr": re.sub(r"\$\w+", ".*", question)}
        for number, question in enumerate(questions)
    ]
    # Every JSON document is a YAML document.
    file = tmp_path / "questions.yaml"
    file.write_text(json.dumps({"groups": [{"name": "questions", "rules": rules}]}))
    promtool("check", "rules", str(file))
