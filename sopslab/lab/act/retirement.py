"""Put successors in the place of leaked identities, which are archived and never lost."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sopslab.config.naming import next_key
from sopslab.config.places import Lab
from sopslab.lab.observe.keys import key_file
from sopslab.lab.tools.files import sync


def retire(lab: Lab, keys: list[str]) -> None:
    """Put each successor in the place of its identity, which is archived.

    The old identity is linked into the archive before the successor replaces it, so that there is
    always an identity with that name. The old recipient is removed before that, too: if the run is
    killed then, `up` records the new recipient.
    """
    archive = Path(lab.keys_dir, "archive")
    archive.mkdir(mode=0o700, parents=True, exist_ok=True)
    for key in keys:
        present, successor = key_file(lab, key), key_file(lab, next_key(key))
        if successor.exists():
            if not any(one.samefile(present) for one in archive.glob(f"{key}-*.agekey")):
                moment = datetime.now().strftime("%Y%m%dT%H%M%S")
                (archive / f"{key}-{moment}.agekey").hardlink_to(present)
            sync(archive)
            present.with_suffix(".pub").unlink(missing_ok=True)
            successor.replace(present)
        if successor.with_suffix(".pub").exists():
            successor.with_suffix(".pub").replace(present.with_suffix(".pub"))
