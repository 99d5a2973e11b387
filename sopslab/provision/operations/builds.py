"""Operations on the builds of Flux, of which there is one at a time for everybody."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.provision.command import Commands, lab_script
from sopslab.provision.facts.builds import Building, Builds

# Builds take milliseconds, and those of a class that wait for one another a few seconds.
_NOTICED_S, _PATIENCE_S = 3, 20

# Ends the build $2 in $1, begun at $3, with its controller, which comes back without the lease of
# the one before. It would begin with the same one again, unless the source $4 has another commit
# than $5 by then.
_UNBLOCK = """
kube() { timeout 60 kubectl --context "$LAB_CONTEXT" --namespace "$@"; }
begun() { kube "$1" get kustomization "$2" --output "jsonpath=$field"; }
field='{.status.conditions[?(@.type=="Reconciling")].lastTransitionTime}'
[ "$(begun "$1" "$2")" = "$3" ] || exit 0
asked=$(date -Ins)
kube "$1" annotate gitrepository "$4" --overwrite --field-manager flux \\
    "reconcile.fluxcd.io/requestedAt=$asked" >/dev/null
for _ in $(seq 20); do
    source=$(kube "$1" get gitrepository "$4" --output \\
        'jsonpath={.status.lastHandledReconcileAt} {.status.artifact.revision}')
    [ "${source% *}" != "$asked" ] || break
    sleep 1
done
[ "${source##*:}" != "$5" ] || kube "$1" patch kustomization "$2" --field-manager flux \\
    --type merge --patch "$6" >/dev/null
kube flux-system delete pod --selector app=kustomize-controller --grace-period 1 >/dev/null
kube flux-system delete lease kustomize-controller-leader-election --ignore-not-found >/dev/null
kube flux-system rollout status deployment/kustomize-controller --timeout 55s >/dev/null
"""
_SUSPEND = '{"metadata":{"annotations":{"sops-lab/suspended-by":"build"}},"spec":{"suspend":true}}'


@operation()
def unblocked(settings: Settings) -> Commands:
    """
    Have no build go on that holds up all others. If Flux would begin the same one again, because
    the repository still has that commit, its Kustomization is suspended until a reset.

    + settings: the lab's settings
    """
    first = _endless(settings)
    if first is None:
        host.noop("no build holds up the others")
        return
    note(f"the build of {first.namespace}/{first.name} has not ended")
    yield lab_script(
        settings,
        _UNBLOCK,
        first.namespace,
        first.name,
        f"{first.build.since:%Y-%m-%dT%H:%M:%SZ}",
        first.source,
        first.build.commit,
        _SUSPEND,
    )


def _endless(settings: Settings) -> Building | None:
    """Return the oldest build, once it has had all the time that a build is given."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        builds: list[Building] = host.get_fact(Builds, settings=settings)
        age = builds[0].build.age(datetime.now(UTC)) if builds else 0
        if age < _NOTICED_S:
            break
        if age >= _PATIENCE_S:
            return builds[0]
        time.sleep(1)
    return None
