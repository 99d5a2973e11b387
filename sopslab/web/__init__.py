"""The board: a page of the class that this machine serves to the instructor's browser."""
