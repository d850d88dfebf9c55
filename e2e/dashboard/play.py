"""The play that `record.py` records: a relay, three upstreams that fail by turns, and clients.

In: a folder for the relay's file. Out: a running relay with its metrics page. `at` moves the play on
by the share of it that is over. Chance is seeded. It must never leave a program running, ask
anything but 127.0.0.1, or use a credential that is not made up.
"""

from __future__ import annotations

import collections
import json
import random
import re
import threading
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from relay_e2e.programs import Program, Relay, Sim, binary
from relay_e2e.scripts import error, text

CLIENTS = {"ana": "fake-key-of-ana", "ben": "fake-key-of-ben", "nightly": "fake-key-of-nightly"}

#: Who talks to which model; each has one conversation after another.
TALKERS = [
    ("ana", "claude-opus-5-5"),
    ("ana", "claude-opus-5-5"),
    ("ana", "claude-haiku-5-5"),
    ("ben", "claude-sonnet-5-5"),
    ("ben", "claude-sonnet-5-5"),
    ("ben", "claude-haiku-5-5"),
    ("nightly", "claude-sonnet-5-5"),
]

#: No play sends more, however long it goes.
MOST_REQUESTS = 20_000

#: Flags of each upstream's simulator: organisations with limits of requests, input and output tokens.
FLAGS = {
    "anthropic": [
        *("--dialect", "anthropic"),
        *("--account", "fake-work=acme/work:90,400000,60000"),
        *("--account", "fake-spare=acme-spare/work:60,300000,40000"),
    ],
    "bedrock": [
        *("--dialect", "bedrock", "--region", "eu-central-1"),
        *("--accept-key", "fake-bedrock", "--account", "fake-bedrock=aws/work"),
    ],
    "zai": ["--dialect", "zai", "--account", "fake-zai=zai/work"],
}

#: Milliseconds until an upstream answers, about.
FIRST = {"anthropic": 450, "bedrock": 800, "zai": 250}

GLM = {"input": 0.6, "output": 2.2, "cache_read": 0.11, "cache_write_5m": 0, "cache_write_1h": 0}
PRICES = {"as_of": "2026-11-22", "source": "made up for the recording", "models": {"glm-4.7": GLM}}


class Upstream(Sim):
    """A simulator that comes back at its old address."""

    def __init__(self, name: str, listen: str = "127.0.0.1:0"):
        words = ["--listen", listen, "--json", "--keep-requests", "1", *FLAGS[name]]
        Program.__init__(self, [binary("cc-relay-sim"), *words])


def settings(urls: dict[str, str], folder: Path) -> dict:
    """The relay's file: haiku goes to Z.AI, all else to Anthropic, and to Bedrock where that fails."""
    prices = folder / "prices.json"
    prices.write_text(json.dumps(PRICES))
    # Each key with the requests a minute that the relay allows it.
    keys = {"anthropic": {"work": 60, "spare": 50}, "bedrock": {"bedrock": 80}, "zai": {"zai": 60}}
    more = {
        "bedrock": {"aws_region": "eu-central-1", "model_prefix": "eu.anthropic."},
        "zai": {"models": ["claude-haiku-*"], "model_mapping": {"claude-haiku-*": "glm-4.7"}},
    }
    return {
        "server": {"auth": {"keys": [{"name": name, "key": key} for name, key in CLIENTS.items()]}},
        "providers": [
            {
                "name": name,
                "type": name,
                "base_url": url,
                "keys": [
                    {"name": key, "key": f"fake-{key}", "rpm_limit": limit}
                    for key, limit in keys[name].items()
                ],
                **more.get(name, {}),
            }
            for name, url in urls.items()
        ],
        "routing": {
            "strategy": "model",
            "models": [
                {"match": "claude-haiku-*", "providers": ["zai", "bedrock"]},
                {"match": "claude-*", "providers": ["anthropic", "bedrock"]},
            ],
        },
        "health": {
            "health_check": {"interval_ms": 10000},
            "circuit_breaker": {"open_duration_ms": 20000},
        },
        "budgets": [
            {"name": "everybody", "usd": "20", "period": "day"},
            {"name": "nightly", "per": "client_key", "only": "nightly", "usd": "1.5", "period": "day"},
        ],
        "prices": {"list": str(prices)},
        "metrics": {"enabled": True, "prometheus_listen": "127.0.0.1:0"},
    }


