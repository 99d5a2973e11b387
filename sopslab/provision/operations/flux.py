"""Operations on Flux: its platform repository, its decryption key, and the proof that it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyinfra import host
from pyinfra.api import operation

from sopslab.checks.causes import TELLING
from sopslab.config.naming import next_key, node_name
from sopslab.config.places import FLUX
from sopslab.config.settings import Settings
from sopslab.files.archive import Tree, digest, pack
from sopslab.files.events import note
from sopslab.lab.act import existing
from sopslab.lab.act.platform import lay_out
from sopslab.layout import ENFORCER, KEY_ENTRY, NAMESPACE, NEXT_KEY_ENTRY, WATCHED
from sopslab.provision.command import Commands, acting, lab_script, refusal
from sopslab.provision.facts.access import SeatGenerations
from sopslab.provision.facts.age import Identities, IdentityState
from sopslab.provision.facts.docker import CNI_LABEL, ImageLabels
from sopslab.provision.facts.flux import (
    CANARY_LIBRARY,
    Canary,
    DecryptionKey,
    FluxInstalled,
    canary_arguments,
)
from sopslab.provision.facts.git import GIT_LOGIN, CommitNote
from sopslab.provision.facts.tree import TreeDigest
from sopslab.provision.operations.kubernetes import secret

COMPONENTS = ("source-controller", "kustomize-controller", "notification-controller")

# A clone of the platform repository $1, beside the clone $2 whose place it will take; from
# there on that is the working directory, and $new/copy.
CLONE_PLATFORM = (
    GIT_LOGIN
    + TELLING
    + """
