"""Revisions of the part `anon`."""
