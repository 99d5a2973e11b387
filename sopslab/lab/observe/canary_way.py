"""Where the canary of a lab without a class gets lost."""

from __future__ import annotations

from sopslab.checks.canaries import lost
from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.lab.observe.environments import begun
from sopslab.model.canaries import Link


def broken_link(lab: Lab, environment: Environment, link: Link | None) -> str:
    """Return in words what keeps the canary from arriving.

    + link: the first link that was missing at the last look; None if the Git server did not answer
    """
    if link is None:
        return f"the Git server does not answer at {lab.git_base_url}/{environment.repository}.git"
    # These imports take longer than all the rest of a wait, and most canaries are not lost.
    from concurrent.futures import ThreadPoolExecutor

    from sopslab.lab.observe.cluster import Asked
    from sopslab.lab.observe.keys import PublicKeys

    with ThreadPoolExecutor(2) as executor:
        asked = Asked(lab, environment)
        return lost(asked.look(begun(lab, environment), PublicKeys(lab), executor), link)
