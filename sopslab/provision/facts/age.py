"""Facts about age identities: public keys only, an identity itself never leaves its file."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.settings import Settings
from sopslab.provision.command import lab_script

# Says of each key its name, and then what there is of it. A class is looked at in a few processes,
# not in a few for each seat.
_IDENTITIES = """
folder=$1
shift
public() { timeout 20 age-keygen -y 2>/dev/null || true; }
# Lines with a public key for each file. Two identities in one of them, or none, would shift the
# answers to other files: then each is asked for by itself.
publics() {
    command -v age-keygen >/dev/null || return 0
    echo keygen
    for file; do
        shift
        [ ! -f "$file" ] || [ -L "$file" ] || [ ! -r "$file" ] || set -- "$@" "$file"
    done
    [ $# -gt 0 ] || return 0
    if ! grep --count --with-filename '^AGE-SECRET-KEY-' "$@" | grep -qv ':1$'; then
        all=$(cat "$@" | public)
        if [ "$(printf '%s\\n' "$all" | grep -c .)" -eq $# ]; then
            printf '%s\\n' "$all" | while read -r recipient; do
                printf 'public\\t%s\\t%s\\n' "$1" "$recipient"
                shift
            done
            return
        fi
    fi
    for file; do printf 'public\\t%s\\t%s\\n' "$file" "$(public <"$file" | paste -sd ' ')"; done
}
raw() {
    printf 'me\\t%s\\t%s\\n' "$(id -u)" "$(id -un)"
    [ $# -eq 0 ] || printf 'key\\t%s\\n' "$@"
    cd "$folder" 2>/dev/null || return 0
    for key; do
        shift
        if [ -s "$key.pub" ] && read -r recipient <"$key.pub"; then
            printf 'recorded\\t%s\\t%s\\n' "$key" "$recipient"
        fi
        [ ! -e "$key.agekey" ] && [ ! -L "$key.agekey" ] || set -- "$@" "$key.agekey"
    done
    [ $# -gt 0 ] || return 0
    stat --printf 'file\\t%n\\t%u\\t%a\\t%U\\t%F\\n' "$@"
    publics "$@"
}
raw "$@" | awk -F '\\t' -v folder="$folder" '
    { name = $2; sub(/\\.agekey$/, "", name) }
    $1 == "me" { me = $2; user = $3 }
    $1 == "key" { order[++keys] = name }
    $1 == "recorded" { recorded[name] = $3 }
    $1 == "keygen" { asked = 1 }
    $1 == "public" { public[name] = $3 }
    $1 == "file" {
        there[name]
        path = folder "/" $2
        if ($6 == "symbolic link") problem[name] = "it is a symbolic link"
        else if ($6 !~ /^regular/) problem[name] = "it is not a file"
        else if ($3 != me) problem[name] = "it belongs to " $5 ": chown " user " " path
        else if ($4 !~ /^[46]00$/) problem[name] = "others may read it: chmod 600 " path
    }
    END {
        for (i = 1; i <= keys; i++) {
            name = order[i]
            print "key " name
            if (name in recorded) print "recorded " recorded[name]
            if (name in problem) print "problem " problem[name]
            else if (name in there && asked) {
                if (public[name] ~ /^[a-z0-9]+$/) print "recipient " public[name]
                else print "problem it does not hold one valid age identity:" \\
                    " restore it from your backup"
            }
        }
    }'
"""


@dataclass(frozen=True)
class IdentityState:
    """An identity of the store.

    `recipient` is its public key, None if there is no usable file; `recorded` is the public key
    that was noted when it was made; `problem` says in words why the file cannot be used.
    """

    recipient: str | None = None
    recorded: str | None = None
    problem: str | None = None


class Identity(FactBase[IdentityState]):
    """
    Returns how the identity `key` of the lab's key store stands, as an `IdentityState`.
    """

    default = IdentityState

    @override
    def command(self, settings: Settings, key: str) -> StringCommand:
        return lab_script(settings, _IDENTITIES, settings.keys_dir, key)

    @override
    def process(self, output: list[str]) -> IdentityState:
        return _state(output)


class Identities(FactBase[dict[str, IdentityState]]):
    """
    Returns how each of the identities `keys` of the lab's key store stands; one look for all.
    """

    default = dict

    @override
    def command(self, settings: Settings, keys: list[str]) -> StringCommand:
        return lab_script(settings, _IDENTITIES, settings.keys_dir, *keys)

    @override
    def process(self, output: list[str]) -> dict[str, IdentityState]:
        lines: dict[str, list[str]] = {}
        for line in output:
            word, _, rest = line.partition(" ")
            if word == "key":
                lines[rest] = []
            elif lines:
                next(reversed(lines.values())).append(line)
        return {key: _state(said) for key, said in lines.items()}


def _state(output: list[str]) -> IdentityState:
    values = dict(line.split(" ", 1) for line in output if " " in line)
    return IdentityState(
        recipient=values.get("recipient"),
        recorded=values.get("recorded"),
        problem=values.get("problem"),
    )
