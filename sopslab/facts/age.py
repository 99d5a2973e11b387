"""Facts about age identities: public keys only, an identity itself never leaves its file."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.command import lab_script
from sopslab.settings import Settings

_IDENTITY = """
me=$(id -u)
look() {
    identity=$1.agekey
    if [ -s "$1.pub" ]; then echo "recorded $(cat "$1.pub")"; fi
    if [ -L "$identity" ]; then echo "problem it is a symbolic link"; return; fi
    [ -e "$identity" ] || return 0
    [ -f "$identity" ] || { echo "problem it is not a file"; return; }
    case $(stat -c '%u %a' "$identity") in
    "$me 600" | "$me 400") ;;
    "$me "*) echo "problem others may read it: chmod 600 $identity"; return ;;
    *)
        echo "problem it belongs to $(stat -c %U "$identity"): chown $(id -un) $identity"
        return
        ;;
    esac
    command -v age-keygen >/dev/null || return 0
    public=$(age-keygen -y "$identity" 2>/dev/null || true)
    # One identity is one line of age-keygen's answer.
    case $public in
    '' | *[!a-z0-9]*)
        echo "problem it does not hold one valid age identity: restore it from your backup"
        ;;
    *) echo "recipient $public" ;;
    esac
}
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
        return lab_script(settings, _IDENTITY + 'look "$1"', f"{settings.keys_dir}/{key}")

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
        return lab_script(
            settings,
            _IDENTITY + 'keys=$1; shift; for key; do echo "key $key"; look "$keys/$key"; done',
            settings.keys_dir,
            *keys,
        )

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
