"""Facts about how far a rotation is. What is decrypted for them stays in pipes."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.settings import Settings
from sopslab.errors import InputError
from sopslab.incidents.rotation.plan import TRAILER, Version
from sopslab.incidents.rotation.record import Rotation, parse_rotation
from sopslab.provision.command import lab_script, script
from sopslab.provision.facts.git import AGE_ONLY
from sopslab.provision.facts.parsing import parsing
from sopslab.provision.facts.reset import subjects


def record_file(settings: Settings) -> str:
    """Return where the rotation that the settings name is remembered."""
    return f"{settings.lab_dir}/rotations/{settings.incident}.yaml"


class Remembered(FactBase[Rotation | None]):
    """
    Returns the rotation that the settings name, or None before it has begun.
    """

    @override
    def command(self, settings: Settings) -> StringCommand:
        return script('[ ! -s "$1" ] || cat "$1"', record_file(settings))

    @override
    @parsing
    def process(self, output: list[str]) -> Rotation | None:
        try:
            return parse_rotation("the record of the rotation", "\n".join(output) + "\n")
        except InputError as error:
            raise ValueError(str(error)) from None


def logins_dir(settings: Settings) -> str:
    """Return where passwords that leaked are kept until they are proven to be worth nothing."""
    return f"{settings.lab_dir}/rotations/{settings.incident}.logins"


class LeakedLogins(FactBase[dict[str, str]]):
    """
    Returns for users of the Git server whether the password that leaked is `unkept`, `kept` and
    still the present one, or `replaced`.
    """

    default = dict

    @override
    def command(self, settings: Settings, users: list[str]) -> StringCommand:
        return script(
            """
            leaked=$1 git=$2
            shift 2
            for user; do
                # git stores a login that it has used in its own way: the password tells.
                if [ ! -s "$leaked/$user" ]; then
                    echo "$user unkept"
                elif grep -qF -f "$git/credentials/$user/password" "$leaked/$user"; then
                    echo "$user kept"
                else
                    echo "$user replaced"
                fi
            done
            """,
            logins_dir(settings),
            settings.git_dir,
            *users,
        )

    @override
    def process(self, output: list[str]) -> dict[str, str]:
        return {user: how for user, _, how in (line.partition(" ") for line in output)}


# What lies encrypted in commits of bare repositories, each blob told once. A name that Git would
# have to quote is told with `?` in it, and found under no such name.
_VERSIONS = """
trailer=$1
shift
bare() { git --git-dir "$repository" "$@"; }
tell_blob() {
    case $told in *" $1 "*) return 0 ;; esac
    told="$told$1 "
    printf 'blob %s %s\\n' "$1" "$(bare cat-file blob "$1" | base64 -w 0)"
}
while [ $# -gt 0 ]; do
    repository=$1 commit=$2 told=' '
    shift 2
    bare rev-parse --verify --quiet "$commit^{commit}" >/dev/null || continue
    echo "version $commit $repository"
    bare log --format="%(trailers:key=$trailer,valueonly)" "$commit" | sed -n 's/^./noted &/p'
    if blob=$(bare rev-parse --verify --quiet "$commit:.sops.yaml"); then
        echo "rules $blob"
        tell_blob "$blob"
    fi
    { bare grep -z -l -I -F -e 'ENC[AES256_GCM' "$commit" || true; } | tr '\\n\\0' '?\\n' \\
        | sed 's/^[^:]*://' | while IFS= read -r path; do
            blob=$(bare rev-parse --verify --quiet "$commit:$path") || blob=
            echo "file ${blob:--} $path"
            [ -z "$blob" ] || tell_blob "$blob"
        done
done
"""


class Versions(FactBase[dict[tuple[str, str], Version]]):
    """
    Returns what is encrypted in commits of bare repositories, by repository and commit. A commit
    that is not there is left out.

    + versions: pairs of a bare repository and a commit
    """

    default = dict

    @override
    def command(self, settings: Settings, versions: list[tuple[str, str]]) -> StringCommand:
        return lab_script(
            settings, _VERSIONS, TRAILER, *(part for pair in versions for part in pair)
        )

    @override
    @parsing
    def process(self, output: list[str]) -> dict[tuple[str, str], Version]:
        texts: dict[str, str] = {}
        found: dict[tuple[str, str], _Read] = {}
        for line in output:
            word, _, rest = line.partition(" ")
            first, _, more = rest.partition(" ")
            if word == "version":
                found[more, first] = _Read()
            elif word == "blob":
                texts[first] = base64.b64decode(more).decode("utf-8-sig", "replace")
            elif found:
                next(reversed(found.values())).take(word, first, more, rest)
            else:
                raise ValueError("nothing tells of which version this is")
        return {place: read.version(place[1], texts) for place, read in found.items()}


@dataclass
class _Read:
    files: dict[str, str] = field(default_factory=dict)
    rules: str = ""
    noted: set[str] = field(default_factory=set)
    odd: bool = False

    def take(self, word: str, first: str, more: str, rest: str) -> None:
        match word:
            case "file" if first != "-" and more.isprintable() and ".." not in more.split("/"):
                self.files[more] = first
            case "file":
                self.odd = True
            case "rules":
                self.rules = first
            case "noted":
                self.noted.add(rest.strip())

    def version(self, commit: str, texts: dict[str, str]) -> Version:
        return Version(
            commit,
            self.files,
            {blob: texts[blob] for blob in self.files.values()},
            texts.get(self.rules, ""),
            frozenset(self.noted),
            self.odd,
        )


# At most that many versions of a file are tried: an attacker needs one.
_PAST = """
while [ $# -gt 0 ]; do
    repository=$1 commit=$2 path=$3
    shift 3
    git --git-dir "$repository" log -n 100 --format='%H' "$commit" -- "$path" \\
        | while read -r version; do
            git --git-dir "$repository" rev-parse --verify --quiet "$version:$path" || true
        done | sort -u | while read -r blob; do
            printf '%s\\t%s\\t%s\\n' "$repository" "$path" \\
                "$(git --git-dir "$repository" cat-file blob "$blob" | base64 -w 0)"
        done
done
"""


class PastVersions(FactBase[dict[tuple[str, str], list[str]]]):
    """
    Returns what files held in commits up to a given one, by bare repository and path.

    + files: a bare repository, a commit and a path each
    """

    default = dict

    @override
    def command(self, settings: Settings, files: list[tuple[str, str, str]]) -> StringCommand:
        return lab_script(settings, _PAST, *(part for file in files for part in file))

    @override
    @parsing
    def process(self, output: list[str]) -> dict[tuple[str, str], list[str]]:
        found: dict[tuple[str, str], list[str]] = {}
        for line in output:
            repository, path, content = line.split("\t")
            text = base64.b64decode(content).decode("utf-8-sig", "replace")
            found.setdefault((repository, path), []).append(text)
        return found


class Archived(FactBase[dict[str, str]]):
    """
    Returns the identities that were archived: public key, and file.
    """

    default = dict

    @override
    def command(self, settings: Settings) -> StringCommand:
        return lab_script(
            settings,
            """
            for identity in "$1"/archive/*.agekey; do
                [ -s "$identity" ] || continue
                public=$(age-keygen -y "$identity" 2>/dev/null) || continue
                echo "$public $identity"
            done
            """,
            settings.keys_dir,
        )

    @override
    def process(self, output: list[str]) -> dict[str, str]:
        return {public: path for public, _, path in (line.partition(" ") for line in output)}


@dataclass(frozen=True)
class Delivered:
    """A file that Flux applies: its path, and the Secret that comes of it."""

    path: str
    secret: str


# The Secrets of the cluster and of the repositories meet in one pipe, and only the answer leaves.
# A Secret that is in no kustomization is not in the cluster, which is nobody's fault.
LIVE_VALUES = (
    AGE_ONLY
    + """
opened() {
    git --git-dir "$2" show "refs/heads/main:$5" 2>/dev/null | age_only \\
        | env -i PATH="$PATH" HOME=/nonexistent SOPS_AGE_KEY_FILE="$3" timeout 30 sops decrypt \\
            --input-type yaml --output-type json /dev/stdin 2>/dev/null \\
        | jq --compact-output --arg id "$1" --arg path "$5" --arg place "$4/$6" \\
            '{id: $id, path: $path, place: $place, file: .}' || true
}
live_values() {
    {
        timeout 60 kubectl --context "$LAB_CONTEXT" get secrets --all-namespaces --output json \\
            2>/dev/null || echo '{}'
        while [ $# -gt 0 ]; do
            opened "$1" "$2" "$3" "$4" "$5" "$6"
            shift 6
        done
    } | jq --null-input --raw-output '
        (input.items // [] | map({("\\(.metadata.namespace)/\\(.metadata.name)"): (.data // {})})
            | add // {}) as $live
        | inputs
        | (((.file.data // {}) | map_values(. // "" | gsub("\\\\s"; "")))
            + ((.file.stringData // {}) | map_values(. // "" | tostring | @base64))) as $wanted
        | $live[.place] as $found
        | "\\(.id)\\t\\(.path)\\t\\(if $found == null then "absent"
            elif $found == $wanted then "same" else "differs" end)"'
}
"""
)


def live_arguments(
    settings: Settings,
    files: Sequence[tuple[Environment, Delivered]],
    identities: Sequence[str],
) -> tuple[str, ...]:
    """Return the arguments of `live_values`.

    + files: files of main, each with its environment
    + identities: for each of them the identity that opens it
    """
    return tuple(
        part
        for (one, file), identity in zip(files, identities, strict=True)
        for part in (
            one.id,
            bare_repository(settings, one),
            f"{settings.keys_dir}/{identity}.agekey",
            one.namespace,
            file.path,
            file.secret,
        )
    )


class LiveValues(FactBase[dict[tuple[str, str], str]]):
    """
    Returns whether the cluster has what main of a repository says, by learner and path: `same`,
    `differs` or `absent`. A file that cannot be opened is left out.
    """

    default = dict

    @override
    def command(self, settings: Settings, arguments: list[str]) -> StringCommand:
        return lab_script(settings, LIVE_VALUES + 'live_values "$@"', *arguments)

    @override
    @parsing
    def process(self, output: list[str]) -> dict[tuple[str, str], str]:
        lines = (line.split("\t") for line in output)
        return {(learner, path): how for learner, path, how in lines}


# Flux looks again when the key changes, and whatever else it is told while it looks makes it give
# up, and say for a moment that it is not ready. It is done with a key when it has reported since:
# all objects of a cluster share one count of versions.
SETTLING = """
subjects=$1
settling() {
    {
        timeout 20 kubectl --context "$LAB_CONTEXT" get secrets --all-namespaces \\
            --field-selector metadata.name=sops-age --no-headers --output \\
            'custom-columns=:.metadata.namespace,:.metadata.resourceVersion' 2>/dev/null \\
            | tr -s ' ' | jq --raw-input --slurp '
                split("\\n") | map(split(" ") | select(length == 2) | {(.[0]): .[1]}) | add // {}'
        timeout 20 kubectl --context "$LAB_CONTEXT" get --all-namespaces --output json \\
            kustomizations.kustomize.toolkit.fluxcd.io 2>/dev/null || echo '{}'
    } | jq --null-input --raw-output --argjson subjects "$subjects" '
        def ready: [.status.conditions[]? | select(.type == "Ready")][0].status;
        def answered: .status.lastHandledReconcileAt as $handled
            | (.metadata.annotations["reconcile.fluxcd.io/requestedAt"] // $handled) == $handled;
        input as $keys
        | (input.items // [] | map({("\\(.metadata.namespace)/\\(.metadata.name)"): .}) | add // {})
            as $live
        | $subjects[] | $live["\\(.system)/\\(.kustomization)"] as $own
        | select($own != null)
        | select(($own | ready == "True" and answered
                and .status.observedGeneration == .metadata.generation
                and (.metadata.resourceVersion | tonumber)
                    > ($keys[.metadata.namespace] // "0" | tonumber)) | not)
        | .id'
}
"""


# Kustomizations of the subjects that $1, a filter of jq, chooses: as a List, or nothing.
KUSTOMIZATIONS = """
subjects=$1
kustomizations() {
    timeout 20 kubectl --context "$LAB_CONTEXT" get --all-namespaces --output json \\
        kustomizations.kustomize.toolkit.fluxcd.io 2>/dev/null \\
        | jq --compact-output --argjson subjects "$subjects" '
            ($subjects | map("\\(.system)/\\(.kustomization)")) as $own
            | [.items[] | select("\\(.metadata.namespace)/\\(.metadata.name)" | IN($own[]))
                | select('"$1"') | {apiVersion, kind, metadata: (.metadata | {namespace, name})}]
            | select(. != []) | {apiVersion: "v1", kind: "List", items: .}'
}
suspended_here() { kustomizations '.metadata.annotations["sops-lab/suspended-by"] == "rotate"'; }
"""


class SuspendedHere(FactBase[bool]):
    """
    Returns whether a rotation that was killed has left a Kustomization suspended.
    """

    @staticmethod
    @override
    def default() -> bool:
        return False

    @override
    def command(self, settings: Settings, environments: list[Environment]) -> StringCommand:
        return lab_script(
            settings,
            KUSTOMIZATIONS + '[ ! -s "$KUBECONFIG" ] || suspended_here',
            subjects(environments),
        )

    @override
    def process(self, output: list[str]) -> bool:
        return bool(output)


class Settling(FactBase[list[str]]):
    """
    Returns the learners whose Kustomization is being reconciled, or has not yet met the key that
    the cluster has now.
    """

    default = list

    @override
    def command(self, settings: Settings, environments: list[Environment]) -> StringCommand:
        return lab_script(
            settings,
            SETTLING + '[ ! -s "$KUBECONFIG" ] || settling',
            subjects(environments),
        )

    @override
    def process(self, output: list[str]) -> list[str]:
        return output


class Consumers(FactBase[dict[str, list[str]]]):
    """
    Returns what has read a Secret at its start and was not restarted for this incident, for each
    learner: workloads that take it into their environment. Flux restarts none of them.

    .. code:: python

        {"ada": ["deployment/web"]}

    + secrets: the Secrets that have other values now, by learner
    """

    default = dict

    @override
    def command(
        self, settings: Settings, environments: list[Environment], secrets: dict[str, list[str]]
    ) -> StringCommand:
        pairs = [f"{learner}/{name}" for learner, names in secrets.items() for name in names]
        return lab_script(
            settings,
            """
            [ -s "$KUBECONFIG" ] || exit 0
            subjects=$1 incident=$2
            shift 2
            timeout 60 kubectl --context "$LAB_CONTEXT" get deployments,statefulsets,daemonsets \\
                --all-namespaces --output json 2>/dev/null | jq --raw-output \\
                --argjson subjects "$subjects" --arg incident "$incident" '
                def sources: (.envFrom[]?.secretRef.name), (.env[]?.valueFrom.secretKeyRef.name)
                    | select(. != null);
                ($ARGS.positional) as $changed
                | .items[] as $one
                | $subjects[] | select(.namespace == $one.metadata.namespace) | .id as $id
                | $one.spec.template
                | select(.metadata.annotations["sops-lab/incident"] != $incident)
                | select([.spec | (.containers[]?, .initContainers[]?) | sources | "\\($id)/\\(.)"]
                    | any(. as $used | $changed | index([$used])))
                | "\\($id) \\($one.kind | ascii_downcase)/\\($one.metadata.name)"' --args "$@"
            """,
            subjects(environments),
            settings.incident or "",
            *pairs,
        )

    @override
    @parsing
    def process(self, output: list[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in output:
            learner, workload = line.split(" ")
            found.setdefault(learner, []).append(workload)
        return found


class CopyBehind(FactBase[str | None]):
    """
    Returns how the learner's clone stands to main of the repository: `same`, `behind` where
    it can simply follow, `apart` where it has something of its own; None where there is no copy.
    """

    @override
    def command(self, settings: Settings, environment: Environment) -> StringCommand:
        return lab_script(
            settings,
            """
            work=$1 repository=$2
            [ -d "$work/.git" ] || exit 0
            main=$(git --git-dir "$repository" rev-parse --verify --quiet refs/heads/main) || exit 0
            # What the repository has, the copy need not have fetched to be compared with it.
            GIT_ALTERNATE_OBJECT_DIRECTORIES=$repository/objects
            export GIT_ALTERNATE_OBJECT_DIRECTORIES
            copy() { git --no-optional-locks -C "$work" -c core.fsmonitor=false "$@"; }
            head=$(copy rev-parse --verify --quiet HEAD) || { echo apart; exit 0; }
            if [ "$head" = "$main" ]; then
                echo same
            elif [ "$(copy symbolic-ref --quiet HEAD)" = refs/heads/main ] \\
                    && [ -z "$(copy status --porcelain)" ] \\
                    && copy merge-base --is-ancestor "$head" "$main"; then
                echo behind
            else
                echo apart
            fi
            """,
            settings.work_dir,
            bare_repository(settings, environment),
        )

    @override
    def process(self, output: list[str]) -> str | None:
        return output[0]
