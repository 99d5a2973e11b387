"""Facts about how far a rotation is. Decrypted values stay in the program that looks."""

from __future__ import annotations

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.settings import Settings
from sopslab.errors import InputError
from sopslab.incidents.rotation.record import Rotation, parse_rotation
from sopslab.provision.command import script
from sopslab.provision.facts.parsing import parsing


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
    """Return the folder of passwords that leaked; they stay until they are proven worthless."""
    return f"{settings.lab_dir}/rotations/{settings.incident}.logins"
