"""The recipes for CI: each fits its schema, and each is run with a stand-in for `sopslab`.
tests/cluster/test_ci.py runs them with the real one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from sopslab.config import job
from sopslab.errors import Exit
from sopslab.layout import PROJECT
from tests.conftest import find_tool
from tests.texts import write_files, write_program

SCHEMAS = {
    "action.yml": "github-actions",
    "ci/cache/action.yml": "github-actions",
    ".github/workflows/lab.yaml": "github-workflows",
    ".github/workflows/ci.yaml": "github-workflows",
    "ci/gitlab.yaml": "gitlab-ci",
    "ci/woodpecker.yaml": "woodpecker-ci",
}
# Records its calls. Ends with the codes in the file that is named like the verb, one after the
# other. With the verb in WAITS, it goes on until it is told to stop.
STAND_IN = """#!/bin/sh
verb=$1
printf '%s\\n' "$*" >>"$BENCH/calls"
if [ "$verb" = "${WAITS-}" ]; then
    /bin/sleep 60 &
    trap 'kill $!; printf "%s was told to stop\\n" "$verb" >>"$BENCH/calls"; exit 143' TERM
    echo waiting
    wait
fi
if [ "$verb" = env ]; then
    echo "export PATH=${0%/*}:"'"$PATH"'
    echo "export FROM_ENV=$SOPSLAB_INVENTORY"
    echo "export KUBECONFIG='/srv/a lab/kubeconfig'"
fi
[ -e "$BENCH/$verb" ] || exit 0
code=$(sed -n 1p "$BENCH/$verb")
sed -i 1d "$BENCH/$verb"
exit "${code:-0}"
"""
PAUSE = """#!/bin/sh
printf 'pause of %s s\\n' "$1" >>"$BENCH/calls"
"""
# Makes an environment in a checkout, unless it is up to date.
MAKE = """#!/bin/sh
cd "$3" || exit
[ ! -e "$4" ] || exit 0
echo "make $*" >>"$BENCH/calls"
mkdir -p "${4%/*}/bin"
cp "$BENCH/made" "${4%/*}/bin/sopslab"
touch "$4"
"""
REPORTS = "sops-lab-reports"
UP = [f"up --junit {REPORTS}/up.xml", "env"]
VERIFY = f"verify --wait 60 --junit {REPORTS}/verify.xml"
EXERCISE = ["reset --to done", VERIFY]
SUPPORT = f"support --output {REPORTS}/support.tar.gz"
DOWN = "down --purge --yes"


def recipe(path: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((PROJECT / path).read_text())
    return read


@dataclass
class Bench:
    """A checkout in which a job runs, with stand-ins for its programs."""

    folder: Path

    @property
    def venv(self) -> Path:
        """The environment of the checkout."""
        return self.folder / ".venv"

    @property
    def sopslab(self) -> Path:
        """The command in the environment of the checkout."""
        return self.venv / "bin" / "sopslab"

    @property
    def calls(self) -> list[str]:
        """The calls of `sopslab` so far, and the pauses between them."""
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def ends(self, verb: str, *codes: int) -> None:
        """Make the calls of a verb end with these codes, one after the other."""
        (self.folder / verb).write_text("".join(f"{code}\n" for code in codes))

    def start(self, *command: str, **variables: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": f"{self.folder}/bin:{Path(find_tool('node')).parent}:/usr/bin:/bin",
            "BENCH": str(self.folder),
            **variables,
        }
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def run(self, *command: str, **variables: str) -> int:
        """Run a command of the job and return its exit code."""
        process = self.start(*command, **variables)
        process.communicate(timeout=60)
        return process.returncode

    def lab(self, *arguments: str, **variables: str) -> int:
        return self.run("sh", "ci/lab.sh", *arguments, **variables)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    write_program(bench.sopslab, STAND_IN)
    write_program(bench.sopslab.with_name("pip"), "#!/bin/sh\n")
    for file in ("pyvenv.cfg", ".runtime"):
        (bench.venv / file).touch()
    shutil.copy(bench.sopslab, tmp_path / "made")
    write_program(tmp_path / "bin" / "sleep", PAUSE)
    write_program(tmp_path / "bin" / "make", MAKE)
    shutil.copytree(PROJECT / "ci", tmp_path / "ci")
    yield bench


def problems(path: Path, schema: str) -> str:
    """Return what a schema finds wrong in a file, "" for nothing."""
    checker = Path(sys.executable).parent / "check-jsonschema"
    done = subprocess.run(
        [checker, "--builtin-schema", f"vendor.{schema}", path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize("path", SCHEMAS)
def test_a_recipe_is_what_its_schema_asks_for(path: str) -> None:
    assert problems(PROJECT / path, SCHEMAS[path]) == ""


def runs_on_gitlab(bench: Bench, job: dict[str, Any], *parts: str) -> bool:
    """Return whether these scripts of a job succeed, one after the other, with its variables of
    sops-lab."""
    told = {name: value for name, value in job["variables"].items() if name.startswith("SOPS_LAB")}
    return not any(bench.run("sh", "-ec", "\n".join(job[part]), **told) for part in parts)


def test_a_job_of_gitlab_makes_a_lab_does_the_exercise_and_takes_the_lab_down(
    bench: Bench,
) -> None:
    assert runs_on_gitlab(bench, recipe("ci/gitlab.yaml")["lab"], "script")
    assert bench.calls == [*UP, *EXERCISE, DOWN]


def test_a_job_of_woodpecker_makes_a_lab_does_the_exercise_and_takes_the_lab_down(
    bench: Bench,
) -> None:
    (step,) = recipe("ci/woodpecker.yaml")["steps"]
    assert bench.run("sh", "-ec", "\n".join(step["commands"])) == 0
    assert bench.calls == [*UP, *EXERCISE, DOWN]


def test_after_a_job_of_gitlab_that_was_cancelled_the_lab_is_taken_down(bench: Bench) -> None:
    assert runs_on_gitlab(bench, recipe("ci/gitlab.yaml")["lab"], "after_script")
    assert bench.calls == [DOWN]


@pytest.fixture
def elsewhere(bench: Bench) -> Bench:
    """The checkout of another project, with a `git` that clones this one, and a test of its own."""
    checkout = bench.folder / "cloned"
    checkout.mkdir()
    for part in ("ci", ".venv"):
        (bench.folder / part).rename(checkout / part)
    write_program(
        bench.folder / "bin" / "git",
        '#!/bin/sh\nfor last; do :; done\ncp -R "$BENCH/cloned" "$(basename "$last")"\n',
    )
    write_program(bench.folder / "tests" / "exercise.sh", 'echo exercise >>"$BENCH/calls"\n')
    return bench


def documented(language: str) -> str:
    """Return the first block of code in a language that docs/ci.md has."""
    page = (PROJECT / "docs" / "ci.md").read_text()
    return page.partition(f"```{language}\n")[2].partition("```")[0]


def merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return one mapping with all of two, as GitLab merges what is included."""
    both = {
        key: merged(under[key], over[key])
        for key in under.keys() & over.keys()
        if isinstance(under[key], dict) and isinstance(over[key], dict)
    }
    return {**under, **over, **both}


