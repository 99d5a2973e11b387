"""`sopslab bundle`: everything that a lab needs in one file, for machines without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import json_option, problems_or_exit, settings_or_exit
from sopslab.config.inputs import LOCAL
from sopslab.errors import Exit, LabError
from sopslab.model.store import Arch
from sopslab.model.words import counted

if TYPE_CHECKING:
    from sopslab.config.settings import Settings
    from sopslab.lab.bundles.loading import Trust
    from sopslab.lab.bundles.writing import Contents, Progress
    from sopslab.model.bundles import BundleManifest

_SIZE = re.compile(r"([1-9][0-9]{0,8})([KMG]?)")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
_SMALLEST = 10**6
_BOTH = "both"

_file = click.argument(
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The bundle; if it was split, the name without .001.",
)
_signers = click.option(
    "--signers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The keys that may have signed it, as a file of allowed signers of OpenSSH. `load`"
    " remembers it.",
)
_unsigned = click.option(
    "--unsigned",
    is_flag=True,
    help="Accept a bundle without a signature: then nothing proves who made it.",
)


@click.group()
def bundle() -> None:
    """Carry a lab to machines without a network, in one file."""


@bundle.command()
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    required=True,
    help="The file to write.",
)
@click.option(
    "--arch",
    type=click.Choice([*get_args(Arch), _BOTH]),
    help="The processors it is for: this machine's, whose store it is made from, or `both`.",
)
@click.option(
    "--with",
    "other",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The bundle of a machine with the other processors, for `--arch both`.",
)
@_signers
@_unsigned
@click.option(
    "--python",
    "pythons",
    metavar="VERSIONS",
    help="The versions of Python it is for, such as 3.11,3.13. Without it, 3.11 to 3.14.",
)
@click.option(
    "--split",
    metavar="SIZE",
    help="Write FILE.001, FILE.002, … of at most this size, such as 4000M.",
)
@click.option(
    "--sign-with",
    "key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="KEY",
    help="OpenSSH's private key to sign it with, or the public key of one that an agent has.",
)
@json_option
def create(
    output: Path,
    arch: str | None,
    other: Path | None,
    signers: Path | None,
    unsigned: bool,
    pythons: str | None,
    split: str | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Write everything that a lab needs into one file: tools, images, this product with its Python
    packages, and the lesson in it.

    It is made from the store, which has to be full (`sopslab fetch`), and from Python packages of
    the index that pip uses. The same store, version and key give the same bytes.

    For both kinds of processors, make a bundle on a machine of each kind, and include the first
    in the second: `--arch both --with FILE`, and `--signers` or `--unsigned` as for `load`.
    """
    from functools import partial

    from sopslab.lab.bundles.loading import take_in
    from sopslab.lab.bundles.writing import create as write

    settings = settings_or_exit(as_json=as_json, inventory=LOCAL)
    lab = settings.for_machine
    with problems_or_exit(as_json=as_json):
        contents = _contents(settings, arch, other, pythons)
        size = _size(split) if split else None
        trust = _trust(signers, unsigned)
        with _progress(as_json) as progress:
            taken = partial(take_in, lab, other, trust, progress) if other is not None else None
            made = write(lab, contents, output, progress, split=size, key=key, take_in=taken)
    if as_json:
        answer = {
            "ok": True, "files": [str(path) for path in made.paths], "size": made.size,
            "manifest": made.sha256, "signed": key is not None,
            "members": len(made.manifest.members),
            "without_licence": list(made.manifest.without_licence),
        }  # fmt: skip
        echo_json(answer)
        return
    for path in made.paths:
        echo(f"{path}: {path.stat().st_size / 1e6:.0f} MB")
    echo(f"Its manifest has the SHA-256 {made.sha256}")
    if key is None:
        echo("It is not signed: whoever loads it has to compare that sum, and say `--unsigned`")


