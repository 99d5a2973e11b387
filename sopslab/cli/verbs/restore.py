"""`sopslab restore`: the lab of a backup, where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import (
    asked_passphrase,
    json_option,
    problems_or_exit,
    settings_or_exit,
)
from sopslab.errors import InputError
from sopslab.model.words import counted

if TYPE_CHECKING:
    from sopslab.config.settings import Settings
    from sopslab.lab.backups.reading import Restored
    from sopslab.lab.tools.age import Passphrase
    from sopslab.model.backups import BackupHead


@click.command()
@click.argument(
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The backup.",
)
@click.option(
    "--identity",
    "identities",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A file with an identity that opens it; may be repeated. One that a passphrase opens asks"
    " for that on a terminal, or takes a line of standard input.",
)
@json_option
def restore(file: Path, identities: tuple[Path, ...], as_json: bool) -> None:
    """Bring back the lab that `sopslab backup` wrote into FILE, where there is no lab of its name.

    The whole file is checked before anything is in its place. `sopslab up` makes the cluster then.
    Hooks and configuration of the clone in `work/` are the file's: git runs them, so restore only
    what comes from whom you trust.
    """
    from sopslab.checks.backups import differing_settings
    from sopslab.lab.backups.reading import restore as restored
    from sopslab.run import lock

    settings = settings_or_exit(as_json=as_json)

    def key(source: IO[bytes]) -> Sequence[Path] | Passphrase:
        return _key(source, identities)

    def lab_file(head: BackupHead) -> str | None:
        return _lab_file(settings, differing_settings(head, settings))

    with problems_or_exit(as_json=as_json):
        lock.hold(Path(settings.lab_dir) / "lock")
        found = restored(settings.for_machine, file, key, lab_file)
    _tell(settings, found, differing_settings(found.head, settings), as_json)


def _key(source: IO[bytes], identities: Sequence[Path]) -> Sequence[Path] | Passphrase:
    """Return what opens a backup: the files with identities, or a passphrase. Raises InputError if
    there is neither."""
    from sopslab.lab.tools.age import asks_for_passphrase

    if asks_for_passphrase(source):
        return asked_passphrase()
    if not identities:
        raise InputError(["name a file with an identity that opens the backup: --identity FILE"])
    return identities


def _lab_file(settings: Settings, differing: dict[str, Any]) -> str | None:
    """Return a lab file with the settings that differ, None if none do."""
    import yaml

    if not differing:
        return None
    told = {"lab": settings.lab, **differing}
    return str(yaml.safe_dump(told, allow_unicode=True, sort_keys=False))


def _tell(settings: Settings, found: Restored, differing: dict[str, Any], as_json: bool) -> None:
    from sopslab.config.naming import git_namespace
    from sopslab.model.backups import LAB_FILE

    head = found.head
    kept = f"{settings.lab_dir}/{LAB_FILE}" if differing else None
    if as_json:
        answer = {
            "ok": True, "lab": head.lab, "made": head.made, "product": head.product,
            "seats": head.seats, "repositories": len(head.repositories),
            "commits": found.commits, "files": found.files, "settings": kept,
        }  # fmt: skip
        echo_json(answer)
        return
    echo(
        f"The lab {head.lab} is as it was at {head.made}: {counted(head.seats, 'seat')},"
        f" {len(head.repositories)} repositories ({counted(found.commits, 'commit')}),"
        f" {counted(found.files, 'file')}"
    )
    if kept is not None:
        echo(
            f"It was made with other settings ({', '.join(differing)}): they are in {kept}; name"
            " that in SOPSLAB_FILE, or copy them into the lab file that you use"
        )
    echo(
        f"Hooks and configuration of the clone in {settings.work_dir} are the backup's: git runs"
        " them"
    )
    if settings.git_in_cluster is not None:
        namespace = git_namespace(settings.lab)
        echo(
            f"If the cluster still has the namespace {namespace}, `up` goes on with the"
            f" repositories there, and not with these: for these, `kubectl delete namespace"
            f" {namespace}` first"
        )
    echo("Next: sopslab up")
