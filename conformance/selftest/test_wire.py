"""The run's own network card: the kernel counts what goes over it, and it is gone when its owner is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.load.witness import machine
from fixtures.stack import wire
from fixtures.stack.wire import SIZE, Wire, WireError

CARDS = Path("/proc/net/dev")


def counted(name: str) -> tuple[int, int]:
    """
    Bytes in and out of a card.
    """
    (row,) = (line.split(":")[1].split() for line in CARDS.read_text(encoding="ascii").splitlines() if name in line)
    return int(row[0]), int(row[8])


def test_what_goes_over_the_card_is_counted_by_the_kernel() -> None:
    """
    As many bytes in as out, seen by whoever looks at the machine's cards; afterwards there is no such card.
    """
    try:
        card = Wire()
    except WireError as error:
        pytest.skip(str(error))
    with card:
        before, whole = counted(card.name), machine()
        for _ in range(700):
            card.exchange()
        after, now = counted(card.name), machine()

        assert after[0] - before[0] == 700 * SIZE
        # A kernel greets a new card with a packet or two of its own.
        assert 700 * SIZE <= after[1] - before[1] < 701 * SIZE
        assert now["sent"] - whole["sent"] >= 700 * SIZE

    assert card.name not in CARDS.read_text(encoding="ascii")


def test_where_no_card_can_be_made_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A kernel without TUN devices, or no right to use them, is one sentence.
    """
    monkeypatch.setattr(wire, "DEVICE", "/dev/net/nothing")

    with pytest.raises(WireError, match="/dev/net/nothing: No such file or directory"):
        Wire()
