"""Operations that break environments to practise on, and that put them in order again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pyinfra import host
from pyinfra.api import StringCommand, operation

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.settings import Settings
from sopslab.course.chapter import SECRET
from sopslab.course.fault_record import Injection
from sopslab.course.faults import BY_ID, Fault, Part, Scope, clash, injectable
from sopslab.files.events import note
from sopslab.layout import ENVIRONMENT
from sopslab.provision.command import Commands, lab_script, refusal, script
from sopslab.provision.facts.faults import LISTED, ExerciseOnMain, Injections, record_file
from sopslab.provision.facts.reset import CHECKPOINTS, repository_arguments
from sopslab.provision.facts.seats import Enrolled
from sopslab.provision.operations import kubernetes, seats
from sopslab.provision.operations.flux import ASK_FLUX, decryption_key, login_entries
from sopslab.provision.operations.git import COMMIT_AS, NEW_SECRET
from sopslab.provision.operations.reset import reconciled
from sopslab.provision.operations.trees import COMMIT_FILES, NO_LINKS

LOCKDOWN_FLAG = "--no-remote-bases=true"
# Nobody listens there; where it is refused at once, Flux says so at once.
_NO_PORT = 9
_NO_FOLDER = "./flux/secrets/staging"

# Written before something is broken, and again after it: whoever is killed in between goes on from
# here, or undoes it.
_RECORD = """
remember() {
    known=$(base64 -d "$record" 2>/dev/null) || known=
    known=$(printf '%s' "${known:-"{}"}" | jq --compact-output --arg fault "$1" --arg commit "$2" \\
        --argjson all "$3" '.[$fault] = {commit: $commit, done: $all}')
    (
        umask 077
        mkdir -p "$(dirname "$record")"
        printf '%s' "$known" | base64 | tr -d '\\n' >"$record.new"
    )
    mv "$record.new" "$record"
}
"""

# Faults come on standard input, so that no log shows which of them it was: each with its commit, if
# it is known already.
_COMMIT_FAULTS = (
    CHECKPOINTS
    + NEW_SECRET
    + COMMIT_AS
    + NO_LINKS
    + COMMIT_FILES
    + _RECORD
    + """
record=$5 environment=$6 secret=$7 namespace=$8 repository=$9
"""
    + LISTED
    + """
