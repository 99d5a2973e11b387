"""A deploy with a mistake in an operation, for the tests of the runner."""

from pyinfra.api import operation

from sopslab.provision.command import Commands
from sopslab.run.session import begin


@operation()
def mistaken() -> Commands:
    """Have a mistake."""
    raise RuntimeError("this operation is broken")
    yield


begin()
mistaken(name="Make a mistake")
