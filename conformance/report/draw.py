"""
Draws what it reads, Vega's JSON, as SVG: a process of its own, beside the run that it is told of.

The engine behind Vega keeps threads that no fork survives, and a hundred mebibytes; neither is a test run's business.
In: a list of specifications. Out: a list as long, of `{"svg": …}` or `{"error": …}`.
"""

from __future__ import annotations

import json
import sys

import vl_convert


def main() -> int:
    """Draw standard input to standard output; what cannot be drawn is told in its place."""
    drawn: list[dict[str, str]] = []
    for spec in json.load(sys.stdin):
        try:
            drawn.append({"svg": vl_convert.vega_to_svg(spec)})
        except ValueError as error:
            drawn.append({"error": str(error)})
    json.dump(drawn, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
