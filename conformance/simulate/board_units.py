"""
What a query's value is counted in, and what a panel says that it is counted in.

It knows how metrics are named and Grafana's names of units; it must not know dashboards' files or a contract.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from fixtures.language.rules import near
from fixtures.language.tree import Node

SECOND, BYTE, RATIO, DOLLAR, COUNT = "seconds", "bytes", "a ratio", "dollars", "a count"


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """A value is `scale` times its quantity in the base unit, `per` 1 if it is by the second."""

    base: str
    per: int = 0
    scale: float = 1.0

    def words(self) -> str:
        many = f" times {self.scale:g}" if self.scale != 1 else ""
        return f"{self.base}{' per second' if self.per else ''}{many}"


_GROWS: Final = re.compile(r"timestamp|start_time|boot_time|last_seen|_created$|expiry|mtime")
_SUFFIXES: Final = (
    ("_seconds", SECOND),
    ("_bytes", BYTE),
    ("_ratio", RATIO),
    ("_dollars", DOLLAR),
    ("_milliseconds", ""),
)
_ALIKE: Final = frozenset(
    {"increase", "delta", "idelta", "avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "abs", "ceil"}
    | {"floor", "round", "clamp", "clamp_min", "clamp_max", "sort", "sort_desc", "label_replace", "label_join"}
    | {"last_over_time", "quantile_over_time", "scalar", "vector", "stddev_over_time"}
)
_PER_SECOND: Final = frozenset({"rate", "irate", "deriv"})


def quantity_of_name(name: str) -> Quantity | None:
    """What a metric's name says that it counts; None where it says nothing."""
    if _GROWS.search(name):
        return None
    if name.endswith(("_bucket", "_count")):
        return Quantity(base=COUNT)
    bare = name.removesuffix("_total").removesuffix("_sum")
    for suffix, base in _SUFFIXES:
        if bare.endswith(suffix):
            return Quantity(base=base) if base else Quantity(base=SECOND, scale=1000)
    return Quantity(base=COUNT) if name.endswith("_total") else None


def quantity(node: Node, of_metric: Callable[[str], Quantity | None]) -> Quantity | None:
    """What an expression's value counts; `of_metric` says it of a series' name. None where it cannot be told."""
    match node.kind:
        case "paren" | "range" | "subquery" | "unary":
            return quantity(node.parts[0], of_metric)
        case "selector":
            return of_metric(node.name) if node.name else None
        case "aggregate":
            if node.name in {"count", "group", "count_values"}:
                return Quantity(base=COUNT)
            return None if node.name == "stdvar" else quantity(node.parts[-1], of_metric)
        case "call":
            return _of_call(node, of_metric)
        case "binary":
            return _of_operator(node, of_metric)
    return None


def _of_call(node: Node, of_metric: Callable[[str], Quantity | None]) -> Quantity | None:
    vectors = [part for part in node.parts if part.kind != "string" and part.constant is None]
    if not vectors:
        return None
    if node.name == "histogram_quantile":
        selector = next(iter(node.having("selector")), None)
        buckets = selector is not None and selector.name.endswith("_bucket")
        return of_metric(selector.name.removesuffix("_bucket")) if selector is not None and buckets else None
    if node.name in {"count_over_time", "changes", "resets"}:
        return Quantity(base=COUNT)
    inner = quantity(vectors[0], of_metric)
    if inner is None:
        return None
    if node.name in _PER_SECOND:
        if inner.per:
            return None
        return replace(inner, base=RATIO) if inner.base == SECOND else replace(inner, per=1)
    return inner if node.name in _ALIKE else None


def _of_operator(node: Node, of_metric: Callable[[str], Quantity | None]) -> Quantity | None:
    left, right = node.parts
    first, second = (quantity(each, of_metric) for each in node.parts)
    if node.name in {"==", "!=", ">", "<", ">=", "<="}:
        return None if node.bool_ else first if left.constant is None else second
    if node.name in {"and", "unless"}:
        return first
    if node.name in {"or", "+", "-"}:
        return first or second
    if node.name == "*":
        return _product(first, second, left.constant, right.constant)
    if node.name == "/":
        if right.constant is not None:
            return replace(first, scale=first.scale / right.constant) if first and right.constant else None
        return _quotient(first, second)
    return None


def _product(
    first: Quantity | None, second: Quantity | None, left: float | None, right: float | None
) -> Quantity | None:
    if left is not None:
        return replace(second, scale=second.scale * left) if second and left else None
    if right is not None:
        return replace(first, scale=first.scale * right) if first and right else None
    if first is not None and second is not None and RATIO in {first.base, second.base}:
        other = second if first.base == RATIO else first
        return replace(other, scale=first.scale * second.scale)
    return None


def _quotient(above: Quantity | None, below: Quantity | None) -> Quantity | None:
    if above is None or below is None:
        return None
    scale = above.scale / below.scale
    if (above.base, above.per) == (below.base, below.per):
        return Quantity(base=RATIO, scale=scale)
    if above.per == below.per and below.base == COUNT:
        return Quantity(base=above.base, scale=scale)
    # Processor time and wall time by the second are ratios, so a mean of them has a count by the second below.
    if above.base == RATIO and below == Quantity(base=COUNT, per=1):
        return Quantity(base=SECOND, scale=scale)
    return None