umask 022
new=$(mktemp -d "$(dirname "$(dirname "$record")")/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
commit_as 'A teammate' teammate@example.org
manifest=flux/secrets/$environment/$secret.yaml
list=flux/secrets/$environment/kustomization.yaml
typo='s/(data|stringData)/(dta|stringData)/'
# What is encrypted here is so by the rules that the lab made, not by those that are on main.
rules() { bare cat-file blob "$(start):.sops.yaml"; }
on_main() { bare cat-file blob "refs/heads/main:$1"; }
differs() {
    ! on_main "$1" | cmp -s - "$2" || { say "$1 on main has nothing to break"; return 1; }
}
mistake() {
    case $1 in
    not-wired)
        on_main "$list" | sed "s|^$listed\\$|\\\\1# - $secret.yaml|" >"$new/list"
        differs "$list" "$new/list"
        commit_files "$main" 'Tidy up the kustomization' "$list" "$new/list"
        ;;
    wrong-recipient)
        # Nobody has the identity: it was in this pipe only.
        printf 'creation_rules:\\n  - encrypted_regex: ^(data|stringData)$\\n    age: %s\\n' \\
            "$(age-keygen 2>/dev/null | age-keygen -y)" >"$new/.sops.yaml"
        (cd "$new" && new_secret "$secret" "$namespace" "$manifest") >"$new/file"
        commit_files "$main" 'Renew the token' "$manifest" "$new/file"
        ;;
    edited-ciphertext)
        on_main "$manifest" | awk '
            !edited && match($0, /ENC\\[AES256_GCM,data:/) {
                at = RSTART + RLENGTH
                other = substr($0, at, 1) == "A" ? "B" : "A"
                $0 = substr($0, 1, at - 1) other substr($0, at + 1)
                edited = 1
            }
            { print }' >"$new/file"
        differs "$manifest" "$new/file"
        commit_files "$main" 'Fix the token' "$manifest" "$new/file"
        ;;
    encrypted-regex-typo)
        on_main .sops.yaml | sed "$typo" >"$new/rules"
        differs .sops.yaml "$new/rules"
        rules | sed "$typo" >"$new/.sops.yaml"
        # What is left in plain text is the value that was made up a moment ago.
        (cd "$new" && new_secret "$secret" "$namespace" "$manifest") >"$new/file"
        commit_files "$main" 'Correct the rules and renew the token' \\
            .sops.yaml "$new/rules" "$manifest" "$new/file"
        ;;
    esac
}
is_on_main() { bare merge-base --is-ancestor "$1" "$main" 2>/dev/null; }
for entry in $(cat); do
    fault=${entry%%:*} commit=${entry#*:}
    refresh
    main=$(at refs/heads/main)
    no_links "$main" "$list" "$manifest" .sops.yaml
    if [ -z "$commit" ] || { ! is_on_main "$commit" && [ "$(at "$commit^" || true)" != "$main" ]; }
    then
        commit=$(mistake "$fault")
    fi
    remember "$fault" "$commit" false
    if ! is_on_main "$commit"; then
        [ -z "$url" ] || timeout 60 git --git-dir "$repository" push --quiet \\
            --force-with-lease="refs/heads/main:$main" "$url.git" "$commit:refs/heads/main"
        bare update-ref refs/heads/main "$commit" "$main"
    fi
    remember "$fault" "$commit" true
done
"""
)

# The learner's commits stay what they are. Where nobody has committed on top of a fault, or where
# its commit exposes a value, it is taken out of the history; else what is still wrong is put right
# on top.
_UNCOMMIT_FAULTS = (
    CHECKPOINTS
    + COMMIT_AS
    + """
repository=$5 work=$6 directory=$7
shift 7
umask 022
new=$(mktemp -d "$directory/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
commit_as 'A teammate' teammate@example.org
# The tree of a commit without the fault, where it is still as it was brought.
healed() {
    GIT_INDEX_FILE=$new/index
    export GIT_INDEX_FILE
    rm -f "$GIT_INDEX_FILE"
    bare read-tree "$1"
    for path in $(bare diff --name-only "$fault^" "$fault"); do
        bare diff --binary --full-index "$fault^" "$fault" -- "$path" \\
            | bare apply --cached --reverse - >/dev/null 2>&1 || true
    done
    bare write-tree
}
# The commit that takes the place of $1 when the fault never was: all but tree and parents is kept.
without() {
    printf '%s %s\\n' "$fault" "$(at "$fault^")" >"$new/map"
    for commit in $(bare rev-list --reverse --topo-order "$1" "^$fault"); do
        tree=$(healed "$commit")
        other=$(bare cat-file commit "$commit" | awk -v tree="$tree" -v map="$new/map" '
            BEGIN { while ((getline line <map) > 0) { split(line, to, " "); at[to[1]] = to[2] } }
            !body && $1 == "tree" { print "tree", tree; next }
            !body && $1 == "parent" { print "parent", ($2 in at ? at[$2] : $2); next }
            $0 == "" { body = 1 }
            { print }' | bare hash-object -t commit -w --stdin)
        printf '%s %s\\n' "$commit" "$other" >>"$new/map"
    done
    awk -v commit="$1" '$1 == commit { print $2 }' "$new/map"
}
put() {
    [ -z "$url" ] || [ "$1" != refs/heads/main ] || timeout 60 git --git-dir "$repository" push \\
        --quiet --force-with-lease="$1:$3" "$url.git" "$2:$1"
    bare update-ref "$1" "$2" "$3"
}
copy() { git -C "$work" -c core.hooksPath=/dev/null -c core.fsmonitor=false "$@"; }
# A clone follows where it has nothing of its own.
follow() {
    [ -n "$work" ] && [ -d "$work/.git" ] || return 0
    at_main=$(copy rev-parse --verify --quiet HEAD || true)
    copy fetch --quiet --prune "$repository" '+refs/heads/*:refs/remotes/origin/*'
    [ "$at_main" = "$1" ] && [ "$(copy symbolic-ref --quiet HEAD)" = refs/heads/main ] \\
        && [ -z "$(copy status --porcelain)" ] || return 0
    copy reset --quiet --hard refs/remotes/origin/main
}
refresh
for entry; do
    how=${entry%%:*} fault=${entry#*:}
    fault=$(at "$fault") || continue
    for branch in $(bare for-each-ref --contains "$fault" --format '%(refname)' refs/heads); do
        tip=$(at "$branch")
        if [ "$how" = out ] || [ "$tip" = "$fault" ]; then
            put "$branch" "$(without "$tip")" "$tip"
        elif [ "$branch" = refs/heads/main ]; then
            tree=$(healed "$tip")
            [ "$tree" != "$(bare rev-parse "$tip^{tree}")" ] || continue
            put "$branch" "$(bare commit-tree -p "$tip" -m 'Undo a mistake' "$tree")" "$tip"
        fi
        [ "$branch" != refs/heads/main ] || follow "$tip"
    done
done
"""
)

_OBJECTS = (
    ASK_FLUX
    + """
system=$1 kustomization=$2 source=$3
shift 3
kube() { timeout 60 kubectl --context "$LAB_CONTEXT" "$@"; }
if ! kube get --raw /readyz --request-timeout 10s >/dev/null 2>&1; then
    say 'the cluster does not answer: `sopslab status` tells more'
    exit 1
fi
edit() {
    kube --namespace "$system" patch "$1" "$2" --type merge --field-manager sops-lab-fault \\
        --patch "$3" >/dev/null
}
# The platform may be read with the same credential, from the same namespace.
reconcile() {
    ask_flux 20 --namespace "$system" --all gitrepositories.source.toolkit.fluxcd.io
    ask_flux 20 --namespace "$system" "kustomization/$kustomization"
}
"""
)

# What Flux would put back by itself, it is told to leave alone.
_BREAK_OBJECTS = (
    _OBJECTS
    + _RECORD
    + """
record=$1 key=$2 labels=$3 login=$4 url=$5 path=$6 flag=$7
hands_off() {
    jq --null-input --compact-output --argjson spec "$1" '{
        metadata: {annotations: {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}}, $spec}'
}
# Have sops-age with the one entry $1; its value is standard input. What applies it again, `up` and
# a reset, has to own each of its fields: hence an object that is new.
give_key() {
    jq --raw-input --slurp --compact-output --arg namespace "$system" --arg entry "$1" \\
        --argjson labels "$labels" '{apiVersion: "v1", kind: "Secret", type: "Opaque",
            metadata: {name: "sops-age", namespace: $namespace, labels: $labels},
            data: {($entry): @base64}}' | {
        kube --namespace "$system" delete secret sops-age --ignore-not-found >/dev/null
        kube apply --server-side --field-manager sops-lab --filename - >/dev/null
    }
}
inflict() {
    case $1 in
    missing-key) kube --namespace "$system" delete secret sops-age --ignore-not-found >/dev/null ;;
    wrong-key) age-keygen 2>/dev/null | give_key age.agekey ;;
    key-without-agekey) give_key age.key <"$key" ;;
    corrupt-key) sed '/^AGE-SECRET-KEY-/s/.$//' "$key" | give_key age.agekey ;;
    suspended-kustomization) edit kustomization "$kustomization" '{"spec":{"suspend":true}}' ;;
    wrong-path)
        edit kustomization "$kustomization" \\
            "$(hands_off "$(jq --null-input --arg path "$path" '{$path}')")"
        ;;
    git-credential-revoked)
        password=$(head -c 32 /dev/urandom | base64 | tr -d '\\n' | base64 | tr -d '\\n')
        kube --namespace "$system" get secret "$login" --output json \\
            | PASSWORD=$password jq '{apiVersion, kind, type,
                metadata: (.metadata | {name, namespace, labels}),
                data: (.data + {password: env.PASSWORD})}' \\
            | kube apply --server-side --force-conflicts --field-manager sops-lab --filename - \\
                >/dev/null
        ;;
    source-controller-without-git)
        edit gitrepository "$source" \\
            "$(hands_off "$(jq --null-input --arg url "$url" '{$url}')")"
        ;;
    drifted-lockdown-flag)
        kube --namespace flux-system get deployment kustomize-controller --output json \\
            | jq --compact-output --arg flag "$flag" '{
                metadata: {annotations: {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}},
                spec: {template: {spec: {containers: [.spec.template.spec.containers[0]
                    | {name, args: (.args - [$flag])}]}}}}' \\
            | kube --namespace flux-system patch deployment kustomize-controller \\
                --type strategic --field-manager sops-lab-fault --patch-file /dev/stdin >/dev/null
        kube --namespace flux-system rollout status deployment/kustomize-controller \\
            --timeout 50s >/dev/null
        ;;
    esac
}
for fault in $(cat); do
    remember "$fault" '' false
    inflict "$fault"
    remember "$fault" '' true