def test_another_project_has_a_lab_by_two_commands(elsewhere: Bench) -> None:
    assert elsewhere.run("sh", "-ec", documented("sh")) == 0
    assert elsewhere.calls == [*UP, "exercise", VERIFY, DOWN]


def test_another_project_includes_the_recipe_of_gitlab(elsewhere: Bench) -> None:
    own = yaml.safe_load(documented("yaml"))
    (included,) = own["include"]
    theirs = recipe(included["file"])
    whole = merged(theirs, own)
    file = elsewhere.folder / "gitlab.yaml"
    file.write_text(yaml.safe_dump(whole))
    assert problems(file, "gitlab-ci") == ""
    job = whole["lab"]
    # Another version has another store.
    paths = theirs["lab"]["cache"]["paths"]
    assert job["cache"] == {"key": "sops-lab-$SOPS_LAB_VERSION", "paths": paths}
    assert job["variables"]["SOPS_LAB_VERSION"] == included["ref"]
    assert runs_on_gitlab(elsewhere, job, "before_script", "script", "after_script")
    assert elsewhere.calls == [*UP, "exercise", VERIFY, DOWN, DOWN]


def test_a_job_of_github_has_the_lab_until_its_end(bench: Bench) -> None:
    runs = recipe("action.yml")["runs"]
    assert bench.run("node", runs["main"]) == 0
    assert bench.calls == UP
    (exercise,) = (
        step["run"]
        for step in recipe(".github/workflows/lab.yaml")["jobs"]["lab"]["steps"]
        if "run" in step
    )
    # GitHub runs a step like this if the step names no shell.
    assert bench.run("bash", "-ec", exercise) == 0
    assert bench.run("node", runs["post"]) == 0
    assert bench.calls == [*UP, *EXERCISE, DOWN]
    assert runs["post-if"] == "always()"


