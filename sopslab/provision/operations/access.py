"""Operations on learners' access: kubeconfigs, and new passwords. If a seat fails, this is recorded
in a file for the seat, and the other seats go on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import operation

from sopslab.cards.card import card_of
from sopslab.cards.page import own_page
from sopslab.checks.access import CURRENT, MISSING
from sopslab.config.enrolled import class_in_words
from sopslab.config.naming import new_generation
from sopslab.config.settings import Seat, Settings
from sopslab.files.events import named, note
from sopslab.gitserver.pages import PLACE
from sopslab.lab.act import access, accounts
from sopslab.lab.act.handouts import hand_out, withdraw
from sopslab.lab.observe.access import access_ends, seat_access
from sopslab.lab.observe.handouts import handed_out, stale_handouts
from sopslab.lab.observe.issuers import known_issuer
from sopslab.lab.observe.users import retired_access, seat_generations, seat_users, unbound_users
from sopslab.provision.command import Commands, acting, refusal
from sopslab.provision.known import enrolled
from sopslab.provision.look import look

# How many seconds the cluster has to show that it signs certificates, to issue access, and to know
# another user.
CHOSEN_WITHIN = 10
ISSUED_WITHIN = 30
KNOWN_WITHIN = 60


@operation()
def generations(settings: Settings, seats: Sequence[str]) -> Commands:
    """
    Give each seat that has no generation of access a new one, which no certificate ever had. The
    name of a seat's user contains its generation.

    + settings: the lab's settings
    + seats: the ids of the seats
    """
    known = look(settings, seat_generations)
    missing = [seat for seat in seats if seat not in known]
    if not missing:
        host.noop("the access of every seat has a generation")
        return
    yield acting(settings, access.begin_generations, generations=_new_generations(missing))


def _new_generations(seats: Sequence[str]) -> dict[str, str]:
    return {seat: new_generation() for seat in seats}


@operation()
def issuer(settings: Settings) -> Commands:
    """
    Find out how learners can log in to a cluster that the lab did not make: with certificates that
    the cluster signs, or with tokens.

    + settings: the lab's settings
    """
    if look(settings, known_issuer) is not None:
        host.noop("it is known what learners log in with")
        return
    # Imported here and below: it brings cryptography, and most runs issue nothing.
    from sopslab.lab.act import issuers

    yield acting(settings, issuers.choose, within=CHOSEN_WITHIN)


@operation()
def kubeconfigs(settings: Settings, seats: Sequence[str]) -> Commands:
    """
    Give every seat a kubeconfig, with a certificate or a token that the cluster has issued.

    + settings: the lab's settings
    + seats: the ids of the seats
    """
    states = look(settings, seat_access, seats=list(seats))
    wanted = [seat for seat in seats if states.get(seat, MISSING) != CURRENT]
    if not wanted:
        host.noop("every learner has access")
        return
    for reason in sorted({states[seat] for seat in wanted if states.get(seat, MISSING) != MISSING}):
        note(f"{reason} ({named([seat for seat in wanted if states.get(seat) == reason])})")
    known = look(settings, seat_users)
    # A seat without a generation has already failed, and the reason is recorded.
    users = {seat: known[seat] for seat in wanted if seat in known}
    if users:
        from sopslab.lab.act.kubeconfigs import issue

        yield acting(settings, issue, users=users, within=ISSUED_WITHIN)


@operation()
def handouts(settings: Settings, roster: Sequence[Seat]) -> Commands:
    """
    Have the Git server hand out each learner's page and kubeconfig to that learner, and the CA's
    certificate to everybody.

    + settings: the lab's settings
    + roster: the seats, with their learners
    """
    ca = None
    if settings.networked:
        from sopslab.lab.observe.certificates import tls_state

        ca = look(settings, tls_state).ca
    ends = look(settings, access_ends, seats=[seat.id for seat in roster])
    pages = {
        seat.id: own_page(card_of(settings, seat, None, ca, ends.get(seat.id)), PLACE)
        for seat in roster
    }
    digests = {seat: hashlib.sha256(page.encode()).hexdigest() for seat, page in pages.items()}
    stale = look(settings, stale_handouts, pages=digests)
    if not stale:
        host.noop("every learner can fetch their own")
        return
    yield acting(settings, hand_out, pages={seat: pages[seat] for seat in stale})


@operation()
def withdrawal(settings: Settings) -> Commands:
    """
    Have the Git server stop handing out files, because they lead to a cluster that is gone.

    + settings: the lab's settings
    """
    if not look(settings, handed_out):
        host.noop("nothing is handed out")
        return
    yield acting(settings, withdraw)


@operation()
def bindings(settings: Settings, seats: Sequence[str], shut: Sequence[str] = ()) -> Commands:
    """
    Wait until Flux has given the present user of each seat its rights in the cluster, and has taken
    the rights of earlier users.

    + settings: the lab's settings
    + seats: the ids of the seats
    + shut: the ids of the seats whose access has ended, where no user has rights
    """
    awaited = look(settings, unbound_users, seats=list(seats), shut=list(shut))
    if not awaited:
        host.noop("the cluster lets in the right users")
        return
    yield acting(settings, access.await_bound, users=awaited, within=KNOWN_WITHIN)


@operation()
def replacement(settings: Settings, seats: Sequence[str]) -> Commands:
    """
    Give seats another password on the lab's own Git server, and a new generation of access, so that
    the next access to the cluster is issued to another user.

    + settings: the lab's settings
    + seats: the ids of the seats whose access is replaced
    """
    if not seats:
        host.noop("no access is to be replaced")
        return
    known = [seat.id for seat in enrolled(settings)]
    unknown = [seat for seat in seats if seat not in known]
    if unknown:
        yield refusal(f"there is no seat {', '.join(unknown)}: {class_in_words(known)}")
        return
    # Before the password changes, the old access is kept, so that `proof` can try it.
    yield acting(settings, access.retire, generations=_new_generations(seats))
    if settings.git_url is not None:
        note(f"the password at {settings.git_url} stays: it is not this lab's")
        return
    yield acting(settings, accounts.renew, users=list(seats))


@operation()
def proof(settings: Settings, seats: Sequence[str]) -> Commands:
    """
    Prove that the old access of seats no longer opens anything, and that the new access works.

    + settings: the lab's settings
    + seats: the ids of the seats whose access was replaced
    """
    retired = look(settings, retired_access, seats=list(seats))
    if not retired:
        host.noop("no old access is left to be looked at")
        return
    yield acting(settings, access.prove, seats=retired, within=KNOWN_WITHIN)