done
"""
)

_MEND_OBJECTS = (
    _OBJECTS
    + """
url=$1 path=$2
shift 2
hands_on() {
    jq --null-input --compact-output --argjson spec "$1" '{
        metadata: {annotations: {"kustomize.toolkit.fluxcd.io/reconcile": null}}, $spec}'
}
for fault; do
    case $fault in
    suspended-kustomization) edit kustomization "$kustomization" '{"spec":{"suspend":null}}' ;;
    wrong-path)
        edit kustomization "$kustomization" \\
            "$(hands_on "$(jq --null-input --arg path "$path" '{$path}')")"
        ;;
    source-controller-without-git)
        edit gitrepository "$source" \\
            "$(hands_on "$(jq --null-input --arg url "$url" '{$url}')")"
        ;;
    drifted-lockdown-flag)
        kube --namespace flux-system annotate deployment kustomize-controller \\
            kustomize.toolkit.fluxcd.io/reconcile- >/dev/null
        kube --namespace flux-system rollout status deployment/kustomize-controller \\
            --timeout 50s >/dev/null
        ;;
    esac
done
reconcile
"""
)


@operation()
def injected(settings: Settings, environment: Environment, faults: Sequence[str]) -> Commands:
    """
    Have an environment broken by faults, for its learner to find. Without the exercise there is
    nothing to break.

    + settings: the lab's settings
    + environment: the learner's
    + faults: their ids
    """
    learner = environment.id
    in_class = bool(host.get_fact(Enrolled, settings=settings))
    allowed = injectable(seat=environment.is_seat, in_class=in_class)
    for fault in faults:
        if BY_ID[fault] not in allowed:
            yield refusal(f"{fault} would reach the whole class")
            return
    records = host.get_fact(Injections, settings=settings, environments=[environment])
    known = records.get(learner, {})
    if known is None:
        yield _damaged(settings, environment)
        return
    missing = [fault for fault in faults if fault not in known or not known[fault].done]
    if not missing:
        host.noop("the environment is broken as wanted")
        return
    mixed = clash([*known, *faults])
    if mixed is not None:
        yield refusal(f"{mixed}: `sopslab fix {learner}` first")
        return
    exercise = host.get_fact(
        ExerciseOnMain, settings=settings, environment=environment, secret=SECRET
    )
    if exercise.problem is not None:
        yield refusal(exercise.problem)
        return
    if not exercise.done and not any(_is_in_git(BY_ID[fault]) for fault in known):
        yield refusal(
            f"the exercise of {learner} is not done, so there is nothing to break yet:"
            f" `sopslab reset {learner} --to done` does it"
        )
        return
    in_git = [fault for fault in missing if _is_in_git(BY_ID[fault])]
    in_cluster = [fault for fault in missing if fault not in in_git]
    if in_cluster:
        address = _without_port(settings.git_base_cluster_url)
        yield lab_script(
            settings,
            _BREAK_OBJECTS,
            *_objects(environment),
            record_file(settings, environment),
            f"{settings.keys_dir}/{environment.key}.agekey",
            json.dumps(_key_labels(environment)),
            environment.login,
            f"{address}:{_NO_PORT}/{environment.repository}.git",
            _NO_FOLDER,
            LOCKDOWN_FLAG,
            stdin="\n".join(in_cluster),
        )
    if in_git:
        commits = {fault: (known[fault].commit if fault in known else None) for fault in in_git}
        yield lab_script(
            settings,
            _COMMIT_FAULTS,
            *repository_arguments(settings, [environment], "start", "")[:4],
            record_file(settings, environment),
            ENVIRONMENT,
            SECRET,
            environment.namespace,
            bare_repository(settings, environment),
            stdin="\n".join(f"{fault}:{commit or ''}" for fault, commit in commits.items()),
        )
    yield lab_script(settings, _OBJECTS + "reconcile", *_objects(environment))


def _is_in_git(fault: Fault) -> bool:
    return fault.scope is Scope.LEARNER


def _objects(environment: Environment) -> tuple[str, ...]:
    """Return the arguments of `_OBJECTS`."""
    return environment.system, environment.kustomization, environment.source


def _key_labels(environment: Environment) -> dict[str, str]:
    labels = {"reconcile.fluxcd.io/watch": "Enabled"}
    if environment.is_seat:
        labels["sops-lab/seat"] = environment.id
    return labels


def _without_port(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].partition(':')[0]}"


@operation()
def undone(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Have nothing of the faults that were injected into environments, whatever became of them since.

    + settings: the lab's settings
    + environments: whose
    """
    records = host.get_fact(Injections, settings=settings, environments=list(environments))
    broken = [one for one in environments if one.id in records]
    if not broken:
        host.noop("nothing is injected")
        return
    for environment in broken:
        record = records[environment.id]
        if record is None:
            yield _damaged(settings, environment)
            return
        note(f"{environment.id}: {', '.join(record)}")
        yield from _undo(settings, environment, record)


