"""Facts about Flux in the lab's cluster."""

from __future__ import annotations

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.lab.observe import existing, host_secrets
from sopslab.layout import CANARY_PATH
from sopslab.model.decryption import DecryptionKeyState
from sopslab.provision.command import lab_script, looking
from sopslab.provision.facts.git import AGE_ONLY, GIT_LOGIN, credentials_file
from sopslab.provision.facts.parsing import LabFact


class DecryptionKey(LabFact[DecryptionKeyState]):
    """
    Returns how the cluster's decryption key stands, as a `DecryptionKeyState`.
    """

    look = host_secrets.decryption_key
    default = DecryptionKeyState

    @override
    def command(self, settings: Settings) -> StringCommand:
        return looking(settings, host_secrets.decryption_key)


# What the fact and the operation both look at. Values exist in pipes and as hashes only.
CANARY_LIBRARY = (
    GIT_LOGIN
    + AGE_ONLY
    + """
namespace=$1 path=$2 key=$3 source=$4 kustomization=$5 url=$6 observed=$7
git_login "$8"
kube() { kubectl --context "$LAB_CONTEXT" --request-timeout 10s "$@"; }
head_commit() {
    [ -d "$observed" ] || git init --quiet --bare "$observed"
    timeout 20 git --git-dir "$observed" fetch --quiet "$url.git" \\
        +refs/heads/main:refs/heads/main 2>/dev/null || return 0
    git --git-dir "$observed" rev-parse refs/heads/main
}
in_head() { git --git-dir "$observed" show "refs/heads/main:$1" 2>/dev/null; }
# Nothing, if the learner took the canary out of the repository: then it proves nothing any more.
# What is in the cluster Flux has found listed, however the line is written.
expected_hash() {
    if [ -z "$(live_hash)" ]; then
        in_head "$(dirname "$path")/kustomization.yaml" | sed 's/ *#.*//' \\
            | grep -qF "$(basename "$path")" || return 0
    fi
    value=$(in_head "$path" | age_only \\
        | env -i PATH="$PATH" HOME=/nonexistent SOPS_AGE_KEY_FILE="$key" timeout 30 \\
            sops decrypt --input-type yaml --output-type yaml \\
            --extract '["stringData"]["value"]' /dev/stdin 2>/dev/null) || value=
    if [ -n "$value" ]; then printf '%s' "$value" | sha256sum; else echo undecryptable; fi
}
live_hash() {
    value=$(kube --namespace "$namespace" get secret lab-canary --ignore-not-found \\
        --output 'jsonpath={.data.value}' 2>/dev/null | base64 -d) || value=
    [ -z "$value" ] || printf '%s' "$value" | sha256sum
}
applied_revision() {
    kube --namespace flux-system get kustomization "$kustomization" --ignore-not-found \\
        --output 'jsonpath={.status.lastAppliedRevision}' 2>/dev/null || true
}
"""
)


def canary_arguments(
    settings: Settings, source: str, kustomization: str, namespace: str
) -> tuple[str, ...]:
    """Return the arguments of `CANARY_LIBRARY`, in its order."""
    return (
        namespace,
        CANARY_PATH,
        f"{settings.keys_dir}/{settings.learner.id}.agekey",
        source,
        kustomization,
        f"{settings.git_base_url}/{settings.learner_repository}",
        f"{settings.lab_dir}/observed.git",
        credentials_file(settings, INSTRUCTOR),
    )


class Canary(FactBase[bool]):
    """
    Returns whether Flux has applied the last commit of the learner's repository and the cluster
    holds the canary of that commit, by its hash. Ready alone would not prove it.
    """

    @staticmethod
    @override
    def default() -> bool:
        return False

    @override
    def command(self, settings: Settings, arguments: list[str]) -> StringCommand:
        return lab_script(
            settings,
            CANARY_LIBRARY
            + """
            [ -s "$KUBECONFIG" ] || exit 0
            head=$(head_commit)
            [ -n "$head" ] && [ "$(applied_revision)" = "main@sha1:$head" ] || exit 0
            expected=$(expected_hash)
            [ -z "$expected" ] || [ "$expected" = "$(live_hash)" ] || exit 0
            echo proven
            """,
            *arguments,
        )

    @override
    def process(self, output: list[str]) -> bool:
        return output == ["proven"]


class FluxInstalled(LabFact[bool]):
    """
    Returns whether the lab's cluster has the namespace of a Flux that this lab installed.
    """

    look = existing.has_flux

    @staticmethod
    @override
    def default() -> bool:
        return False

    @override
    def command(self, settings: Settings) -> StringCommand:
        return looking(settings, existing.has_flux)