class Play:
    """What runs while it is recorded."""

    def __init__(self, folder: Path):
        self._chance = random.Random(1)
        self._sims = {name: Upstream(name) for name in FLAGS}
        urls = {name: sim.url for name, sim in self._sims.items()}
        self._addresses = {name: url.removeprefix("http://") for name, url in urls.items()}
        try:
            self._relay = Relay(folder, urls["anthropic"], settings(urls, folder))
        except Exception:
            self._stop_sims()
            raise
        self.metrics = re.search(r"http://[^ \"]+/metrics", self._relay.said).group(0)
        self.asked = 0
        self.seen: collections.Counter = collections.Counter()
        self._over = threading.Event()
        self._talkers = [
            threading.Thread(target=self._talk, args=(number, *who), daemon=True)
            for number, who in enumerate(TALKERS)
        ]
        self._ticks = 0

    def __enter__(self) -> Play:
        for name in self._sims:
            self._answer(name)
        for talker in self._talkers:
            talker.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        for talker in self._talkers:
            talker.join(60)
        self._relay.stop()
        self._stop_sims()

    def _stop_sims(self) -> None:
        for sim in self._sims.values():
            sim.stop()

    def at(self, share: float) -> None:
        """Does what the play has for this moment; is called five times a second."""
        self._ticks += 1
        for name in ("anthropic", "bedrock"):
            self._be(name, self._addresses[name], away=is_away(name, share))
        # The rest goes by seconds.
        if self._ticks % 5:
            return
        if self._ticks % 50 == 0:
            for name in self._sims:
                self._answer(name, broken=name != "zai" and 0.78 <= share < 0.81)
        if "anthropic" in self._sims and self._chance.random() < 0.08:
            if 0.20 <= share < 0.36:
                self._sims["anthropic"].script(error(529, "overloaded_error", "Overloaded"))
            elif 0.60 <= share < 0.75:
                wait = [["retry-after", "8"]]
                self._sims["anthropic"].script(error(429, "rate_limit_error", "Too many", headers=wait))
        if 0.60 <= share < 0.74 and self._chance.random() < 0.15:
            self._sims["zai"].script(text("half", **self._pace("zai"), fault="reset-after-events:9"))

    def _be(self, name: str, address: str, *, away: bool) -> None:
        """Stops an upstream, or has it back where it was."""
        if away and name in self._sims:
            self._sims.pop(name).stop()
        if not away and name not in self._sims:
            self._sims[name] = Upstream(name, address)
            self._answer(name)

    def _answer(self, name: str, broken: bool = False) -> None:
        """Has an upstream answer from now on, a little slower or quicker than before."""
        if broken:
            self._sims[name].default(error(500, "api_error", "Internal server error"))
        else:
            self._sims[name].default(text("Done: ", **self._pace(name)))

    def _pace(self, name: str) -> dict:
        return {
            **({"model": "glm-4.7"} if name == "zai" else {}),
            "delay_head_ms": int(FIRST[name] * self._chance.uniform(0.7, 1.6)),
            "event_gap_ms": 25,
            "repeat_delta": {"times": self._chance.randint(15, 45), "text": "word "},
            "usage": {"output_tokens": self._chance.randint(200, 900)},
        }

    def _talk(self, number: int, client: str, model: str) -> None:
        """Holds conversations until the play is over."""
        chance = random.Random(number)
        relay = HTTPConnection(*self._relay.address, timeout=120)
        while not self._over.is_set():
            session = f"{chance.getrandbits(32):08x}-1111-4222-8333-444444444444"
            system = f"Project {chance.randint(1, 6)}. " + "What the project is about. " * 2400
            said: list[dict] = []
            for turn in range(chance.randint(6, 16)):
                said.append(marked(f"Turn {turn}. " + "Some file's text. " * chance.randint(20, 400)))
                body = {
                    "model": model,
                    "max_tokens": 1000,
                    "stream": True,
                    "system": [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}],
                    "messages": said,
                }
                self.seen[self._ask(relay, CLIENTS[client], session, body)] += 1
                said[-1]["content"][0].pop("cache_control")
                said.append({"role": "assistant", "content": "Done: " + "word " * 30})
                if self._over.wait(chance.uniform(1, 5)):
                    return

    def _ask(self, relay: HTTPConnection, key: str, session: str, body: dict) -> str:
        self.asked += 1
        if self.asked > MOST_REQUESTS:
            self._over.set()
        headers = {
            "x-api-key": key,
            "anthropic-version": "2023-06-01",
            "content-type": "application/json",
            "x-claude-code-session-id": session,
        }
        try:
            relay.request("POST", "/v1/messages", json.dumps(body), headers)
            answer = relay.getresponse()
            answer.read()
            return str(answer.status)
        except (HTTPException, OSError):
            relay.close()
            return "broken off"


def is_away(name: str, share: float) -> bool:
    """Whether an upstream cannot be reached: Anthropic for a while, later both for a moment."""
    return 0.82 <= share < 0.85 or (name == "anthropic" and 0.45 <= share < 0.55)


def marked(words: str) -> dict:
    """A user's message up to which the prompt is cached."""
    block = {"type": "text", "text": words, "cache_control": {"type": "ephemeral"}}
    return {"role": "user", "content": [block]}
