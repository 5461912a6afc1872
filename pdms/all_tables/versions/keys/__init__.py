"""Revisions of the part `keys`."""
