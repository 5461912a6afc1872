"""Backups of a whole home: made while it is used, sealed under its root, verified, restored with rights replayed."""