# --- Grafana's units ------------------------------------------------------------------------------------------------

NEUTRAL: Final = frozenset({"short", "none", "locale", "sishort", "string", "bool", "bool_yes_no", "bool_on_off"})
"""Units that say nothing of what is counted."""

_TIMES: Final = {"s": 1, "ms": 1e3, "µs": 1e6, "us": 1e6, "ns": 1e9, "m": 1 / 60, "h": 1 / 3600, "d": 1 / 86400}
_DURATIONS: Final = {"dtdurations": 1, "dtdurationms": 1e3, "dthms": 1, "clocks": 1, "clockms": 1e3, "timeticks": 100}
_SIZES: Final = {
    "bytes": 1,
    "decbytes": 1,
    "bits": 8,
    "decbits": 8,
    **{f"{sign}bytes": 1024.0**-power for power, sign in enumerate("kmgtp", start=1)},
    **{f"dec{sign}bytes": 1000.0**-power for power, sign in enumerate("kmgtp", start=1)},
}
_FLOWS: Final = {
    "Bps": 1,
    "binBps": 1,
    "bps": 8,
    "binbps": 8,
    **{f"{sign}Bs": 1000.0**-power for power, sign in enumerate("KMGTP", start=1)},
    **{f"{sign}iBs": 1024.0**-power for power, sign in enumerate("KMGTP", start=1)},
    **{f"{sign}bits": 8 * 1000.0**-power for power, sign in enumerate("KMGTP", start=1)},
}
_RATES: Final = ("reqps", "ops", "cps", "rps", "wps", "iops", "eps", "mps", "recps", "rowsps", "pps")
_BY_MINUTE: Final = ("opm", "cpm", "rpm", "wpm", "reqpm", "epm", "mpm", "recpm", "rowspm")
UNITS: Final[Mapping[str, Quantity]] = {
    **{name: Quantity(base=SECOND, scale=scale) for name, scale in {**_TIMES, **_DURATIONS}.items()},
    **{name: Quantity(base=BYTE, scale=scale) for name, scale in _SIZES.items()},
    **{name: Quantity(base=BYTE, per=1, scale=scale) for name, scale in _FLOWS.items()},
    **{name: Quantity(base=COUNT, per=1) for name in _RATES},
    **{name: Quantity(base=COUNT, per=1, scale=60) for name in _BY_MINUTE},
    "percentunit": Quantity(base=RATIO),
    "percent": Quantity(base=RATIO, scale=100),
    "currencyUSD": Quantity(base=DOLLAR),
}
_OTHERS: Final = re.compile(
    r"(?:currency|dateTime|temp|volt|amp|watt|joule|humidity|pressure|length|mass|vel|acc|angle|area|conc|flow|force"
    r"|rot|lux|candela|Misc|hex|sci|time:|si:|count:|none|percent|k?watt|hertz|rothz|celsius|farenheit|kelvin|degree"
    r"|radian|pixel|dB|ms|locale|litre|mlitre|m3|bool|year|month|week|ppm|dtdateTime)"
)
_WRITTEN: Final = {"ms": "ms", "s": "s", "%": "percent", "B": "bytes", "bytes": "bytes", "µs": "µs"}


def unit_named(unit: str) -> Quantity | None:
    """What a unit of Grafana counts; None for one that says nothing or is not known here."""
    if unit.startswith("suffix:"):
        unit = _WRITTEN.get(unit.partition(":")[2].strip(), "")
    return UNITS.get(unit) or (UNITS["currencyUSD"] if unit.startswith("currency") else None)


def unknown_unit(unit: str) -> str:
    """What is wrong with a unit's name, or nothing: Grafana writes one that it does not know behind the number."""
    if not unit or unit in UNITS or unit in NEUTRAL or unit.startswith(("suffix:", "prefix:")) or _OTHERS.match(unit):
        return ""
    close = near(unit, [*UNITS, *NEUTRAL])
    return f"Grafana is not known to have a unit {unit[:40]!r}{close}" if close else ""


def contradiction(shown: Quantity, unit: str) -> str:
    """How a panel's unit misleads about a value of this quantity; nothing where it does not."""
    said = unit_named(unit)
    if said is None:
        if unit in NEUTRAL and shown.base in {SECOND, BYTE, DOLLAR}:
            return f"the value is {shown.words()}, and {unit} shows a number without a unit"
        return ""
    if shown.base == DOLLAR and said.base == DOLLAR:
        return ""
    if (shown.base, shown.per) != (said.base, said.per):
        return f"the value is {shown.words()}, and {unit} reads it as {replace(said, scale=1).words()}"
    factor = shown.scale / said.scale
    # Kibibytes for kilobytes are a habit, not a lie.
    if 0.8 <= factor <= 1.25:
        return ""
    size = f"{1 / factor:g} times too small" if factor < 1 else f"{factor:g} times too large"
    return f"the value is {shown.words()}, and {unit} shows it {size}"
