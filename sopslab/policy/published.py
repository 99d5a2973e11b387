"""Values that vendors publish as examples or for tests, and that give access to nobody's data.

They are kept as half of their SHA-256, so that no scanner finds them here. Sources: jwt.io; the
account keys of Azurite and of Azure's emulator of Cosmos DB; AWS's and Stripe's documentation; the
test keys of reCAPTCHA, hCaptcha and Turnstile; the htpasswd lines of Loki's chart and of Traefik's
documentation; what the configurations of Authelia and coturn begin with.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"[A-Za-z0-9+/=_.-]{20,300}")
_KNOWN = frozenset(
    (
        "03b970ed8171d73b58bbc9a5c72e3e4e",
        "0fff9ee671b05ea25f58ed9584635fad",
        "1009e412c0716d2890fc446369dcc7e5",
        "1a5d44a2dca19669d72edf4c4f1c27c4",
        "1afca544ad2d0275c83341167ccf680a",
        "1e3e58656012d861e23deae64f177673",
        "25c5a34bec77765f1aaedde1bcf9c2a7",
        "2cafc0970149a84f3b9e62eaf169f36f",
        "2f3227eccce10b918c6655a32787803e",
        "46c4fccfdf6f335b4867d6e02d9585aa",
        "5895b89c8fb33402a5bfc23aad5aaf86",
        "78314b11be2e581549ac1c4f616563fa",
        "7f75367e7881255134e1375e723d1dea",
        "841b4f5b0b34e19ada74f47a88831efb",
        "a456a921c6e3075e1365c6d31cd789f0",
        "a69c47e0e9deeb992e6a22cd3b056385",
        "b1471f544ceeea31333bde7e1ecbaad6",
        "c6ea27c534f993d31f0aef882e3d200e",
        "c794fa6d20c64efb9adf980ae93af472",
        "ca81ecb3ff58160e0608ae7ac31d3b94",
        "da816f9f2c16e6c5390e7636cadc40c4",
        "e21b597ba6b9cafa59d9ebc4d65c0385",
        "e2957460900a9c2108c677cdae45457a",
        "eaa6a9190faf5587f487fe5170e377fa",
        "eb543dc490df6d053d360d3b66b575d1",
        "ed967197261c16a9ed0205f8a5099d81",
        "f0a4c9ffdab3d5afa1d8b8ee2bcbb7b1",
        "f2d6ca16515033e5dce14eba840b979d",
        "f5e95c9954635b65acab57e6d5ea663e",
        "fb8f35129df87662c650ada12fd614f1",
    )
)


def holds(line: str) -> bool:
    """Return whether *line* has words of 20 characters or more, and all are published values."""
    tokens = [token.strip(".=-") for token in _TOKEN.findall(line)]
    if not tokens:
        return False
    import hashlib

    known = [hashlib.sha256(token.encode()).hexdigest()[:32] in _KNOWN for token in tokens]
    return bool(known) and all(known)
