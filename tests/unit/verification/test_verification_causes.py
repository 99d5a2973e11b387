"""No message of another program is shown; one table says what each message means."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sopslab.checks.causes import (
    LOGGED,
    OURS,
    RUNNING,
    SERVING,
    Cause,
    Failure,
    cause_of,
    failure,
    for_shell,
    meaning,
    of_programs,
    reason,
    said,
    told,
)
from sopslab.config.environment import at_seat, solo
from sopslab.config.settings import Settings
from sopslab.files.render import template_environment
from sopslab.lab.act import failures
from sopslab.lab.observe.canaries import canary_states
from sopslab.lab.observe.delivery import deliveries
from sopslab.lab.parts import flux_parts
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.troubles import trouble_of
from sopslab.layout import PROJECT, TEMPLATES
from sopslab.model.trouble import Trouble
from sopslab.provision.operations import flux, kubernetes
from tests.fake import Applied
from tests.marks import soak
from tests.repositories import git, learner
from tests.sources import tree_of
from tests.texts import replaced, write_program

# A text that messages may quote, and that nothing may show.
MARK = "hunter-2-in-the-clear"
MESSAGES = {
    "Kustomization": [
        'cannot get sops data key: secrets "sops-age" not found',
        "failed to import 'age.agekey' into age identities",
        "Input string <redacted> does not match sops' data format",
        'Secret/develop/x is invalid: data[password]: Invalid value: "x"',
        "Secret/develop/x dry-run failed: illegal base64 data at input byte 3",
        'accumulating resources: accumulation err="no such file"',
        'secrets "x" is forbidden: exceeded quota: seat, requested: secrets=1',
        'configmaps "x" is forbidden: User "y" cannot patch',
        'namespaces "elsewhere" not found',
        "kustomization path not found: stat /tmp/x: no such file or directory",
        "can't access 'GitRepository/x/y', cross-namespace references have been blocked",
        "something that was never seen before",
        "",
    ],
    "GitRepository": [
        "failed to checkout: authentication required",
        'couldn\'t find remote ref "refs/heads/main"',
        "unable to clone: dial tcp: connection refused",
        "something that was never seen before",
    ],
    "Receiver": ["unable to read token from secret 'lab-ada-sys/receiver'", "never seen before"],
}
CASES = [(kind, message) for kind, messages in MESSAGES.items() for message in messages]


def ready(message: str, status: str = "False", **more: str) -> dict[str, str]:
    return {"type": "Ready", "status": status, "message": f"{message} {MARK}", **more}


@pytest.mark.parametrize(("kind", "message"), CASES)
def test_what_flux_says_is_told_and_nothing_is_quoted(kind: str, message: str) -> None:
    found = ready(message, reason="BuildFailed")
    told = meaning(kind, found, "k", "ns")
    assert MARK not in told
    assert ("(BuildFailed)" in told) == ("never seen" in message or not message)


@pytest.mark.parametrize(
    "found",
    [
        {},
        ready("fine", "True"),
        ready("Building manifests", "Unknown"),
        ready("never seen before", reason=MARK),
        {"type": "Ready", "status": "False"},
        {"type": "Ready", "status": "False", "message": None, "reason": None},
    ],
)
def test_what_has_no_cause_quotes_nothing(found: dict[str, Any]) -> None:
    told = meaning("Kustomization", found, "k", "ns")
    assert MARK not in told


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_reason_that_is_not_fluxs_is_not_passed_on(kind: str) -> None:
    assert failure(kind, ready("never seen", reason=MARK)) == Failure("no reason given", None)
    assert failure(kind, ready("never seen", reason="Odd")) == Failure("Odd", None)
    assert failure(kind, ready("fine", "True")) is None


def test_each_kind_has_messages_of_its_own() -> None:
    found = failure("Receiver", ready("unable to read token from secret 'lab-ada-sys/receiver'"))
    assert found is not None and found.meaning is not None
    assert found.meaning.id == "token-missing"


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        (f'Error from server (Invalid): Secret "x": Invalid value: "{MARK}"', "as invalid"),
        (f'The Secret "{MARK}" is invalid: data[k]: Invalid value: "x"', "as invalid"),
        (f'error: error validating "STDIN": error validating data: {MARK}', "as invalid"),
        (f'Error from server (Forbidden): secrets "{MARK}" is forbidden: exceeded quota', "quota"),
        (f'admission webhook "x" denied the request: {MARK}', "admission policy"),
        (f"Unable to connect to the server: dial tcp {MARK}", "does not answer"),
        (f"Error from server (NotFound): namespaces {MARK} not found", "is not there"),
        (f"Error from server (Conflict): {MARK} has been modified", "at the same moment"),
        (f"Error from server (InternalError): {MARK}", "an error of its own"),
        (f"E1128 10:00:00.123 1 memcache.go:265] {MARK}", "is not known here"),
        (f"Error from server (Teapot): {MARK}", "is not known here"),
    ],
)
def test_what_kubectl_says_is_told_by_what_it_means(line: str, meant: str) -> None:
    for before in ("", "its repository could not be put back: "):
        told = said(before + line)
        assert meant in told
        assert MARK not in told


def test_a_reason_of_ours_stays_in_front_of_what_they_said() -> None:
    told = said(f"its namespace stays: Error from server (InternalError): {MARK}")
    assert told.startswith("its namespace stays: the cluster refused")


@pytest.mark.parametrize(
    "line",
    [
        "the Git server did not answer at http://127.0.0.1:8418 within 20 s",
        "2 of 3 seats are not ready:",
        "error: failed to push some refs to 'http://127.0.0.1'",
        "ERROR: failed to create cluster: could not find a log line",
        "the key in the store (age1x) and the key in the cluster (age1y) differ",
        "",
    ],
)
def test_other_lines_stay_as_they_are(line: str) -> None:
    assert said(line) == line


# --- what programs on the lab's machine say --------------------------------------------------

PROGRAMS = [
    (f"fatal: cannot write {MARK}: No space left on device", "the disk is full"),
    (f"error: failed to push some refs to '{MARK}'\n ! [remote rejected] main", "refused the push"),
    (f"remote: {MARK}\nfatal: Authentication failed for 'http://x/'", "refuses the login"),
    (f"fatal: unable to access '{MARK}': Could not resolve host: x", "does not answer"),
    (f"fatal: cannot lock ref 'refs/heads/{MARK}'", "at the same moment"),
    (f"error: object file {MARK} is empty\nfatal: loose object is corrupt", "is damaged"),
    (f"fatal: path '{MARK}' does not exist in 'main'", "branch or file"),
    (f"ERROR: failed to create cluster: {MARK}\nCommand Output: docker", "node did not start"),
    (f"ERROR: failed to create cluster: could not find a log line {MARK}", "did not start"),
    ("docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "Docker does"),
    (f"Bind for 127.0.0.1:8418 failed: port is already allocated {MARK}", "is taken"),
    (f"Error response from daemon: No such container: {MARK}", "does not run"),
    (f"Failed to get the data key: {MARK}\n0 successful groups required", "opens the file"),
    (f"MAC mismatch. File has {MARK}, computed x", "was changed"),
    (f"error loading config: no matching creation rules found {MARK}", "creation rule"),
    (f'age-keygen: error: failed to open output file "{MARK}": Permission denied', "age key"),
    (f"mv: cannot move '{MARK}' to 'x': Permission denied", "this account may not"),
    (f"sops-lab: 7: {MARK}: not found", "not installed"),
    (f"cp: cannot stat '{MARK}': No such file or directory", "is not there"),
    (f"never seen before: {MARK}", "the log says more"),
    (f"Error from server (Forbidden): secrets {MARK} is forbidden", "may not do that"),
    (f"Error from server (Teapot): {MARK}", "not known here"),
]


@pytest.mark.parametrize(("words", "meant"), PROGRAMS)
def test_what_programs_say_is_told_by_what_it_means(
    words: str, meant: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (shown,) = told(words.splitlines())
    assert meant in shown
    assert MARK not in shown
    assert failures.told(Failed("any", words.encode())) == of_programs(words.splitlines())
    sys.stderr.flush()
    # Words with an unknown meaning go to the log, unless they may quote a value.
    assert (words.encode() in capfdbinary.readouterr().err) is (LOGGED in meant)


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ([f"fatal: {MARK}", f"{OURS}: ada: the clone failed", MARK], ["ada: the clone failed"]),
        ([f"{OURS}: one", f"{OURS}: two"], ["one", "two"]),
        ([f"  {OURS}: {MARK}"], ["a command failed: the reason is not known here;"]),
        ([], []),
        (["", "  "], []),
    ],
)
def test_only_sentences_of_ours_are_shown(lines: list[str], shown: list[str]) -> None:
    seen = told(lines)
    assert len(seen) == len(shown)
    assert all(one.startswith(start) for one, start in zip(seen, shown, strict=True))
    assert MARK not in "".join(seen)


def test_the_first_sentence_of_ours_is_the_reason() -> None:
    assert reason([f"fatal: {MARK}", f"{OURS}: no branch main"]) == "no branch main"
    assert reason([]) == reason(["", " "]) == "it ended without a word"


# What kubectl says if the cluster cannot be asked.
ASKING = [
    (f"kubectl: {MARK}: not found", Trouble.NO_KUBECTL),
    (f'error: context "{MARK}" does not exist', Trouble.BAD_KUBECONFIG),
    (f'error: error loading config file "{MARK}": yaml: line 1', Trouble.BAD_KUBECONFIG),
    ("error: tls: failed to find any PEM data in certificate input", Trouble.BAD_KUBECONFIG),
    (
        f"Unable to connect to the server: tls: failed to verify certificate: x509: {MARK}",
        Trouble.CERTIFICATE,
    ),
    ("Unable to connect to the server: remote error: tls: handshake failure", Trouble.CERTIFICATE),
    ("error: You must be logged in to the server (Unauthorized)", Trouble.DENIED),
    ("Unable to connect to the server: getting credentials: exec: x failed", Trouble.DENIED),
    (f"Error from server (Forbidden): nodes {MARK} is forbidden", Trouble.DENIED),
    (f"The connection to the server {MARK} was refused", Trouble.REFUSED),
    (f"Unable to connect to the server: dial tcp: lookup {MARK}: no such host", Trouble.REFUSED),
    ("Unable to connect to the server: net/http: TLS handshake timeout", Trouble.SILENT),
    ("kubectl timed out after 6 s", Trouble.SILENT),
    (f"Error from server (NotFound): {MARK} not found", Trouble.UNWELL),
    ("Error from server (Timeout): context deadline exceeded", Trouble.UNWELL),
    (
        f'Error from server (InternalError): failed calling webhook "{MARK}": dial tcp: connect:'
        " connection refused",
        Trouble.UNWELL,
    ),
]


@pytest.mark.parametrize(("words", "trouble"), ASKING)
def test_why_a_cluster_cannot_be_asked_is_told(words: str, trouble: Trouble) -> None:
    assert trouble_of(words.encode()) is trouble


@pytest.mark.parametrize(("kind", "causes"), [("API", SERVING), ("Program", RUNNING)])
def test_a_learner_s_script_recognises_what_python_does(
    kind: str, causes: tuple[Cause, ...]
) -> None:
    lines = [line for words, _ in PROGRAMS for line in words.splitlines()]
    lines += [words for words, _ in ASKING]
    by_python = [cause_of(line, causes) for line in lines]
    template = template_environment(TEMPLATES / "learner", escaping=False).get_template(
        "meaning.sh.j2"
    )
    function = template.render(speaker="kubectl", table=for_shell()[kind])
    asking = 'for line; do meaning "$line"; echo; done'

    done = subprocess.run(
        ["sh", "-euc", f"{function}\n{asking}", "sh", *lines],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    unknown = "the reason is not known here"
    assert done.stdout.splitlines() == [one.text if one else unknown for one in by_python]
    assert done.stderr == ""


STDERR = re.compile(r">&2")
# Passes on the words of others, on purpose and to the log: nobody sees a line without the mark.
LOGGING = {"sopslab/provision/command.py"}


def test_every_script_tells_its_own_sentences_as_its_own() -> None:
    """A bare `echo … >&2` would be taken for words of another program, and would not be shown."""
    found = {
        str(path.relative_to(PROJECT))
        for path in (PROJECT / "sopslab").rglob("*.py")
        if STDERR.search(path.read_text())
    }
    assert found == LOGGING
    for name in found:
        assert not re.search(r"echo [^|\n]*>&2", (PROJECT / name).read_text())


# --- each verb, fed with an object whose condition quotes something --------------------------

KUBECTL = """#!/usr/bin/env python3
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
asked = sys.argv[1:]
objects = json.load(open(os.path.join(here, "objects.json")))["items"]
if "apply" in asked or "logs" in asked or "replace" in asked:
    sys.exit('The Secret "x" is invalid: MARK')