clone_platform() {
    umask 022
    new=$(mktemp -d "$(dirname "$2")/.new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    if ! timeout 60 git clone --quiet "$1.git" "$new/copy" 2>"$new/errors"; then
        say "the platform repository could not be cloned from $1.git: $(told "$new/errors")"
        exit 1
    fi
    cd "$new/copy"
    git config user.name sops-lab
    git config user.email sops-lab@localhost
}
"""
)

# Asks Flux to look at objects again, now, within $1 seconds. What a manager of fields sets whose
# name begins with `kubectl`, Flux takes away from what it applies, perhaps before it is heard.
ASK_FLUX = """
ask_flux() {
    seconds=$1
    shift
    timeout "$seconds" kubectl --context "$LAB_CONTEXT" annotate --overwrite \\
        --field-manager flux "$@" "reconcile.fluxcd.io/requestedAt=$(date -Ins)" \\
        >/dev/null 2>&1 || true
}
"""

# Where the canary gets lost is looked for along its way, and the first broken link is named.
_AWAIT_CANARY = """
fail() { say "the canary did not arrive: $1"; exit 1; }
look='`sopslab doctor` looks closer'
state() {
    kube --namespace flux-system get "$1" "$2" --output json 2>/dev/null \\
        | jq -r --arg namespace "$namespace" "$telling"'
            .kind as $kind | .metadata.name as $called
            | [.status.conditions[]? | select(.type == "Ready")][0]
            | meaning($kind; $called; $namespace)'
}
diagnose() {
    [ -n "$head" ] || fail "the Git server does not answer at $url.git"
    kube get --raw /readyz >/dev/null 2>&1 || fail "the API server does not answer"
    for controller in source-controller kustomize-controller; do
        ready=$(kube --namespace flux-system get deployment "$controller" \\
            --output 'jsonpath={.status.readyReplicas}' 2>/dev/null || true)
        [ "${ready:-0}" -ge 1 ] || fail "$controller is not ready:\\
 \\`kubectl --namespace flux-system logs deployment/$controller\\` has its last words"
    done
    found=$(state gitrepository "$source")
    [ "$found" = ready ] \\
        || fail "Flux cannot read the repository: ${found:-its source is not there}; $look"
    [ -n "$(kube --namespace flux-system get secret sops-age --ignore-not-found --output name)" ] \\
        || fail "the decryption key sops-age is missing in flux-system"
    found=$(state kustomization "$kustomization")
    [ "$found" = ready ] || fail "$kustomization is not ready: ${found:-it is not there}; $look"
    [ "$expected" != undecryptable ] || fail "the store's key cannot decrypt $path"
    fail "$kustomization is Ready, but lab-canary holds another value than the repository"
}
head=$(head_commit)
[ -n "$head" ] || diagnose
expected=$(expected_hash)
if [ -n "$(applied_revision)" ]; then
    ask_flux 20 --namespace flux-system \\
        "gitrepository/$source" "kustomization/$kustomization"
fi
if [ -n "$expected" ]; then
    kubectl --context "$LAB_CONTEXT" --namespace "$namespace" wait --for=create \\
        secret/lab-canary --timeout 120s >/dev/null 2>&1 || diagnose
fi
kubectl --context "$LAB_CONTEXT" --namespace flux-system wait --timeout 60s \\
    "--for=jsonpath={.status.lastAppliedRevision}=main@sha1:$head" \\
    "kustomization/$kustomization" >/dev/null 2>&1 || diagnose
deadline=$(($(seconds) + 30))
until [ -z "$expected" ] || [ "$(live_hash)" = "$expected" ]; do
    [ "$(seconds)" -lt "$deadline" ] || diagnose
    sleep 0.3
done
"""


@operation()
def platform(
    settings: Settings,
    files: Tree,
    recipe: str,
    tag: str | None,
    node_image: str,
    overlays: Callable[[Mapping[str, str]], Tree] | None = None,
) -> Commands:
    """
    Have the platform repository, from which the cluster reconciles itself, as it should be.

    + settings: the lab's settings
    + files: what it holds beside the components that `flux install --export` prints
    + recipe: what the flux command is made by: another one prints other components
    + tag: the tag by which the base of the seats is read, set where it is new; None without seats
    + node_image: the image of the kind node, which knows whether its network enforces policies
    + overlays: what it holds for the seats, given their generations; None without seats
    """
    if overlays is not None:
        # Looked at here and not by the task: the same run may give a seat another generation.
        generations = host.get_fact(SeatGenerations, settings=settings)
        files = {**files, **overlays(generations)}
    if ENFORCER in files and not _needs_enforcer(settings, node_image):
        files = {path: file for path, file in files.items() if path != ENFORCER}
    mark = f"{digest(files)}-{recipe}"
    if (
        host.get_fact(CommitNote, path=settings.platform_dir) == mark
        and host.get_fact(TreeDigest, path=settings.manifests_dir) is not None
    ):
        host.noop("the platform repository is up to date")
        return
    yield acting(
        settings,
        lay_out,
        files=pack(files),
        mark=mark,
        components=list(COMPONENTS),
        node=node_name(settings.lab) if settings.cluster_provider == "kind" else None,
        tag=tag,
    )


def _needs_enforcer(settings: Settings, node_image: str) -> bool:
    if settings.cluster_provider != "kind":
        return False
    return host.get_fact(ImageLabels, target=node_image).get(CNI_LABEL) == "static"


def login_entries(settings: Settings) -> dict[str, str]:
    """Return the entries of the Secret with which Flux reads Git, and the files that hold them."""
    entries = {name: f"{settings.account_dir(FLUX)}/{name}" for name in ("username", "password")}
    return entries | ({"ca.crt": settings.git_authority} if settings.git_authority else {})


@operation()
def receiver_token(settings: Settings) -> Commands:
    """
    Have the Git server's hook and Flux's receiver share a token, made once.

    + settings: the lab's settings
    """
    path = f"{settings.git_dir}/receiver/token"
    yield from secret._inner(
        settings=settings,
        namespace="flux-system",
        secret="receiver-token",
        entries={"token": path},
        labels={},
    )


@operation()
def decryption_key(settings: Settings, key: str) -> Commands:
    """
    Have `sops-age` in flux-system hold the learner's identity, without a moment without it, and
    beside it the one that will follow, where there is one.

    + settings: the lab's settings
    + key: the identity's name in the store
    """
    states = host.get_fact(Identities, settings=settings, keys=[key, next_key(key)])
    store = states.get(key, IdentityState()).recipient
    following = states.get(next_key(key), IdentityState()).recipient
    if store is None:
        yield refusal(f"the identity {settings.keys_dir}/{key}.agekey is not there")
        return
    cluster = host.get_fact(DecryptionKey, settings=settings)
    if (cluster.recipient, cluster.next) == (store, following) and cluster.watched:
        host.noop("sops-age holds the learner's key")
        return
    if cluster.problem is not None:
        note(f"sops-age was unusable: {cluster.problem}")
    held = {KEY_ENTRY: key} | ({NEXT_KEY_ENTRY: next_key(key)} if following else {})
    yield from secret._inner(
        settings=settings,
        namespace="flux-system",
        secret="sops-age",
        entries={entry: f"{settings.keys_dir}/{name}.agekey" for entry, name in held.items()},
        labels=WATCHED,
    )


@operation()
def canary(settings: Settings, source: str, kustomization: str, namespace: str) -> Commands:
    """
    Prove the whole path: what was encrypted and pushed is in the cluster, decrypted, by its hash.

    + settings: the lab's settings
    + source: the GitRepository of the learner
    + kustomization: the Kustomization that decrypts
    + namespace: where the canary arrives
    """
    arguments = canary_arguments(settings, source, kustomization, namespace)
    if host.get_fact(Canary, settings=settings, arguments=list(arguments)):
        host.noop("the canary is in the cluster, and it is the repository's")
        return
    yield lab_script(settings, CANARY_LIBRARY + TELLING + ASK_FLUX + _AWAIT_CANARY, *arguments)


@operation()
def uninstalled(settings: Settings) -> Commands:
    """
    Have Flux and the environments out of a cluster that the lab did not make.

    What Flux applied goes first, while its controllers still answer for the finalizers.

    + settings: the lab's settings
    """
    if not host.get_fact(FluxInstalled, settings=settings):
        host.noop("the cluster has no Flux of this lab")
        return
    yield acting(settings, existing.leave, namespace=NAMESPACE)
