"""Revisions of each part, oldest first; made by `scripts/revision.py`, never altered once on a released branch."""
