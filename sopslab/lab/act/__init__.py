"""What changes something on the lab's machine. Each survives being killed at any moment."""
