"""Several models answer as one (docs/combining.md)."""
