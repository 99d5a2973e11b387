"""Operations on the objects of the lab's cluster."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra import host
from pyinfra.api import operation

from sopslab.checks.causes import TELLING
from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.provision.command import Commands, lab_script
from sopslab.provision.facts.kubernetes import (
    ENDING,
    KubeconfigMatches,
    ManifestDrift,
    SecretMatches,
)
from sopslab.provision.facts.tree import AnyFolder

_APPLY = (
    ENDING
    + TELLING
    + """
kube() { timeout 60 kubectl --context "$LAB_CONTEXT" "$@"; }
# What is left in a namespace that is being deleted, and the finalizers that hold it: of what the
# API server says, no more than such names and numbers.
held() {
    kube get namespace "$1" --output json | jq --raw-output '
        [.status.conditions[]? | select(.status == "True") | .message
            | match("[A-Za-z0-9.:/-]+ (in|has) [0-9]+ resource instances?"; "g").string
            | sub(" has "; " in ")] | join(", ")
        | if . == "" then "the API server does not tell what holds it" else "held by \\(.)" end'
}
left() { kube get "$1" --all-namespaces --output name | paste -sd ' '; }
# Flux's objects that are being deleted wait for a controller that may be gone itself. As `flux
# uninstall` does it: what they have applied stays.
let_go() {
    for kind in kustomizations.kustomize.toolkit.fluxcd.io \\
            gitrepositories.source.toolkit.fluxcd.io receivers.notification.toolkit.fluxcd.io; do
        kube get "$kind" --all-namespaces --output json 2>/dev/null | jq --raw-output '
            .items[].metadata | select(.deletionTimestamp)
            | {metadata: {finalizers: ((.finalizers // []) - ["finalizers.fluxcd.io"])}} as $rest
            | "\\(.namespace) \\(.name) \\($rest | tojson)"' \\
        | while read -r namespace name rest; do
            kube --namespace "$namespace" patch "$kind" "$name" --type merge --patch "$rest" \\
                >/dev/null 2>&1 </dev/null || true
        done
    done
}
# Returns when `$1 $2` names nothing any more; who holds what is left, `$4` says.
await_end() {
    deadline=$(($(seconds) + 60))
    while ending=$("$1" "$2" | head -n 1) && [ -n "$ending" ]; do
        if [ "$(seconds)" -ge "$deadline" ]; then
            say "the $3 $ending is being deleted, and after 60 s it is not gone:" \\
                "$("$4" "$ending"). Whoever put a finalizer there has to let go, or you take it" \\
                "out by hand; \\`sopslab down\\` and \\`sopslab up\\` make the cluster anew"
            exit 1
        fi
        let_go
        sleep 1
    done
}
await_end ending_namespaces "$1" namespace held
await_end ending_kinds "$1" kind left
deadline=$(($(seconds) + 120))
# Server-side apply goes by the schema in any case. To be told to be strict, kubectl would first
# fetch the whole API.
until kube apply --server-side --validate=warn --force-conflicts --field-manager sops-lab \\
        --filename "$1" >/dev/null 2>"$1.errors"; do
    # A kind that was defined a moment ago is served a moment later.
    if ! grep -qE 'no matches for kind|NotFound|not found' "$1.errors" \\
            || [ "$(seconds)" -ge "$deadline" ]; then
        say "the cluster refused what the lab is made of: $(refused <"$1.errors");" \\
            "\\`kubectl apply --server-side --dry-run=server --filename $1\\` has its own words"
        rm -f "$1.errors"
        exit 1
    fi
    sleep 0.2
done
rm -f "$1.errors"
"""
)

# Values travel in pipes; the object is created or updated in one request, so that Flux never
# meets a moment without it. What is applied holds exactly these entries.
_SECRET = """
namespace=$1 secret=$2 labels=$3
shift 3
manifest() {
    kubectl create secret generic "$secret" --namespace "$namespace" --dry-run=client \\
            --output json "$@" \\
        | jq --arg labels "$labels" '.metadata.labels =
            ([$labels | split(",")[] | select(. != "") | split("=") | {(.[0]): .[1]}] | add)'
}
kube() { timeout 60 kubectl --context "$LAB_CONTEXT" "$@" >/dev/null; }
manifest "$@" | kube create --validate=warn --filename - 2>/dev/null \\
    || manifest "$@" | kube replace --validate=warn --filename -
"""

_KUBECONFIG = """
umask 077
new=$(mktemp "$(dirname "$KUBECONFIG")/.new.XXXXXX")
trap 'rm -f "$new"' EXIT
kubectl --kubeconfig "$1" --context "$LAB_CONTEXT" config view --minify --flatten --raw >"$new" || {
    say "there is no context $LAB_CONTEXT in $1: \\`kubectl config get-contexts\\` lists them"
    exit 1
}
if ! owner=$(timeout 20 kubectl --kubeconfig "$new" --context "$LAB_CONTEXT" --request-timeout 10s \
        get namespace flux-system --ignore-not-found \
        --output 'jsonpath={.metadata.name} {.metadata.labels.sops-lab}'); then
    say "the cluster of the context $LAB_CONTEXT does not answer within 10 s"
    exit 1
fi
case $owner in
'' | "flux-system $2") ;;
*)
    say "the cluster of the context $LAB_CONTEXT has a Flux that this lab did not install;" \
        "it is left alone"
    exit 1
    ;;
esac
mv "$new" "$KUBECONFIG"
"""

# File names as the sources of Kubernetes have them: apis/apps/v1 is apis__apps__v1_openapi.json.
SERVED_API = """
new=$(mktemp -d "$(dirname "$1")/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
mkdir "$new/openapi" "$new/crds"
raw() { timeout 20 kubectl --context "$LAB_CONTEXT" get --raw "$1"; }
for path in $(raw /openapi/v3 | jq -r '.paths | keys[] | select(test("/v[0-9][a-z0-9]*$"))'); do
    name=$(printf '%s' "$path" | sed 's,/,__,g')
    raw "/openapi/v3/$path" >"$new/openapi/${name}_openapi.json"
done
flux install --export | awk -v RS='\\n---\\n' \\
    '/kind: CustomResourceDefinition/ { print "---\\n" $0 }' >"$new/crds/flux.yaml"
chmod 755 "$new"
mv -T "$new" "$1"
"""


@operation()
def kubeconfig(settings: Settings) -> Commands:
    """
    Have a kubeconfig of the lab's own for a cluster that exists: one context of the user's file.

    + settings: the lab's settings, with `kubeconfig` and `context`
    """
    if host.get_fact(KubeconfigMatches, settings=settings):
        host.noop("the lab's kubeconfig has that context")
        return
    yield lab_script(settings, _KUBECONFIG, settings.kubeconfig or "", settings.lab)


@operation()
def served_api(settings: Settings, pinned: str) -> Commands:
    """
    Have what the cluster says of its API on the host, where the store has not the sources of it:
    the schemas of `sopslab validate` are made from one or the other.

    + settings: the lab's settings
    + pinned: the folder of the store that has the sources
    """
    if host.get_fact(AnyFolder, paths=[pinned, settings.served_api]):
        host.noop("the schemas can be made")
        return
    yield lab_script(settings, SERVED_API, settings.served_api)


@operation()
def manifests(settings: Settings, path: str) -> Commands:
    """
    Have the cluster as the manifests say: what differs is named and applied again.

    + settings: the lab's settings
    + path: the file of manifests on the host
    """
    drift = host.get_fact(ManifestDrift, settings=settings, path=path)
    if not drift:
        host.noop("the cluster is as the manifests say")
        return
    for item in drift:
        if item != "absent":
            note(f"differed: {item}")
    yield lab_script(settings, _APPLY, path)


@operation()
def secret(
    settings: Settings,
    namespace: str,
    secret: str,
    entries: Mapping[str, str],
    labels: Mapping[str, str],
) -> Commands:
    """
    Have a Secret with exactly the given entries, created or replaced in one request.

    + settings: the lab's settings
    + namespace: where it lies
    + secret: its name
    + entries: the name of each entry, and the file on the host that holds its value
    + labels: its labels
    """
    if host.get_fact(
        SecretMatches,
        settings=settings,
        namespace=namespace,
        secret=secret,
        entries=dict(entries),
        labels=dict(labels),
    ):
        host.noop(f"the Secret {namespace}/{secret} is up to date")
        return
    yield lab_script(
        settings,
        _SECRET,
        namespace,
        secret,
        ",".join(f"{key}={value}" for key, value in labels.items()),
        *(f"--from-file={entry}={path}" for entry, path in entries.items()),
    )
