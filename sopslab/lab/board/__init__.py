"""A look at a whole class."""
