"""What is known, without a look at anything."""
