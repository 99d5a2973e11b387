"""Operations on a lab's files on the host."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pyinfra import host
from pyinfra.api import operation

from sopslab.checks.takeover import FORMAT, takeover_plan, unfit
from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.lab.act import leases
from sopslab.lab.act.removal import purge, purge_own
from sopslab.lab.act.takeover import take_over
from sopslab.lab.observe import folders
from sopslab.lab.observe import leases as observed
from sopslab.lab.observe.failures import seat_failures
from sopslab.lab.observe.formats import lab_format
from sopslab.provision.command import Commands, acting, refusal, script
from sopslab.provision.look import look


@operation()
def beginning(settings: Settings, unknown: Sequence[str] = ()) -> Commands:
    """
    Forget the failures of an earlier run, and refuse learners who have no environment.

    + settings: the lab's settings
    + unknown: the learners who were named and have no environment
    """
    if unknown:
        yield refusal(
            f"there is no environment of {', '.join(unknown)}: `sopslab up` makes those of a roster"
        )
        return
    if not look(settings, seat_failures):
        host.noop("no earlier run left a failure")
        return
    yield script('rm -rf "$1/failed"', settings.class_dir)


@operation()
def leftovers(settings: Settings) -> Commands:
    """
    Remove files that a killed run has left half written. A file is named `.new.*` or `*.new` until
    it is complete.

    + settings: the lab's settings
    """
    found = look(settings, folders.leftovers)
    if not found:
        host.noop("no run was killed")
        return
    yield script('rm -rf -- "$@"', *found)


@operation()
def compatibility(settings: Settings, oldest: int) -> Commands:
    """
    Refuse a lab that a newer version has worked on, or that has to be taken over first.

    + settings: the lab's settings
    + oldest: the oldest format that is accepted
    """
    refused = unfit(look(settings, lab_format), oldest)
    if refused is None:
        host.noop("the lab is of no other version")
        return
    yield refusal(refused)


@operation()
def format(settings: Settings) -> Commands:
    """
    Bring the lab's folder to the format of this version, and record both before anything else is
    written there.

    + settings: the lab's settings
    """
    found = look(settings, lab_format)
    plan = takeover_plan(found)
    if found is not None and not plan:
        host.noop(f"the lab has format {FORMAT}, by this version")
        return
    for sentence in plan:
        note(sentence)
    yield acting(settings, take_over)


@operation()
def lease(settings: Settings) -> Commands:
    """
    Record the lease of a lab, beginning anew if the recorded lease has ended. Remove the record if
    the lab has no lease.

    + settings: the lab's settings
    """
    found = look(settings, observed.lease)
    if settings.lease is None:
        if found is None:
            host.noop("the lab is to stay")
            return
        note(f"the lab was to stay until {found.until}")
        yield acting(settings, leases.withdraw)
        return
    wanted = (settings.lease, settings.git_port, settings.docker_host)
    if (
        found is not None
        and (found.hours, found.git_port, found.docker_host) == wanted
        and not found.ended(datetime.now(UTC))
    ):
        host.noop(f"the lab is to stay until {found.until}")
        return
    yield acting(settings, leases.grant, hours=settings.lease)


@operation()
def removal(settings: Settings) -> Commands:
    """
    Remove a lab: its keys, Git data and clone. With the last lab of a root, also remove the store,
    the links, the caches and the images; a lab with a lease leaves those for the next job.

    + settings: the lab's settings
    """
    if not look(settings, folders.lab_folder):
        host.noop("nothing is left of the lab")
        return
    yield acting(settings, purge if settings.lease is None else purge_own)
