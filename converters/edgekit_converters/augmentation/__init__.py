"""New texts out of given ones (docs/students.md)."""
