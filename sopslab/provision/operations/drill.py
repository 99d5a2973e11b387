"""Operations on drills: the leak of the chapter, staged in an environment, and taken away again."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.settings import Settings
from sopslab.files.archive import Tree, pack
from sopslab.files.events import note
from sopslab.incidents.leak import (
    CLONE,
    KEY,
    LOG,
    PATH,
    SECRET,
    STATE,
    kept_dir,
    leak_dir,
    names_leak,
)
from sopslab.incidents.records import incident_path
from sopslab.provision.command import Commands, lab_script, script
from sopslab.provision.facts.drill import Drills
from sopslab.provision.facts.incidents import Incidents
from sopslab.provision.facts.reset import CHECKPOINTS, repository_arguments
from sopslab.provision.facts.seats import SeatFailures
from sopslab.provision.operations.git import COMMIT_AS, ENCRYPT
from sopslab.provision.operations.incidents import documents
from sopslab.provision.operations.reset import PUT_COPY_BACK
from sopslab.provision.operations.seats import ATTEMPT
from sopslab.provision.operations.trees import COMMIT_FILES, NO_LINKS

# What a colleague would have done in a hurry, in that order; only the server's guard is passed by.
# The value is made here, goes into files of ours and pipes, and is known later by its hash. All
# that belongs to the drill appears with the folder; main follows, unless somebody pushed meanwhile.
_STAGE = (
    CHECKPOINTS
    + ENCRYPT
    + COMMIT_AS
    + NO_LINKS
    + COMMIT_FILES
    + """
