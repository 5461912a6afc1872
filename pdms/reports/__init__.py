"""What the compliance officer reads: consent coverage, decisions, evidence from the log."""
