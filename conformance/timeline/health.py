"""What was seen of a service's health during a run: the looks, frozen; it knows nothing of promises."""

from __future__ import annotations

from dataclasses import dataclass

from fixtures.load.looks import Look, OutsideLook


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthSeen:
    """Every look at the health paths from beside the service, and every look of the outside prober."""

    looks: tuple[Look, ...]
    outside: tuple[OutsideLook, ...]
    control: tuple[Look, ...] = ()
    """Looks at something idle beside the service: how long they take is the machine's doing."""
    starved: tuple[tuple[float, float], ...] = ()
    """For how long in all, by instant, the service and what it asks were ready to run and had no processor; seconds."""
    prober: str = ""
    """The configuration that the outside prober says it has loaded; empty where it was not read."""
    prober_trouble: str = ""
    """Why it could not be read."""

    def at(self, method: str, path: str) -> tuple[Look, ...]:
        """The looks at one path in one method, in order."""
        return tuple(look for look in self.looks if look.method == method and look.path == path)

    def waited(self, start: float, end: float) -> float:
        """Seconds in [start, end], and to the samples around it, for which a processor was waited for."""
        before = [total for at, total in self.starved if at <= start] or [total for _, total in self.starved[:1]]
        after = [total for at, total in self.starved if at >= end] or [total for _, total in self.starved[-1:]]
        return after[0] - before[-1] if before and after else 0.0

    @property
    def lag(self) -> float:
        """The largest time that a look went out late, in seconds: how late the looking itself was."""
        return max((look.sent - look.due for look in self.looks), default=0.0)
