"""Facts about what the platform repository has on record."""

from __future__ import annotations

import json

from pyinfra.api import FactBase, StringCommand
from pyinfra.api.exceptions import FactProcessError
from typing_extensions import override

from sopslab.config.settings import Settings
from sopslab.errors import InputError
from sopslab.incidents.records import INCIDENTS_DIR, Incident, parse_incident
from sopslab.lab.observe import records
from sopslab.model.wire import decode
from sopslab.provision.command import looking
from sopslab.provision.facts.parsing import LabFact, parsing


class Documents(LabFact[dict[str, str]]):
    """
    Returns the records of the platform repository: path, and text.

    .. code:: python

        {"docs/credentials.yaml": "credentials: []\\n"}
    """

    look = records.documents
    default = dict

    @override
    def command(self, settings: Settings) -> StringCommand:
        return looking(settings, records.documents, folder="docs")


class Incidents(FactBase[dict[str, Incident]]):
    """
    Returns the incidents on record, by their ids.
    """

    default = dict

    @override
    def command(self, settings: Settings) -> StringCommand:
        return looking(settings, records.documents, folder=INCIDENTS_DIR)

    @override
    @parsing
    def process(self, output: list[str]) -> dict[str, Incident]:
        texts = decode(dict[str, str], json.loads("\n".join(output)))
        try:
            found = [parse_incident(path, text) for path, text in texts.items()]
        except InputError as error:
            raise FactProcessError(str(error)) from None
        return {incident.id: incident for incident in found}
