"""Operations on records: what the platform repository says of incidents and credentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.files.archive import pack
from sopslab.files.events import note
from sopslab.files.render import RenderedFile
from sopslab.incidents.records import Incident, incident_path, render_incident
from sopslab.provision.command import Commands, lab_script
from sopslab.provision.facts.git import credentials_file
from sopslab.provision.facts.incidents import Documents
from sopslab.provision.operations.flux import CLONE_PLATFORM

# The push is the one moment at which a record appears; the clone follows it.
_RECORD = """
url=$1 copy=$2
git_login "$3"
shift 3
clone_platform "$url" "$copy"
[ $# -eq 0 ] || git rm -q --ignore-unmatch -- "$@"
base64 -d | tar -xz
git add --all
git diff --cached --quiet || git commit --quiet \\
    --message "Record $(git diff --cached --name-only | paste -sd ' ' -)"
timeout 60 git push --quiet origin HEAD:refs/heads/main
git fetch --quiet
rm -rf "$copy"
mv "$new/copy" "$copy"
"""


@operation()
def documents(settings: Settings, records: Mapping[str, str], gone: Sequence[str] = ()) -> Commands:
    """
    Have records in the platform repository, committed and pushed.

    + settings: the lab's settings
    + records: their paths, and what they say
    + gone: paths of those that are no longer to be there; Git's history keeps them
    """
    present = host.get_fact(Documents, settings=settings)
    changed = {path: text for path, text in records.items() if present.get(path) != text}
    leaving = [path for path in gone if path in present]
    if not changed and not leaving:
        host.noop("the records say so already")
        return
    for path in changed:
        note(f"{path} is {'changed' if path in present else 'new'}")
    for path in leaving:
        note(f"{path} is taken back")
    yield lab_script(
        settings,
        CLONE_PLATFORM + _RECORD,
        f"{settings.git_base_url}/platform",
        settings.platform_dir,
        credentials_file(settings, INSTRUCTOR),
        *leaving,
        stdin=pack(
            {path: RenderedFile(text.encode(), executable=False) for path, text in changed.items()}
        ),
    )


@operation()
def recorded(settings: Settings, incident: Incident) -> Commands:
    """
    Have an incident on record as it is given.

    + settings: the lab's settings
    + incident: the incident
    """
    records = {incident_path(incident.id): render_incident(incident)}
    yield from documents._inner(settings=settings, records=records)
