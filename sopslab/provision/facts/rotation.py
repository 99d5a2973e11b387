"""Facts about how far a rotation is. Decrypted values never leave the program that looks at
them."""

from __future__ import annotations

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.settings import Settings
from sopslab.errors import InputError
from sopslab.incidents.rotation.record import Rotation, parse_rotation
from sopslab.provision.command import script
from sopslab.provision.facts.parsing import parsing


def record_file(settings: Settings) -> str:
    """Return the file with the record of the rotation that the settings name."""
    return f"{settings.lab_dir}/rotations/{settings.incident}.yaml"


class Remembered(FactBase[Rotation | None]):
    """
    Returns the rotation that the settings name, None if it has not begun.
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
    """Return the folder with the passwords that leaked. They are kept until it is proven that they
    are worthless."""
    return f"{settings.lab_dir}/rotations/{settings.incident}.logins"
