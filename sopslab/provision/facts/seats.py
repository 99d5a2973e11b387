"""Facts about the seats of a class, each of them one look for all."""

from __future__ import annotations

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.checks.causes import TELLING
from sopslab.config.enrolled import parse_enrolled
from sopslab.config.settings import Seat, Settings
from sopslab.lab.observe import begun, failures, host_secrets
from sopslab.layout import CANARY_PATH
from sopslab.model.decryption import SecretDrift
from sopslab.provision.command import lab_script, looking, script
from sopslab.provision.facts.parsing import LabFact, parsing


class Enrolled(FactBase[tuple[Seat, ...]]):
    """
    Returns who has a seat, as the last run recorded it.
    """

    default = tuple

    @override
    def command(self, settings: Settings) -> StringCommand:
        return script('[ ! -s "$1/roster.json" ] || cat "$1/roster.json"', settings.class_dir)

    @override
    @parsing
    def process(self, output: list[str]) -> tuple[Seat, ...]:
        return parse_enrolled("\n".join(output) or "[]")


class SeatFailures(LabFact[dict[str, str]]):
    """
    Returns which seats failed in the present run, and why, in a sentence.
    """

    look = failures.failures
    default = dict

    @override
    def command(self, settings: Settings) -> StringCommand:
        return looking(settings, failures.failures)


class BegunSeats(LabFact[list[str]]):
    """
    Returns the seats whose repository has its first commit, and whose canary is known by its hash.
    """

    look = begun.seats
    default = list

    @override
    def command(self, settings: Settings, seats: list[str]) -> StringCommand:
        return looking(settings, begun.seats, seats=seats)


class SeatsWithKeys(LabFact[list[str]]):
    """
    Returns the seats for which the cluster has a decryption key, of those asked for.
    """

    look = host_secrets.with_keys
    default = list

    @override
    def command(self, settings: Settings, seats: list[str]) -> StringCommand:
        return looking(settings, host_secrets.with_keys, seats=seats)


class SecretsDrift(LabFact[dict[str, SecretDrift]]):
    """
    Returns the seats whose Secrets in the cluster are not as the host has them, and in what.
    """

    look = host_secrets.drift
    default = dict

    @override
    def command(self, settings: Settings, seats: list[str]) -> StringCommand:
        return looking(settings, host_secrets.drift, seats=seats)


# One line a seat: `proven`, `waiting …` while Flux has not come to a result, `failing …` with what
# its words mean. A canary that the learner changed proves nothing; Flux has applied the commit
# then. Only whose commit was applied is looked at in the repository and in the namespace: that is
# what costs.
SEAT_CANARIES = (
    TELLING
    + """
git=$1 class=$2 path=$3
shift 3
kube() { timeout 30 kubectl --context "$LAB_CONTEXT" "$@" 2>/dev/null; }
heads() {
    for seat; do
        printf '%s\\n' refs/heads/main "refs/heads/main:$path" "refs/lab/start:$path" \\
            | git --git-dir "$git/repositories/$seat/lab.git" cat-file \\
                --batch-check='%(objectname)' 2>/dev/null | {
            head=none now=changed begun='' expected=any
            read -r head _ && read -r now _ && read -r begun _ || true
            [ "$now" != "$begun" ] || read -r expected <"$class/seats/$seat/canary"
            echo "head $seat $head $expected"
        }
    done
}
# Those lines whose second word is one of the seats.
among() {
    { printf 'seat %s\\n' "$@"; cat; } \\
        | awk '$1 == "seat" { seats[$2]; next } ($2 in seats)'
}
# The hash of what is in the namespace of a seat.
live() {
    kube get secrets --all-namespaces --field-selector metadata.name=lab-canary --output \\
        'jsonpath={range .items[*]}live {.metadata.namespace} {.data.value}{"\\n"}{end}' \\
        | sed -n 's/-develop / /p' | among "$@" | while read -r kind seat value; do
            hash=$(printf '%s' "$value" | base64 -d | sha256sum)
            echo "$kind $seat ${hash%% *}"
        done
}
canaries() {
    [ -s "$KUBECONFIG" ] || return 0
    told=$(kube get kustomizations.kustomize.toolkit.fluxcd.io --all-namespaces \\
        --selector sops-lab/seat --output json | jq --raw-output "$telling"'
        .items[] | .status as $status | .metadata.name as $called
        | (.metadata.labels["sops-lab/seat"] + "-develop") as $arrives
        | [$status.conditions[]? | select(.type == "Ready")][0] as $ready
        | (if .metadata.namespace == "flux-system" then "tenant" else "flux" end) as $kind
        | "\\($kind) \\(.metadata.labels["sops-lab/seat"]) \\(
            $status.lastAppliedRevision // "-") \\(
            if .spec.suspend then "False it is suspended"
            else "\\($ready.status // "Unknown") \\(
                $ready | meaning("Kustomization"; $called; $arrives))" end)"')
    applied=$(printf '%s\\n' "$told" | among "$@" | awk '$1 == "flux" && $3 != "-" { print $2 }')
    {
        printf '%s\\n' "$told"
        # shellcheck disable=SC2086
        [ -z "$applied" ] || { heads $applied; live $applied; }
        printf 'asked %s\\n' "$@"
    } | awk '
        $1 == "live" { live[$2] = $3 }
        $1 == "head" { revision[$2] = "main@sha1:" $3; expected[$2] = $4 }
        $1 == "flux" || ($1 == "tenant" && !($2 in applied)) {
            if ($1 == "flux") applied[$2] = $3
            ready[$2] = $4
            said[$2] = $0
            sub(/^[^ ]* [^ ]* [^ ]* [^ ]* /, "", said[$2])
        }
        $1 == "asked" {
            current = ($2 in revision) && applied[$2] == revision[$2]
            if (current && (expected[$2] == "any" || live[$2] == expected[$2])) how = "proven"
            else if (ready[$2] == "False") how = "failing " said[$2]
            else if (current) how = "failing lab-canary holds another value"
            else if (ready[$2] == "True" && !($2 in applied))
                how = "failing the Kustomization secrets-develop is missing"
            else how = "waiting " (said[$2] ? said[$2] : "Flux has not begun")
            print $2, how
        }'
}
"""
)


def seat_canaries_arguments(settings: Settings, seats: list[str]) -> tuple[str, ...]:
    """Return the arguments of `SEAT_CANARIES`, in its order."""
    return (settings.git_dir, settings.class_dir, CANARY_PATH, *seats)


class SeatCanaries(FactBase[dict[str, str]]):
    """
    Returns for each seat whether Flux has applied the last commit of its repository and the
    cluster holds the canary of that commit: `proven`, or what is in the way.
    """

    default = dict

    @override
    def command(self, settings: Settings, seats: list[str]) -> StringCommand:
        return lab_script(
            settings,
            SEAT_CANARIES + 'canaries "$@"',
            *seat_canaries_arguments(settings, seats),
        )

    @override
    def process(self, output: list[str]) -> dict[str, str]:
        pairs = (line.partition(" ") for line in output)
        return {seat: how for seat, _, how in pairs}
