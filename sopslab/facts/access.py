"""Facts about the learners' access to the cluster: their certificates and kubeconfigs. Private keys
stay in their files and in pipes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.command import lab_script, script
from sopslab.facts.parsing import parsing
from sopslab.naming import network_name, seat_user
from sopslab.settings import Settings

# The group of every learner's certificate.
LEARNERS = "sops-lab:learners"

CURRENT = "current"
MISSING = "missing"

_KINDS = {"missing", "open", "certificate", "kubeconfig"}
# Anything else in the file `issue` is no number of ours, and 0 is one that no certificate has.
_ISSUE = re.compile(r"[1-9][0-9]{0,17}")

# What a seat's kubeconfig says, from the lab's own and from the seat's certificate and key. JSON is
# YAML, and a seat may be called `no` or `007`.
KUBECONFIGS = """
lab_cluster() {
    [ -s "$KUBECONFIG" ] && kubectl --context "$LAB_CONTEXT" config view --minify --flatten --raw \\
        --output json 2>/dev/null | jq --compact-output '.clusters[0].cluster' || true
}
definitions='
    (reduce inputs as $line ({}; .[input_filename] += "\\($line)\\n")) as $files
    | def content($seat; $file): $files["\\($seat)/\\($file)"];
    def beginning: ["apiVersion: v1", "kind: Config", "clusters:", "- name: \\($lab | tojson)",
        "  cluster:", ($cluster // {} | to_entries[] | "    \\(.key): \\(.value | tojson)")];
    def kubeconfig($seat): beginning + [
        "contexts:", "- name: \\($seat | tojson)", "  context:", "    cluster: \\($lab | tojson)",
        "    namespace: \\("\\($seat)-develop" | tojson)", "    user: \\($seat | tojson)",
        "current-context: \\($seat | tojson)",
        "users:", "- name: \\($seat | tojson)", "  user:",
        "    client-certificate-data: \\(content($seat; "client.crt") // "" | @base64)",
        "    client-key-data: \\(content($seat; "client.key") // "" | @base64)"];
    def text: map("\\(.)\\n") | add;
'
# $1: the cluster as `lab_cluster` says, $2: its name, $3: what to print, $4 …: <seat>/<file>.
with_kubeconfigs() {
    cluster=${1:-null} lab=$2 program=$3
    shift 3
    jq --null-input --raw-input --raw-output --argjson cluster "$cluster" --arg lab "$lab" \\
        "$definitions $program" "$@"
}
"""

# One line a certificate: seat, number of the issue, end, whether the key fits, and the subject.
# OpenSSL reads them all at once, certificates and keys in turn; `openssl x509` would take 20 ms for
# each. Where something is damaged that does not come out even, and each seat is looked at alone.
_CERTIFICATES = """
describe() {
    {
        for seat; do
            shift
            set -- "$@" "$seat/client.crt" "$seat/client.key"
            number=0
            if [ -e "$seat/issue" ]; then read -r number <"$seat/issue" || true; else number=1; fi
            case $number in '' | *[!0-9]*) number=0 ;; esac
            echo "seat $seat $number"
        done
        cat "$@" 2>/dev/null | openssl storeutl -noout -text /dev/stdin 2>/dev/null || true
    } | awk '
        $1 == "seat" && NF == 3 { seat[++seats] = $2; number[seats] = $3; next }
        /^[0-9]+: Certificate$/ { if (certificates++ != keys) odd = 1 }
        /^[0-9]+: Pkey$/ { if (++keys != certificates) odd = 1 }
        /^ *Not After *:/ {
            gsub(":", "", $6)
            month = (index("JanFebMarAprMayJunJulAugSepOctNovDec", $4) + 2) / 3
            end[certificates] = sprintf("%04d%02d%02d%06d", $7, month, $5, $6)
        }
        /^ *Subject: / {
            sub(/^ *Subject: /, "")
            gsub(" = ", "=")
            subject[certificates] = $0
        }
        /^ *pub:$/ { inside = 1; next }
        inside && /^ *[0-9a-f][0-9a-f:]*$/ {
            gsub(" ", "")
            if (keys == certificates) private[keys] = private[keys] $0
            else public[certificates] = public[certificates] $0
            next
        }
        { inside = 0 }
        END {
            if (seats > 1 && (odd || certificates != seats || keys != seats)) exit 1
            for (i = 1; i <= seats; i++)
                print "certificate", seat[i], number[i], end[i] ? end[i] : "-",
                    private[i] && private[i] == public[i] ? "fits" : "differs", subject[i]
        }'
}
certificates() {
    if told=$(describe "$@"); then
        printf '%s\\n' "$told"
    else
        for seat; do describe "$seat"; done
    fi
}
"""

_ACCESS = (
    KUBECONFIGS
    + _CERTIFICATES
    + """
class=$1 lab=$2
shift 2
[ $# -gt 0 ] || exit 0
[ -d "$class/seats" ] || { printf 'missing %s\\n' "$@"; exit 0; }
cd "$class/seats"
export OPENSSL_CONF=/dev/null
date -u -d '+3 days' '+soon %Y%m%d%H%M%S'
for seat; do
    shift
    if [ -s "$seat/kubeconfig" ]; then set -- "$@" "$seat"; else echo "missing $seat"; fi
done
[ $# -gt 0 ] || exit 0
find "$@" -maxdepth 1 \\( -name kubeconfig -o -name client.key \\) -perm /077 -printf 'open %h\\n'
certificates "$@"
for seat; do
    shift
    set -- "$@" "$seat/kubeconfig"
    for file in "$seat/client.crt" "$seat/client.key"; do
        [ ! -s "$file" ] || set -- "$@" "$file"
    done
done
with_kubeconfigs "$(lab_cluster)" "$lab" '
    $files | keys_unsorted[] | select(endswith("/kubeconfig")) | split("/")[0] as $seat
    | "kubeconfig \\($seat) " + (content($seat; "kubeconfig")
        | if $cluster == null then "nowhere"
          elif . == (kubeconfig($seat) | text) then "same"
          elif startswith(beginning | text) then "differs"
          else "elsewhere" end)' "$@" 2>/dev/null || true
"""
)


def _state(seat: str, said: Mapping[str, str], soon: str) -> str:
    """Return how one seat's access stands, from what the script said of it by kind."""
    if "missing" in said:
        return MISSING
    number, end, key, subject = [*said.get("certificate", "").split(" ", 3), *[""] * 4][:4]
    kubeconfig = said.get("kubeconfig")
    faults = {
        "others could read it": "open" in said,
        "the number of its issue cannot be read": not _ISSUE.fullmatch(number),
        "its certificate cannot be read": not end.isdecimal(),
        "its certificate is of another issue": set(subject.split(", "))
        != {f"CN={seat_user(seat, int(number or 0))}", f"O={LEARNERS}"},
        "its certificate ends in less than 3 days": end <= soon,
        "its key does not fit its certificate": key != "fits",
        "there is no cluster that it leads to": kubeconfig == "nowhere",
        "it leads to another cluster": kubeconfig == "elsewhere",
        "it is not what was written": kubeconfig != "same",
    }
    return next((f"stale: {fault}" for fault, is_so in faults.items() if is_so), CURRENT)


class SeatAccess(FactBase[dict[str, str]]):
    """
    Returns how the kubeconfig of each of `seats` stands: `current`, `missing`, or `stale: …` with
    the reason.

    .. code:: python

        {"ada": "current", "bob": "stale: it leads to another cluster"}
    """

    default = dict

    @override
    def command(self, settings: Settings, seats: list[str]) -> StringCommand:
        return lab_script(settings, _ACCESS, settings.class_dir, network_name(settings.lab), *seats)

    @override
    @parsing
    def process(self, output: list[str]) -> dict[str, str]:
        lines = [[*line.split(" ", 2), "", ""][:3] for line in output]
        soon = next((day for kind, day, _ in lines if kind == "soon"), "")
        said: dict[str, dict[str, str]] = {}
        for kind, seat, rest in lines:
            if kind in _KINDS:
                said.setdefault(seat, {})[kind] = rest
        return {seat: _state(seat, kinds, soon) for seat, kinds in said.items()}


class SeatIssues(FactBase[dict[str, int]]):
    """
    Returns the number of each seat's present access, for every seat that has one: 1 at first, one
    more each time it is issued anew. Who is not named has 1. Where the number cannot be read it is
    0, a user whom no certificate names.

    .. code:: python

        {"ada": 1, "bob": 3}
    """

    default = dict

    @override
    def command(self, settings: Settings) -> StringCommand:
        return script(
            """
            cd "$1/seats" 2>/dev/null || exit 0
            for seat in *; do
                [ -e "$seat/issue" ] || continue
                number=
                read -r number <"$seat/issue" || true
                printf '%s %s\\n' "$seat" "$number"
            done
            """,
            settings.class_dir,
        )

    @override
    def process(self, output: list[str]) -> dict[str, int]:
        pairs = (line.partition(" ") for line in output)
        return {seat: int(number) if _ISSUE.fullmatch(number) else 0 for seat, _, number in pairs}


class RetiredAccess(FactBase[list[str]]):
    """
    Returns those of `seats` whose replaced access is kept until it is proven to be worth nothing.
    """

    default = list

    @override
    def command(self, settings: Settings, seats: list[str]) -> StringCommand:
        return script(
            """
            cd "$1/retired" 2>/dev/null || exit 0
            shift
            for seat; do [ ! -d "$seat" ] || echo "$seat"; done
            """,
            settings.class_dir,
            *seats,
        )

    @override
    def process(self, output: list[str]) -> list[str]:
        return output
