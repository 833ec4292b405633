"""A gateway whose error counter has another name."""
