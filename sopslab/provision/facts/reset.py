"""Facts about how far environments are from a checkpoint, each of them one look for all."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pyinfra.api import StringCommand
from typing_extensions import override

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.lab.observe import checkpoints
from sopslab.model.repositories import RepositoryState
from sopslab.provision.command import looking
from sopslab.provision.facts.git import GIT_LOGIN, credentials_file
from sopslab.provision.facts.parsing import LabFact

# Names of commits in the bare repository $repository. Where the Git server is not ours, this is a
# copy of the branches there, and the one place where checkpoints are kept.
CHECKPOINTS = (
    GIT_LOGIN
    + """
url=$1 checkpoint=$2 saved=$3
git_login "$4"
bare() { git --git-dir "$repository" "$@"; }
at() { bare rev-parse --verify --quiet "$1^{commit}"; }
refresh() {
    [ -n "$url" ] || return 0
    [ -d "$repository" ] || git init --quiet --bare "$repository"
    timeout 20 git --git-dir "$repository" fetch --quiet --prune "$url.git" \\
        '+refs/heads/*:refs/heads/*'
}
# A lab of an older version, or on another Git server, has no such ref; it began with this commit.
start() {
    at refs/lab/start && return
    begun=$(bare log --all --max-parents=0 --format='%H %s' | sed -n 's/ Begin the lab$//p')
    case $begun in
    '' | *[!0-9a-f]*) return 1 ;;
    esac
    echo "$begun"
}
lost() { [ -z "$1" ] && echo 0 || bare rev-list --count "$1" "^$2"; }
# Where a branch is called `saved`, none can be called `saved/…`.
free_name() { if at refs/heads/saved >/dev/null; then echo "$1" | tr / -; else echo "$1"; fi; }
"""
)


def repository_arguments(
    settings: Settings, environments: Sequence[Environment], checkpoint: str, saved: str
) -> tuple[str, ...]:
    """Return the arguments of `CHECKPOINTS`, then pairs of a learner's id and a bare repository."""
    pairs = [(one.id, bare_repository(settings, one)) for one in environments]
    url = f"{settings.git_url}/{environments[0].repository}" if settings.git_url else ""
    return (
        url,
        checkpoint,
        saved,
        credentials_file(settings, INSTRUCTOR),
        *(part for pair in pairs for part in pair),
    )


class Repositories(LabFact[dict[str, RepositoryState]]):
    """
    Returns how each learner's repository stands to a checkpoint.

    .. code:: python

        {"ada": RepositoryState("4f1c…", "9b2d…", lost=3, saved="saved/20270301T090000Z")}
    """

    look = checkpoints.repository_states
    default = dict

    @override
    def command(
        self, settings: Settings, environments: list[Environment], checkpoint: str, saved: str
    ) -> StringCommand:
        return looking(
            settings,
            checkpoints.repository_states,
            environments=environments,
            checkpoint=checkpoint,
            saved=saved,
        )


