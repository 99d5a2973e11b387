"""Faults to practise on: what there is to break, what it teaches, and what is broken now. Pure."""
