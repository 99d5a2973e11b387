"""The scripts of artifacts/host, with stand-ins for the programs that would change the machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sopslab.checks.causes import told
from sopslab.layout import PROJECT
from tests.texts import replaced, write_program

SCRIPTS = PROJECT / "artifacts" / "host"


def run(script: Path, programs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script as an operation does, with these programs in front of the machine's own."""
    return subprocess.run(
        ["sh", "-eu", script, *arguments],
        env={"PATH": f"{programs}:{os.environ['PATH']}", "BENCH": str(programs)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_rules_of_one_bridge_are_replaced_at_once(tmp_path: Path) -> None:
    rules = "-N DOCKER-USER\n-A DOCKER-USER -i sl-a -j DROP\n-A DOCKER-USER -i sl-b -j DROP\n"
    write_program(tmp_path / "iptables", f"#!/bin/sh\nprintf '%s' '{rules}'\n")
    write_program(tmp_path / "iptables-restore", '#!/bin/sh\ncat >"$BENCH/given"\n')
    done = run(SCRIPTS / "firewall.sh", tmp_path, "sl-a", "-i sl-a -j RETURN")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "given").read_text().splitlines() == [
        "*filter",
        "-D DOCKER-USER -i sl-a -j DROP",
        "-I DOCKER-USER -i sl-a -j RETURN",
        "COMMIT",
    ]


def test_rules_that_cannot_be_listed_are_not_taken_for_none(tmp_path: Path) -> None:
    # As where another program holds the lock for too long.
    write_program(tmp_path / "iptables", "#!/bin/sh\nexit 4\n")
    write_program(tmp_path / "iptables-restore", '#!/bin/sh\ncat >"$BENCH/given"\n')
    done = run(SCRIPTS / "firewall.sh", tmp_path, "sl-a")
    assert done.returncode == 4
    assert not (tmp_path / "given").exists()


def test_an_engine_that_systemd_cannot_start_is_told_in_a_sentence_of_ours(tmp_path: Path) -> None:
    script = tmp_path / "start-docker.sh"
    # Also on a machine without systemd.
    script.write_text(
        replaced((SCRIPTS / script.name).read_text(), "/run/systemd/system", str(tmp_path))
    )
    write_program(
        tmp_path / "systemctl", "#!/bin/sh\necho 'Failed to start docker.service.' >&2\nexit 1\n"
    )
    write_program(tmp_path / "docker", "#!/bin/sh\nexit 1\n")
    # The clock goes half a minute from one look to the next.
    write_program(
        tmp_path / "cut",
        '#!/bin/sh\necho . >>"$BENCH/looks"\nexpr 30 \\* "$(wc -l <"$BENCH/looks")"\n',
    )
    done = run(script, tmp_path)
    assert done.returncode == 1
    (sentence,) = told(done.stderr.splitlines())
    assert sentence.startswith("Docker is unavailable: it did not answer within 30 s")
