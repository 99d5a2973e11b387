"""What leaked, what of it is still worth something, and how it is replaced."""
