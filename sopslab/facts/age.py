"""Facts about age identities: public keys only, an identity itself never leaves its file."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.command import lab_script
from sopslab.settings import Settings

_IDENTITY = """
identity=$1.agekey
if [ -s "$1.pub" ]; then echo "recorded $(cat "$1.pub")"; fi
if [ -L "$identity" ]; then echo "problem it is a symbolic link"; exit 0; fi
[ -e "$identity" ] || exit 0
[ -f "$identity" ] || { echo "problem it is not a file"; exit 0; }
if [ "$(stat -c %u "$identity")" != "$(id -u)" ]; then
    echo "problem it belongs to $(stat -c %U "$identity"): chown $(id -un) $identity"; exit 0
fi
case $(stat -c %a "$identity") in
600 | 400) ;;
*) echo "problem others may read it: chmod 600 $identity"; exit 0 ;;
esac
command -v age-keygen >/dev/null || exit 0
public=$(age-keygen -y "$identity" 2>/dev/null || true)
# One identity is one line of age-keygen's answer.
if [ -n "$public" ] && [ "$(printf '%s\\n' "$public" | wc -l)" -eq 1 ]; then
    echo "recipient $public"
else
    echo "problem it does not hold one valid age identity: restore it from your backup"
fi
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
        return lab_script(settings, _IDENTITY, f"{settings.keys_dir}/{key}")

    @override
    def process(self, output: list[str]) -> IdentityState:
        values = dict(line.split(" ", 1) for line in output if " " in line)
        return IdentityState(
            recipient=values.get("recipient"),
            recorded=values.get("recorded"),
            problem=values.get("problem"),
        )
