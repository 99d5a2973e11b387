"""Operations on the records of incidents and credentials, in the platform repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.settings import Settings
from sopslab.errors import InputError
from sopslab.files.events import note
from sopslab.incidents.records import Incident, incident_file
from sopslab.lab.act import records as act_records
from sopslab.lab.observe.records import recorded_documents
from sopslab.provision.command import Commands, acting, refusal
from sopslab.provision.look import look


@operation()
def documents(settings: Settings, records: Mapping[str, str], gone: Sequence[str] = ()) -> Commands:
    """
    Commit records to the platform repository, and push them.

    + settings: the lab's settings
    + records: the content of each record, by path
    + gone: the paths of records to remove; Git's history keeps them
    """
    present = look(settings, recorded_documents, folder="docs")
    changed = {path: text for path, text in records.items() if present.get(path) != text}
    leaving = [path for path in gone if path in present]
    if not changed and not leaving:
        host.noop("the records say so already")
        return
    for path in changed:
        note(f"{path} is {'changed' if path in present else 'new'}")
    for path in leaving:
        note(f"{path} is taken back")
    yield acting(settings, act_records.record, records=changed, gone=leaving)


@operation()
def incident_record(settings: Settings, incident: Incident) -> Commands:
    """
    Put an incident on record.

    + settings: the lab's settings
    + incident: the incident
    """
    try:
        # A record that cannot be read would end every command about incidents.
        path, text = incident_file(incident)
    except InputError as error:
        yield refusal(str(error))
        return
    yield from documents._inner(settings=settings, records={path: text})
