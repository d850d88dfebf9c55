"""What the README tells people to type exists."""

import re
import subprocess
from pathlib import Path

import pytest

from relay_e2e.programs import binary, profile

README = (Path(__file__).parents[3] / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\b[^\n]*\n(.*?)^```", README, re.S | re.M)


def commands():
    """The words after `cargo run --release --`, without comments."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    start = "cargo run --release -- "
    return [line.removeprefix(start).split("#")[0].split() for line in lines if line.startswith(start)]


def test_the_readme_has_commands():
    assert ["demo"] in commands()
    assert ["serve"] in commands()


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_of_the_readme_exists(words, tmp_path):
    done = subprocess.run(
        [binary("cc-relay"), *words, "--help"],
        env={"HOME": str(tmp_path), **profile()},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("code", blocks("python"), ids=["python"])
def test_the_python_of_the_readme_runs(code):
    names = {}
    exec(code.replace("Anthropic(", "Anthropic(api_key='sk-ant-fake-for-tests', "), names)
    assert "127.0.0.1:8787" in str(names["client"].base_url)


def test_the_demo_ends_as_the_readme_shows(tmp_path):
    done = subprocess.run(
        [binary("cc-relay"), "demo", "--for", "4s"],
        env={"HOME": str(tmp_path), **profile()},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    printed = without_numbers(done.stdout + done.stderr)
    (shown,) = blocks("text")
    for line in shown.splitlines():
        assert without_numbers(line) in printed, done.stdout + done.stderr
    assert "0 answers different" in done.stdout + done.stderr
    assert "0 requests changed on their way" in done.stdout + done.stderr


def without_numbers(text):
    return re.sub(r"\d+", "N", text)