# What lies in the namespaces of environments and does not belong there. Only what tells one object
# from another is kept of them. Whose an object is, its labels do not prove: a learner sets those.
# What proves it is Flux's own record, in a namespace where the learner has no right.
ENVIRONMENTS = """
subjects=$1
kube() { timeout 60 kubectl --context "$LAB_CONTEXT" "$@"; }
answers() { kube get --raw /readyz --request-timeout 10s >/dev/null 2>&1; }
delivered='namespaces,gitrepositories.source.toolkit.fluxcd.io'
delivered="$delivered,kustomizations.kustomize.toolkit.fluxcd.io"
delivered="$delivered,receivers.notification.toolkit.fluxcd.io"
kinds() {
    # Events pass by themselves.
    kube api-resources --namespaced --verbs list,delete --output name 2>/dev/null \\
        | grep -vxE 'events([.]events[.]k8s[.]io)?' | paste -sd , -
}
# Of the kinds $1, and namespaces.
objects() {
    # Of one among many, only what is in its own namespace is asked for.
    if [ "$(printf '%s' "$subjects" | jq length)" -eq 1 ]; then
        kube get "$delivered" --all-namespaces --output json 2>/dev/null || true
        kube get "$1" --output json 2>/dev/null \\
            --namespace "$(printf '%s' "$subjects" | jq --raw-output '.[0].namespace')" || true
    else
        kube get "namespaces,$1" --all-namespaces --output json 2>/dev/null || true
    fi
}
findings() {
    objects "$1" | jq --null-input --raw-output --argjson subjects "$subjects" '
        def group: .apiVersion | if contains("/") then split("/")[0] else "" end;
        # As Flux writes it into its inventories.
        def key: [.metadata.namespace, (.metadata.name | gsub(":"; "__")), group, .kind]
            | join("_");
        def inventory: [.status.inventory.entries[]?.id] | map({(.): true}) | add // {};
        def disowned: .metadata.annotations // {} | keys
            | any(startswith("kustomize.toolkit.fluxcd.io/"));
        def finding($subject; $kind; $what): "\\($subject.id)\\t\\($kind)\\t\\($what)";
        def named: "\\(.kind)/\\(.metadata.name)";
        ([inputs.items[]? | del(.data, .stringData) | {(key): .}] | add // {}) as $live
        | ([$live[]] | group_by(.metadata.namespace)
            | map({(.[0].metadata.namespace // ""): .}) | add // {}) as $in
        | ($in[""] // [] | map({(.metadata.name): .}) | add // {}) as $namespaces
        | $subjects[] as $s
        | "kustomize.toolkit.fluxcd.io_Kustomization" as $kustomization
        | $live["flux-system_\\($s.tenant)_\\($kustomization)"] as $tenant
        | $live["\\($s.system)_\\($s.kustomization)_\\($kustomization)"] as $own
        | ($tenant | inventory) as $tenants
        | ($own | inventory) as $owns
        | ($namespaces[$s.namespace].metadata.deletionTimestamp != null) as $going
        | finding($s; "seen"; ""),
          (if $tenant == null then finding($s; "untended"; $s.tenant) else empty end),
          ($s.namespace, $s.system | . as $name
            | if $namespaces[$name] == null then finding($s; "absent"; $name)
              elif $namespaces[$name].metadata.deletionTimestamp then finding($s; "going"; $name)
              else empty end),
          ($own, $live["\\($s.system)_\\($s.source)_source.toolkit.fluxcd.io_GitRepository"],
                (if $s.tenant != "flux-system" then $tenant else empty end)
            | select(.spec.suspend == true)
            | finding($s; "suspended"; {apiVersion, kind, metadata: (.metadata | {name, namespace})}
                | tojson)),
          # The namespace waits for the finalizers of Flux, and longer if it comes to them later.
          (if $namespaces[$s.system].metadata.deletionTimestamp
            then $in[$s.system][]? | select(.metadata.finalizers != null)
              | select(.metadata.deletionTimestamp == null)
              | finding($s; "doomed"; {apiVersion, kind, metadata: (.metadata | {name, namespace})}
                | tojson)
            else empty end),
          ($tenants + $owns | keys[] | select(startswith("\\($s.namespace)_"))
            | select($live[.] == null)
            | finding($s; "missing"; .)),
          # What controllers make of what Flux applied belongs there, too. That an object says so is
          # not enough, for a learner may write it: a maker of that kind has to be there.
          ($in[$s.namespace] // []
            | (map({(.metadata.uid // ""): .}) | add // {}) as $uids
            | def maker: {ReplicaSet: ["Deployment"], Pod: ["ReplicaSet", "StatefulSet", "Job"],
                    ControllerRevision: ["StatefulSet"], Job: ["CronJob"],
                    EndpointSlice: ["Service"], Endpoints: ["Service"]}[.kind] as $kinds
                | if .kind == "Endpoints"
                    then $live["\\(.metadata.namespace)_\\(.metadata.name)__Service"]
                    else .metadata.ownerReferences[]? | select(.controller) | $uids[.uid // ""] end
                | select(.kind as $kind | $kinds | index([$kind]));
              def applied: key as $key | $tenants[$key]
                or ($owns[$key] and .metadata.deletionTimestamp == null and (disowned | not));
              def belongs: applied or any(maker; belongs);
              .[]
            | select($going or (belongs | not))
            | select($going or ([named] | inside(["ServiceAccount/default",
                "ConfigMap/kube-root-ca.crt"]) | not))
            | finding($s; "stray"; {$going, made: any(maker; true), apiVersion, kind,
                metadata: (.metadata
                    | {name, namespace, finalizers, deletionTimestamp, ownerReferences})}
                | tojson))'
}
"""


def subjects(environments: Sequence[Environment]) -> str:
    """Return the argument of `ENVIRONMENTS`: what the environments are called, in JSON."""
    return json.dumps(
        [
            {
                "id": one.id,
                "namespace": one.namespace,
                "system": one.system,
                "source": one.source,
                "kustomization": one.kustomization,
                "tenant": one.tenant,
            }
            for one in environments
        ]
    )
