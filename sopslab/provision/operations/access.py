"""Operations on the learners' access: certificates and kubeconfigs, and passwords made anew. A seat
that fails says so in a file of its own while the others go on."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import operation

from sopslab.checks.causes import TELLING
from sopslab.config.naming import network_name, new_generation, seat_user
from sopslab.config.settings import Settings
from sopslab.files.events import named, note
from sopslab.provision.command import Commands, lab_script, refusal, script
from sopslab.provision.facts.access import (
    BOUND_USERS,
    CURRENT,
    KUBECONFIGS,
    LEARNERS,
    MISSING,
    BoundUsers,
    RetiredAccess,
    SeatAccess,
    SeatGenerations,
)
from sopslab.provision.facts.git import READS
from sopslab.provision.facts.seats import Enrolled
from sopslab.provision.operations.flux import ASK_FLUX
from sopslab.provision.operations.git import WRITE_ACCOUNTS, new_accounts

# Arguments are pairs of a seat and its user. What is at work for a seat lies in a folder of its
# own, and the request is a file named after the user; a seat that fails loses its folder.
_ISSUE = (
    KUBECONFIGS
    + TELLING
    + """
class=$1 name=$2 lab=$3 group=$4
shift 4
umask 077
export OPENSSL_CONF=/dev/null
mkdir -p "$class/seats" "$class/failed"
new=$(mktemp -d "$class/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
mkdir "$new/seats"
cd "$new/seats"
kube() { timeout 60 kubectl --context "$LAB_CONTEXT" --request-timeout 20s "$@"; }
fail() {
    rm -rf "${new:?}/seats/$1"
    [ -e "$class/failed/$1" ] || printf '%s\\n' "$2" >"$class/failed/$1"
}
while [ $# -gt 0 ]; do
    mkdir "$1"
    { [ -d "$class/seats/$1" ] || mkdir -p "$class/seats/$1"; } 2>../said \\
        && openssl req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \\
            -keyout "$1/client.key" -out "$1/$2" -subj "/O=$group/CN=$2" 2>../said \\
        || fail "$1" "its key could not be made: $(told ../said)"
    shift 2
done
set -- */*:*
[ -e "$1" ] || exit 0
mark=$(date +%s%N)
jq --null-input --raw-input --compact-output --arg mark "$mark" --arg lab "$lab" '
    reduce inputs as $line ({}; .[input_filename] += "\\($line)\\n")
    | {apiVersion: "v1", kind: "List", items: (to_entries | map(
        (.key | split("/")) as [$seat, $user]
        | {apiVersion: "certificates.k8s.io/v1", kind: "CertificateSigningRequest",
           metadata: {name: "\\($user | gsub(":"; "-"))-\\($mark)", labels: {
               "sops-lab/lab": $lab, "sops-lab/request": $mark, "sops-lab/seat": $seat}},
           spec: {signerName: "kubernetes.io/kube-apiserver-client", usages: ["client auth"],
                  expirationSeconds: (30 * 24 * 3600), request: (.value | @base64)}}))}' \\
    "$@" >../requests.json
# Approving begins while the others are created. kubectl allows itself ten requests at once and five
# a second from then on, and each approval is two: a hundred by one process would take 40 s.
kube create --validate=warn --filename ../requests.json --output name 2>../refused \\
    | tee ../created | xargs -r -n 5 -P 4 timeout 60 kubectl --context "$LAB_CONTEXT" \\
        certificate approve >/dev/null 2>../unapproved || true
if [ ! -s ../created ]; then
    say "the cluster took none of the requests for certificates: $(refused <../refused)"
    exit 1
fi
definitions_of_requests='
    def reason: [.status.conditions[]? | select(.type == "Failed" or .type == "Denied")
        | .type][0];
    def seat: .metadata.labels["sops-lab/seat"];
'
open() {
    kube get certificatesigningrequests --selector "sops-lab/request=$mark" --output json \\
        >../answers.json 2>../said || return 0
    jq --exit-status "$definitions_of_requests"'
        any(.items[]; (.status.certificate or reason) | not)' ../answers.json >/dev/null
}
deadline=$(($(seconds) + 30))
while open && [ "$(seconds)" -lt "$deadline" ]; do sleep 0.2; done
if [ ! -s ../answers.json ]; then
    say "the cluster did not show the certificates within 30 s: $(refused <../said)"
    exit 1
fi
# Those of a killed run go, too; the cluster would keep them for hours.
requests=/apis/certificates.k8s.io/v1/certificatesigningrequests
kube delete --raw "$requests?labelSelector=sops-lab%2Flab%3D$lab" >/dev/null 2>&1 || true
# Lines of a folder, a tab and a text become the file $1 in each folder.
spread() {
    awk -F '\\t' -v name="$1" '
        { file = $1 "/" name; if (file != last) { close(last); last = file }; print $2 >file }'
}
jq --raw-output "$definitions_of_requests"'
    .items[] | seat as $seat | .status.certificate // empty | @base64d | split("\\n")[]
    | select(. != "") | "\\($seat)\\t\\(.)"' ../answers.json | spread client.crt
why() {
    jq --raw-output --arg seat "$1" "$definitions_of_requests"'
        [.items[] | select(seat == $seat)][0] | if . == null then
            "the cluster did not take its request for a certificate"
        else "its certificate was not signed" + if reason then ": \\(reason)" else
            " within 30 s: kube-controller-manager does that once the request is approved" end
        end' ../answers.json
    if grep -hF "$2-$mark" ../refused ../unapproved >../why; then
        echo "($(refused <../why))"
    fi
}
for request; do
    seat=${request%/*}
    [ -s "$seat/client.crt" ] \\
        || fail "$seat" "$(why "$seat" "sops-lab-$seat-${request##*:}" | paste -sd ' ')"
done
set -- */client.crt
[ -e "$1" ] || exit 0
with_kubeconfigs "$(lab_cluster)" "$name" '
    [$files | keys_unsorted[] | split("/")[0]] | unique[] as $seat
    | kubeconfig($seat)[] | "\\($seat)\\t\\(.)"' */client.crt */client.key | spread kubeconfig
for request in */*:*; do
    seat=${request%/*}
    # The kubeconfig comes last: it is what counts.
    mv -f "$seat/client.key" "$seat/client.crt" "$seat/kubeconfig" \\
        "$class/seats/$seat/" 2>../said \\
        || fail "$seat" "its access could not be written: $(told ../said)"
done
"""
)

# Pairs of a seat and its new generation. What an older version left there was counted, and counts
# nothing any more.
_GENERATIONS = (
    TELLING
    + """
class=$1
shift
umask 077
mkdir -p "$class/failed"
while [ $# -gt 0 ]; do
    folder=$class/seats/$1
    if ! why=$({ mkdir -p "$folder" && echo "$2" >"$folder/generation.new" \\
            && mv -T "$folder/generation.new" "$folder/generation" \\
            && rm -f "$folder/issue"; } 2>&1); then
        [ -e "$class/failed/$1" ] \\
            || echo "its generation could not be written: $(printf '%s' "$why" | told -)" \\
                >"$class/failed/$1"
    fi
    shift 2
done
"""
)

# Pairs of a seat and its new generation, and after them the accounts. What was valid is kept beside
# until it is proven worthless. The generation changes first: whatever happens then, the next run
# gives the seat another user.
_REPLACE = """
class=$1 git=$2
shift 2
umask 077
while [ $# -gt 0 ]; do
    seat=$1 generation=$2 folder=$class/seats/$1
    shift 2
    rm -rf "$class/.new.$seat"
    mkdir -p "$class/.new.$seat" "$class/retired/$seat" "$folder"
    if [ -s "$folder/kubeconfig" ] && [ -s "$folder/client.crt" ] \\
            && grep -qF "$(base64 -w 0 "$folder/client.crt")" "$folder/kubeconfig"; then
        cp "$folder/kubeconfig" "$class/.new.$seat/"
    fi
    if [ -s "$git/credentials/$seat/git-credentials" ]; then
        cp "$git/credentials/$seat/git-credentials" "$class/.new.$seat/"
    fi
    mv -T "$class/.new.$seat" "$class/retired/$seat/before-$generation"
    echo "$generation" >"$folder/generation.new"
    mv -T "$folder/generation.new" "$folder/generation"
done
set -- "$git"
"""

_PROVE = (
    READS
    + ASK_FLUX
    + TELLING
    + """
class=$1 git=$2 base=$3
shift 3
umask 077
export LC_ALL=C
new=$(mktemp -d "$class/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
# Where no hook tells Flux of the push that names the new users, it looks once a minute.
ask_flux 20 --namespace flux-system gitrepository/flux-system
pods() {
    KUBECONFIG=$1 timeout 20 kubectl --request-timeout 10s get pods --output name \\
        --namespace "$2-develop" --context "$3" --user "$2" >/dev/null 2>"$new/said"
}
proven() {
    for old in "$class/retired/$1"/*/; do
        if [ -s "$old/kubeconfig" ]; then
            why="the old certificate still opens $1-develop"
            # This cluster is asked, whichever one the old kubeconfig leads to.
            ! pods "$old/kubeconfig:$KUBECONFIG" "$1" "$LAB_CONTEXT" || return 1
            why="the old certificate was not refused"
            grep -qE '\\(Forbidden\\)|\\(Unauthorized\\)' "$new/said" || return 1
        fi
        if [ -s "$old/git-credentials" ]; then
            why="the old password still opens $1/lab"
            ! reads "$old/git-credentials" "$1/lab" || return 1
            why="the old password was not refused"
            grep -q 'Authentication failed' "$new/said" || return 1
        fi
    done
    why="the new certificate does not open $1-develop"
    pods "$class/seats/$1/kubeconfig" "$1" "$1" || return 1
    why="the new password does not open $1/lab"
    [ -z "$git" ] || reads "$git/credentials/$1/git-credentials" "$1/lab"
}
deadline=$(($(seconds) + 60)) status=0
for seat; do
    [ ! -e "$class/failed/$seat" ] || continue
    until proven "$seat"; do
        if [ "$(seconds)" -ge "$deadline" ]; then
            theirs=
            [ ! -s "$new/said" ] || theirs=": $(told "$new/said")"
            say "$seat: after 60 s $why$theirs"
            status=1
            continue 2
        fi
        sleep 0.3
    done
    rm -rf "${class:?}/retired/$seat"
done
exit $status
"""
)

# Lines of a seat and its user.
_AWAIT_BOUND = (
    BOUND_USERS
    + ASK_FLUX
    + """
class=$1
shift
# Where no hook tells Flux of the push that names the new users, it looks once a minute.
ask_flux 20 --namespace flux-system gitrepository/flux-system
deadline=$(($(seconds) + 60))
while :; do
    found=$(bound_users || true)
    for line; do
        shift
        printf '%s\\n' "$found" | grep -qxF "$line" || set -- "$@" "$line"
    done
    [ $# -gt 0 ] || exit 0
    [ "$(seconds)" -lt "$deadline" ] || break
    sleep 0.3
done
mkdir -p "$class/failed"
for line; do
    seat=${line%% *}
    [ -e "$class/failed/$seat" ] || echo "after 60 s the cluster still lets in the user of an" \\
        "earlier access, or nobody: \\`flux get kustomization tenant-$seat\\` says why" \\
        >"$class/failed/$seat"
done
"""
)


@operation()
def generations(settings: Settings, seats: Sequence[str]) -> Commands:
    """
    Have a generation of access for every seat, which its user is named after: a seat without one
    gets one that no certificate has had.

    + settings: the lab's settings
    + seats: their ids
    """
    known = host.get_fact(SeatGenerations, settings=settings)
    missing = [seat for seat in seats if seat not in known]
    if not missing:
        host.noop("the access of every seat has a generation")
        return
    yield script(_GENERATIONS, settings.class_dir, *_new_generations(missing))


def _new_generations(seats: Sequence[str]) -> list[str]:
    return [part for seat in seats for part in (seat, new_generation())]


@operation()
def issued(settings: Settings, seats: Sequence[str]) -> Commands:
    """
    Have a kubeconfig for every seat, with a certificate that the cluster signed.

    + settings: the lab's settings
    + seats: their ids
    """
    states = host.get_fact(SeatAccess, settings=settings, seats=list(seats))
    wanted = [seat for seat in seats if states.get(seat, MISSING) != CURRENT]
    if not wanted:
        host.noop("every learner has access")
        return
    for reason in sorted({states[seat] for seat in wanted if states.get(seat, MISSING) != MISSING}):
        note(f"{reason} ({named([seat for seat in wanted if states.get(seat) == reason])})")
    known = host.get_fact(SeatGenerations, settings=settings)
    # A seat without a generation has said why it has failed.
    users = {seat: seat_user(seat, known[seat]) for seat in wanted if seat in known}
    if users:
        yield lab_script(
            settings,
            _ISSUE,
            settings.class_dir,
            network_name(settings.lab),
            settings.lab,
            LEARNERS,
            *(part for pair in users.items() for part in pair),
        )


@operation()
def bound(settings: Settings, seats: Sequence[str]) -> Commands:
    """
    Have the cluster let the present user of each seat into its namespace, and no earlier one.

    + settings: the lab's settings
    + seats: their ids
    """
    known = host.get_fact(SeatGenerations, settings=settings)
    users = {seat: seat_user(seat, known[seat]) for seat in seats if seat in known}
    found = host.get_fact(BoundUsers, settings=settings)
    awaited = [f"{seat} {user}" for seat, user in users.items() if found.get(seat) != user]
    if not awaited:
        host.noop("the cluster lets in whom it should")
        return
    yield lab_script(settings, _AWAIT_BOUND, settings.class_dir, *awaited)


@operation()
def replaced(settings: Settings, seats: Sequence[str]) -> Commands:
    """
    Have another password for seats, and their certificates issued under another user from now on.

    + settings: the lab's settings
    + seats: the ids of those whose access is replaced
    """
    if not seats:
        host.noop("nobody's access is to be replaced")
        return
    known = [seat.id for seat in host.get_fact(Enrolled, settings=settings)]
    unknown = [seat for seat in seats if seat not in known]
    if unknown:
        yield refusal(f"there is no seat {', '.join(unknown)}: {_listing(known)}")
        return
    if settings.git_url is not None:
        note(f"the password at {settings.git_url} stays: it is not this lab's")
        yield script(_REPLACE, settings.class_dir, "", *_new_generations(seats))
        return
    yield script(
        _REPLACE + WRITE_ACCOUNTS,
        settings.class_dir,
        settings.git_dir,
        *_new_generations(seats),
        stdin=new_accounts(settings, seats),
    )


@operation()
def proven(settings: Settings, seats: Sequence[str]) -> Commands:
    """
    Prove that access which was replaced is worth nothing any more, and that the new one works.

    + settings: the lab's settings
    + seats: the ids of those whose access was replaced
    """
    retired = host.get_fact(RetiredAccess, settings=settings, seats=list(seats))
    if not retired:
        host.noop("no old access is left to be looked at")
        return
    yield lab_script(
        settings,
        _PROVE,
        settings.class_dir,
        "" if settings.git_url else settings.git_dir,
        settings.git_base_url,
        *retired,
    )


def _listing(seats: Sequence[str]) -> str:
    return f"the class has {', '.join(seats)}" if seats else "the lab has no class"
