"""`sopslab backup`: everything of a lab that exists only once, in one encrypted file."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sopslab import __version__
from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import (
    asked_passphrase,
    end,
    format_or_exit,
    json_option,
    problems_or_exit,
    settings_or_exit,
)
from sopslab.errors import Exit, InputError, LabError
from sopslab.model.words import counted

if TYPE_CHECKING:
    from sopslab.config.settings import Seat, Settings
    from sopslab.lab.backups.writing import Written
    from sopslab.lab.tools.age import Passphrase
    from sopslab.model.backups import BackupHead

_PATIENCE_S = 20
"""For another run to end."""


@click.command()
@click.argument(
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file to write.",
)
@click.option(
    "--recipient",
    "recipients",
    multiple=True,
    metavar="RECIPIENT",
    help="Who can open it, `age1…`; may be repeated. Without it, `instructor_recipient`.",
)
@click.option(
    "--passphrase",
    "by_passphrase",
    is_flag=True,
    help="Encrypt it with a passphrase: typed at a prompt, or a line of standard input.",
)
@json_option
def backup(file: Path, recipients: tuple[str, ...], by_passphrase: bool, as_json: bool) -> None:
    """Write everything of the lab that exists only once into FILE, for `sopslab restore`.

    Keys, repositories with all branches and tags, accounts, the class, what was recorded, and the
    clone that is here. Learners may go on pushing. The file is encrypted on its way to the disk.
    """
    from sopslab.lab.backups.writing import write
    from sopslab.run import lock

    settings = settings_or_exit(as_json=as_json)
    if format_or_exit(settings, as_json=as_json, oldest=0) is None:
        end(Exit.FAILED, [f"there is no lab {settings.lab} in {settings.root}"], as_json=as_json)
    began = time.monotonic()
    with problems_or_exit(as_json=as_json):
        _check_place(settings, file)
        key = _key(settings, recipients, by_passphrase)
        lock.hold(Path(settings.lab_dir) / "lock", _PATIENCE_S)
        head = _head(settings)
        written = write(settings.for_machine, head, file, key)
    _tell(file, head, written, time.monotonic() - began, as_json)


def _check_place(settings: Settings, file: Path) -> None:
    """Raise InputError if a backup cannot be there, or would be lost with the lab."""
    if not file.parent.is_dir():
        raise InputError([f"{file} cannot be written: name a file in a folder that is there"])
    # A backup replaces the file instead of writing into it, so root would lose /dev/null.
    if os.path.lexists(file) and not stat.S_ISREG(file.lstat().st_mode):
        raise InputError([f"{file} is there, and is no ordinary file: name another"])
    if file.resolve().is_relative_to(Path(settings.lab_dir).resolve()):
        raise InputError([f"{file} is in the lab's own folder, and is lost with it: name another"])


def _key(
    settings: Settings, recipients: Sequence[str], by_passphrase: bool
) -> Sequence[str] | Passphrase:
    """Return the recipients or the passphrase of a backup. Raises InputError with every problem."""
    from sopslab.checks.backups import recipient_problems
    from sopslab.lab.observe.keys import recipients_here

    if by_passphrase:
        if recipients:
            raise InputError(["--passphrase and --recipient exclude one another"])
        return asked_passphrase(confirm=True)
    named = recipients or tuple(filter(None, [settings.instructor_recipient]))
    if not named:
        raise InputError(
            [
                "name who may open the backup, by --recipient age1… or --passphrase: the lab's own"
                " keys are in it, and are lost with this machine"
            ]
        )
    problems = recipient_problems(named, recipients_here(settings))
    if problems:
        raise InputError(problems)
    return named


def _head(settings: Settings) -> BackupHead:
    """Return the head of a backup. Raises LabError if the lab's repositories cannot be read, or if
    the backup could not be restored with them."""
    from sopslab.checks.backups import belonging_settings, is_repository
    from sopslab.config.enrolled import read_enrolled
    from sopslab.lab.backups.repositories import repositories
    from sopslab.model.backups import FORMAT, BackupHead

    seats = read_enrolled(settings)
    _fetch(settings, seats)
    here = repositories(settings.for_machine)
    if settings.git_url is None and not here:
        raise LabError(
            f"there are no repositories in {settings.git_dir}, without which this would be no"
            " backup: run `sopslab up`"
        )
    odd = [
        f"{settings.git_dir}/repositories/{one}.git is no repository of a lab, and a backup with it"
        " could not be restored: move it elsewhere"
        for one in here
        if not is_repository(one)
    ]
    if odd:
        raise LabError("\n".join(odd))
    return BackupHead(
        format=FORMAT,
        product=__version__,
        lab=settings.lab,
        made=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        seats=len(seats),
        repositories=here,
        settings=belonging_settings(settings),
    )


def _fetch(settings: Settings, seats: Sequence[Seat]) -> None:
    """Fetch the repositories of a Git server in the cluster, which are part of the backup. Raises
    LabError."""
    from sopslab.config.environment import at_seat
    from sopslab.lab.observe.copies import bring_repositories

    of_seats = (at_seat(seat).repository for seat in seats)
    repositories = ["platform", settings.learner_repository, *of_seats]
    problems = bring_repositories(settings, repositories)
    if problems:
        said = "\n".join(f"{repository}: {problem}" for repository, problem in problems.items())
        raise LabError(f"{said}\nwithout its repositories this would be no backup of the lab")


def _tell(file: Path, head: BackupHead, written: Written, seconds: float, as_json: bool) -> None:
    if as_json:
        answer = {
            "ok": True, "backup": str(file), "lab": head.lab, "seats": head.seats,
            "repositories": written.repositories, "commits": written.commits,
            "files": written.files, "bytes": written.size, "seconds": round(seconds, 2),
            "left_out": written.left_out,
        }  # fmt: skip
        echo_json(answer)
        return
    echo(
        f"{file}: the lab {head.lab} with {counted(head.seats, 'seat')},"
        f" {written.repositories} repositories"
        f" ({counted(written.commits, 'commit')}) and {counted(written.files, 'file')};"
        f" {written.size / 1e6:.1f} MB in {seconds:.1f} s"
    )
    for path in written.left_out:
        echo(f"  not in it, because it is no file: {path}")
