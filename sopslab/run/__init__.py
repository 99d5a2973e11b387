"""One deploy as a process: what it is given, its lock, its log and its result."""
