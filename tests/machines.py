"""The answers of a lab's machine for tests: of a bare one, and of one with a complete lab."""

from __future__ import annotations

import json
from dataclasses import replace

from sopslab import __version__
from sopslab.artifacts.catalog import Catalog, pinned_catalog
from sopslab.checks.snapshot import ClusterKey
from sopslab.checks.takeover import FORMAT
from sopslab.config.environment import solo
from sopslab.config.naming import bridge_name, git_server_name, network_name, next_key, node_name
from sopslab.config.places import FLUX, INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.files.archive import digest
from sopslab.files.render import RenderedFile, render_tree
from sopslab.lab.observe import docker
from sopslab.lab.observe.accounts import known_accounts
from sopslab.lab.observe.begun import begun_environments
from sopslab.lab.observe.canaries import canary_states
from sopslab.lab.observe.copies import bare_repositories
from sopslab.lab.observe.engine import engine_state
from sopslab.lab.observe.failures import seat_failures
from sopslab.lab.observe.folders import any_folder, folder_digest, lab_folder, leftovers
from sopslab.lab.observe.formats import lab_format
from sopslab.lab.observe.host_secrets import held_keys, secrets_drift
from sopslab.lab.observe.identities import identity_states
from sopslab.lab.observe.kind import cluster_state, node_limits, stranger_bindings
from sopslab.lab.observe.learners_clone import clone_of_learner
from sopslab.lab.observe.leases import lease
from sopslab.lab.observe.machine import listeners, machine_state, name_servers
from sopslab.lab.observe.manifests import ABSENT, manifest_drift
from sopslab.lab.observe.objects import all_kustomizations, all_sources
from sopslab.lab.observe.records import content_mark
from sopslab.lab.observe.roster import recorded_roster
from sopslab.layout import API_PORT, CNI_LABEL, POD_PIDS_LIMIT, SYSTEM_SHARE, TEMPLATES
from sopslab.model.accounts import Accounts
from sopslab.model.canaries import PROVEN
from sopslab.model.clusters import ApiServers
from sopslab.model.decryption import SecretDrift
from sopslab.model.docker import Container, Network
from sopslab.model.engine import EngineState, EngineTraits
from sopslab.model.formats import Format
from sopslab.model.identities import IdentityState
from sopslab.model.kind import ClusterState, Limits, Owner
from sopslab.model.machine import MachineState
from sopslab.model.repositories import LearnersClone, Origin
from sopslab.model.store import RECIPE_LABEL, Source, Store, StoredEntry
from sopslab.model.wire import encode
from sopslab.provision.facts.host import FirewallRules
from sopslab.provision.operations.artifact import PACKERS
from sopslab.provision.operations.docker import CLIENT, ENGINE
from tasks.cluster import node_configuration
from tasks.flux import platform_files
from tasks.git import server_configuration, server_programs
from tasks.host import COMMANDS
from tasks.learners import learner_variables
from tests.fake import Answers, fact_text, look_text, machine_look_text

NAME_SERVERS = '["192.0.2.53"]'
# The part by which the look at the store is recognised.
STORE = "…observe.store.store_state"
MACHINE = MachineState(
    uid=0,
    gid=0,
    user="root",
    machine="x86_64",
    cpus=2,
    memory_kib=8_000_000,
    disk_kib=50_000_000,
    store_entries=14,
    writable=True,
    cgroup=2,
    bounding=0x1FFFFFFFFFF,
    last_capability=40,
    inotify_instances=8192,
    inotify_watches=524288,
    manager="apt-get",
    missing=(),
)


def said(value: object) -> str:
    """Return what the lab's own program prints if it has seen this value."""
    return json.dumps(encode(value))


def machine(
    settings: Settings, offers: MachineState = MACHINE, missing: tuple[str, ...] = ()
) -> Answers:
    """Return the answers of a machine about itself.

    + missing: the programs that the machine lacks
    """

    def asked_for(commands: list[str]) -> str:
        lacking = tuple(name for name in commands if name in missing)
        return said(replace(offers, missing=lacking))

    return Answers(
        {
            machine_look_text(machine_state, root=settings.root, commands=[]): said(offers),
            machine_look_text(name_servers): NAME_SERVERS,
        }
        | {
            machine_look_text(machine_state, root="/", commands=commands): asked_for(commands)
            for commands in ([], COMMANDS, [*CLIENT, *ENGINE], PACKERS)
        }
    )


