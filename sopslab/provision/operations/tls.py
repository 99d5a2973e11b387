"""Operations on the lab's CA, and on the certificate of its Git server."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.settings import Settings
from sopslab.files.events import named, note
from sopslab.lab.act import certificates
from sopslab.lab.observe.certificates import server_file, tls_state
from sopslab.provision.command import Commands, acting, refusal
from sopslab.provision.look import look


@operation()
def ca(settings: Settings) -> Commands:
    """
    Make the lab's CA once. It is never overwritten, and a lost CA is never silently made anew.

    + settings: the lab's settings
    """
    state = look(settings, tls_state)
    if state.problem is not None:
        yield refusal(
            f"the CA in {settings.tls_dir} cannot be used: {state.problem}."
            " Restore it from your backup. A new one is trusted by no learner until they have its"
            f" ca.crt; if that is meant, remove {settings.tls_dir} and {server_file(settings)}"
        )
        return
    if state.foreign:
        yield refusal(
            f"the CA in {settings.tls_dir} may not vouch for {named(state.foreign)}, since it was"
            " made for a Git server with other names: remove"
            f" {settings.tls_dir} and {server_file(settings)}, run again, and give learners new"
            " cards: they have to trust the new ca.crt"
        )
        return
    if state.ca is not None:
        host.noop("the CA is there")
        return
    yield acting(settings, certificates.make_ca)


@operation()
def certificate(settings: Settings) -> Commands:
    """
    Make a certificate for the lab's Git server, signed by the lab's CA, and renew it before it
    expires.

    + settings: the lab's settings
    """
    state = look(settings, tls_state)
    if state.certificate is not None:
        host.noop("the Git server has its certificate")
        return
    if state.stale is not None:
        note(f"the certificate was made anew: {state.stale}")
    yield acting(settings, certificates.certify_server)
