"""Mutation testing: a test has to notice every change of the code that guards the secrets.

python -m tests.mutation [--most NUMBER] [--seed NUMBER] [--workers NUMBER] [PART ...]

mutmut changes one thing at a time in the functions of a part, and runs the tests of the part that
reach the function. Code that mutmut does not see, because it runs in another process or is no
Python, is changed by `mutants_of_text`, and all tests of the part are run. With `--most`, this
number of mutants of each part is drawn by the seed, which is printed. A run that was interrupted
goes on where it was, unless something in the project has changed since.

Exit code 1 means that less than 90 % were killed: in one part, or, for parts of which mutants were
drawn, in all of these together. Mutants do not count if they change only the wording of a sentence,
or if they are in tests/data/mutants.yaml, which gives the reason why each survives. It is an error,
too, if a mutant in that file is killed after all, or is no mutant any more.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.mutants_of_text import Change, difference, of_policies, of_python, of_shell

PROJECT = Path(__file__).resolve().parent.parent
WORK = PROJECT / "build" / "mutation"
ACCEPTED = PROJECT / "tests" / "data" / "mutants.yaml"
LEAST = 90
"""The percentage of mutants that have to be killed."""
_SURVIVED = (0, 5, 33)
"""The codes of a mutant that no test noticed, or that no test reaches."""
_SECONDS = 600
"""How long the tests of a part may take with a mutant of a text before it counts as noticed."""
_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")


@dataclass(frozen=True)
class Part:
    """A source file, and the tests that have to notice its changes: fast ones, which run the code
    in their own process.

    `without` are those of the tests that are left out.
    """

    source: str
    tests: tuple[str, ...]
    without: tuple[str, ...] = ()
    at_import: tuple[str, ...] = ()
    """Functions that do their work when the module is imported, before mutmut switches on a mutant.
    """
    changes: Callable[[str], list[Change]] | None = None
    """The function that returns the mutants of a text that mutmut does not see."""


_POLICY = "tests/unit/policy/test_policy_"
_ROSTER = "tests/unit/test_roster.py"
_ENROLMENT = "tests/unit/test_enrolment.py"
_ROTATION = "tests/unit/test_rotation_plan.py"
_OPERATIONS = "tests/unit/operations/test_operations.py"


# Most parts of the policy have tests of their own. Here are the parts for which the tests of the
# whole policy are run, too; below, the tests that take seconds, and the functions that work at
# import.
_WHOLE = ("cases", "kinds")
_BY_ALL = ("age", "ciphertext", "credentials", "findings", "keys")
_SLOW = {
    # It looks at nothing that other tests do not look at, too.
    "cases": ("test_the_package_and_the_tests_of_the_policy_pass",),
    "credentials": ("test_a_file_of_credentials_takes_no_quadratic_time",),
    "passwords": ("test_blocks_of_text_without_an_end_take_no_quadratic_time",),
    # The second test nests so deeply that there is no room for mutmut's own calls.
    "regex": ("test_many_costly_searches_end_together", "test_groups_are_nested_a_hundred_times"),
}
_AT_IMPORT = {
    "credentials": ("_assigned", "_member", "_attribute", "_element"),
    "keys": ("_needles", "alignments"),
}


def _policy(name: str, *tests: str) -> Part:
    """Return a part of the policy, for which its own tests are run unless others are named."""
    files = tests or (name, *(_WHOLE if name in _BY_ALL else ()))
    return Part(
        f"sopslab/policy/{name}.py",
        tuple(f"{_POLICY}{file}.py" for file in files),
        tuple(f"{_POLICY}{file}.py::{test}" for file in files for test in _SLOW.get(file, ())),
        _AT_IMPORT.get(name, ()),
    )


def _people(source: str, *tests: str) -> Part:
    return Part(
        source,
        tests,
        # These tests take seconds each: they measure how the work grows, or have examples made by
        # hypothesis.
        (
            f"{_ROSTER}::test_whatever_is",
            f"{_ROSTER}::test_whatever_bytes",
            f"{_ROSTER}::test_the_work_for",
            f"{_ROSTER}::test_a_file_that_is_no_roster_is_refused_with_its_line[deep]",
            f"{_ROSTER}::test_a_file_that_is_no_roster_is_refused_with_its_line[many-values]",
            f"{_ROSTER}::test_a_proposal_is_ascii_and_the_same_every_time",
            f"{_ROSTER}::test_accepted_ids_never_meet_in_a_final_name",
            f"{_ROSTER}::test_a_thousand_namesakes",
            f"{_ROSTER}::test_more_than_a_thousand",
            f"{_ENROLMENT}::test_everybody_is_accounted_for_once",
            f"{_ENROLMENT}::test_a_second_run_with_what_was_recorded_changes_nothing",
        ),
    )


def _rotation(name: str) -> Part:
    # The test that is left out starts processes, and says nothing of the functions in this one.
    return Part(
        f"sopslab/incidents/rotation/{name}.py",
        (_ROTATION,),
        (f"{_ROTATION}::test_the_record_passes",),
    )


def _server(name: str, *tests: str) -> Part:
    folder = "tests/unit/gitserver/test_gitserver_"
    return Part(f"sopslab/gitserver/{name}.py", tuple(f"{folder}{test}.py" for test in tests))


def _in_functions(text: str) -> list[Change]:
    return of_python(text, lambda text: _made(text)[:2])


_HOOKS = "tests/unit/test_git_hooks.py"
# Tests that ask the policy's hook, which take seconds each.
_JUDGED = (
    "test_the_policy_looks_at_a_push_to_reset_as_at_any_other",
    "test_who_must_be_able_to_decrypt_depends_on_whose_repository_it_is",
    "test_more_than_flux_should_unpack_is_refused_however_small_it_is_to_push",
    "test_folders_without_end_and_without_a_file_are_refused",
    "test_commits_that_list_more_than_can_be_looked_at_are_refused",
)
_ADMISSION = (
    "tests/unit/test_tenants.py::test_policies_fail_closed_and_deny",
    "tests/unit/test_tenants.py::test_policies_look_at_seats_only_and_say_what_is_wrong",
    "tests/unit/test_tenants.py::test_the_mark_of_a_namespace_is_looked_for_before_and_after_a_change",
    "tests/unit/test_admission.py",
)
_CLASSROOM = "flux/clusters/lab/classroom"


PARTS: dict[str, Part] = {
    "gate": Part(
        "templates/git/gate.j2",
        ("tests/unit/gitserver/test_gitserver_gate.py",),
        changes=of_shell,
    ),
    "hooks.pre-commit": Part(
        "templates/hooks/pre-commit.j2", ("tests/unit/test_commit_hook.py",), changes=of_shell
    ),
    "hooks.pre-receive": Part(
        "templates/git/hooks/pre-receive",
        ("tests/unit/gitserver/test_gitserver_receive.py", f"{_HOOKS}::{_JUDGED[0]}"),
        changes=_in_functions,
    ),
    "hooks.post-receive": Part(
        "templates/git/hooks/post-receive.j2",
        (_HOOKS,),
        tuple(f"{_HOOKS}::{test}" for test in _JUDGED),
        changes=_in_functions,
    ),
    "admission": Part(f"{_CLASSROOM}/admission.yaml", _ADMISSION, changes=of_policies),
    "admission.sources": Part(
        f"{_CLASSROOM}/admission-sources.yaml.j2", _ADMISSION, changes=of_policies
    ),
    "naming": _people("sopslab/config/naming.py", _ROSTER, "tests/unit/test_settings.py"),
    "roster": _people("sopslab/config/roster.py", _ROSTER),
    "roster_values": _people("sopslab/config/roster_values.py", _ROSTER),
    "enrolment": _people("sopslab/config/enrolment.py", _ENROLMENT, "tests/unit/test_expiry.py"),
    **{
        f"rotation.{name}": _rotation(name)
        for name in ("plan", "record", "encrypted", "orders", "phases", "given", "instructor")
    },
    "identities.observed": Part(
        "sopslab/lab/observe/keys.py",
        (
            "tests/unit/test_identities.py",
            "tests/unit/test_cluster_look.py",
            "tests/unit/verification/test_verification_repository.py",
        ),
    ),
    "identities.provided": Part("sopslab/provision/operations/age.py", (_OPERATIONS,)),
    "gitserver.accounts": _server("accounts", "accounts", "server"),
    "gitserver.limits": _server("limits", "limits"),
    "gitserver.protocol": _server("protocol", "requests", "server"),
    **{
        f"policy.{name}": _policy(name)
        for name in (
            "age",
            "built",
            "ciphertext",
            "credentials",
            "documents",
            "engine",
            "findings",
            "keys",
            "manifests",
            "obligations",
            "passwords",
            "patches",
            "placeholders",
            "recipients",
            "regex",
            "scanner",
            "secrets",
            "sops",
            "templates",
        )
    },
    "policy.files": _policy("files", *_WHOLE),
    "policy.published": _policy("published", "passwords"),
    "policy.kustomizations": Part(
        "sopslab/policy/kustomizations.py", ("tests/unit/policy/test_kustomizations.py",)
    ),
}
"""Not among them are modules that ask git, which are `sources`, `building` and `pushes` of the
policy; `sandbox`, for which each test starts a program that needs seconds; and what is at work in
another process, where mutmut does not see it: `confine`, and what `sopslab.lab` changes on the
host, such as `lab/act/identities.py`."""


@dataclass(frozen=True)
class Mutant:
    """One change of a function: the lines that differ, before and after."""

    name: str
    function: str
    before: str
    after: str
    text: str | None = None
    """The whole text with the change, if this is a mutant of a text."""

    @property
    def rewords(self) -> bool:
        """Whether only the words of strings differ that are sentences before and after."""
        return _unworded(self.before) == _unworded(self.after)


def _unworded(code: str) -> str:
    return _STRING.sub(lambda found: '""' if " " in found[0] else found[0], code)


@dataclass(frozen=True)
class Result:
    """What became of those mutants of a part that count."""

    part: str
    survivors: Sequence[Mutant]
    tested: int
    whole: bool
    """Whether all mutants of the part were tested, and not only those that were drawn."""
    wrongly_accepted: Sequence[str]

    @property
    def killed(self) -> int:
        return self.tested - len(self.survivors)


def fingerprint() -> str:
    """Return a hash of everything that the results depend on: every file of the project."""
    digest = hashlib.sha256()
    for entry in _entries():
        for file in sorted(entry.rglob("*")) if entry.is_dir() else [entry]:
            if file.is_file() and file.suffix != ".pyc":
                digest.update(f"{file.relative_to(PROJECT)}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _entries() -> list[Path]:
    return [
        path
        for path in sorted(PROJECT.iterdir())
        if not path.name.startswith(".") and path.name != "build" and path.suffix != ".egg-info"
    ]


def prepare(name: str, version: str) -> Path:
    """Return the folder where mutmut works on a part. Results of another version are removed."""
    folder, part = WORK / name, PARTS[name]
    mark = folder / "version"
    if mark.is_file() and mark.read_text() == version:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in _entries():
        (folder / path.name).symlink_to(path)
    lists = {
        "source_paths": ["sopslab"],
        "only_mutate": [part.source] if part.changes is None else [],
        "also_copy": [path.name for path in _entries() if path.name != "sopslab"],
        "pytest_add_cli_args": ["-pno:xdist", "-pno:cacheprovider"]
        + [f"--deselect={test}" for test in part.without],
        "pytest_add_cli_args_test_selection": list(part.tests),
    }
    lines = [
        f"{key} =\n" + "".join(f"    {value}\n" for value in values)
        for key, values in lists.items()
        if values
    ]
    (folder / "setup.cfg").write_text("[mutmut]\n" + "".join(lines))
    mark.write_text(version)
    return folder


def mutants(folder: Path, source: str, at_import: Sequence[str] = ()) -> list[Mutant]:
    """Return all mutants that mutmut makes of a source file, except for those that only reword.

    + at_import: functions whose mutants would be switched on too late
    """
    with contextlib.chdir(folder):
        from mutmut.utils.format_utils import get_mutant_name

        code, spans, names = _made((PROJECT / source).read_text())
    lines = code.splitlines()

    def body(name: str) -> list[str]:
        first, last = spans[name]
        text = [line.strip() for line in lines[first - 1 : last]]
        return [line.replace(name, "") for line in text if not line.startswith("@_mutmut")]

    found = []
    for name in names:
        function = name.rpartition("__mutmut_")[0]
        before, after = difference(body(f"{function}__mutmut_orig"), body(name))
        shown = function.removeprefix("x_").replace("xǁ", "").replace("ǁ", ".")
        found.append(Mutant(get_mutant_name(Path(source), name), shown, before, after))
    return [one for one in found if not one.rewords and one.function not in at_import]


def _made(text: str) -> tuple[str, dict[str, tuple[int, int]], Sequence[str]]:
    """Return a program with all mutants that mutmut makes, the lines of each function in it, and
    the names of the mutants.

    mutmut reads its configuration from the working directory, once, and at its import.
    """
    from mutmut.configuration import reset_config
    from mutmut.mutation.file_mutation import mutate_file_contents

    reset_config()
    made = mutate_file_contents("", text)
    spans = {name: (span.start, span.end) for name, span in made.line_span_by_function_name.items()}
    return made.code, spans, made.mutant_names


def mutants_of_text(folder: Path, part: Part) -> list[Mutant]:
    """Return all mutants of a part that is a text, except for those that only reword."""
    assert part.changes is not None
    with contextlib.chdir(folder):
        changes = part.changes((PROJECT / part.source).read_text())
    found = {
        name: Mutant(name, *change)
        for change in changes
        for name in [hashlib.sha256(change.text.encode()).hexdigest()]
    }
    return [one for one in found.values() if not one.rewords]


def codes(folder: Path, source: str) -> dict[str, int]:
    """Return the exit codes that are known so far, by the names of the mutants."""
    file = folder / "mutants" / f"{source}.meta"
    found: dict[str, int | None] = {}
    if file.is_file():
        found = json.loads(file.read_text())["exit_code_by_key"]
    return {name: code for name, code in found.items() if code is not None}


def _run_mutmut(folder: Path, left: Sequence[Mutant], log: Path, workers: int) -> None:
    names = [mutant.name for mutant in left]
    with log.open("w") as output:
        subprocess.run(
            [Path(sys.executable).parent / "mutmut", "run", f"--max-children={workers}", *names],
            cwd=folder, stdout=output, stderr=output, check=False,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip


def _run_tests(folder: Path, part: Part, left: Sequence[Mutant], log: Path, workers: int) -> None:
    """Run the tests of a part with each mutant of its text, and write down how they end.

    Each worker has a copy of the project to itself. If the tests fail without a mutant, their
    output stays in the log, and no mutant is tested.
    """
    copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for number in range(min(workers, len(left))):
        copies.put(_copied(folder / f"copy-{number}"))
    meta = folder / "mutants" / f"{part.source}.meta"
    meta.parent.mkdir(parents=True, exist_ok=True)
    done = codes(folder, part.source)

    def run(mutant: Mutant | None) -> int:
        project = copies.get()
        text = (PROJECT / part.source).read_text() if mutant is None else mutant.text
        (project / part.source).write_text(text or "")
        try:
            return _tested(project, part, log if mutant is None else Path(os.devnull))
        finally:
            copies.put(project)

    if run(None) != 0:
        return
    with ThreadPoolExecutor(workers) as pool:
        for mutant, code in zip(left, pool.map(run, left), strict=True):
            done[mutant.name] = code
            meta.write_text(json.dumps({"exit_code_by_key": done}))


def _copied(target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for path in _entries():
        if path.is_dir():
            shutil.copytree(path, target / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, target)
    return target


def _tested(project: Path, part: Part, log: Path) -> int:
    """Run the tests of a part in a copy of the project, up to the first that fails, and return the
    exit code."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-pno:xdist", "-pno:cacheprovider"]
    options = [f"--deselect={test}" for test in part.without]
    with (
        log.open("w") as output,
        subprocess.Popen(
            [*command, "-mnot soak", *options, *part.tests],
            cwd=project, stdout=output, stderr=output, start_new_session=True,
        ) as running,
    ):  # fmt: skip
        try:
            return running.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            return 1
        finally:
            # Processes of the tests may run for ever, because of the mutant.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)


