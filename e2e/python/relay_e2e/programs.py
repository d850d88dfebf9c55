"""Starts the simulator and the relay, and stops them.

In: the folder of the built binaries (`E2E_BIN`). Out: running programs with
their addresses. Nothing listens on a fixed port; nothing outlives its test.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

#: How long a program may take to listen, or to stop.
PATIENCE = 30

#: Proxies of this machine are not asked: all traffic stays on 127.0.0.1.
HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def binary(name: str) -> str:
    """The path of a binary, as the task that runs these tests has built it."""
    path = Path(os.environ["E2E_BIN"]) / name
    if not path.exists():
        raise RuntimeError(f"{path} is not there: run `cargo xtask test`, which builds it")
    return str(path.resolve())


def profile() -> dict[str, str]:
    """Where an instrumented binary writes what was run, if it is one (`cargo xtask coverage`)."""
    name = "LLVM_PROFILE_FILE"
    return {name: os.environ[name]} if name in os.environ else {}


class Program:
    """A program of ours that listens."""

    #: What it prints once it listens, with its URL.
    LISTENS = re.compile(r"https?://127\.0\.0\.1:(\d+)")

    def __init__(self, words: list[str], **options):
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        self._lines: list[str] = []
        self._url: str | None = None
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        with self._changed:
            ready = self._changed.wait_for(lambda: self._url or self._ended(), PATIENCE)
        if not ready or not self._url:
            self.stop()
            raise RuntimeError(f"{words[0]} does not listen; it said:\n{self.said}")
        self.url = self._url

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return (parts.hostname, parts.port)

    @property
    def said(self) -> str:
        """All that it printed so far."""
        return "\n".join(self._lines)

    def stop(self) -> int:
        """Asks it to stop and returns its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def _ended(self) -> bool:
        return self._process.poll() is not None

    def _read(self) -> None:
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                found = self.LISTENS.search(line)
                if found and self._url is None and self.announces(line):
                    self._url = found.group(0)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def announces(self, line: str) -> bool:
        """Whether the line names the program's own address."""
        return True


class Sim(Program):
    """The scripted upstream, and its control endpoint."""

    def __init__(self, *words: str):
        super().__init__([binary("cc-relay-sim"), "--listen", "127.0.0.1:0", "--json", *words])

    def script(self, script: dict) -> None:
        """Queues the answer to one more request."""
        self._ask("POST", "/__sim/script", script)

    def default(self, script: dict) -> None:
        """Sets the answer for when the queue is empty."""
        self._ask("POST", "/__sim/default", script)

    def requests(self) -> list[dict]:
        """Every request as the upstream received it."""
        return json.loads(self._ask("GET", "/__sim/requests"))

    def stats(self) -> dict:
        """Counts, among them what is open now."""
        return json.loads(self._ask("GET", "/__sim/stats"))

    def wait_for(self, wanted) -> dict:
        """Asks until the counts are as wanted; a state that never comes is a failure."""
        end = time.monotonic() + PATIENCE
        while True:
            stats = self.stats()
            if wanted(stats):
                return stats
            if time.monotonic() > end:
                raise AssertionError(f"the upstream's counts did not get there: {stats}")
            time.sleep(0.02)

    def _ask(self, method: str, path: str, body: dict | None = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        request.add_header("content-type", "application/json")
        try:
            with HTTP.open(request, timeout=PATIENCE) as answer:
                return answer.read()
        except urllib.error.HTTPError as fault:
            raise RuntimeError(f"{method} {path}: {fault.code} {fault.read().decode()}") from None


class Relay(Program):
    """`cc-relay serve` in front of one upstream, and of those that the config adds."""

    def __init__(self, folder: Path, upstream: str, config: dict | None = None):
        settings = {
            "server": {"listen": "127.0.0.1:0"},
            "providers": [{"name": "upstream", "type": "anthropic", "base_url": upstream}],
            "logging": {"format": "json", "level": "info"},
            # What a test counts at its upstreams is its own.
            "routing": {"model_lists": False},
        }
        for section, values in (config or {}).items():
            if isinstance(values, dict):
                settings.setdefault(section, {}).update(values)
            else:
                settings[section] = [{**settings.get(section, [{}])[0], **values[0]}, *values[1:]]
        path = folder / "config.yaml"
        # Every JSON document is a YAML document.
        path.write_text(json.dumps(settings, indent=2))
        path.chmod(0o600)
        self._upstreams = [each["base_url"] for each in settings["providers"]]
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **profile()}
        words = [binary("cc-relay"), "serve", "--config", str(path)]
        super().__init__(words, env=environment, cwd=folder)

    def announces(self, line: str) -> bool:
        return not any(upstream in line for upstream in self._upstreams)


class NoRelay:
    """Stands where the relay would, and is not there: for checking the tests themselves."""

    said = ""

    def __init__(self, upstream: tuple[str, int]):
        self.address = upstream

    def stop(self) -> int:
        return 0