def _damaged(settings: Settings, environment: Environment) -> StringCommand:
    learner = environment.id
    return refusal(
        f"{record_file(settings, environment)} is damaged, so nobody knows what is broken: put"
        f" everything back with `sopslab reset {learner}`, then remove it"
    )


def _undo(
    settings: Settings, environment: Environment, record: Mapping[str, Injection]
) -> Commands:
    parts = {BY_ID[fault].part for fault in record}
    commits = [
        f"{'out' if BY_ID[fault].exposes else 'over'}:{injection.commit}"
        # The last one first: it may lie on top of the others.
        for fault, injection in reversed(list(record.items()))
        if injection.commit is not None
    ]
    if commits:
        yield lab_script(
            settings,
            _UNCOMMIT_FAULTS,
            *repository_arguments(settings, [environment], "start", "")[:4],
            bare_repository(settings, environment),
            "" if environment.is_seat else settings.work_dir,
            # What a killed run leaves there is swept up; among the repositories it would stay.
            settings.lab_dir,
            *commits,
        )
    if parts & {Part.KEY, Part.LOGIN}:
        yield from _secrets(settings, environment)
    if Part.CONTROLLER in parts:
        yield from kubernetes.manifests._inner(
            settings=settings, path=f"{settings.manifests_dir}/components.yaml"
        )
    yield lab_script(
        settings,
        _MEND_OBJECTS,
        *_objects(environment),
        f"{settings.git_base_cluster_url}/{environment.repository}.git",
        f"./flux/secrets/{ENVIRONMENT}",
        *(fault for fault in record if not _is_in_git(BY_ID[fault])),
    )


