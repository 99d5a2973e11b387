"""What operations know of a host, from a look and from its files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sopslab.config.enrolled import enrolled_in
from sopslab.config.environment import Environment
from sopslab.config.naming import next_key
from sopslab.config.settings import Enrolled, Settings
from sopslab.course.fault_record import Injection, parse_record
from sopslab.errors import InputError, LabError
from sopslab.incidents.records import Incident, parse_incident
from sopslab.incidents.rotation.record import Rotation, parse_rotation
from sopslab.lab.beginning import sudo_state
from sopslab.lab.observe.faults import fault_records
from sopslab.lab.observe.identities import identity_states
from sopslab.lab.observe.leaked import record_file, rotation_record
from sopslab.lab.observe.machine import listeners, machine_state
from sopslab.lab.observe.records import recorded_documents
from sopslab.lab.observe.roster import recorded_roster
from sopslab.model.identities import IdentityState
from sopslab.model.incidents import INCIDENTS_DIR
from sopslab.provision.look import give_up, look, look_at_machine, recall, recall_of_machine
from sopslab.provision.preflight import find_sudo_problems


def enrolled(settings: Settings) -> tuple[Enrolled, ...]:
    """Return the learners who have a seat, as the last run recorded them. If the record cannot be
    read, the host fails."""
    text = look(settings, recorded_roster)
    try:
        return enrolled_in(Path(settings.class_dir, "roster.json"), text or "[]")
    except LabError as error:
        give_up(str(error))
        return ()


def identities(settings: Settings, keys: Iterable[str]) -> dict[str, IdentityState]:
    """Return the state of identities and of their successors, as seen since the last change of one
    of them."""
    asked = list(dict.fromkeys(keys))
    if not asked:
        return {}
    return recall(settings, identity_states, keys=[*asked, *map(next_key, asked)])


def through_sudo() -> bool:
    """Return whether this run has root's rights through sudo. If sudo does not give them without a
    password, the host fails: pyinfra would ask for one, and nobody could answer."""
    if recall_of_machine(machine_state, root="/", commands=[]).uid == 0:
        return False
    for problem in find_sudo_problems(recall_of_machine(sudo_state)):
        give_up(problem)
    return True


def injections(
    settings: Settings, environments: Sequence[Environment]
) -> dict[str, Mapping[str, Injection] | None]:
    """Return the faults in each environment that was broken, by the learner's id. Instead of its
    faults, an environment has None if their record is damaged."""
    texts = look(settings, fault_records, environments=list(environments))
    return {learner: _parsed(text) for learner, text in texts.items()}


def _parsed(text: str) -> Mapping[str, Injection] | None:
    try:
        return parse_record(text)
    except ValueError:
        return None


def incidents(settings: Settings) -> dict[str, Incident]:
    """Return the incidents on record, by id. If one of them cannot be read, the host fails."""
    texts = look(settings, recorded_documents, folder=INCIDENTS_DIR)
    try:
        found = [parse_incident(path, text) for path, text in texts.items()]
    except InputError as error:
        give_up(str(error))
        return {}
    return {incident.id: incident for incident in found}


def rotation_of(settings: Settings) -> Rotation | None:
    """Return the rotation that the settings name, None if it has not begun. If its record cannot be
    read, the host fails."""
    incident = settings.incident or ""
    text = look(settings, rotation_record, incident=incident)
    try:
        return None if text is None else parse_rotation(record_file(settings, incident), text)
    except InputError as error:
        give_up(str(error))
        return None


def holders_of(ports: Sequence[int]) -> dict[int, str]:
    """Return who listens on each of these ports that is in use: the containers that publish the
    port, or "another program"."""
    found = look_at_machine(listeners, ports=list(ports))
    return {int(port): holder for port, holder in found.items()}
