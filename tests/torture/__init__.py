"""Broken inputs for every reader: ``python tests/torture`` (docs/reliability.md)."""
