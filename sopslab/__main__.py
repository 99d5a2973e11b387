"""`python -m sopslab` is the command `sopslab`."""

from sopslab.cli.main import main

main(prog_name="sopslab")
