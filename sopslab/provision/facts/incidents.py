"""Facts about what the platform repository has on record."""

from __future__ import annotations

import base64

from pyinfra.api import FactBase, StringCommand
from pyinfra.api.exceptions import FactProcessError
from typing_extensions import override

from sopslab.config.settings import Settings
from sopslab.errors import InputError
from sopslab.incidents.records import INCIDENTS_DIR, Incident, parse_incident
from sopslab.provision.command import script
from sopslab.provision.facts.parsing import parsing

# Of what is pushed; each file is one line of its content and its path.
_DOCUMENTS = """
cd "$1" 2>/dev/null && [ -d .git ] || exit 0
git rev-parse --quiet --verify origin/main >/dev/null || exit 0
git ls-tree -r --name-only origin/main -- "$2" | while IFS= read -r path; do
    printf '%s %s\\n' "$(git show "origin/main:$path" | base64 -w 0)" "$path"
done
"""


def _texts(output: list[str]) -> dict[str, str]:
    pairs = (line.partition(" ") for line in output)
    return {path: base64.b64decode(content).decode() for content, _, path in pairs}


class Documents(FactBase[dict[str, str]]):
    """
    Returns the records of the platform repository: path, and text.

    .. code:: python

        {"docs/credentials.yaml": "credentials: []\\n"}
    """

    default = dict

    @override
    def command(self, settings: Settings) -> StringCommand:
        return script(_DOCUMENTS, settings.platform_dir, "docs")

    @override
    @parsing
    def process(self, output: list[str]) -> dict[str, str]:
        return _texts(output)


class Incidents(FactBase[dict[str, Incident]]):
    """
    Returns the incidents on record, by their ids.
    """

    default = dict

    @override
    def command(self, settings: Settings) -> StringCommand:
        return script(_DOCUMENTS, settings.platform_dir, INCIDENTS_DIR)

    @override
    @parsing
    def process(self, output: list[str]) -> dict[str, Incident]:
        try:
            found = [parse_incident(path, text) for path, text in _texts(output).items()]
        except InputError as error:
            raise FactProcessError(str(error)) from None
        return {incident.id: incident for incident in found}
