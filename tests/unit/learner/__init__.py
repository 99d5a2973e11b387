"""The learner's repository: its scripts and its course files."""
