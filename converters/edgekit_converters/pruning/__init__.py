"""The least important part of a model goes, and what is left learns from what it was (docs/pruning.md)."""
