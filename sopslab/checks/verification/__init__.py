"""What observations mean. Pure: facts in, a verdict out."""