def bare(settings: Settings) -> Answers:
    """Return the answers of a machine that has nothing but its distribution."""
    offers = replace(MACHINE, inotify_instances=8, inotify_watches=8, bounding=0xA80425FB)
    answers = machine(settings, offers, tuple(COMMANDS + CLIENT + ENGINE + PACKERS))
    answers[machine_look_text(engine_state)] = said(EngineState(answers=False, reason="absent"))
    answers[STORE] = said(Store())
    for file in ("components", "sync"):
        path = f"{settings.manifests_dir}/{file}.yaml"
        answers[look_text(settings, manifest_drift, path=path)] = said([ABSENT])
    learner = settings.learner.id
    # One effect for all identities: the text of the command does not say which of them are made.
    facts = Facts(settings)
    answers[facts.secrets] = said({learner: SecretDrift.ABSENT})
    effects: dict[tuple[str, ...], dict[str, str]] = {
        ("act.identities.generate",): {
            facts.identities: identities(INSTRUCTOR, learner),
            facts.store: identities(INSTRUCTOR, learner),
        }
    }
    return Answers(answers, effects)


def identities(*keys: str) -> str:
    """Return the answer of a machine about identities that are as they should be."""
    return said({key: identity(key) for key in keys})


def identity(key: str) -> IdentityState:
    return IdentityState(f"age1{key}", f"age1{key}")


def filled_store(settings: Settings) -> Store:
    """Return the store of a machine on which the store is full."""
    return stored(pinned_catalog(settings.catalog), "modules")


def stored(
    catalog: Catalog, source: Source, without: tuple[str, ...] = (), spoilt: tuple[str, ...] = ()
) -> Store:
    """Return a store that is filled from a source.

    + without: the entries that it lacks
    + spoilt: the entries whose files were changed
    """
    stat, total = "755 5 1", "5" * 64
    entries = {}
    for name, entry in catalog.entries(source, "amd64").items():
        if name in without:
            continue
        files = entry.files or ("files/one",)
        found = dict.fromkeys(files, "755 9 2" if name in spoilt else stat)
        entries[entry.key] = StoredEntry(
            manifest={**entry.manifest, "files": dict.fromkeys(files, total)},
            files=found,
            stamp=dict.fromkeys(files, stat),
            sums=dict.fromkeys(files, "6" * 64) if name in spoilt else {},
        )
    images = [catalog.image(role, source, "amd64") for role in ("git", "node")]
    return Store(
        "amd64",
        "modules",
        entries,
        {tool: f"../store/{path}" for tool, path in catalog.tools(source, "amd64").items()},
        {image.reference: {RECIPE_LABEL: image.recipe, CNI_LABEL: "static"} for image in images},
    )


def held(key: ClusterKey) -> str:
    """Return the answer of a machine about the learner's key in the cluster."""
    return said({"learner": key})


def container(settings: Settings, mark: str = "", *, running: bool = True) -> str:
    networks = (network_name(settings.lab),)
    return said(Container(running, networks, {"sops-lab.config": mark}))


def cluster(status: str = "running", *, complete: bool = True, owner: Owner = Owner.LAB) -> str:
    return said(ClusterState(owner, status, complete))


ENGINE_OF_DEBIAN = EngineState(
    answers=True,
    default_runtime="runc",
    traits=EngineTraits(driver="overlay2", security="name=seccomp"),
)


def network(settings: Settings) -> str:
    return said(Network({"sops-lab.root": settings.root}))


def rules(settings: Settings) -> str:
    bridge = bridge_name(settings.lab)
    return f"""-N DOCKER-USER
-A DOCKER-USER -d 192.0.2.53/32 -i {bridge} -p udp -m udp --dport 53 -j RETURN
-A DOCKER-USER -d 192.0.2.53/32 -i {bridge} -p tcp -m tcp --dport 53 -j RETURN
-A DOCKER-USER -i {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A DOCKER-USER -i {bridge} ! -o {bridge} -j REJECT --reject-with icmp-port-unreachable
-A DOCKER-USER -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A DOCKER-USER ! -i {bridge} -o {bridge} -j REJECT --reject-with icmp-port-unreachable"""


