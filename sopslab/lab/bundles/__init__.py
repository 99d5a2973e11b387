"""The product and everything that a lab is made of, in one file or over one connection."""
