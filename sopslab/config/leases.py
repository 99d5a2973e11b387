"""What is on record of a lab that is meant for a time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from sopslab.errors import InputError
from sopslab.model.lease import Lease
from sopslab.model.wire import decode


def read_lease(path: str | Path) -> Lease | None:
    """Return the lease in a file, None where there is no file. Raises InputError if it cannot be
    read or is damaged: when the lab ends is not known then."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        # Older ones do not say it.
        lease: Lease = decode(Lease, {"docker_host": None, **found})
        # One without a time zone cannot be compared.
        lease.ended(datetime.now(UTC))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError([f"{path} cannot be read: {error.strerror}"]) from None
    except (TypeError, ValueError, RecursionError):
        raise InputError([f"{path} is damaged: remove it, then run `sopslab down`"]) from None
    return lease
