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

    def at(self, method: str, path: str) -> tuple[Look, ...]:
        """The looks at one path in one method, in order."""
        return tuple(look for look in self.looks if look.method == method and look.path == path)

    @property
    def lag(self) -> float:
        """The largest time that a look went out late, in seconds: how late the looking itself was."""
        return max((look.sent - look.due for look in self.looks), default=0.0)
