"""`python -m sopslab` is the command `sopslab`."""

from sopslab.cli import main

main(prog_name="sopslab")