class Facts:
    """The commands of the facts that the deploys ask for, by their subject."""

    def __init__(self, settings: Settings) -> None:
        s, learner = settings, settings.learner.id
        self.listeners = machine_look_text(listeners, ports=[s.git_port])
        self.engine = machine_look_text(engine_state)
        self.network = machine_look_text(docker.network, name=network_name(s.lab))
        self.rules = fact_text(FirewallRules, bridge=bridge_name(s.lab))
        self.cluster = look_text(s, cluster_state)
        self.strangers = look_text(s, stranger_bindings)
        self.limits = look_text(s, node_limits)
        self.patches = machine_look_text(folder_digest, path=s.node_dir)
        self.users = look_text(s, known_accounts)
        self.repositories = look_text(
            s, bare_repositories, repositories=["platform", s.learner_repository]
        )
        self.configuration = machine_look_text(folder_digest, path=f"{s.git_dir}/etc")
        self.policy = machine_look_text(folder_digest, path=f"{s.git_dir}/policy")
        self.server = machine_look_text(docker.container, name=git_server_name(s.lab))
        self.node = machine_look_text(docker.container, name=node_name(s.lab))
        self.enrolled = look_text(s, recorded_roster)
        both = [INSTRUCTOR, learner]
        following = [next_key(key) for key in both]
        self.identities = look_text(s, identity_states, keys=[*both, *following])
        self.secrets = look_text(s, secrets_drift, environments=[solo(s)])
        self.trusted = machine_look_text(folder_digest, path=f"{s.git_dir}/recipients")
        self.answer_key = machine_look_text(folder_digest, path=f"{s.lab_dir}/instructor")
        self.store = look_text(s, identity_states, keys=both)
        self.decryption = look_text(s, held_keys, environments=[solo(s)])
        self.begun = look_text(s, begun_environments, environments=[solo(s)])
        self.work = look_text(s, clone_of_learner)
        self.note = look_text(s, content_mark)
        pinned = pinned_catalog(s.catalog).version("openapi", "modules")
        self.api = machine_look_text(
            any_folder, paths=[f"{s.store}/openapi-{pinned}", s.served_api]
        )
        self.components = look_text(s, manifest_drift, path=f"{s.manifests_dir}/components.yaml")
        self.sync = look_text(s, manifest_drift, path=f"{s.manifests_dir}/sync.yaml")
        self.sources = look_text(s, all_sources)
        self.kustomizations = look_text(s, all_kustomizations)
        self.canary = look_text(s, canary_states, environments=[solo(s)])
        self.data = look_text(s, lab_folder)
        self.failures = look_text(s, seat_failures)
        self.leftovers = look_text(s, leftovers)
        self.format = look_text(s, lab_format)
        self.lease = look_text(s, lease)


def platform_note(settings: Settings) -> str:
    """Return the note in the platform repository about what it was made from."""
    recipe = pinned_catalog(settings.catalog).flux_recipe
    return f"{digest(platform_files(settings, (), ApiServers(ports=(API_PORT,))))}-{recipe}"


def complete(settings: Settings) -> Answers:
    """Return the answers of a machine whose lab is as it should be.

    The label of the Git server is missing, because only a deploy knows it: `finished` asks for it.
    """
    facts, answers, learner = Facts(settings), machine(settings), settings.learner.id
    origin = Origin(f"{settings.git_base_url}/{settings.learner_repository}.git", "")
    share = SYSTEM_SHARE if settings.seats else None
    answers |= {
        facts.listeners: said({str(settings.git_port): git_server_name(settings.lab)}),
        facts.engine: said(ENGINE_OF_DEBIAN),
        STORE: said(filled_store(settings)),
        facts.network: network(settings),
        facts.rules: rules(settings),
        facts.cluster: cluster(),
        facts.strangers: "",
        facts.limits: said(Limits(POD_PIDS_LIMIT, SYSTEM_SHARE)),
        facts.patches: said(digest(node_configuration(MACHINE, share))),
        facts.users: said(Accounts((FLUX, INSTRUCTOR, settings.learner.id))),
        facts.repositories: said(["platform", settings.learner_repository]),
        facts.configuration: said(digest(server_configuration(settings))),
        facts.policy: said(digest(server_programs())),
        facts.server: container(settings),
        facts.node: container(settings),
        facts.enrolled: "",
        facts.identities: identities(INSTRUCTOR, learner),
        facts.secrets: "{}",
        facts.trusted: said(
            digest(
                {
                    learner: RenderedFile(
                        f"age1{INSTRUCTOR},age1learner\n".encode(), executable=False
                    )
                }
            )
        ),
        facts.answer_key: said(
            digest(
                render_tree(TEMPLATES / "instructor", learner_variables(settings, solo(settings)))
            )
        ),
        facts.store: identities(INSTRUCTOR, learner),
        facts.decryption: held(ClusterKey(True, {"age.agekey": frozenset({"age1learner"})})),
        facts.begun: said({learner: [f"age1{learner}", f"age1{INSTRUCTOR}"]}),
        facts.work: said(LearnersClone((), origin)),
        facts.note: said(platform_note(settings)),
        facts.api: "true",
        facts.components: "[]",
        facts.sync: "[]",
        facts.sources: "[]",
        facts.kustomizations: "[]",
        facts.canary: said({learner: PROVEN}),
        facts.data: "true",
        facts.failures: "{}",
        facts.leftovers: "",
        facts.format: said(Format(FORMAT, __version__)),
        facts.lease: "null",
    }
    return answers