def test_an_action_tells_where_the_kubeconfig_is(bench: Bench) -> None:
    output = bench.folder / "output"
    assert bench.run("node", "ci/action/up.js", GITHUB_OUTPUT=str(output)) == 0
    told = dict(line.split("=", 1) for line in output.read_text().splitlines())
    assert told == {"kubeconfig": "/srv/a lab/kubeconfig"}
    assert recipe("action.yml")["outputs"].keys() == told.keys()


def test_what_an_action_is_given_reaches_the_lab(bench: Bench) -> None:
    inputs = recipe("action.yml")["inputs"]
    given = {f"INPUT_{name.upper()}": f"the {name}" for name in inputs}
    write_program(bench.sopslab, '#!/bin/sh\nenv >"$BENCH/seen"\n')
    assert bench.run("node", "ci/action/up.js", **given) == 0
    seen = dict(line.split("=", 1) for line in (bench.folder / "seen").read_text().splitlines())
    told = {name: value for name, value in seen.items() if name.startswith("SOPSLAB_")}
    assert told == {
        "SOPSLAB_INVENTORY": "inventories/ci.py",
        "SOPSLAB_ROSTER": "the roster",
        "SOPSLAB_FILE": "the file",
        "SOPSLAB_REPORTS": "the reports",
    }
    assert (bench.folder / "the reports").is_dir()


def test_inputs_that_are_not_given_are_none(bench: Bench) -> None:
    write_program(bench.sopslab, '#!/bin/sh\nenv >"$BENCH/seen"\n')
    empty = {"INPUT_ROSTER": "", "INPUT_FILE": "", "INPUT_REPORTS": ""}
    assert bench.run("node", "ci/action/down.js", **empty) == 0
    assert "SOPSLAB_FILE" not in (bench.folder / "seen").read_text()


HOME = "/home/ada"


@pytest.mark.parametrize(
    ("told", "root"),
    [
        ({}, f"{HOME}/.local/share/sops-lab"),
        ({"XDG_DATA_HOME": "/data"}, "/data/sops-lab"),
        ({"XDG_DATA_HOME": "/data", "SOPSLAB_ROOT": "/srv/lab"}, "/srv/lab"),
        ({"SOPSLAB_ROOT": "/srv/lab", "ROOT": "~/lab"}, "~/lab"),
    ],
)
def test_a_cache_has_the_key_of_the_catalog_and_the_root_of_the_lab(
    told: dict[str, str], root: str, bench: Bench
) -> None:
    first, second = recipe("ci/cache/action.yml")["runs"]["steps"]
    write_program(bench.sopslab, '#!/bin/sh\necho "$*" >&2\necho 0123abcd\n')
    # GitHub leaves an input that is not given empty.
    own = {"ROOT": "", "HOME": HOME, "GITHUB_ACTION_PATH": "ci/cache", **told}
    output = bench.folder / "output"
    assert bench.run("sh", "-e", "-c", first["run"], GITHUB_OUTPUT=str(output), **own) == 0
    assert output.read_text() == f"key=0123abcd\nroot={root}\n"
    assert first["env"] == {"ROOT": "${{ inputs.root }}"}
    # Another system or processor has another store.
    for part in (f"steps.{first['id']}.outputs.key", "runner.os", "runner.arch"):
        assert f"${{{{ {part} }}}}" in second["with"]["key"]
    assert second["with"]["path"] == f"${{{{ steps.{first['id']}.outputs.root }}}}/store"


def test_a_cache_without_a_key_is_a_failure(bench: Bench) -> None:
    first, _ = recipe("ci/cache/action.yml")["runs"]["steps"]
    bench.ends("fetch", Exit.INPUT)
    told = {"GITHUB_ACTION_PATH": "ci/cache", "GITHUB_OUTPUT": str(bench.folder / "output")}
    code = bench.run("sh", "-e", "-c", first["run"], ROOT="", HOME=HOME, **told)
    assert code == Exit.INPUT


def test_a_script_of_an_action_that_is_killed_is_a_failure(bench: Bench) -> None:
    write_program(bench.folder / "bin" / "sh", "#!/bin/sh\nkill -KILL $$\n")
    assert bench.run("node", "ci/action/up.js") == 1


