"""Facts about the learners' access to the cluster: their certificates and kubeconfigs. Private keys
stay in their files and in pipes."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.naming import GENERATION, network_name, seat_user
from sopslab.config.settings import Settings
from sopslab.provision.command import lab_script, script
from sopslab.provision.facts.parsing import parsing

# The group of every learner's certificate.
LEARNERS = "sops-lab:learners"

CURRENT = "current"
MISSING = "missing"

_KINDS = {"missing", "open", "certificate", "kubeconfig"}

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

# Prints the generation of the seat in the folder $1, or `-` where it cannot be read.
_GENERATION_OF = """
generation_of() {
    generation=-
    if [ -e "$1/generation" ]; then read -r generation <"$1/generation" || true; fi
    case $generation in '' | *[!0-9a-f]*) generation=- ;; esac
    echo "$generation"
}
"""

# One line a certificate: seat, its generation, end, whether the key fits, and the subject.
# OpenSSL reads them all at once, certificates and keys in turn; `openssl x509` would take 20 ms for
# each. Where something is damaged that does not come out even, and each seat is looked at alone.
_CERTIFICATES = (
    _GENERATION_OF
    + """
describe() {
    {
        for seat; do
            shift
            set -- "$@" "$seat/client.crt" "$seat/client.key"
            echo "seat $seat $(generation_of "$seat")"
        done
        cat "$@" 2>/dev/null | openssl storeutl -noout -text /dev/stdin 2>/dev/null || true
    } | awk '
        $1 == "seat" && NF == 3 { seat[++seats] = $2; generation[seats] = $3; next }
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
                print "certificate", seat[i], generation[i], end[i] ? end[i] : "-",
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
)

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
    generation, end, key, subject = [*said.get("certificate", "").split(" ", 3), *[""] * 4][:4]
    kubeconfig = said.get("kubeconfig")
    faults = {
        "others could read it": "open" in said,
        "its generation cannot be read": not GENERATION.fullmatch(generation),
        "its certificate cannot be read": not end.isdecimal(),
        "its certificate is of another generation": set(subject.split(", "))
        != {f"CN={seat_user(seat, generation)}", f"O={LEARNERS}"},
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


class SeatGenerations(FactBase[dict[str, str]]):
    """
    Returns the generation of each seat's access, which its user is named after. A seat that is not
    named has none, or one that cannot be read.

    .. code:: python

        {"ada": "5f0c9a31e27b44", "bob": "e91d07b6c3a852"}
    """

    default = dict

    @override
    def command(self, settings: Settings) -> StringCommand:
        return script(
            _GENERATION_OF
            + """
            cd "$1/seats" 2>/dev/null || exit 0
            for seat in *; do echo "$seat $(generation_of "$seat")"; done
            """,
            settings.class_dir,
        )

    @override
    def process(self, output: list[str]) -> dict[str, str]:
        pairs = (line.partition(" ") for line in output)
        return {seat: found for seat, _, found in pairs if GENERATION.fullmatch(found)}


# One line a seat: its id, and the users that the cluster lets into its namespace.
BOUND_USERS = """
bound_users() {
    timeout 20 kubectl --context "$LAB_CONTEXT" --request-timeout 10s get rolebindings \\
        --all-namespaces --selector sops-lab/seat --field-selector metadata.name=learner --output \\
        'jsonpath={range .items[*]}{.metadata.namespace} {.subjects[*].name}{"\\n"}{end}' \\
        2>/dev/null | sed 's/-develop / /'
}
"""


class BoundUsers(FactBase[dict[str, str]]):
    """
    Returns whom the cluster lets into the namespace of each seat; nobody where it does not answer.

    .. code:: python

        {"ada": "sops-lab:ada:5f0c9a31e27b44"}
    """

    default = dict

    @override
    def command(self, settings: Settings) -> StringCommand:
        return lab_script(settings, BOUND_USERS + '[ ! -s "$KUBECONFIG" ] || bound_users || true')

    @override
    def process(self, output: list[str]) -> dict[str, str]:
        return {seat: users for seat, _, users in (line.partition(" ") for line in output)}


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
