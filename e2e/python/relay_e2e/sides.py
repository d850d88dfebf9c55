"""The same scenario twice: straight to the upstream, and through the relay.

In: the scripts that the upstream plays, and what a client does. Out: what the
client saw on each side. After each test every exchange that went through the
relay is compared with what the upstream received and sent, byte by byte.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Callable

from .compare import differences, headers, HOP_BY_HOP
from .programs import NoRelay, Relay, Sim
from .tap import Exchange, Tap


#: Looks at the taps before a difference is one: a bound, never a measure.
LOOKS = 100


class Direct:
    """client -> tap -> upstream"""

    name = "direct"

    def __init__(self):
        self.sim = Sim()
        self._tap = Tap(self.sim.address)
        self.url = self._tap.url

    def client_exchanges(self) -> list[Exchange]:
        return self._tap.exchanges()

    def upstream_exchanges(self) -> list[Exchange]:
        return self._tap.exchanges()

    def close(self) -> None:
        self._tap.close()
        self.sim.stop()


class Relayed:
    """client -> tap -> relay -> tap -> upstream"""

    name = "relayed"

    def __init__(self, folder: Path, config: dict | None = None):
        self.sim = Sim()
        self._upstream_tap = Tap(self.sim.address)
        if os.environ.get("E2E_WITHOUT_RELAY"):
            self.relay = NoRelay(self._upstream_tap.address)
        else:
            self.relay = Relay(folder, self._upstream_tap.url, config)
        self._client_tap = Tap(self.relay.address)
        self.url = self._client_tap.url

    def client_exchanges(self) -> list[Exchange]:
        return self._client_tap.exchanges()

    def upstream_exchanges(self) -> list[Exchange]:
        return self._upstream_tap.exchanges()

    def differences(self) -> list[str]:
        """What the relay changed.

        A client that leaves is back before the taps have seen it go: they are looked at again for
        a while before something is a difference.
        """
        for _ in range(LOOKS):
            found = differences(self.client_exchanges(), self.upstream_exchanges())
            if not found:
                break
            time.sleep(0.05)
        return found

    def close(self) -> None:
        self._client_tap.close()
        code = self.relay.stop()
        self._upstream_tap.close()
        self.sim.stop()
        assert code == 0, f"the relay ended with {code}:\n{self.relay.said}"
        assert "panicked" not in self.relay.said, self.relay.said


class Sides:
    """Both ways to the upstream."""

    def __init__(self, folder: Path):
        self.direct = Direct()
        self.relayed = Relayed(folder)
        self._all = (self.direct, self.relayed)

    def both(self, scripts: list[dict], act: Callable[[str], Any]) -> Any:
        """Does the same on each side, and returns what was the same on both."""
        relayed = self.each(scripts, act)
        ours, theirs = (summary(side.upstream_exchanges()) for side in (self.relayed, self.direct))
        assert ours == theirs
        return relayed

    def each(self, scripts: list[dict], act: Callable[[str], Any]) -> Any:
        """As `both`, where the client itself sends something else at each run."""
        direct, relayed = (self._on(side, scripts, act) for side in self._all)
        assert relayed == direct, f"direct: {direct!r}\nrelayed: {relayed!r}"
        return relayed

    def on_relay(self, scripts: list[dict], act: Callable[[str], Any]) -> Any:
        """Does it through the relay alone, where a direct client would behave worse."""
        return self._on(self.relayed, scripts, act)

    def close(self) -> None:
        found = self.relayed.differences()
        for side in self._all:
            side.close()
        assert not found, "the relay was seen:\n" + "\n".join(found)

    @staticmethod
    def _on(side: Direct | Relayed, scripts: list[dict], act: Callable[[str], Any]) -> Any:
        for script in scripts:
            side.sim.script(script)
        return act(side.url)


def summary(exchanges: list[Exchange]) -> list[tuple]:
    """What must be the same when a client does the same twice."""
    return [
        (each.method, each.target, headers(each.request, HOP_BY_HOP | {"host"}), each.request.sha256)
        for each in exchanges
    ]
