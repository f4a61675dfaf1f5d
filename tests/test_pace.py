"""Rate and time left of a stage, on a clock that the test turns."""

import pytest

from cli.pace import Pace, clock_time


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_rate_and_time_left(clock):
    pace = Pace("clip", clock)
    assert pace.words() == "" and pace.rate is None and pace.left is None
    pace.update(0, 800)
    assert pace.words() == "0/800 clips"
    clock.now = 10.0
    pace.update(32, 800)
    assert pace.rate == pytest.approx(3.2) and pace.left == pytest.approx(240)
    assert pace.words() == "32/800 clips, 3.2 clips/s, 0:04:00 left"
    clock.now = 20.0  # nothing came since: slower
    assert pace.rate == pytest.approx(1.6)
    pace.update(800, 800)
    assert pace.words().startswith("800/800 clips, ") and "left" not in pace.words()


def test_slow_units_are_told_in_seconds_each(clock):
    pace = Pace("layer", clock)
    pace.update(0, 4)
    clock.now = 24.0
    pace.update(2, 4)
    assert pace.words() == "2/4 layers, 12 s a layer, 0:00:24 left"


def test_the_rate_is_that_of_late(clock):
    pace = Pace("clip", clock)
    for done in range(200):
        clock.now += 10.0 if done < 100 else 1.0
        pace.update(done, 1000)
    assert pace.rate == pytest.approx(1.0)


def test_a_count_that_begins_anew_is_no_negative_rate(clock):
    pace = Pace("step", clock)
    clock.now = 5.0
    pace.update(7, 9)
    clock.now = 6.0
    pace.update(0, 3)
    clock.now = 8.0
    assert not pace.rate
    pace.update(1, 3)
    assert pace.rate > 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0:00:00"), (59.6, "0:01:00"), (3661, "1:01:01"), (90061, "1 d 1:01:01")],
)
def test_times(seconds, text):
    assert clock_time(seconds) == text
