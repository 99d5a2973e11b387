"""Read the record of a lab's lease: how long the lab is to stay."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from sopslab.errors import InputError
from sopslab.model.lease import Lease
from sopslab.model.wire import decode


def read_lease(path: str | Path) -> Lease | None:
    """Return the lease in a file, None if there is no file. Raises InputError if the file cannot be
    read or is damaged, because the end of the lab is then unknown."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        # Older records have no `docker_host`.
        lease: Lease = decode(Lease, {"docker_host": None, **found})
        # Raises TypeError for a time without a zone, which cannot be compared.
        lease.ended(datetime.now(UTC))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError([f"{path} cannot be read: {error.strerror}"]) from None
    except (TypeError, ValueError, RecursionError):
        raise InputError([f"{path} is damaged: remove it, then run `sopslab down`"]) from None
    return lease
