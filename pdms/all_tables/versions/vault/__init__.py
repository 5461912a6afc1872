"""Revisions of the part `vault`."""
