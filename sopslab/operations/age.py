"""Operations on age identities. A private key never leaves its file but through a pipe."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import operation

from sopslab.command import Commands, lab_script, refusal, script
from sopslab.facts.age import Identity
from sopslab.facts.flux import DecryptionKey
from sopslab.facts.host import RecordedValue
from sopslab.journal import note
from sopslab.settings import Settings

_GENERATE = """
umask 077
mkdir -p "$(dirname "$1")"
chmod 700 "$(dirname "$1")"
new=$(mktemp -d "$(dirname "$1")/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
said=$(age-keygen -o "$new/identity" 2>&1) || {
    said=$(printf '%s' "$said" | sed -n 's/^age-keygen: error: //p')
    echo "the identity $1.agekey could not be made: $said" >&2
    exit 1
}
age-keygen -y "$new/identity" >"$new/recipient"
# A link is made only where nothing is: no identity is ever overwritten.
ln "$new/identity" "$1.agekey"
mv "$new/recipient" "$1.pub"
"""

_RECORD = """
umask 077
age-keygen -y "$1.agekey" >"$1.pub.new"
mv "$1.pub.new" "$1.pub"
"""

_RECOVER = """
umask 077
mkdir -p "$(dirname "$1")"
new=$(mktemp -d "$(dirname "$1")/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
kubectl --context "$LAB_CONTEXT" --namespace flux-system get secret sops-age \\
    --output 'jsonpath={.data.age\\.agekey}' | base64 -d >"$new/identity"
age-keygen -y "$new/identity" >"$new/recipient"
if [ -e "$1.agekey" ]; then
    mkdir -p "$(dirname "$1")/archive"
    mv "$1.agekey" "$(dirname "$1")/archive/$(basename "$1")-$(date +%Y%m%dT%H%M%S).agekey"
fi
mv "$new/identity" "$1.agekey"
mv "$new/recipient" "$1.pub"
"""


@operation()
def trusted(settings: Settings, keys: Sequence[str], path: str) -> Commands:
    """
    Have a file of recipients to whom every secret of a learner must be encrypted: whoever checks a
    push goes by it, and not by the `.sops.yaml` that is pushed.

    + settings: the lab's settings
    + keys: the names of the identities in the store
    + path: the file
    """
    recipients = [host.get_fact(Identity, settings=settings, key=key).recipient for key in keys]
    content = ",".join(recipient for recipient in recipients if recipient is not None)
    if host.get_fact(RecordedValue, path=path) == content:
        host.noop("the recipients are known to the Git server")
        return
    yield script('printf "%s\\n" "$2" >"$1.new"; mv "$1.new" "$1"', path, content)


@operation()
def identity(settings: Settings, key: str, in_cluster: bool = False) -> Commands:
    """
    Have an age identity in the lab's key store: made once, never overwritten, never made anew
    silently.

    + settings: the lab's settings
    + key: its name in the store
    + in_cluster: whether the cluster's `sops-age` holds the same one, to be compared or recovered
    """
    path = f"{settings.keys_dir}/{key}"
    state = host.get_fact(Identity, settings=settings, key=key)
    if state.problem is not None:
        yield refusal(f"the identity {path}.agekey cannot be used: {state.problem}")
        return
    cluster = host.get_fact(DecryptionKey, settings=settings).recipient if in_cluster else None
    if cluster is not None and cluster != state.recipient:
        if settings.key_from == "cluster":
            note("recovered the identity from the cluster")
            yield lab_script(settings, _RECOVER, path)
            return
        if state.recipient is None:
            yield refusal(
                f"the identity {path}.agekey is gone, but the cluster still has it ({cluster}):"
                " `sopslab up --key-from cluster` recovers it"
            )
            return
        if settings.key_from != "store":
            yield refusal(
                f"the key in the store and the key in the cluster differ: the store has"
                f" {state.recipient}, the cluster has {cluster}. Say which is right:"
                " `sopslab up --key-from store` or `--key-from cluster`"
            )
            return
    if state.recipient is None:
        if state.recorded is not None:
            yield refusal(
                f"the identity {path}.agekey is gone, and it was {state.recorded}: restore it from"
                f" your backup. A new one could not decrypt what is in Git; if that may be lost,"
                f" remove {path}.pub as well"
            )
            return
        yield lab_script(settings, _GENERATE, path)
        return
    if state.recorded is None:
        yield lab_script(settings, _RECORD, path)
        return
    if state.recorded != state.recipient:
        yield refusal(
            f"the identity {path}.agekey is {state.recipient}, but it was {state.recorded} when it"
            f" was made: restore it from your backup, or remove {path}.pub if the change was meant"
        )
        return
    host.noop(f"the identity {key} is there")
