"""How far a stage is: done of total, how fast, and when it will be done."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Lock

SEEN = 50  # updates that the rate is taken over: what was slow an hour ago says little


class Pace:
    """Progress of one stage; may be updated from any thread.

    Parameters
    ----------
    unit : of what is counted, one of them: `clip`, `layer`.
    clock : seconds that only grow.
    """

    def __init__(self, unit: str = "step", clock: Callable[[], float] = time.monotonic):
        self.unit, self._clock = unit, clock
        self.begun = clock()
        self.done, self.total = 0, 0
        self._seen: deque[tuple[float, int]] = deque(maxlen=SEEN)
        self._lock = Lock()

    def update(self, done: int, total: int) -> None:
        """So many are done, of so many."""
        with self._lock:
            if not self._seen or done < self.done:
                self._seen.clear()
                self._seen.append((self.begun if not done else self._clock(), done))
            elif done > self.done:
                self._seen.append((self._clock(), done))
            self.done, self.total = done, total

    @property
    def seconds(self) -> float:
        """Since the stage began."""
        return self._clock() - self.begun

    @property
    def rate(self) -> float | None:
        """Units a second, of late; None before anything was done."""
        with self._lock:
            if len(self._seen) < 2:
                return None
            (start, first), (_, last) = self._seen[0], self._seen[-1]
        passed = self._clock() - start
        return (last - first) / passed if passed > 0 else None

    @property
    def left(self) -> float | None:
        """Seconds until it is done at this rate; None where there is no saying."""
        rate = self.rate
        return (self.total - self.done) / rate if rate and self.total else None

    def words(self) -> str:
        """`120/800 clips, 3.2 clips/s, 0:03:32 left`; "" before anything is known."""
        if not self.total:
            return ""
        parts = [f"{self.done}/{self.total} {self.unit}s"]
        if rate := self.rate:
            speed = f"{rate:.3g} {self.unit}s/s" if rate >= 1 else f"{1 / rate:.3g} s a {self.unit}"
            parts.append(speed)
        if (left := self.left) is not None and self.done < self.total:
            parts.append(f"{clock_time(left)} left")
        return ", ".join(parts)


def clock_time(seconds: float) -> str:
    """h:mm:ss, days in front where there are some."""
    days, rest = divmod(int(seconds + 0.5), 86400)
    hours, rest = divmod(rest, 3600)
    text = f"{hours}:{rest // 60:02}:{rest % 60:02}"
    return f"{days} d {text}" if days else text