@pytest.mark.parametrize(
    ("verb", "called"),
    [
        ("up", UP[:1]),
        ("env", UP),
        ("reset", [*UP, EXERCISE[0]]),
        ("verify", [*UP, *EXERCISE]),
    ],
)
def test_what_fails_first_decides_and_nothing_after_it_is_done(
    verb: str, called: list[str], bench: Bench
) -> None:
    bench.ends(verb, 17)
    bench.ends("support", 1)
    bench.ends("down", 12)
    assert bench.lab("run") == 17
    assert bench.calls == [*called, SUPPORT, DOWN]


def test_a_lab_that_cannot_be_taken_down_is_a_failure(bench: Bench) -> None:
    bench.ends("down", 12)
    assert bench.lab("run") == 12
    assert bench.calls == [*UP, *EXERCISE, DOWN]


def test_a_command_of_the_job_runs_on_the_lab_and_its_code_counts(bench: Bench) -> None:
    script = 'echo "$FROM_ENV: $1" >seen; exit 9'
    assert bench.lab("run", "sh", "-c", script, "sh", "two words") == 9
    assert (bench.folder / "seen").read_text() == "inventories/ci.py: two words\n"
    assert bench.calls == [*UP, SUPPORT, DOWN]


# What makes a lab, and is cancelled.
MAKERS = {
    "lab.sh run": ["sh", "ci/lab.sh", "run"],
    "lab.sh up": ["sh", "ci/lab.sh", "up"],
    "up.js": ["node", "ci/action/up.js"],
}


