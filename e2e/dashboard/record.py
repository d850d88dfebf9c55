"""Records what a relay's metrics page says over a while: `recording.om.gz`, which `dashboard.test.mjs` draws.

In: the folder of the built binaries (`E2E_BIN`), how long, and where to. Out: OpenMetrics with
times, gzipped: each line is one that the relay printed, with the time of the scrape and the labels
that Prometheus would add. The relay is the real one, its upstreams are simulators that `play.py`
makes fail, its clients hold conversations. All traffic stays on 127.0.0.1 and is bounded.

    E2E_BIN=target/debug python3 e2e/dashboard/record.py
"""

from __future__ import annotations

import argparse
import gzip
import re
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "python"))

from play import Play  # noqa: E402
from relay_e2e.programs import HTTP  # noqa: E402

#: Seconds between two scrapes, as in contrib/prometheus/prometheus.yaml.
INTERVAL = 15

#: What Prometheus adds with the settings in contrib/prometheus.
ADDED = 'instance="127.0.0.1:9100",job="cc-relay"'

SAMPLE = re.compile(r"^(?P<name>[a-z0-9_]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")


def scrape(url: str) -> str:
    with HTTP.open(url, timeout=10) as answer:
        return answer.read().decode()


def watch(url: str, play: Play, minutes: float) -> list[tuple[int, str]]:
    """Scrapes at whole intervals while the play goes on."""
    began = time.time()
    pages = []
    while (passed := time.time() - began) < minutes * 60:
        play.at(passed / (minutes * 60))
        if time.time() >= (due := (pages[-1][0] if pages else int(began)) + INTERVAL):
            pages.append((due, scrape(url)))
        time.sleep(0.2)
    return pages


def merged(pages: list[tuple[int, str]]) -> str:
    """Writes the pages as one, in which each series has its samples in the order of time."""
    families: dict[str, tuple[list[str], dict[str, list[str]]]] = {}
    for at, page in pages:
        family = ""
        for line in page.splitlines():
            if line.startswith("# "):
                family = line.split()[2] if line != "# EOF" else ""
                head, _ = families.setdefault(family, ([], {}))
                if line not in head:
                    head.append(line)
                continue
            found = SAMPLE.match(line)
            if not found:
                raise RuntimeError(f"not a sample: {line}")
            labels = ",".join(filter(None, [ADDED, found["labels"]]))
            series = f"{found['name']}{{{labels}}}"
            families[family][1].setdefault(series, []).append(f"{series} {found['value']} {at}")
    families.pop("", None)
    lines = []
    for head, series in families.values():
        lines += head
        for samples in series.values():
            lines += samples
    return "\n".join([*lines, "# EOF", ""])


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--minutes", type=float, default=12, help="how long (default: 12, at most 60)")
    words.add_argument("--out", type=Path, default=HERE / "recording.om.gz")
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as folder, Play(Path(folder)) as play:
        pages = watch(play.metrics, play, min(given.minutes, 60))
    text = merged(pages)
    # Without a time of its own: the same pages make the same file.
    given.out.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    print(f"{len(pages)} scrapes, {len(text)} bytes, {given.out.stat().st_size} gzipped: {given.out}")
    print(f"{play.asked} requests: {dict(sorted(play.seen.items()))}")


if __name__ == "__main__":
    main()
