"""What is pinned, and where it comes from."""
