"""The defaults of every lab, one paragraph each; an inventory or `--data name=value` overrides.

The comment above a setting says what it is: docs/reference/settings.md is made of it.
"""

import os
from pathlib import Path

# The name of the lab: of its cluster, its Docker network and its folder.
lab = os.environ.get("SOPSLAB_LAB", "lab")

# Everything sops-lab keeps: store/ (tools and images), bin/ (links to them), labs/<lab>/ (keys,
# Git data, kubeconfig, the learner's clone). Where `XDG_DATA_HOME` is set, it is sops-lab in there.
root = os.environ.get("SOPSLAB_ROOT") or str(
    Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "sops-lab"
)

# For how many hours the lab is meant, from its first `sopslab up` on: `sopslab reap` takes it down
# after that. Without a number it stays until somebody takes it down. It needs `kind`.
lease = None

# Where tools and images come from: `upstream` (release files and registry images), `modules`
# (built from Go modules and Debian packages), `bundle` (a bundle that was loaded, and no network),
# or `auto`: a store that is full, however it was filled, or else the first that answers.
artifact_source = "auto"

# Bases of the upstream source; a mirror is named here. `images` replaces the registry of every
# image reference.
mirrors = {
    "releases": "https://github.com",
    "kubernetes": "https://dl.k8s.io",
    "images": None,
}

# What is pinned; `modules/` is looked for beside it.
catalog = str(Path(__file__).resolve().parent.parent / "artifacts" / "catalog.yaml")

# The registry to which `sopslab images push` pushes what of the lab an existing cluster pulls: its
# host, and a path where it has one. Docker's logins are used.
registry = None

# `kind` creates a cluster; `existing` uses the one that `kubeconfig` and `context` name. A class
# needs `git_bind` or `git_in_cluster` there.
cluster_provider = "kind"

# The kubeconfig that leads to an existing cluster.
kubeconfig = None

# The context in that kubeconfig.
context = None

# What an existing cluster may lack of what a lab asks for: `architecture` (Flux has images for
# every node), `git` (pods on every node reach the Git server), `images` (every node can pull
# them), `room` (for Flux's pods, and a small one of each seat), `version` (a Kubernetes that Flux
# supports). And of what a class asks for: `dns` (where its network policies let pods ask), and what
# holds its seats apart: `admission-policies`, `network-policies`, `pod-security`. `sopslab status`
# shows what it lacks.
accept = []

# The port of the API server, on loopback or at `git_bind`; without one kind chooses a free one.
api_port = None

# The Docker that the lab is on: what `DOCKER_HOST` says, which is how to choose it. Where it is on
# another machine, such as a CI job's service `docker`, the API and the Git server are reached there
# with TLS, and the lab's root has to be the same folder on both machines.
docker_host = os.environ.get("DOCKER_HOST")

# The address of this machine at which the embedded Git server listens. At one that is not
# loopback's, learners connect over the network: Git is https with the lab's own CA then, and the
# API server of a cluster that the lab makes is published at this address, too. An existing cluster
# comes to it as well.
git_bind = "127.0.0.1"

# The port of the embedded Git server.
git_port = 8418

# The lab's own Git server in an existing cluster, of the image that `sopslab images push` has
# pushed: `host` and `port` where it is reached from outside, by this machine, too; `service`, the
# kind of its Service (`NodePort` and `LoadBalancer` at that port; `ClusterIP` where an Ingress or a
# Gateway passes TLS on to it); `storage_class` and `size` of the volume with the repositories.
git_in_cluster = None

# The base URL of any other Git server, instead of the embedded one. It needs `git_username` and
# `git_password`. A class is on the lab's own only.
git_url = None

# The same server as the cluster reaches it, if that differs.
git_cluster_url = None

# Who reads and pushes at another Git server.
git_username = None

# The password for that. Put it into a lab file of mode 0600 or into the variable.
git_password = os.environ.get("SOPSLAB_GIT_PASSWORD")

# What kind of age identities are made: `x25519`, or `pq`, which a quantum computer could not break
# either. All of a lab are of one kind, the one that it began with: a secret is as safe as the
# weakest of its recipients.
age_key_type = "x25519"

# The instructor's public key, `age1…`, where the private half is to stay on a machine of theirs.
# Every file is encrypted to it, too, and the lab makes no instructor identity. Without it, the lab
# makes one.
instructor_recipient = None

# Who works in the environment `develop`.
learner = {"id": "learner", "name": "Learner", "email": "learner@example.org"}

# The learners of a class, each with an environment of their own. `inventories/classroom.py` reads
# them from a roster.
seats = []

# How many spare seats there are to be: seats without a learner, which `sopslab assign` gives to who
# comes late (`sopslab up inventories/classroom.py --spare 2`).
spares = 0

# The machine of the learner's seat, in a room with a machine for each: `host`, `user`, `port`,
# `hostkey`, and as `key` the file of a private key to log in with. `inventories/seats.py` reads
# them from a roster.
machine = None

# To how many seats of a room tools and images are sent at a time.
seats_at_once = 8

# The verb of `sopslab` that `deploys/verb.py` runs at each seat of a room, and what it is told
# (`sopslab reset ada --to wired`).
verb = []

# Whether learners who left the roster lose their environment, and spare seats go that are not asked
# for, with an `up` that has a roster (`sopslab up inventories/classroom.py --prune`).
prune = False

# When the access of learners ends for whom the roster says no other time: a date, a time and a
# zone. They can neither push nor reach the cluster then, and get all of it back with a later time.
expires = None

# For how many days their environment stays from the run on that has ended their access, before
# `sopslab up` or `sopslab reap` archives it.
grace = 7

# Whom a deploy for single learners is about: `deploys/reset.py`, `deploys/reissue.py`,
# `deploys/break.py`, `deploys/fix.py`, … (`sopslab reset ada`).
learners = []

# What an environment is put back to (`sopslab reset ada --to wired`).
checkpoint = "start"

# What `deploys/record.py` puts into the platform repository: paths below `docs/`, and the texts
# (`sopslab incident open leaked-key`).
records = {}

# Which faults `deploys/break.py` injects (`sopslab break wrong-key ada`).
faults = []

# The seed by which an exam draws them (`sopslab break --random --seed 7 ada`).
exam = None

# How many an exam draws (`sopslab break --random --count 2 ada`).
exam_faults = 1

# Why `deploys/rotate.py` replaces something (`sopslab rotate learner-key`).
cause = None

# The incident that a rotation belongs to (`sopslab rotate learner-key --incident ID`).
incident = None

# Which values leaked (`sopslab rotate value-exposed --exposed backend-secrets`).
exposed = []

# Which of them a human gives (`sopslab rotate value-exposed --value backend-secrets/token`). The
# values themselves come as a JSON object on standard input.
given = []

# Which side is right when the key in the store and the key in the cluster differ. Without it the
# run stops and shows both public keys (`sopslab up --key-from store`).
key_from = None

# Whether a cluster of the lab that is there is replaced by a new one; keys and repositories stay
# (`sopslab up --recreate`).
recreate = False

# Go on although the preflight says that the machine is too small (`sopslab up --force`).
force = False

# Have the distribution's Docker installed beside a client that is here without an engine, or our
# runtime added to a configuration of Docker's (`sopslab up --install-docker`). Where there is
# nothing of Docker, it is installed anyway; nothing is ever taken off the machine.
install_docker = False

# Whether `deploys/teardown.py` removes keys, Git data and the store, too (`sopslab down --purge`).
purge = False
