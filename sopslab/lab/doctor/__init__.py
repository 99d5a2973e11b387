"""A closer look at one environment."""
