"""What a classifier answers, counted while it works (docs/monitoring.md)."""
