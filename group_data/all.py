"""The defaults of every lab, one paragraph each; an inventory or `--data name=value` overrides.

The comment above a setting says what it is: docs/reference/settings.md is made from it.
"""

import os
from pathlib import Path

# The name of the lab: of its cluster, its Docker network and its folder.
lab = os.environ.get("SOPSLAB_LAB", "lab")

# Everything sops-lab keeps: store/ (tools and images), bin/ (links to them), labs/<lab>/ (keys, Git
# data, kubeconfig, the learner's clone). If `XDG_DATA_HOME` is set, it is sops-lab in that folder.
root = os.environ.get("SOPSLAB_ROOT") or str(
    Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "sops-lab"
)

# For how many hours the lab is to stay after its first `sopslab up`: then `sopslab reap` takes it
# down. Without a number it stays until somebody takes it down. It needs `kind`.
lease = None

# Where tools and images come from: `upstream` (release files and registry images), `modules`
# (built from Go modules and Debian packages), `bundle` (a bundle that was loaded, and no network),
# or `auto`: a store that is full, however it was filled, or else the first that answers.
artifact_source = "auto"

# The bases of all URLs of the upstream source, to be replaced by mirrors. `images` replaces the
# registry in every image reference.
mirrors = {
    "releases": "https://github.com",
    "kubernetes": "https://dl.k8s.io",
    "images": None,
}

# The file of everything that is pinned; `modules/` is beside it.
catalog = str(Path(__file__).resolve().parent.parent / "artifacts" / "catalog.yaml")

# The registry to which `sopslab images push` pushes the lab's own image for existing clusters: its
# host and, if there is one, a path. Docker's logins are used.
registry = None

# `kind` creates a cluster; `existing` uses the one that `kubeconfig` and `context` name. A class
# needs `git_bind` or `git_in_cluster` there.
cluster_provider = "kind"

# The kubeconfig of an existing cluster.
kubeconfig = None

# The context in that kubeconfig.
context = None

# What an existing cluster may lack although a lab needs it: `architecture` (Flux has images for
# every node), `git` (pods on every node reach the Git server), `images` (every node can pull them),
# `room` (for Flux's pods, and a small one of each seat), `version` (a Kubernetes that Flux
# supports). For a class also `dns` (it is where network policies let pods ask), and what isolates
# its seats: `admission-policies`, `network-policies`, `pod-security`. `sopslab status` shows what
# the cluster lacks.
accept = []

# The port of the API server, on loopback or at `git_bind`; without it, kind chooses a free one.
api_port = None

# The lab's Docker, which is chosen by the variable `DOCKER_HOST`. If it is on another machine, such
# as a CI job's service `docker`, the API and the Git server are reached there with TLS, and the
# lab's root has to be the same folder on both machines. Without the variable it is the Docker of
# this machine; a Docker context that leads elsewhere is refused.
docker_host = os.environ.get("DOCKER_HOST")

# The address of this machine at which the embedded Git server listens. If it is not a loopback
# address, learners connect over the network: then Git has https with the lab's own CA, and the API
# server of a cluster that the lab makes is published at this address, too. An existing cluster
# reaches the Git server at this address as well.
git_bind = "127.0.0.1"

# The port of the embedded Git server.
git_port = 8418

# Run the lab's own Git server in an existing cluster, from the image that `sopslab images push` has
# pushed: `host` and `port` are where everybody reaches it from outside, this machine included;
# `service` is the type of its Service (`NodePort` or `LoadBalancer` at that port, or `ClusterIP` if
# an Ingress or a Gateway passes TLS on to it); `storage_class` and `size` are those of the volume
# with the repositories.
git_in_cluster = None

# The base URL of another Git server, instead of the embedded one. It needs `git_username` and
# `git_password`. A class needs the lab's own Git server.
git_url = None

# The URL of the same server for the cluster, if that differs.
git_cluster_url = None

# The account that reads and pushes at another Git server.
git_username = None

