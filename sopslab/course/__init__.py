"""The chapter: its exercise, its faults and its questions."""