repository=$5 folder=$6 namespace=$7 public=$8
shift 8
file=$1 secret=$2 key=$3 log=$4 clone=$5 note=$6
umask 077
mkdir -p "$(dirname "$folder")"
new=$(mktemp -d "$(dirname "$folder")/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
base64 -d | tar -xz --no-same-permissions -C "$new"
refresh
main=$(at refs/heads/main) || { say 'the repository has no branch main'; exit 1; }
begun=$(start) || { say 'nothing tells which commit the repository began with'; exit 1; }
listed=$(dirname "$file")/kustomization.yaml
no_links "$main" "$file" "$listed"
if bare cat-file -e "$main:$file" 2>/dev/null; then
    say "main has a $file of its own: \\`sopslab reset\\` takes it away"
    exit 1
fi
bare cat-file blob "$main:$listed" 2>/dev/null | awk -v line="  - $secret.yaml" '
    { print } /^resources:[ \\t]*$/ && !done { print line; done = 1 } END { exit !done }' \\
    >"$new/listed" || {
    say "$listed on main has no list of resources: \\`sopslab reset\\` brings it back"
    exit 1
}
value=pay_$(head -c 24 /dev/urandom | od -An -v -t x1 | tr -d ' \\n')
manifest() {
    printf 'apiVersion: v1\\nkind: Secret\\nmetadata:\\n  name: %s\\n  namespace: %s\\n' \\
        "$secret" "$namespace"
    printf 'stringData:\\n  %s: %s\\n' "$key" "$value"
}
# Encrypted by the rules that the lab made, not by those that are on main.
bare cat-file blob "$begun:.sops.yaml" >"$new/.sops.yaml"
manifest | (cd "$new" && encrypt_as "$file") >"$new/sealed"
commit_as 'Robin Junior' robin@example.org
hurry='Give the payment API its key, so that the deploy works again'
# The Git server reads what is made here.
leak=$(umask 022
    manifest | commit_files "$main" "$hurry" "$listed" "$new/listed" "$file" /dev/stdin)
reverted=$(umask 022
    bare commit-tree -p "$leak" -m "Revert \\"$hurry\\"" -m "This reverts commit $leak." \\
        "$main^{tree}")
fixed=$(umask 022
    commit_files "$reverted" 'Encrypt the key of the payment API' \\
        "$listed" "$new/listed" "$file" "$new/sealed")
rm -f "$new/listed" "$new/sealed" "$new/.sops.yaml" "$new/index"
# Kim cloned while the value lay there for all to see; without a work tree, for the same reason.
git -c init.defaultBranch=main init --quiet --bare --template= "$new/$clone"
bare -c core.hooksPath=/dev/null push --quiet "$new/$clone" \\
    "$leak:refs/heads/main" "$leak:refs/remotes/origin/main"
git --git-dir "$new/$clone" config remote.origin.url "$public"
{
    echo 'run 4711: deploy develop, after a push of Robin Junior'
    echo '$ scripts/deploy.sh develop'
    echo 'payment-api: the container has these variables:'
    printf '  NAMESPACE=%s\\n  LOG_LEVEL=debug\\n  %s=%s\\n' "$namespace" "$key" "$value"
    echo 'payment-api: started'
    echo 'run 4711: passed'
} >"$new/$log"
digest=$(printf %s "$value" | sha256sum | cut -c 1-64)
printf '{"before": "%s", "leak": "%s", "fixed": "%s", "digest": "%s"}\\n' \\
    "$main" "$leak" "$fixed" "$digest" >"$new/$note"
rm -rf "$folder"
mv -T "$new" "$folder"
if [ -n "$url" ]; then
    timeout 60 git --git-dir "$repository" push --quiet \\
        --force-with-lease="refs/heads/main:$main" "$url.git" "$fixed:refs/heads/main"
fi
bare update-ref refs/heads/main "$fixed" "$main"
"""
)

# Every branch that holds the leak goes, main to where it was; nothing that anybody made on top of
# it is lost, and nothing of it stays in a history that is searched: a bundle is no ref.
_END = (
    CHECKPOINTS
    + ATTEMPT
    + """
class=$5 kept=$6 note=$7
shift 7
umask 077
new=$(mktemp -d "$(dirname "$class")/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
end_drill() {
    refresh
    before=$(jq --exit-status --raw-output .before "$folder/$note") || return 0
    leak=$(jq --exit-status --raw-output .leak "$folder/$note") || return 0
    at "$leak" >/dev/null && at "$before" >/dev/null || return 0
    bare for-each-ref --format='%(objectname) %(refname)' --contains "$leak" \\
        refs/heads refs/tags >"$new/refs"
    [ -s "$new/refs" ] || return 0
    mkdir -p "$kept"
    # shellcheck disable=SC2046
    bare bundle create --quiet "$new/bundle" $(cut -d ' ' -f 2 "$new/refs") "^$before"
    mv "$new/bundle" "$kept/$id-$(date -u +%Y%m%dT%H%M%SZ).bundle"
    # What somebody pushes now is in no bundle: it stays, and so does the rest.
    if [ -n "$url" ]; then
        # shellcheck disable=SC2046
        timeout 60 git --git-dir "$repository" push --quiet --atomic \\
            $(sed 's,^\\([^ ]*\\) \\(.*\\),--force-with-lease=\\2:\\1,' "$new/refs") "$url.git" \\
            $(sed "s,^[^ ]* \\(refs/heads/main\\)\\$,$before:\\1,; t; s,^[^ ]* ,:," "$new/refs")
    fi
    sed "s,^\\([^ ]*\\) \\(refs/heads/main\\)\\$,update \\2 $before \\1,; t
        s,^\\([^ ]*\\) \\(.*\\),delete \\2 \\1," "$new/refs" \\
        | bare update-ref --stdin
}
while [ $# -gt 0 ]; do
    id=$1 repository=$2 folder=$3
    shift 3
    attempt 'its drill could not be ended' end_drill
done
"""
)

# The same for the clone of the learner who is here, if it has seen the leak.
_END_COPY = (
    """
copy_of_leak() {
    [ -d "$1/.git" ] || return 1
    git -C "$1" cat-file -e "$2^{commit}" 2>/dev/null || return 1
    git -C "$1" merge-base --is-ancestor "$2" HEAD 2>/dev/null \\
        || [ -n "$(git -C "$1" for-each-ref --contains "$2" refs/heads refs/remotes)" ]
}
leak=$(jq --exit-status --raw-output .leak "$5") || exit 0
before=$(jq --exit-status --raw-output .before "$5")
kept=$4
copy_of_leak "$1" "$leak" || exit 0
"""
    + PUT_COPY_BACK
    + """
copy for-each-ref --format='%(objectname) %(refname)' --contains "$leak" refs/heads >"$new/refs"
[ -s "$new/refs" ] || exit 0
umask 077
mkdir -p "$kept"
# shellcheck disable=SC2046
copy bundle create --quiet "$new/bundle" $(cut -d ' ' -f 2 "$new/refs") "^$before"
mv "$new/bundle" "$kept/working-copy-$(date -u +%Y%m%dT%H%M%SZ).bundle"
sed 's,^\\([^ ]*\\) \\(.*\\),delete \\2 \\1,' "$new/refs" | copy update-ref --stdin
"""
)


@operation()
def staged(settings: Settings, environment: Environment, text: Tree) -> Commands:
    """
    Have the leak of the chapter staged: a value in plain text in the history of main, reverted and
    then encrypted as it was; and a log and a clone that hold it.

    + settings: the lab's settings
    + environment: whose
    + text: what the drill says of itself
    """
    learner = environment.id
    found = host.get_fact(Drills, settings=settings, environments=[environment]).get(learner)
    if found is not None and found.on_main:
        host.noop(f"the leak is staged for {learner}")
        return
    if found is not None and found.staged is not None:
        note("an earlier run was interrupted, or main was put back: the drill begins anew")
    given = repository_arguments(settings, [environment], "start", "")[:4]
    yield lab_script(
        settings,
        _STAGE,
        *given,
        bare_repository(settings, environment),
        leak_dir(settings, learner),
        environment.namespace,
        f"{settings.git_base_url}/{environment.repository}.git",
        PATH,
        SECRET,
        KEY,
        LOG,
        CLONE,
        STATE,
        stdin=pack(text),
    )


@operation()
def ended(settings: Settings, environments: Sequence[Environment], saved: str) -> Commands:
    """
    Have no drill in environments: main where it was, and no branch, log, clone or incident that
    names it. What was made on top of a leak is kept in a bundle.

    + settings: the lab's settings
    + environments: whose
    + saved: the branch for what a clone has not pushed
    """
    drills = host.get_fact(Drills, settings=settings, environments=list(environments))
    ending = [one for one in environments if one.id in drills]
    if not ending:
        host.noop("no drill is staged")
        return
    for one in ending:
        note(f"{one.id}: the drill ends; commits on top of it go to {kept_dir(settings)}")
    yield lab_script(
        settings,
        _END,
        *repository_arguments(settings, ending, "start", saved)[:4],
        settings.class_dir,
        kept_dir(settings),
        STATE,
        *(
            part
            for one in ending
            for part in (
                one.id,
                bare_repository(settings, one),
                leak_dir(settings, one.id),
            )
        ),
    )
    failures = host.get_fact(SeatFailures, settings=settings)
    done = [one for one in ending if one.id not in failures]
    for one in done:
        if not one.is_seat:
            yield lab_script(
                settings,
                _END_COPY,
                settings.work_dir,
                bare_repository(settings, one),
                saved,
                kept_dir(settings),
                f"{leak_dir(settings, one.id)}/{STATE}",
            )
    recorded = host.get_fact(Incidents, settings=settings)
    gone = [
        incident_path(incident.id)
        for incident in recorded.values()
        for one in done
        if (state := drills[one.id].staged) is not None
        and names_leak(incident, one.repository, state.leak)
    ]
    if gone:
        yield from documents._inner(settings=settings, records={}, gone=gone)
    if done:
        # Last: whoever is interrupted before comes back to all of this.
        yield script(
            """
            for folder; do rm -rf "$folder"; done
            """,
            *(leak_dir(settings, one.id) for one in done),
        )
