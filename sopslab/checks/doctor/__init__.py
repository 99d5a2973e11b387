"""Why secrets do not arrive."""
