"""The step that puts records into the platform repository."""

from __future__ import annotations

from pyinfra.api import deploy

from sopslab.config.settings import Settings
from sopslab.provision.operations import incidents


@deploy("Platform")
def keep_records(settings: Settings) -> None:
    """Commit and push what the settings say is to be on record."""
    incidents.documents(
        name="Put records into the platform repository",
        settings=settings,
        records=settings.records,
    )