# The account's password. Put it into a lab file of mode 0600, or into `SOPSLAB_GIT_PASSWORD`.
git_password = os.environ.get("SOPSLAB_GIT_PASSWORD")

# The kind of age identities: `x25519`, or `pq`, which a quantum computer could not break either.
# All identities of a lab are of the kind with which it began: a secret is as safe as the weakest of
# its recipients.
age_key_type = "x25519"

# The instructor's public key, `age1…`, if the private key is to stay on another machine. Every file
# is encrypted to it, too, and the lab makes no instructor identity. Without it, the lab makes one.
instructor_recipient = None

# Who works in the environment `develop`.
learner = {"id": "learner", "name": "Learner", "email": "learner@example.org"}

# The learners of a class, each with an environment of their own. `inventories/classroom.py` reads
# them from a roster.
seats = []

# How many spare seats there are to be: seats without a learner, which `sopslab assign` gives to
# latecomers (`sopslab up inventories/classroom.py --spare 2`).
spares = 0

# The machine of the learner's seat, in a room with a machine for each: `host`, `user`, `port`,
# `hostkey`, and as `key` the file of a private key to log in with. `inventories/seats.py` reads
# them from a roster.
machine = None

# To how many seats of a room tools and images are sent at a time.
seats_at_once = 8

# The verb of `sopslab` that `deploys/verb.py` runs at each seat of a room, and its arguments
# (`sopslab reset ada --to wired`).
verb = []

# Whether an `up` with a roster archives the environments of learners who left the roster, and spare
# seats beyond `spares` (`sopslab up inventories/classroom.py --prune`).
prune = False

# When the access of learners ends: a date, a time and a zone. The roster may have another time for
# a learner. From then on they can neither push nor reach the cluster; a later time gives access
# back.
expires = None

# How many days after the run that has ended a learner's access `sopslab up` or `sopslab reap`
# archives the environment.
grace = 7

# The learners for a deploy about single learners: `deploys/reset.py`, `deploys/reissue.py`,
# `deploys/break.py`, `deploys/fix.py`, … (`sopslab reset ada`).
learners = []

# The checkpoint to which an environment is put back (`sopslab reset ada --to wired`).
checkpoint = "start"

# The files that `deploys/record.py` puts into the platform repository: paths below `docs/`, and
# their texts (`sopslab incident open leaked-key`).
records = {}

# Which faults `deploys/break.py` injects (`sopslab break wrong-key ada`).
faults = []

# The seed with which an exam draws faults (`sopslab break --random --seed 7 ada`).
exam = None

# How many faults an exam draws (`sopslab break --random --count 2 ada`).
exam_faults = 1

# What leaked, for `deploys/rotate.py` (`sopslab rotate learner-key`).
cause = None

# The incident to which a rotation belongs (`sopslab rotate learner-key --incident ID`).
incident = None

# Which values leaked (`sopslab rotate value-exposed --exposed backend-secrets`).
exposed = []

# Which of them get a value from a person (`sopslab rotate value-exposed --value
# backend-secrets/token`). The values themselves come as a JSON object on standard input.
given = []

# Which side is right when the key in the store and the key in the cluster differ. Without it the
# run stops and shows both public keys (`sopslab up --key-from store`).
key_from = None

# Whether to replace the lab's cluster by a new one; keys and repositories stay (`sopslab up
# --recreate`).
recreate = False

# Go on although the preflight says that the machine is too small (`sopslab up --force`).
force = False

# Install the distribution's Docker beside a client that has no engine, add the lab's runtime to an
# existing configuration of Docker, or add you to the group `docker` where Docker was stopped
# (`sopslab up --install-docker`). If there is no Docker at all, it is installed in any case, and
# you are added to its group; nothing is ever removed from the machine.
install_docker = False

# Whether `deploys/teardown.py` removes keys, Git data and the store, too (`sopslab down --purge`).
purge = False
