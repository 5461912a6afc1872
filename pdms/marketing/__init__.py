"""Campaigns and what marketing may learn: on anonymised releases and rounded counts only."""
