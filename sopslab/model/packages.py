"""Which package has a command, for each package manager that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Manager:
    """A package manager, by its commands, to which names of packages are added. It takes nothing
    off the machine to install something.

    `update` reads what there is; None where `install` does that. `known` fails for a package that
    cannot be installed.
    """

    update: tuple[str, ...] | None
    known: tuple[str, ...]
    install: tuple[str, ...]


# By the command that a machine has where it has the manager.
MANAGERS: Mapping[str, Manager] = {
    "apt-get": Manager(
        update=("apt-get", "update", "-qq"),
        # Not `apt-cache show`, which also knows packages that others only mention.
        known=("apt-get", "install", "-qq", "--simulate", "--no-remove"),
        install=(
            *("apt-get", "install", "-qq", "--yes", "--no-remove", "--no-install-recommends"),
            # A machine that was started just now may be installing upgrades.
            *("--option", "DPkg::Lock::Timeout=300"),
        ),
    ),
    "dnf": Manager(
        update=None,
        known=("dnf", "--quiet", "list"),
        install=("dnf", "--quiet", "install", "--assumeyes", "--setopt=install_weak_deps=False"),
    ),
}

# What makes PDFs loads these, and sets text in a font.
PDF_LIBRARIES = ("libharfbuzz-subset", "libpango", "libpangoft2", "a font")

# By command, and by what else is needed. Of several packages the first counts that can be
# installed: Debian 13 and Fedora 41 have taken Docker's client out of its engine.
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
    """Return the packages that have these commands, each with what else it may be called."""
    table = PACKAGES[manager]
    return sorted({table[command] for command in commands if command in table})
