"""Why a cluster cannot be asked, by what kubectl says. kubectl's words are recognised, never
shown."""

from __future__ import annotations

import re

from sopslab.checks.snapshot import Trouble

# The texts are those of kubectl 1.36 and of Go's network library. The first that matches counts.
_SAID: tuple[tuple[str, Trouble], ...] = (
    # The only sentence that is the lab's own, and not kubectl's.
    (r"^kubectl: .*not found$", Trouble.NO_KUBECTL),
    (
        r"(?i)context \"?[^\"]*\"? does not exist|no context exists|error loading config file"
        r"|invalid configuration|no server found for cluster|couldn't get version/kind; json parse"
        r"|cannot unmarshal|unable to (read|load) (client|root|certificate)"
        r"|illegal base64|tls: failed to find any PEM",
        Trouble.BAD_KUBECONFIG,
    ),
    (r"(?i)x509|tls: (?!handshake timeout)|gave HTTP response to HTTPS", Trouble.CERTIFICATE),
    # The last one is about a program that fetches a token, and has none.
    (r"(?i)must be logged in|unauthorized|\bforbidden\b|getting credentials:", Trouble.DENIED),
    (
        r"(?i)connection refused|was refused|no route to host|network is unreachable|no such host",
        Trouble.REFUSED,
    ),
    (r"(?i)Error from server", Trouble.UNWELL),
)


def trouble_of(words: bytes) -> Trouble:
    """Return what it means that kubectl failed with these words. Unknown words mean a connection
    that brings no answer."""
    text = words.decode("utf-8", "replace")
    return next((trouble for pattern, trouble in _SAID if re.search(pattern, text)), Trouble.SILENT)
