"""Fixtures of the end-to-end tests."""

import pytest

from relay_e2e.sides import Relayed, Sides


@pytest.fixture
def sides(tmp_path):
    """Straight to the upstream and through the relay; compared when the test ends."""
    both = Sides(tmp_path)
    yield both
    both.close()


@pytest.fixture
def relayed(tmp_path):
    """Starts relays with settings of their own; each is stopped when the test ends."""
    started = []

    def start(config):
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Relayed(folder, config))
        return started[-1]

    yield start
    for side in started:
        found = side.differences()
        side.close()
        assert not found, "the relay was seen:\n" + "\n".join(found)