def examine(name: str, version: str, most: int | None, seed: int, workers: int) -> Result:
    """Test the mutants of a part, and return what became of them. Raises RuntimeError if their
    tests could not be run."""
    folder, part = prepare(name, version), PARTS[name]
    if part.changes is None:
        there = mutants(folder, part.source, part.at_import)
    else:
        there = mutants_of_text(folder, part)
    accepted = {
        (one["in"], one["before"], one["after"])
        for one in yaml.safe_load(ACCEPTED.read_text()).get(name, [])
    }
    known = {(one.function, one.before, one.after) for one in there}
    wrongly = [f"{' | '.join(one)}: is no mutant" for one in sorted(accepted - known)]
    drawn = there
    if most is not None and most < len(there):
        drawn = random.Random(f"{seed} {name}").sample(there, most)
    log = folder / "tests.log"
    done = codes(folder, part.source)
    if left := [mutant for mutant in drawn if mutant.name not in done]:
        if part.changes is None:
            _run_mutmut(folder, left, log, workers)
        else:
            _run_tests(folder, part, left, log, workers)
        done = codes(folder, part.source)
    if any(mutant.name not in done for mutant in drawn):
        raise RuntimeError(f"{name}: the tests ended too early; what was said is in {log}")
    survivors = [mutant for mutant in drawn if done[mutant.name] in _SURVIVED]
    equivalent = [one for one in drawn if (one.function, one.before, one.after) in accepted]
    wrongly += [
        f"{one.function} | {one.before} | {one.after}: is killed"
        for one in equivalent
        if one not in survivors
    ]
    return Result(
        name,
        [one for one in survivors if one not in equivalent],
        len(drawn) - len(equivalent),
        len(drawn) == len(there),
        wrongly,
    )