@pytest.mark.parametrize("where", MAKERS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_job_that_is_cancelled_stops_what_runs_and_takes_the_lab_down_once(
    number: signal.Signals, where: str, bench: Bench
) -> None:
    process = bench.start(*MAKERS[where], WAITS="up")
    assert process.stdout is not None and process.stdout.readline() == "waiting\n"
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert bench.calls == [UP[0], "up was told to stop", DOWN]


# Installs for a minute, unless it is told to stop.
SLOW_MAKE = """#!/bin/sh
/bin/sleep 60 &
trap 'kill $!; echo "make was told to stop" >>"$BENCH/calls"; exit 2' TERM
echo waiting
wait
"""


@pytest.mark.parametrize("where", MAKERS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_job_that_is_cancelled_while_sops_lab_is_installed_leaves_nothing_at_work(
    number: signal.Signals, where: str, bench: Bench
) -> None:
    write_program(bench.folder / "bin" / "make", SLOW_MAKE)
    process = bench.start(*MAKERS[where])
    assert process.stderr is not None and process.stderr.readline() == "waiting\n"
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert bench.calls == ["make was told to stop"]
    # Nor is it installed for a teardown of nothing.
    assert bench.lab("down") == 0
    assert bench.calls == ["make was told to stop"]


def test_a_terminal_that_interrupts_everything_interrupts_no_teardown(bench: Bench) -> None:
    process = bench.start("sh", "ci/lab.sh", "run", WAITS="down")
    assert process.stdout is not None and process.stdout.readline() == "waiting\n"
    os.killpg(process.pid, signal.SIGINT)
    # A child that was forked a moment ago has the same command line until it runs its own program.
    (teardown,) = subprocess.run(
        ["pgrep", "--oldest", "--full", f"{bench.sopslab} down"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    os.kill(int(teardown), signal.SIGTERM)
    process.communicate(timeout=60)
    assert bench.calls == [*UP, *EXERCISE, DOWN, "down was told to stop"]


def test_a_lab_that_is_still_being_worked_on_is_taken_down_after_that(bench: Bench) -> None:
    bench.ends("down", 3, 3, 0)
    assert bench.lab("down") == 0
    assert bench.calls == [DOWN, "pause of 5 s", DOWN, "pause of 10 s", DOWN]


def test_it_is_not_waited_for_for_ever(bench: Bench) -> None:
    bench.ends("down", *[3] * 20)
    assert bench.lab("down") == 3
    assert bench.calls.count(DOWN) == 7


@pytest.mark.parametrize("code", [Exit.INPUT, Exit.LOCKED, Exit.FORMAT])
@pytest.mark.parametrize("verb", ["run", "up"])
def test_a_lab_on_which_up_has_begun_nothing_is_left_alone(
    verb: str, code: Exit, bench: Bench
) -> None:
    bench.ends("up", code)
    assert bench.lab(verb) == code
    # So it is by what takes the lab down after a job, in a step of its own.
    assert bench.lab("down") == 0
    assert bench.calls == UP[:1]
    assert bench.lab("up") == bench.lab("down") == 0
    assert bench.calls == [UP[0], *UP, DOWN]


@pytest.mark.parametrize("code", [Exit.INPUT, Exit.LOCKED, Exit.FORMAT])
def test_an_up_that_begins_nothing_leaves_an_earlier_lab_of_the_job_to_its_teardown(
    code: Exit, bench: Bench
) -> None:
    bench.ends("up", 0, code, code)
    assert bench.lab("up") == 0
    assert bench.lab("up") == code
    assert bench.lab("down") == 0
    assert bench.calls == [*UP, UP[0], DOWN]
    # From then on the job has none again.
    assert bench.lab("up") == code
    assert bench.lab("down") == 0
    assert bench.calls == [*UP, UP[0], DOWN, UP[0]]


def test_what_a_killed_up_has_begun_is_taken_down_also_after_one_that_begins_nothing(
    bench: Bench,
) -> None:
    process = bench.start("sh", "ci/lab.sh", "up", WAITS="up")
    assert process.stdout is not None and process.stdout.readline() == "waiting\n"
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    bench.ends("up", Exit.LOCKED)
    assert bench.lab("up") == Exit.LOCKED
    assert bench.lab("down") == 0
    assert bench.calls == [UP[0], UP[0], DOWN]


# What tells a lab from another one: what chooses it, and what its name is made from.
TELLING = [
    "SOPSLAB_LAB", "SOPSLAB_FILE", "SOPSLAB_ROOT",
    "GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB", "RUNNER_NAME",
    "CI_SERVER_URL", "CI_JOB_ID",
    "CI_SYSTEM_URL", "CI_REPO", "CI_PIPELINE_NUMBER", "CI_WORKFLOW_NUMBER",
]  # fmt: skip


@pytest.mark.parametrize("variable", TELLING)
def test_what_another_job_has_begun_makes_no_lab_this_jobs(variable: str, bench: Bench) -> None:
    former, this = {variable: "41"}, {variable: "42"}
    bench.ends("up", 0, Exit.FORMAT)
    # Its reports stay, without a teardown: it was killed.
    assert bench.lab("up", **former) == 0
    assert bench.lab("up", **this) == Exit.FORMAT
    assert bench.lab("down", **this) == 0
    assert bench.calls == [*UP, UP[0]]
    # What it has begun is still taken down by whoever means that.
    assert bench.lab("down", **former) == 0
    assert bench.calls == [*UP, UP[0], DOWN]


def test_what_was_begun_with_another_inventory_makes_no_lab_the_jobs(bench: Bench) -> None:
    bench.ends("up", 0, Exit.LOCKED)
    assert bench.lab("up", SOPSLAB_INVENTORY="inventories/local.py") == 0
    assert bench.lab("up") == Exit.LOCKED
    assert bench.lab("down") == 0
    assert bench.calls == [*UP, UP[0]]


def test_a_job_tells_its_lab_by_the_variables_from_which_the_lab_has_its_name() -> None:
    named = {part for _, _, parts in job._KINDS for part in parts}
    assert named <= set(TELLING)


@pytest.mark.parametrize("inventory", ["inventories/local.py", "/srv/inventories/classroom.py"])
def test_a_lab_that_is_not_the_jobs_stays_until_it_is_taken_down(
    inventory: str, bench: Bench
) -> None:
    bench.ends("up", 17, 0)
    assert bench.lab("up", SOPSLAB_INVENTORY=inventory) == 17
    assert bench.calls == [UP[0], SUPPORT]
    assert bench.lab("run", SOPSLAB_INVENTORY=inventory) == 0
    assert bench.calls == [UP[0], SUPPORT, *UP, *EXERCISE]
    assert bench.lab("down", SOPSLAB_INVENTORY=inventory) == 0
    assert bench.calls[-1] == "down"


def test_the_inventory_of_jobs_is_known_by_its_path_too(bench: Bench) -> None:
    bench.ends("up", 17)
    assert bench.lab("up", SOPSLAB_INVENTORY=f"{bench.folder}/inventories/ci.py") == 17
    assert bench.calls == [UP[0], SUPPORT, DOWN]


DEVCONTAINER = json.loads((PROJECT / ".devcontainer" / "devcontainer.json").read_text())


def test_a_devcontainer_goes_on_where_its_first_up_has_failed(bench: Bench) -> None:
    command = DEVCONTAINER["postCreateCommand"].split()
    bench.ends("up", 11, 0)
    variables = {**DEVCONTAINER["containerEnv"], "SOPSLAB_VENV": str(bench.venv)}
    assert bench.run(*command, **variables) == 11
    assert bench.run(*command, **variables) == 0
    assert bench.calls == [UP[0], SUPPORT, *UP]


def test_a_devcontainer_leaves_the_environment_of_the_machine_that_it_runs_on(
    bench: Bench, tmp_path: Path
) -> None:
    """The checkout is that machine's, and what was made there does not start in the container."""
    assert Path(DEVCONTAINER["containerEnv"]["SOPSLAB_VENV"]).is_absolute()
    for program in ("pip", "sopslab"):
        write_program(bench.sopslab.with_name(program), "#!/gone/bin/python\n")
    before = sorted(bench.venv.rglob("*"))
    own = tmp_path / "own"
    variables = {**DEVCONTAINER["containerEnv"], "SOPSLAB_VENV": str(own)}
    assert bench.run(*DEVCONTAINER["postCreateCommand"].split(), **variables) == 0
    made = f"make --silent --directory {bench.folder} {own}/.runtime"
    assert bench.calls == [made, *UP]
    assert sorted(bench.venv.rglob("*")) == before


def test_a_lab_that_is_left_to_other_steps_is_up(bench: Bench) -> None:
    assert bench.lab("up") == 0
    assert bench.calls == UP
    step = f'. {REPORTS}/env; echo "$FROM_ENV" >seen; sopslab status'
    assert bench.run("sh", "-euc", step) == 0
    assert (bench.folder / "seen").read_text() == "inventories/ci.py\n"
    assert bench.calls == [*UP, "status"]


def test_what_is_no_task_is_explained_and_nothing_is_done(bench: Bench) -> None:
    process = bench.start("sh", "ci/lab.sh", "upp")
    _, said = process.communicate(timeout=60)
    assert (process.returncode, bench.calls) == (2, [])
    assert "lab.sh run [COMMAND…]" in said


MADE = "make --silent --directory {} .venv/.runtime"


def test_where_there_is_no_environment_it_is_made(bench: Bench) -> None:
    shutil.rmtree(bench.venv)
    assert bench.lab("down") == 0
    assert bench.calls == [MADE.format(bench.folder), DOWN]


def test_an_environment_that_is_out_of_date_is_made_again(bench: Bench) -> None:
    (bench.venv / ".runtime").unlink()
    assert bench.lab("down") == 0
    assert bench.calls == [MADE.format(bench.folder), DOWN]


def test_an_environment_that_does_not_start_is_made_anew(bench: Bench) -> None:
    # As in a checkout that was moved, or brought here from another machine.
    for program in ("pip", "sopslab"):
        write_program(bench.sopslab.with_name(program), "#!/gone/bin/python\n")
    assert bench.lab("down") == 0
    assert bench.calls == [MADE.format(bench.folder), DOWN]
    # Nothing of the former one is left.
    assert not bench.sopslab.with_name("pip").exists()


# As make ends where pip reaches no package index.
OUT_OF_REACH = '#!/bin/sh\necho "make $*" >>"$BENCH/calls"\nexit 2\n'


def test_a_lab_is_taken_down_with_what_has_made_it_where_no_package_index_is_reached(
    bench: Bench,
) -> None:
    write_program(bench.folder / "bin" / "make", OUT_OF_REACH)
    assert bench.lab("down") == 0
    assert bench.calls == [MADE.format(bench.folder), DOWN]


@pytest.mark.parametrize("verb", ["run", "up", "key"])
def test_nothing_else_is_done_with_an_environment_that_is_out_of_date(
    verb: str, bench: Bench
) -> None:
    write_program(bench.folder / "bin" / "make", OUT_OF_REACH)
    assert bench.lab(verb) == 2
    assert bench.calls == [MADE.format(bench.folder)]


def test_without_any_environment_a_lab_that_is_not_taken_down_is_a_failure(bench: Bench) -> None:
    shutil.rmtree(bench.venv)
    write_program(bench.folder / "bin" / "make", OUT_OF_REACH)
    assert bench.lab("down") == 1
    assert bench.calls == [MADE.format(bench.folder)]


def test_a_folder_that_is_no_environment_is_not_removed(bench: Bench, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    write_files(theirs, {"notes": "mine"})
    assert bench.lab("down", SOPSLAB_VENV=str(theirs)) == 0
    assert (theirs / "notes").read_text() == "mine"


def test_another_command_that_is_installed_is_passed_over(bench: Bench) -> None:
    write_program(bench.folder / "bin" / "sopslab", '#!/bin/sh\necho another >>"$BENCH/calls"\n')
    assert bench.lab("down") == 0
    assert bench.calls == [DOWN]
