"""Gateways that are bent in one named way each, for the self-tests: real processes, judged by the real code path."""
