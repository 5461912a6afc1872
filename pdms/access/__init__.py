"""Operators, their API keys, and the short-lived tokens that let a member act for themself."""
