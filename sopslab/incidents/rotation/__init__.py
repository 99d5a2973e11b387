"""What becomes of keys and values after an exposure: the plan, its record, and the proof. Pure."""
