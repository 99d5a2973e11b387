"""Shell functions that take away what is in the way in environments, finalizers included."""

from __future__ import annotations

from sopslab.provision.facts.reset import ENVIRONMENTS

# `clear_away FILE` acts once on what `findings` wrote there; a finalizer is struck out only where
# something is being deleted and waits for nobody who would come: controllers that are there have
# answered by then.
CLEARING = (
    ENVIRONMENTS
    + """
# Lists of what is to be resumed, deleted or freed now, each after the word for it.
work() {
    jq --raw-input --raw-output --slurp '
        def list($word): if . == [] then empty else "\\($word)\\t\\(
            {apiVersion: "v1", kind: "List", items: map(del(.going, .made))})" end;
        [split("\\n")[] | split("\\t")] as $found
        | def of($kind): [$found[] | select(.[1] == $kind) | .[2] | fromjson];
        of("stray") as $strays
        | (of("suspended") | list("resume")),
          (of("doomed") | list("delete")),
          # Owners first: they would make anew what they own.
          ($strays | map(select(.kind != "Pod" and .metadata.deletionTimestamp == null))
            | sort_by(.metadata.ownerReferences != null) | list("delete")),
          # Where one waits for its end already, it is now.
          ($strays | map(select(.kind == "Pod")) | list("kill")),
          ($strays | map(select(.metadata.deletionTimestamp != null and .metadata.finalizers != null
            and (.going or .kind == "Pod"
                or (.metadata.deletionTimestamp | fromdateiso8601) < now - 1)))
            | list("free"))' "$1"
}
clear_away() {
    work "$1" | while IFS='\t' read -r word list; do
        case $word in
        resume) set -- patch --type merge --patch '{"metadata": {"annotations": {
            "sops-lab/suspended-by": null}}, "spec": {"suspend": null}}' ;;
        delete) set -- delete --ignore-not-found --wait=false ;;
        kill) set -- delete --ignore-not-found --wait=false --grace-period=0 --force ;;
        free) set -- patch --type merge --patch '{"metadata": {"finalizers": null}}' ;;
        esac
        printf '%s' "$list" | kube "$@" --filename - >/dev/null 2>&1 || true
    done
    # Who deletes a namespace comes back after eight seconds, or after five if it was changed.
    going=$(awk -F '\\t' '$2 == "going" { print "namespace/" $3 }' "$1")
    # shellcheck disable=SC2086
    [ -z "$going" ] || kube annotate --overwrite $going "sops-lab/reset=$(date +%s)" \\
        >/dev/null 2>&1 || true
}
"""
)
