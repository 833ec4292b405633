"""Loads the suite's own plugin; everything else stands in it."""

from __future__ import annotations

pytest_plugins = ["conformance.plugin"]
