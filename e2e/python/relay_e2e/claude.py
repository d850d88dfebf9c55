"""Runs the real Claude Code as a person's script would: `claude -p`.

In: the base URL, a prompt, and more words of its command line. Out: what it
printed, event by event, and its exit code. It runs in an empty home with an
empty environment, a made-up key and no way to anything but the base URL.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

#: Long enough for the client's own waits, far below what a hang would take.
PATIENCE = 100

SESSION = "11111111-2222-4333-8444-555555555555"


def program() -> str:
    """The fetched binary; its package is named after the platform."""
    packages = Path(os.environ["E2E_NODE"]) / "node_modules/@anthropic-ai"
    found = sorted(packages.glob("claude-code-*/claude"))
    if not found:
        raise RuntimeError(f"no Claude Code in {packages}: run `cargo xtask test`, which fetches it")
    return str(found[0].resolve())


@dataclass
class Run:
    """One run of Claude Code."""

    code: int
    events: list[dict]
    stdout: str
    stderr: str

    @property
    def result(self) -> dict:
        """The closing event."""
        found = [event for event in self.events if event.get("type") == "result"]
        assert found, f"no result; exit code {self.code}\n{self.stdout}\n{self.stderr}"
        return found[-1]

    @property
    def answer(self) -> str:
        """The text that a person would see."""
        return self.result.get("result", "")

    @property
    def failed(self) -> bool:
        return bool(self.result.get("is_error"))

    def tool_results(self) -> list[str]:
        """What the tools said, in order."""
        found = []
        for event in self.events:
            content = event.get("message", {}).get("content", []) if event.get("type") == "user" else []
            for block in content if isinstance(content, list) else []:
                if block.get("type") == "tool_result":
                    found.append(as_text(block.get("content")))
        return found


def as_text(content) -> str:
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content or [])


class Claude:
    """An installation of Claude Code with a home of its own."""

    def __init__(self, folder: Path):
        self._folder = folder
        self.fresh()

    def fresh(self) -> None:
        """Forgets every earlier conversation."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self.home = self._folder / "home"
        self.place = self._folder / "project"
        for each in (self.home, self.place):
            each.mkdir(parents=True)
        # Sent as the device's id; fixed, so that two runs send the same bytes.
        (self.home / ".claude.json").write_text(json.dumps({"userID": "0" * 64}))

    def run(self, url: str, prompt: str, *words: str, session: bool = True, **environment: str) -> Run:
        command = [
            program(),
            *("-p", prompt, "--output-format", "stream-json", "--verbose"),
            *("--dangerously-skip-permissions",),
            *(("--session-id", SESSION) if session else ()),
            *words,
        ]
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self._folder),
            "IS_SANDBOX": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "3",
            "ANTHROPIC_API_KEY": "sk-ant-fake-for-tests",
            "ANTHROPIC_BASE_URL": url,
            **environment,
        }
        done = subprocess.run(
            command,
            env=variables,
            cwd=self.place,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return Run(done.returncode, events, done.stdout, done.stderr)
