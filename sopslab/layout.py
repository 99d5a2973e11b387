"""Where things of the project lie, and the names that the chapter gives them."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
# What lies beside the package in a checkout is in this folder of it once it is built (setup.py).
_BUILT = PACKAGE / "project"
PROJECT = _BUILT if _BUILT.is_dir() else PACKAGE.parent
TEMPLATES = PROJECT / "templates"
PLATFORM = PROJECT / "flux"

ENVIRONMENT = "develop"
NAMESPACE = "develop"
KUSTOMIZATION = "secrets-develop"
FLUX_NAMESPACE = "flux-system"
FLUX_FINALIZER = "finalizers.fluxcd.io"
GIT_REPOSITORIES = "gitrepositories.source.toolkit.fluxcd.io"
KUSTOMIZATIONS = "kustomizations.kustomize.toolkit.fluxcd.io"
RECEIVERS = "receivers.notification.toolkit.fluxcd.io"
KEY_SECRET = "sops-age"
KEY_ENTRY = "age.agekey"
# While a key is replaced, the one that follows lies beside it: Flux tries every entry.
NEXT_KEY_ENTRY = "next.agekey"
# With this label, Flux reconciles at once when the key changes.
WATCHED = {"reconcile.fluxcd.io/watch": "Enabled"}
# On what a lab makes in a cluster that may have others' objects: its value is the lab's name.
LAB_LABEL = "sops-lab"
# Beside it in a cluster that the lab did not make, where another lab may have the same name.
ID_LABEL = "sops-lab/id"
# The same on requests for certificates, which the cluster itself forgets in the end.
REQUEST_LABEL = "sops-lab/lab"
# On every object of a seat that is not the learner's own.
SEAT_LABEL = "sops-lab/seat"
# In a learner's repository: a folder for each environment.
SECRETS = "flux/secrets"
SECRETS_DIR = f"{SECRETS}/{ENVIRONMENT}"
LIST_PATH = f"{SECRETS_DIR}/kustomization.yaml"
CANARY_PATH = f"{SECRETS_DIR}/lab-canary.yaml"

# In a learner's repository, this is the author of what the lab commits.
LAB_EMAIL = "sops-lab@localhost"

RECEIVER = "lab"
# In the range of NodePorts; it is reached inside the lab's own network only.
RECEIVER_PORT = 30829
# In the part of kind's Service range that is never handed out by itself.
ARTIFACT_ADDRESS = "10.96.0.80"
EVENT_ADDRESS = "10.96.0.81"
# Where the API server of a kind node listens.
API_PORT = 6443

# In the platform repository: what a class has once, and what every seat has.
CLASSROOM_DIR = "flux/clusters/lab/classroom/"
TENANT_BASE = "flux/tenants/base"
# This enforces NetworkPolicy where the node's own network does not.
ENFORCER = "flux/clusters/lab/network/kube-router.yaml"
# What the node image says of its network: `static` or `kindnet`.
CNI_LABEL = "sops-lab.cni"
# Processes and threads that a pod may have; the largest of our own has some twenty.
POD_PIDS_LIMIT = 256
# The share of all processors, in percent, that a node's containerd, runc and systemd may use in a
# class: ten pods that start and end take seven seconds of a processor there, and others' pushes
# waited for it.
SYSTEM_SHARE = 20


# What the Git server's own modules need of other folders, to answer who asks for help: nothing that
# imports more than the standard library and PyYAML.
_FOR_THE_GIT_SERVER = (
    *("__init__.py", "layout.py"),
    *("config/__init__.py", "config/naming.py"),
    *("course/__init__.py", "course/chapter.py", "course/hints.py", "course/lacks.py"),
    "course/listing.py",
    *("files/__init__.py", "files/privatefile.py"),
    *("model/__init__.py", "model/hints.py", "model/mark.py", "model/passwords.py"),
    *("model/rows.py", "model/wire.py", "model/yaml_loader.py"),
)

# What it takes beside that to work on repositories in the server's pod, as `python -m sopslab.lab`.
_FOR_REPOSITORIES = (
    *("errors.py", "checks/__init__.py", "checks/causes.py"),
    *("config/engine.py", "config/environment.py", "config/places.py"),
    *("lab/__init__.py", "lab/__main__.py"),
    *("lab/act/__init__.py", "lab/act/asking.py", "lab/act/repositories.py"),
    *("lab/act/served.py", "lab/observe/__init__.py", "lab/observe/asking.py"),
    *("lab/observe/repositories.py", "lab/observe/served.py"),
    *("lab/tools/__init__.py", "lab/tools/files.py", "lab/tools/git.py", "lab/tools/kubectl.py"),
    *("lab/tools/programs.py", "lab/tools/relay.py", "lab/tools/waiting.py"),
    *("model/copies.py", "model/git_pod.py", "model/objects.py", "model/results.py"),
    "model/trouble.py",
)


def git_server_sources() -> dict[str, Path]:
    """Return the modules of ours that run inside the Git server's container, by path in it."""
    modules = (sorted((PACKAGE / folder).rglob("*.py")) for folder in ("gitserver", "policy"))
    sources = [PACKAGE / name for name in _FOR_THE_GIT_SERVER]
    sources += [module for some in modules for module in some]
    return {str(source.relative_to(PACKAGE.parent)): source for source in sources}


def git_pod_sources() -> dict[str, Path]:
    """Return the modules that run in the pod of a Git server in the cluster, by path in it."""
    # The server itself imports this module, and has no such package.
    import typing_extensions

    ours = {str(Path("sopslab", name)): PACKAGE / name for name in _FOR_REPOSITORIES}
    theirs = {"typing_extensions.py": Path(typing_extensions.__file__)}
    return {**git_server_sources(), **ours, **theirs}
