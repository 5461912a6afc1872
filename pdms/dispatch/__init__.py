"""Dispatch: the only door back to members. A rule comes in, messages go out, noised counts come back."""
