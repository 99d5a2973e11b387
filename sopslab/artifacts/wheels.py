"""Which Python packages of requirements.txt the product needs on another machine. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from packaging.requirements import Requirement

from sopslab.model.store import Arch

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# Versions of Python for which every pinned package has wheels.
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# Minor versions of glibc 2, from that of the oldest machine to that of the newest. The first one
# that a package has a wheel for is taken, since wheels for an older glibc run everywhere.
_GLIBC = (17, 24, 26, 27, 28, 31, 34, 35)


def requirements_for(text: str, python: str, arch: Arch) -> str:
    """Return the lines of a requirements.txt that apply to another machine, without their
    conditions, which pip would judge by the machine that it runs on.

    + text: with hashes, as uv writes it
    + python: such as `3.13`
    """
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": MACHINES[arch],
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    lines = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        asked, *hashes = line.split(" --hash=")
        requirement = Requirement(asked.strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):
            pinned = f"{requirement.name}{requirement.specifier}"
            lines.append(" --hash=".join([pinned, *(each.strip() for each in hashes)]))
    return "".join(f"{line}\n" for line in lines)


def pip_options(python: str, arch: Arch) -> Sequence[str]:
    """Return the options that tell pip which machine it downloads for."""
    own = f"cp{python.replace('.', '')}"
    return (
        *("--python-version", python, "--implementation", "cp"),
        *(word for abi in (own, "abi3", "none") for word in ("--abi", abi)),
        *(word for name in _platforms(arch) for word in ("--platform", name)),
    )


def short_name(wheel: str, arch: Arch) -> str:
    """Return a short name of a wheel, with only one of its platforms: the first in the order of
    `pip_options`. With all its platforms, a name can be too long for the header of a file in an
    archive."""
    known = _platforms(arch)
    front, _, named = wheel.removesuffix(".whl").rpartition("-")
    platforms = sorted(set(known) & set(named.split(".")), key=known.index)
    return f"{front}-{platforms[0] if platforms else named}.whl"


def _platforms(arch: Arch) -> list[str]:
    names = ("manylinux2014", *(f"manylinux_2_{minor}" for minor in _GLIBC))
    return [f"{name}_{MACHINES[arch]}" for name in names]