def enough(results: Sequence[Result]) -> bool:
    """Return whether enough mutants were killed, and all accepted ones have survived."""
    groups = [[one] for one in results if one.whole]
    if drawn := [one for one in results if not one.whole]:
        groups.append(drawn)
    return not any(one.wrongly_accepted for one in results) and all(
        100 * sum(one.killed for one in group) >= LEAST * sum(one.tested for one in group)
        for group in groups
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Test the named parts, or all parts, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--most", type=int, help="how many mutants of a part are drawn")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.parts) - set(PARTS)):
        parser.error(f"no part is called {', '.join(unknown)}: {', '.join(PARTS)}")
    if given.most is not None:
        print(f"── seed {given.seed}: the same mutants again with --seed {given.seed}", flush=True)
    version, results = fingerprint(), []
    for name in given.parts or PARTS:
        result = examine(name, version, given.most, given.seed, given.workers)
        results.append(result)
        share = 100 * result.killed / max(result.tested, 1)
        print(f"── {name}: {result.killed} of {result.tested} killed, {share:.1f} %", flush=True)
        for mutant in result.survivors:
            print(f"   {mutant.function}\n     - {mutant.before}\n     + {mutant.after}")
        for line in result.wrongly_accepted:
            print(f"   accepted in {ACCEPTED.relative_to(PROJECT)}, but {line}", flush=True)
    return 0 if enough(results) else 1


if __name__ == "__main__":
    sys.exit(main())