@bundle.command()
@_file
@_signers
@_unsigned
@json_option
def verify(file: Path, signers: Path | None, unsigned: bool, as_json: bool) -> None:
    """Read a bundle to its end, and say whether it is whole and its signature is trusted."""
    from sopslab.lab.bundles import loading

    settings = settings_or_exit(as_json=as_json, inventory=LOCAL)
    with problems_or_exit(as_json=as_json), _progress(as_json) as progress:
        trust = _trust(signers, unsigned)
        found = loading.verify(settings.for_machine, file, trust, progress)
    if as_json:
        echo_json({"ok": True, **_told(found)})
        return
    echo(f"{file} is whole: sops-lab {found.product} for {', '.join(found.arches)}")


@bundle.command()
@_file
@_signers
@_unsigned
@json_option
def load(file: Path, signers: Path | None, unsigned: bool, as_json: bool) -> None:
    """Put what a bundle has into the store, all of it or nothing.

    `sopslab up` makes the lab from it then, without a network. Loaded again, it changes nothing.
    """
    from sopslab.lab.bundles import loading
    from sopslab.lab.observe.store import this_arch

    settings = settings_or_exit(as_json=as_json, inventory=LOCAL)
    with problems_or_exit(as_json=as_json), _progress(as_json) as progress:
        trust = _trust(signers, unsigned)
        loaded = loading.load(settings.for_machine, file, trust, this_arch(), progress)
    if as_json:
        echo_json({"ok": True, "entries": list(loaded.entries), **_told(loaded.manifest)})
        return
    if not loaded.entries:
        echo(f"The store {settings.store} has all that is in it: nothing to do")
        return
    changes = counted(len(loaded.entries), "change")
    echo(f"The store {settings.store} has it ({changes}). Next: sopslab up")


def _told(found: BundleManifest) -> dict[str, object]:
    return {
        "product": found.product, "source": found.source, "arches": list(found.arches),
        "pythons": list(found.pythons), "members": len(found.members),
    }  # fmt: skip


def _trust(signers: Path | None, unsigned: bool) -> Trust:
    from sopslab.lab.bundles.loading import Trust

    if signers is not None and unsigned:
        raise click.UsageError("--signers and --unsigned exclude one another")
    return Trust(signers, unsigned)


def _contents(
    settings: Settings, arch: str | None, other: Path | None, pythons: str | None
) -> Contents:
    """Return the content of a bundle. Raises LabError if the store does not have all of it."""
    from sopslab.artifacts.catalog import load_catalog
    from sopslab.artifacts.wheels import PYTHONS
    from sopslab.lab.bundles.stored import stored
    from sopslab.lab.observe.store import this_arch

    if arch not in (None, _BOTH if other else this_arch()):
        raise LabError(
            f"this machine is {this_arch()}, and a bundle has the store of the machine that makes"
            " it: make one on a machine of the other kind, and name it with `--arch both --with"
            " FILE`",
            Exit.INPUT,
        )
    versions = tuple(pythons.split(",")) if pythons else PYTHONS
    unknown = [version for version in versions if version not in PYTHONS]
    if unknown:
        raise LabError(
            f"--python: {', '.join(unknown)}: known are {', '.join(PYTHONS)}", Exit.INPUT
        )
    return stored(settings.for_machine, load_catalog(settings.catalog), versions)


def _size(text: str) -> int:
    """Return the number of bytes of a size such as `4000M`."""
    found = _SIZE.fullmatch(text)
    size = int(found[1]) * _UNITS[found[2]] if found else 0
    if size < _SMALLEST:
        raise LabError(f"--split: {text!r} is refused: a size such as 4000M is needed", Exit.INPUT)
    return size


@contextmanager
def _progress(as_json: bool) -> Iterator[Progress]:
    """Yield a function that shows the progress: as a bar on a terminal, nothing elsewhere."""
    if as_json:
        yield _nothing
        return
    from rich import progress as bars

    from sopslab.cli.console import Console

    columns: Sequence[Any] = (bars.TextColumn("{task.description}"), bars.BarColumn())
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=None)

        def tell(what: str, done: int, total: int) -> None:
            shown.update(task, description=what, completed=done, total=total)

        yield tell


def _nothing(_what: str, _done: int, _total: int) -> None:
    pass
