"""What the receivers of pages got."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.observe.client import ObserveError
from conformance.timeline.model import Notification

if TYPE_CHECKING:
    from conformance.observe.client import Client


def received(client: Client) -> tuple[Notification, ...]:
    """Every notification that arrived, refused ones too, in order of arrival."""
    rows = client.json("/received")
    try:
        found = [
            Notification(
                receiver=row["receiver"],
                at=float(row["at"]),
                accepted=bool(row["accepted"]),
                status=int(row["status"]),
                path=str(row.get("path", "")),
                body=row["body"] if isinstance(row["body"], dict) else {"raw": row["body"]},
            )
            for row in rows
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ObserveError(f"{client.name}: /received: has an entry of an unknown shape: {error!r}") from error
    return tuple(sorted(found, key=lambda one: one.at))