def _secrets(settings: Settings, environment: Environment) -> Commands:
    """Yield what gives Flux its key and its login as the store has them."""
    if environment.is_seat:
        yield from seats.secrets._inner(
            settings=settings.model_copy(update={"key_from": "store"}),
            seats=[environment.id],
        )
        return
    yield from decryption_key._inner(settings=settings, key=environment.key)
    yield from kubernetes.secret._inner(
        settings=settings,
        namespace=environment.system,
        secret=environment.login,
        entries=login_entries(settings),
        labels={},
    )


@operation()
def delivered(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Have Flux done with what the repositories of environments hold whose faults were undone.

    + settings: the lab's settings
    + environments: whose
    """
    records = host.get_fact(Injections, settings=settings, environments=list(environments))
    if not records:
        host.noop("nothing was injected")
        return
    mended = [one for one in environments if one.id in records]
    yield from reconciled._inner(settings=settings, environments=mended, checkpoint="start")


@operation()
def forgotten(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Have nothing written down of faults that were undone.

    + settings: the lab's settings
    + environments: whose
    """
    records = host.get_fact(Injections, settings=settings, environments=list(environments))
    if not records:
        host.noop("nothing is written down")
        return
    known = [one for one in environments if one.id in records]
    yield script('rm -f "$@"', *(record_file(settings, one) for one in known))
