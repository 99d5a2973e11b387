"""Judgements of what was seen: pure functions."""
