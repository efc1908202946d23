"""A job's progress in the terminal: a line for each thing that happens, and below where the sweep stands.

Everything goes to standard error. Where that is no terminal, the lines alone are written. Computes nothing
but how much time may be left.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Self

from rich.console import Console
from rich.status import Status

from fcray.console import PHASES, config_text
from fcray.tracking.wording import METRICS, duration, percent


@dataclass
class Standing:
    """Where a sweep stands.

    Attributes
    ----------
    trials: How many there shall be in this command.
    rungs: How many rungs a whole trial reaches.
    deadline: When no trial starts any more, on the clock of `began`; None: never.
    began: When the sweep began, in seconds.
    """

    trials: int
    rungs: int
    deadline: float | None
    began: float
    running: dict[int, int] = field(default_factory=dict)
    ended: int = 0
    whole: int = 0
    best: tuple[float, int] | None = None

    def started(self, number: int) -> None:
        self.running[number] = 0

    def scored(self, number: int, rung: int, score: float) -> None:
        self.running[number] = rung
        if self.best is None or score > self.best[0]:
            self.best = (score, number)

    def finished(self, number: int) -> None:
        self.ended += 1
        self.whole += self.running.pop(number, 0) >= self.rungs

    def left(self, now: float) -> float | None:
        """Seconds that may be left: the trials to come taken to last as the ended ones did.

        None before a trial has ended, if there is no deadline either.
        """
        known = [] if self.deadline is None else [self.deadline - now]
        if self.ended:
            known.append((now - self.began) / self.ended * (self.trials - self.ended))
        return max(0.0, min(known)) if known else None

    def text(self, now: float) -> str:
        """`3 of 12 trials ended, 1 whole · trial 3 at rung 1 of 3 · best trial 0 with 93.2% · 8 min left`."""
        parts = [f"{self.ended} of {self.trials} trials ended, {self.whole} whole"]
        places = [f"{number} at rung {rung}" for number, rung in sorted(self.running.items())]
        if places:
            more = f" and {len(places) - 4} more" if len(places) > 4 else ""
            parts.append(f"trial {', '.join(places[:4])}{more} of {self.rungs}")
        if self.best is not None:
            parts.append(f"best trial {self.best[1]} with {percent(self.best[0])}")
        left = self.left(now)
        if left is not None:
            words = duration(left) if left >= 3600 else f"{round(left / 60)} min"
            parts.append(f"about {words} left" if left >= 60 else "less than a minute left")
        return " · ".join(parts)


class Progress:
    """A job's `Reporter`.

    Parameters
    ----------
    quiet: Say nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False)
        self._began = time.monotonic()
        self._standing: Standing | None = None
        self._status: Status | None = None

    def say(self, text: str) -> None:
        """One line, after the time."""
        spent = time.monotonic() - self._began
        stamp = f"{int(spent // 60):3d}:{int(spent % 60):02d}"
        if self._status is not None and self._standing is not None:
            self._status.update(f"[dim]{self._standing.text(time.monotonic())}[/]")
        self._console.print(f"[dim]{stamp}[/]  {text}")

    def phase(self, name: str) -> None:
        if self._status is not None:
            self._status.stop()
        self._standing = self._status = None
        self.say(f"[bold]{PHASES.get(name, name)}[/]")

    def note(self, text: str) -> None:
        self.say(f"[yellow]{text}[/]")

    def sweep_started(self, trials: int, rungs: int, minutes: float | None) -> None:
        now = time.monotonic()
        self._standing = Standing(trials, rungs, now + 60 * minutes if minutes else None, now)
        if self._console.is_terminal and not self._console.quiet:
            self._status = self._console.status(self._standing.text(now))
            self._status.start()

    def trial_started(self, number: int, config: dict[str, Any]) -> None:
        if self._standing:
            self._standing.started(number)
        self.say(f"  trial {number} starts: {config_text(config)}")

    def trial_scored(
        self, number: int, step: int, rung: int, score: float, scores: dict[str, float]
    ) -> None:
        if self._standing:
            self._standing.scored(number, rung, score)
        known = [(METRICS[name], value) for name, value in scores.items() if name in METRICS]
        figures = ", ".join(f"{name.lower()} {percent(value)}" for name, value in known)
        best = self._standing.best if self._standing else None
        which = f"  [dim]best: trial {best[1]}[/]" if best else ""
        self.say(f"  trial {number} at step {step}: {figures}{which}")

    def trial_ended(self, number: int) -> None:
        if self._standing:
            self._standing.finished(number)
        self.say(f"  trial {number} ended")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Take the standing off the screen, and give the cursor back."""
        if self._status is not None:
            self._status.stop()
