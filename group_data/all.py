"""The defaults of every lab, one paragraph each; an inventory or `--data name=value` overrides."""

import os
from pathlib import Path

# The name of the lab: of its cluster, its Docker network and its folder.
lab = os.environ.get("SOPSLAB_LAB", "lab")

# Everything sops-lab keeps: store/ (tools and images), bin/ (links to them), labs/<lab>/ (keys,
# Git data, kubeconfig, the learner's clone).
root = os.environ.get("SOPSLAB_ROOT") or str(
    Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "sops-lab"
)

# Where tools and images come from: `upstream` (release files and registry images), `modules`
# (built from Go modules and Debian packages), or `auto`: the first that answers.
artifact_source = "auto"

# Bases of the upstream source; a mirror is named here. `images` replaces the registry of every
# image reference.
mirrors = {
    "releases": "https://github.com",
    "kubernetes": "https://dl.k8s.io",
    "images": None,
}

# What is pinned.
catalog = str(Path(__file__).resolve().parent.parent / "artifacts" / "catalog.yaml")

# `kind` creates a cluster; `existing` uses the one that `kubeconfig` and `context` name.
cluster_provider = "kind"
kubeconfig = None
context = None

# The port of the API server, on loopback or at `git_bind`; None lets kind choose a free one.
api_port = None

# The embedded Git server: where it listens on this machine. At an address that is not loopback's,
# learners connect over the network: Git is https with the lab's own certificate authority then, and
# the API server is published at this address, too.
git_bind = "127.0.0.1"
git_port = 8418

# Any other Git server instead: its base URL, the one the cluster sees if that differs, and who
# pushes there. Put the password into a lab file of mode 0600 or into SOPSLAB_GIT_PASSWORD.
git_url = None
git_cluster_url = None
git_username = None
git_password = os.environ.get("SOPSLAB_GIT_PASSWORD")

# What kind of age identities are made: `x25519`, or `pq`, which a quantum computer could not break
# either. All of a lab are of one kind: a secret is as safe as the weakest of its recipients.
age_key_type = "x25519"

# Who works in the environment `develop`.
learner = {"id": "learner", "name": "Learner", "email": "learner@example.org"}

# The learners of a class, each with an environment of their own (inventories/classroom.py reads
# them from a roster), and whether those who are no longer among them lose theirs.
seats = []
prune = False

# Whom a deploy for single learners is about (reset, reissue, break, …), and what an environment is
# put back to: `start`, `encrypted`, `wired` or `done`.
subjects = []
checkpoint = "start"

# What `deploys/record.py` puts into the platform repository: paths below `docs/`, and the texts.
records = {}

# Which faults `deploys/break.py` injects; or the seed by which an exam draws them, and how many.
faults = []
exam = None
exam_faults = 1

# What `deploys/rotate.py` is about: the cause, the incident that it belongs to, which values leaked
# (NAME or NAME/KEY), and which of them a human gives (NAME/KEY; a JSON object on standard input).
cause = None
incident = None
exposed = []
given = []

# Which side is right when the key in the store and the key in the cluster differ: `store` or
# `cluster`. None stops the run and shows both public keys.
key_from = None

# Go on although the preflight says that the machine is too small.
force = False

# Whether `deploys/teardown.py` removes keys, Git data and the store, too.
purge = False
