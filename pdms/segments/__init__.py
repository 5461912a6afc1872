"""Segments: rules over the columns of a feature view, never lists of people."""