if "/readyz" in asked:
    print("ok")
elif "deployment" in asked:
    print(1)
elif "namespaces" in asked or "wait" in asked or "diff" in asked:
    sys.exit(2)
elif "secret" in asked:
    print("secret/sops-age")
else:
    kinds = {"gitrepository": "GitRepository", "kustomization": "Kustomization"}
    kind = next((kinds[word] for word in asked if word in kinds), None)
    if kind is None:
        print(json.dumps({"kind": "List", "items": objects}))
    elif "jsonpath={.status.lastAppliedRevision}" not in asked:
        print(json.dumps(next(one for one in objects if one["kind"] == kind)))
"""


def thing(kind: str, namespace: str, called: str, message: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {
            "namespace": namespace, "name": called, "generation": 1,
            "labels": {"sops-lab/seat": "ada"},
        },
        "spec": {},
        "status": {"observedGeneration": 1, "conditions": [ready(message, reason="Failed")]},
    }  # fmt: skip


@pytest.fixture
def broken(lab: Callable[..., Settings], tools: Callable[..., Path]) -> Callable[[str], Settings]:
    """Return a function that makes a lab and a seat, with a message on Flux's objects that quotes
    MARK."""

    def make(message: str) -> Settings:
        settings = lab()
        folder = tools("age-keygen")
        write_program(folder / "kubectl", replaced(KUBECTL, "MARK", MARK))
        objects = [
            thing("GitRepository", "lab-ada-sys", "lab", "fine"),
            thing("Kustomization", "lab-ada-sys", "secrets-develop", message),
            thing("Kustomization", "flux-system", "tenant-ada", message),
            thing("Kustomization", "flux-system", "flux-system", message),
            thing("Receiver", "lab-ada-sys", "lab", message),
            {"kind": "Namespace", "metadata": {"name": "ada-develop"}},
            {"kind": "Namespace", "metadata": {"name": "lab-ada-sys"}},
        ]
        (folder / "objects.json").write_text(json.dumps({"items": objects}))
        for path in (settings.lab_kubeconfig, f"{settings.class_dir}/x"):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(settings.lab_kubeconfig).write_text("a: kubeconfig\n")
        for bare in ("repositories/ada/lab.git", "repositories/learner/lab.git"):
            repository = Path(settings.git_dir) / bare
            repository.mkdir(parents=True)
            git(repository, "-c", "init.defaultBranch=main", "init", "--quiet", "--bare")
        return settings

    return make


SENTENCES = ["never seen before", "dry-run failed: Invalid value", 'secrets "sops-age" not found']


def _reset(settings: Settings) -> str:
    environments = [at_seat(learner("ada"))]
    return str(deliveries(settings.for_machine, environments, []))


def _up(settings: Settings) -> str:
    return str(canary_states(settings.for_machine, [at_seat(learner("ada"))]))


def _canary(settings: Settings) -> str:
    done = Applied(flux.canaries, settings=settings, environments=[solo(settings)])
    assert done.failed
    return str(done.stderr)


def _manifests(settings: Settings) -> str:
    path = Path(settings.root, "manifests.yaml")
    path.write_text("{}\n")
    done = Applied(kubernetes.manifests, settings=settings, path=str(path))
    assert done.failed
    return str(done.stderr)


def _seat_secrets(settings: Settings) -> str:
    for name in ("class", "git/receiver"):
        Path(settings.lab_dir, name).mkdir(parents=True, exist_ok=True)
    Applied(flux.secrets, settings=settings, environments=[at_seat(learner("ada"))])
    failed = Path(settings.class_dir, "failed")
    return "".join(path.read_text() for path in failed.glob("*")) or "nothing"


def _status(settings: Settings) -> str:
    return str(flux_parts(settings))


VERBS = {
    "reset": _reset,
    "up of a class": _up,
    "up": _canary,
    "up, manifests": _manifests,
    "up, keys": _seat_secrets,
    "status": _status,
}


# Each verb once and each sentence once suffice: all of them use one table.
@pytest.mark.parametrize(
    ("verb", "message"),
    [
        (verb, message) if verb == "reset" or message == SENTENCES[0] else soak(verb, message)
        for verb in VERBS
        for message in SENTENCES
    ],
)
def test_no_verb_shows_what_a_condition_quotes(
    broken: Callable[[str], Settings], verb: str, message: str
) -> None:
    told = VERBS[verb](broken(message))
    assert MARK not in told
    assert told


# --- and no other place reads messages -------------------------------------------------------

# The modules that read a message, and why nothing of it gets out.
READERS = {
    "sopslab/checks/causes.py": "the table",
    "sopslab/checks/dry_runs.py": "that of a policy of ours is written there",
    "sopslab/checks/policy_pods.py": "what became of a connection is matched in it",
    "sopslab/checks/probe_pods.py": "a way to the Git server is matched in it",
    "sopslab/model/builds.py": "a commit's id is read from it",
    "sopslab/lab/observe/followed.py": "compared with what it was before",
    "sopslab/lab/act/manifests.py": "names and numbers are matched in it",
}
# Finds `.message` in jq, jsonpath and templates, and `["message"]` or `get("message")`.
READ = re.compile(r"\.message\b|^message$")
# Modules with a `message` of our own: findings, and JUnit.
OUR_OWN = (
    *("sopslab/policy/", "sopslab/validation/", "sopslab/cli/junit.py"),
    "sopslab/gitserver/",
)


def read_messages(path: Path) -> bool:
    return any(
        isinstance(node, ast.Constant) and isinstance(node.value, str) and READ.search(node.value)
        for node in ast.walk(tree_of(path))
    )


def test_only_those_that_ask_the_table_read_messages() -> None:
    paths = {str(path.relative_to(PROJECT)): path for path in (PROJECT / "sopslab").rglob("*.py")}
    found = {name for name, path in paths.items() if read_messages(path)}
    assert {name for name in found if not name.startswith(OUR_OWN)} == READERS.keys()


def test_no_script_hands_on_what_kubectl_or_flux_has_said() -> None:
    """Logs of controllers, and words that a script calls `above`, would be shown as they are."""
    for path in (PROJECT / "sopslab").rglob("*.py"):
        if path.parent.name in {"facts", "operations"}:
            text = path.read_text()
            assert not re.search(r"\$\(kube[^)]*logs", text), path
            assert "its own words are above" not in text, path
            assert not re.search(r"\b(tail|head|sed|grep) [^|\n]*(said|errors)\"? *\)", text), path
