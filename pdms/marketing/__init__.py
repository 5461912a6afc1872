"""Campaigns and what marketing may learn: on anonymised releases and noised counts only."""
