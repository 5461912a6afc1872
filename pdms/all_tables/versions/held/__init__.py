"""Revisions of the part `held`."""
