"""Which package contains a command, for each known package manager."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Manager:
    """The commands of a package manager, to which the names of packages are appended. None of them
    removes a package from the machine.

    `update` reads the list of packages, None if `fetch` does that itself. `known` fails for a
    package that cannot be installed. `fetch` downloads what `install` then needs no network for.
    """

    update: tuple[str, ...] | None
    known: tuple[str, ...]
    fetch: tuple[str, ...]
    install: tuple[str, ...]


_APT = (
    *("apt-get", "install", "-qq", "--yes", "--no-remove", "--no-install-recommends"),
    # A machine that has just been started may be installing upgrades.
    *("--option", "DPkg::Lock::Timeout=300"),
)
_DNF = ("dnf", "--quiet", "install", "--assumeyes", "--setopt=install_weak_deps=False")


# By the command whose presence shows that a machine has the manager.
MANAGERS: Mapping[str, Manager] = {
    "apt-get": Manager(
        update=("apt-get", "update", "-qq"),
        # `apt-cache show` would also succeed for packages that others only mention.
        known=("apt-get", "install", "-qq", "--simulate", "--no-remove"),
        fetch=(*_APT, "--download-only"),
        install=_APT,
    ),
    "dnf": Manager(
        update=None,
        known=("dnf", "--quiet", "list"),
        fetch=(*_DNF, "--downloadonly"),
        install=_DNF,
    ),
}

# The libraries that the maker of PDFs loads, and a font for the text.
PDF_LIBRARIES = ("libharfbuzz-subset", "libpango", "libpangoft2", "a font")

# Packages by command, or by what else is needed. If there are several, the first that can be
# installed is used: since Debian 13 and Fedora 41, Docker's client is no longer part of the engine.
PACKAGES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "apt-get": {
        "a font": ("fonts-dejavu-core",),
        "docker": ("docker-cli", "docker.io"),
        "dockerd": ("docker.io",),
        "git": ("git",),
        "iptables": ("iptables",),
        "libharfbuzz-subset": ("libharfbuzz-subset0",),
        "libpango": ("libpango-1.0-0",),
        "libpangoft2": ("libpangoft2-1.0-0",),
        "mmdebstrap": ("mmdebstrap",),
        "setsid": ("util-linux",),
    },
    "dnf": {
        "a font": ("dejavu-sans-fonts",),
        "docker": ("docker-cli", "moby-engine"),
        "dockerd": ("moby-engine",),
        "git": ("git-core",),
        "iptables": ("iptables-nft",),
        "libharfbuzz-subset": ("harfbuzz",),
        "libpango": ("pango",),
        "setsid": ("util-linux",),
    },
}


def packages_of(manager: str, commands: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the packages that contain these commands, each with its alternatives."""
    table = PACKAGES[manager]
    return sorted({table[command] for command in commands if command in table})
