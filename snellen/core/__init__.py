"""Knows nothing of the rest: names, errors, seeds, run folder, event log."""
