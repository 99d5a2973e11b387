"""Facts about the objects of the lab's cluster, read with the lab's own kubectl and kubeconfig."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.settings import Settings
from sopslab.provision.command import lab_script

# Which namespaces that the manifests in the file $1 name, and which kinds that they define, are
# being deleted: everything may still be in them, and nothing will.
ENDING = """
ending_namespaces() {
    timeout 20 kubectl --context "$LAB_CONTEXT" get namespaces --output name \\
        --field-selector status.phase=Terminating 2>/dev/null | sed 's,^namespace/,,' \\
        | grep -xF "$(sed -n 's/^ *namespace: *//p' "$1" | sort -u)" || true
}
ending_kinds() {
    grep -q '^kind: CustomResourceDefinition$' "$1" || return 0
    timeout 20 kubectl --context "$LAB_CONTEXT" get customresourcedefinitions --output \\
        'jsonpath={range .items[?(@.metadata.deletionTimestamp)]}{.metadata.name}{"\\n"}{end}' \\
        2>/dev/null | grep -xF "$(sed -n 's/^  name: *//p' "$1")" || true
}
"""

# A cluster that is not there yet, or does not answer, has none of what was asked for: facts print
# nothing then, so that a dry run on a bare machine predicts the changes. An operation that meets a
# dead cluster fails with kubectl's own words.
_DRIFT = (
    ENDING
    + """
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
# Between its two looks at an object kubectl may see a controller report its status: no drift.
cat >"$dir/differ" <<'END'
#!/bin/sh
mkdir "$1.spec" "$2.spec"
find "$1" "$2" -type f -exec awk '
    FNR == 1 { close(out); out = FILENAME; sub("/[^/]*$", ".spec&", out) }
    /^[^ ]/ { skip = /^status:/ }
    !skip && !/^  (generation|resourceVersion):/ { print >out }' {} +
exec diff -u -N "$1.spec" "$2.spec"
END
chmod 700 "$dir/differ"
# A fact that prints nothing would be its default.
echo compared
[ -s "$KUBECONFIG" ] && [ -s "$1" ] || { echo absent; exit 0; }
ending_namespaces "$1" | sed 's/.*/the namespace & is being deleted/'
ending_kinds "$1" | sed 's/.*/the kind & is being deleted/'
status=0
TMPDIR=$dir KUBECTL_EXTERNAL_DIFF=$dir/differ timeout 60 kubectl --context "$LAB_CONTEXT" diff \\
    --concurrency 8 --server-side --force-conflicts --field-manager sops-lab --filename "$1" \\
    >"$dir/diff" 2>"$dir/errors" || status=$?
case $status in
0) exit 0 ;;
1) sed -n 's/^+++ .*[/]\\([^/[:space:]]*\\)[[:space:]].*/\\1/p' "$dir/diff" ;;
esac
# Objects of a namespace or kind that does not exist are reported on standard error only.
[ $status -le 1 ] || echo absent
[ $status -le 1 ] || sed -n '/"flux-system" not found/d
    s/.*namespaces "\\([^"]*\\)" not found.*/the namespace \\1 is missing/p
    s/.*no matches for kind "\\([^"]*\\)".*/the kind \\1 is missing/p' "$dir/errors" | sort -u
"""
)


class ManifestDrift(FactBase[list[str]]):
    """
    Returns the objects in which the cluster differs from the manifests in a file of the host.

    .. code:: python

        ["apps.v1.Deployment.flux-system.kustomize-controller"]

    `["absent"]` stands for a cluster that lacks a namespace or a kind that the manifests need.
    """

    @staticmethod
    @override
    def default() -> list[str]:
        return ["absent"]

    @override
    def command(self, settings: Settings, path: str) -> StringCommand:
        return lab_script(settings, _DRIFT, path)

    @override
    def process(self, output: list[str]) -> list[str]:
        return output[1:]


class SecretMatches(FactBase[bool]):
    """
    Returns whether a Secret of the cluster has exactly the entries that files of the host hold, and
    the labels. Values are compared where they are read, and nothing of them is printed.
    """

    @staticmethod
    @override
    def default() -> bool:
        return False

    @override
    def command(
        self,
        settings: Settings,
        namespace: str,
        secret: str,
        entries: Mapping[str, str],
        labels: Mapping[str, str],
    ) -> StringCommand:
        files = [part for pair in sorted(entries.items()) for part in ("--rawfile", *pair)]
        return lab_script(
            settings,
            """
            [ -s "$KUBECONFIG" ] || exit 0
            namespace=$1 secret=$2 labels=$3
            shift 3
            live=$(timeout 20 kubectl --context "$LAB_CONTEXT" --namespace "$namespace" \\
                get secret "$secret" --ignore-not-found --output json 2>/dev/null || true)
            [ -n "$live" ] || exit 0
            printf '%s' "$live" | jq --exit-status --argjson /labels "$labels" "$@" '
                .data == ($ARGS.named | del(.["/labels"]) | map_values(@base64))
                and (.metadata.labels // {}) == $ARGS.named["/labels"]' >/dev/null 2>&1 || exit 0
            echo same
            """,
            namespace,
            secret,
            json.dumps(dict(labels)),
            *files,
        )

    @override
    def process(self, output: list[str]) -> bool:
        return output == ["same"]


class KubeconfigMatches(FactBase[bool]):
    """
    Returns whether the lab's own kubeconfig is the context that the settings name, as it is in the
    user's file now.
    """

    @staticmethod
    @override
    def default() -> bool:
        return False

    @override
    def command(self, settings: Settings) -> StringCommand:
        return lab_script(
            settings,
            """
            [ -s "$KUBECONFIG" ] && command -v kubectl >/dev/null || exit 0
            kubectl --kubeconfig "$1" --context "$LAB_CONTEXT" config view --minify --flatten \\
                --raw 2>/dev/null | cmp -s - "$KUBECONFIG" && echo same || true
            """,
            settings.kubeconfig or "",
        )

    @override
    def process(self, output: list[str]) -> bool:
        return output == ["same"]
