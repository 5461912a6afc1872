"""Rotation of keys: epochs, and what is sealed, indexed or signed under keys; each resumable, each in the log."""
