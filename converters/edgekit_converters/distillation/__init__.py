"""A small model learns to answer as a big one does (docs/students.md)."""
