"""The settings of a lab: the one place where input is validated, with all problems at once.

The values come from pyinfra's data (`group_data/all.py`, an inventory, a lab file, `--data`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.config import JsonDict
from typing_extensions import override

from sopslab.config.engine import engine_host
from sopslab.config.machines import (
    HOST,
    HOST_FORM,
    HOSTKEY,
    HOSTKEY_FORM,
    LOGIN,
    LOGIN_FORM,
    MAX_HOST,
    check_host,
    check_hostkey,
    check_login,
)
from sopslab.config.moments import MOMENT, MOMENT_FORM, check_moment, in_words, moment
from sopslab.config.naming import (
    LABEL,
    NO_SEATS,
    RESERVED,
    SEAT,
    SEAT_LENGTH,
    SPARE,
    check_enrolled,
    check_label,
    check_seat,
)
from sopslab.config.places import FLUX, INSTRUCTOR, GitPod, Lab, Places, Room
from sopslab.course.faults import BY_ID, clash
from sopslab.errors import InputError
from sopslab.model.clusters import Acceptable
from sopslab.model.git_pod import ServiceKind
from sopslab.model.incidents import ID, ID_LENGTH, check_id
from sopslab.model.machines import Machine
from sopslab.policy.age import is_intact, kind_of

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,190}")
# A record travels in one argument of a command, which Linux limits to 128 KiB.
_RECORD_LENGTH = 60_000
# A path that stays intact in every shell command, YAML file and URL that it ends up in.
_PLAIN_PATH = re.compile(r"/[^\x00-\x1f\x7f\"'\\$`:,]*")
_REGISTRY = re.compile(r"[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9][a-z0-9._-]*)*")
# Docker takes a name with neither a dot nor a port for one at its own registry.
_OWN_REGISTRY = re.compile(
    r"((localhost|[a-z0-9][a-z0-9-]*(\.[a-z0-9-]+)+)(:[0-9]{1,5})?|[a-z0-9][a-z0-9-]*:[0-9]{1,5})"
    r"(/[a-z0-9][a-z0-9._-]*)*"
)
_STORAGE_CLASS = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_SIZE = re.compile(r"[1-9][0-9]{0,5}[MGT]i")
_NODE_PORTS = range(30000, 32768)
_VALUE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/[-._a-zA-Z0-9]+)?")
# These forms are for JSON schemas, which have neither Python's character classes nor a parser of
# URLs: they accept a little more than the functions below.
_LINE = re.compile(r"[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*")
_DOCKER_HOST = re.compile(r"(unix|fd|tcp)://.*")
_URL = re.compile(
    r"(?=[!-~]+$)[Hh][Tt][Tt][Pp][Ss]?://"
    r"([^\s\"'`$;{}<>|\\?#@/:\[\]]+|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?(/[^\s\"'`$;{}<>|\\?#]*)?"
)
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(\.{_OCTET}){{3}}")
_RECIPIENT = re.compile(r"age1(pq1[02-9ac-hj-np-z]{1900,2000}|[02-9ac-hj-np-z]{58})")
# What the text of every identity contains, whatever its kind.
_IDENTITY = re.compile(r"AGE-(SECRET-KEY|PLUGIN)-", re.IGNORECASE)
# A URL's user and password, which no message repeats.
_USERINFO = re.compile(r"//.*@")
# What is allowed, in words: for error messages, and for docs/reference/settings.md.
_PATH_FORM = "an absolute path without quotes, colons, commas, `$` or `..`"
_LINE_FORM = "one line of printable characters"
_EMAIL_FORM = "an address such as ada@example.org"
_URL_FORM = "an http:// or https:// URL"
_REGISTRY_FORM = "a registry such as `mirror.example:5000/path`"
_OWN_REGISTRY_FORM = "a registry with a dot or a port, such as `registry.example:5000/class`"
_STORAGE_CLASS_FORM = "the name of a StorageClass, of a-z, 0-9, `-` and `.`"
_SIZE_FORM = "a size such as `5Gi`"
_RECIPIENT_FORM = "an age recipient such as `age1…` or `age1pq1…`"
_ADDRESS_FORM = "an IPv4 address such as 127.0.0.1"
_VALUE_NAME_FORM = "the name of a Secret or NAME/KEY for one value of it"


def _schema(form: re.Pattern[str], never: str | None = None) -> JsonDict:
    """Return the JSON schema of text that matches `form` as a whole, and does not match `never`."""
    schema: JsonDict = {"pattern": f"^({form.pattern})$"}
    return schema if never is None else {**schema, "not": {"pattern": f"^({never})$"}}


def _not_ours(value: str) -> str:
    if value in {INSTRUCTOR, FLUX}:
        raise ValueError("the lab itself has a user of this name")
    return value


def _fault(value: str) -> str:
    if value not in BY_ID:
        raise ValueError(f"there is no such fault; known are {', '.join(BY_ID)}")
    return value


def _absolute(value: str) -> str:
    if not _PLAIN_PATH.fullmatch(value) or ".." in value.split("/"):
        raise ValueError(f"{_PATH_FORM} is needed")
    if not value.strip("/"):
        raise ValueError("a directory below `/` is needed")
    return value.rstrip("/")


def _printable(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError(f"{_LINE_FORM} is needed")
    return value


def _in_form(form: re.Pattern[str], words: str) -> AfterValidator:
    """Return a validator that refuses text that does not match a form as a whole.

    + words: the form in words, for the error message
    """

    def check(value: str) -> str:
        if not form.fullmatch(value):
            raise ValueError(f"{words} is needed")
        return value

    return AfterValidator(check)


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    # Reading `port` raises ValueError if it is not a number.
    if (
        parts.port == 0
        or parts.scheme not in {"http", "https"}
        or not parts.hostname
        or not value.isascii()
    ):
        raise ValueError(f"{_URL_FORM} is needed")
    if parts.username or parts.password:
        raise ValueError("credentials do not belong in a URL: set git_username and git_password")
    if parts.query or parts.fragment:
        raise ValueError("a base URL ends before any `?` or `#`: paths are appended to it")
    if re.search(r"[\s\"'`$;{}<>|\\]", value):
        raise ValueError("blanks, quotes, `$`, `;` and braces have to be percent-encoded")
    return value.rstrip("/")


def _address(value: str) -> str:
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        raise ValueError(f"{_ADDRESS_FORM} is needed") from None
    # Certificates and kubeconfigs have to name the address that learners connect to.
    if address.is_unspecified:
        raise ValueError("name the address that the learners connect to")
    return value


def _recipient(value: str) -> str:
    if _IDENTITY.search(value):
        raise ValueError(
            "this is an identity, which is secret: give its recipient, which `age-keygen -y FILE`"
            " prints"
        )
    if not kind_of(value):
        raise ValueError(f"{_RECIPIENT_FORM} is needed: no plugin's and no SSH key")
    if not is_intact(value):
        raise ValueError(
            "its checksum does not fit: a character of it was lost or mistyped. Copy all of what"
            " `age-keygen -y FILE` prints"
        )
    return value


def _docker_host(value: str) -> str:
    engine_host(value)
    return value


def _text(value: object) -> object:
    # YAML reads `no` and `007` as a boolean and a number; a name must not become "False". The
    # message does not repeat the value: it may be a password.
    if value is not None and not isinstance(value, str):
        kind = type(value).__name__
        raise ValueError(f"text is needed, and this was read as {kind}: put it in quotes")
    return value


def _written(value: object) -> object:
    # YAML reads a moment without quotes as a datetime, which has no zone if none was written.
    return value.isoformat() if isinstance(value, datetime) else _text(value)


def _field(words: str, form: re.Pattern[str], never: str | None = None, **bounds: Any) -> Any:
    """Return what a schema says of text: in words, and as a pattern.

    + never: a pattern of what matches `form` and is refused all the same
    + bounds: other arguments of pydantic's Field
    """
    return Field(description=words, json_schema_extra=_schema(form, never), **bounds)


Text = Annotated[str, BeforeValidator(_text)]
Label = Annotated[
    Text,
    AfterValidator(check_label),
    _field(
        "a DNS label: of a-z, 0-9 and `-`, and no name of Kubernetes' or Flux's own",
        LABEL,
        RESERVED.pattern,
    ),
]
SeatId = Annotated[
    Text,
    AfterValidator(check_seat),
    Field(
        description="a DNS label that is not one of the lab's own users, and neither begins with"
        " `lab-` nor is that of a spare seat, such as `spare-1`",
        json_schema_extra={
            **_schema(SEAT, f"{RESERVED.pattern}|{NO_SEATS.pattern}"), "maxLength": SEAT_LENGTH,
        },
    ),
]  # fmt: skip
FaultId = Annotated[
    Text,
    AfterValidator(_fault),
    Field(description="the id of a fault", json_schema_extra={"enum": list(BY_ID)}),
]
AbsolutePath = Annotated[
    Text, AfterValidator(_absolute), _field(_PATH_FORM, _PLAIN_PATH, r"/*|(.*/)?\.\.(/.*)?")
]
Line = Annotated[Text, _field(_LINE_FORM, _LINE, max_length=200), AfterValidator(_printable)]
Email = Annotated[Text, _in_form(_EMAIL, _EMAIL_FORM), _field(_EMAIL_FORM, _EMAIL)]
HttpUrl = Annotated[
    Text, AfterValidator(_http_url), _field(f"{_URL_FORM} without credentials, `?` and `#`", _URL)
]
Registry = Annotated[Text, _in_form(_REGISTRY, _REGISTRY_FORM), _field(_REGISTRY_FORM, _REGISTRY)]
OwnRegistry = Annotated[
    Text,
    _in_form(_OWN_REGISTRY, _OWN_REGISTRY_FORM),
    _field(_OWN_REGISTRY_FORM, _OWN_REGISTRY),
]
Password = Annotated[Text, AfterValidator(_printable), _field(_LINE_FORM, _LINE)]
Address = Annotated[Text, AfterValidator(_address), _field(_ADDRESS_FORM, _IPV4, r"0\.0\.0\.0")]
# age's names of the kinds: recipients are `age1…`, and `age1pq1…` for post-quantum keys.
AgeKeyType = Literal["x25519", "pq"]
# How age marks a file that it encrypts to a recipient of each kind.
_STANZAS: Mapping[AgeKeyType, bytes] = {"x25519": b"X25519", "pq": b"mlkem768x25519"}
Recipient = Annotated[Text, AfterValidator(_recipient), _field(_RECIPIENT_FORM, _RECIPIENT)]
DockerHost = Annotated[
    Text,
    AfterValidator(_docker_host),
    _field("`unix://…`, or `tcp://host:port`", _DOCKER_HOST),
]
Incident = Annotated[
    Text,
    _field("a date and a few words, such as 2026-11-25-leaked-api-key", ID, max_length=ID_LENGTH),
    AfterValidator(check_id),
]
ValueName = Annotated[
    Text,
    _field(_VALUE_NAME_FORM, _VALUE_NAME, max_length=330),
    _in_form(_VALUE_NAME, _VALUE_NAME_FORM),
]
Moment = Annotated[
    str, BeforeValidator(_written), AfterValidator(check_moment), _field(MOMENT_FORM, MOMENT)
]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
HostName = Annotated[Text, AfterValidator(check_host), _field(HOST_FORM, HOST, max_length=MAX_HOST)]
Login = Annotated[Text, AfterValidator(check_login), _field(LOGIN_FORM, LOGIN)]
HostKey = Annotated[Text, AfterValidator(check_hostkey), _field(HOSTKEY_FORM, HOSTKEY)]
StorageClass = Annotated[
    Text,
    _in_form(_STORAGE_CLASS, _STORAGE_CLASS_FORM),
    _field(_STORAGE_CLASS_FORM, _STORAGE_CLASS, max_length=253),
]
Size = Annotated[Text, _in_form(_SIZE, _SIZE_FORM), _field(_SIZE_FORM, _SIZE)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Learner(_Part):
    """Who works in the environment."""

    id: Annotated[
        Label,
        AfterValidator(_not_ours),
        _field(
            "a DNS label, but neither `instructor` nor `flux`",
            LABEL,
            f"{RESERVED.pattern}|{INSTRUCTOR}|{FLUX}",
        ),
    ]
    name: Line
    email: Email


class Seat(Learner):
    """A learner of a class, as the roster has them."""

    id: SeatId
    group: Line | None = None
    expires: Moment | None = None

    @property
    def ends(self) -> datetime | None:
        """When the learner's access ends; None if it does not."""
        return None if self.expires is None else moment(self.expires)

    @property
    def until(self) -> str | None:
        """When the learner's access ends, as people read it; None if it does not."""
        return None if self.ends is None else in_words(self.ends)

    def has_ended(self, now: datetime) -> bool:
        """Whether the learner's access has ended."""
        return self.ends is not None and self.ends <= now


class Enrolled(Seat):
    """A seat on record: that of somebody on the roster, or one that was made as a spare.

    A spare that was given away keeps its id, and `learner` is the id by which a roster names its
    learner. `listed` says whether any roster ever named the learner: only then can a learner have
    left the roster. A run that finds the time over notes the moment in `suspended`. The seat stays
    for `grace` days from then on, so that a wrong time costs nobody the seat at once.
    """

    id: Annotated[Text, AfterValidator(check_enrolled)]
    learner: SeatId | None = None
    listed: bool = True
    grace: Annotated[int, Field(strict=True, ge=0)] = 0
    suspended: Moment | None = None

    @property
    def free(self) -> bool:
        """Whether it is a spare that can be given to somebody."""
        return self.learner is None and not self.listed

    @property
    def goes(self) -> datetime | None:
        """When the seat is archived; None if it stays."""
        if self.suspended is None:
            return None
        return moment(self.suspended) + timedelta(days=self.grace)


class SeatMachine(_Part):
    """The machine of a seat, and how it is reached by SSH: what is left out, `ssh` knows."""

    host: HostName
    user: Login | None = None
    port: Port | None = None
    hostkey: HostKey | None = None
    key: AbsolutePath | None = None

    @property
    def reached(self) -> Machine:
        """The machine in the form that a connection takes."""
        return Machine(self.host, self.port, self.user, self.hostkey)


class Mirrors(_Part):
    """Where upstream files come from: bases that a mirror may replace."""

    releases: HttpUrl
    kubernetes: HttpUrl
    # Image references start with their registry; a mirror is named in its place.
    images: Registry | None = None


class GitInCluster(_Part):
    """A Git server that runs in an existing cluster, and where it is reached from outside."""

    host: HostName
    port: Port
    service: ServiceKind = "ClusterIP"
    storage_class: StorageClass | None = None
    size: Size = "5Gi"


class Settings(_Part, Places):
    """Everything that a lab can be told. Attributes are named like the data of pyinfra."""

    lab: Annotated[Label, Field(max_length=30)]
    root: AbsolutePath
    lease: Annotated[int, Field(strict=True, ge=1, le=720)] | None
    artifact_source: Literal["auto", "bundle", "modules", "upstream"]
    mirrors: Mirrors
    catalog: AbsolutePath
    registry: OwnRegistry | None
    cluster_provider: Literal["kind", "existing"]
    api_port: Port | None
    kubeconfig: AbsolutePath | None
    context: Line | None
    accept: tuple[Acceptable, ...]
    docker_host: DockerHost | None
    git_bind: Address
    git_port: Port
    git_in_cluster: GitInCluster | None
    git_url: HttpUrl | None
    git_cluster_url: HttpUrl | None
    git_username: Line | None
    git_password: Password | None = Field(repr=False)
    age_key_type: AgeKeyType
    instructor_recipient: Recipient | None
    learner: Learner
    seats: tuple[Seat, ...]
    spares: Annotated[int, Field(strict=True, ge=0, le=100)]
    machine: SeatMachine | None
    seats_at_once: Annotated[int, Field(strict=True, ge=1, le=100)]
    verb: tuple[Line, ...]
    prune: Annotated[bool, Field(strict=True)]
    expires: Moment | None
    grace: Annotated[int, Field(strict=True, ge=0, le=366)]
    learners: tuple[Label, ...]
    checkpoint: Literal["start", "encrypted", "wired", "done"]
    records: dict[Text, Annotated[Text, Field(max_length=_RECORD_LENGTH)]]
    faults: tuple[FaultId, ...]
    exam: Annotated[int, Field(strict=True)] | None
    exam_faults: Annotated[int, Field(strict=True, ge=1, le=2)]
    cause: (
        Literal["value-exposed", "learner-key", "cluster-key", "instructor-key", "git-credential"]
        | None
    )
    incident: Incident | None
    exposed: tuple[ValueName, ...]
    given: tuple[ValueName, ...]
    key_from: Literal["store", "cluster"] | None
    recreate: Annotated[bool, Field(strict=True)]
    force: Annotated[bool, Field(strict=True)]
    install_docker: Annotated[bool, Field(strict=True)]
    purge: Annotated[bool, Field(strict=True)]

    @model_validator(mode="after")
    def _fit_together(self) -> Settings:
        problems = []
        if self.cluster_provider == "existing" and not (self.kubeconfig and self.context):
            problems.append("cluster_provider `existing` needs kubeconfig and context")
        if self.cluster_provider == "kind" and (self.kubeconfig or self.context):
            problems.append("kubeconfig and context go with cluster_provider `existing`")
        if self.cluster_provider == "kind" and self.accept:
            problems.append("accept goes with cluster_provider `existing`")
        if self.cluster_provider == "existing" and self.recreate:
            problems.append("recreate goes with cluster_provider `kind`: an existing cluster stays")
        if self.lease and self.cluster_provider == "existing":
            problems.append(
                "a lease goes with cluster_provider `kind`: `sopslab reap` has no other way to a"
                " cluster than its name"
            )
        problems += self._git_in_cluster_problems()
        if self.git_url and not (self.git_username and self.git_password):
            problems.append("git_url needs git_username and git_password")
        if (
            self.instructor_recipient
            and kind_of(self.instructor_recipient) != _STANZAS[self.age_key_type]
        ):
            problems.append(
                f"age_key_type is {self.age_key_type}, and instructor_recipient is of the other"
                " kind: a secret that is encrypted to both is as safe as the weaker one"
            )
        if self.instructor_recipient and self.cause == "instructor-key":
            problems.append(
                "the instructor's identity is not on this machine, since instructor_recipient is"
                " set: make another one where it is, set instructor_recipient to its recipient,"
                " run `sopslab up`, and replace what the old one has opened: `sopslab rotate"
                " cluster-key`"
            )
        in_class = bool(self.seats or self.spares)
        if in_class and self.git_url:
            problems.append(
                "a class has its repositories on the lab's own Git server: leave git_url out"
            )
        here = self.git_url is None and not self.networked
        if in_class and self.cluster_provider == "existing" and here:
            problems.append(
                f"an existing cluster does not reach a Git server at {self.git_bind}: a class there"
                " needs git_bind, an address of this machine that the cluster's nodes reach, or"
                " git_in_cluster"
            )
        if mixed := clash(self.faults):
            problems.append(f"these faults cannot be mixed: {mixed}")
        ids = [seat.id for seat in self.seats]
        if self.learner.id in ids:
            problems.append(f"the seat {self.learner.id} has the id of the lab's own learner")
        if self.spares and SPARE.fullmatch(self.learner.id):
            problems.append(f"the lab's own learner has the id of a spare seat: {self.learner.id}")
        problems += [
            f"the seat {seat} is there twice" for seat in sorted(set(ids)) if ids.count(seat) > 1
        ]
        if self.networked and self.git_cluster_url:
            url = urlsplit(self.git_cluster_url)
            named = [name for _, name in self.git_server_names]
            if url.scheme != "https" or url.hostname not in named:
                problems.append(
                    f"at {self.git_address} the Git server has a certificate for"
                    f" {', '.join(named)}: git_cluster_url has to be https:// and one of these"
                )
        if self.git_url is None and self.api_port == self.git_port:
            problems.append(f"api_port and git_port are both {self.git_port}")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _git_in_cluster_problems(self) -> Iterator[str]:
        given = self.git_in_cluster
        if given is None:
            return
        if self.cluster_provider == "kind":
            yield "git_in_cluster goes with cluster_provider `existing`"
        if self.git_url:
            yield "git_in_cluster and git_url name two Git servers: leave one out"
        if self.registry is None:
            yield "git_in_cluster needs registry, from which the cluster pulls the Git server"
        if given.service == "NodePort" and given.port not in _NODE_PORTS:
            yield "git_in_cluster.port: a NodePort is one of 30000 to 32767"

    @property
    @override
    def git_pod(self) -> GitPod | None:
        """Where the lab's Git server in the cluster is reached; None if there is none."""
        given = self.git_in_cluster
        return None if given is None else GitPod(given.host, given.port)

    @property
    @override
    def learner_id(self) -> str:
        """The id of the learner who works on a lab without a class."""
        return self.learner.id

    @property
    def for_machine(self) -> Lab:
        """The settings that the program on the lab's machine is told; none of them is secret."""
        return Lab(**{field.name: getattr(self, field.name) for field in fields(Lab)})

    @property
    def room(self) -> Room:
        """What this machine, the controller, keeps of a room whose seats have these settings."""
        return Room(**vars(self.for_machine))


_PARTS: Mapping[str, type[_Part]] = {
    "git_in_cluster": GitInCluster,
    "learner": Learner,
    "machine": SeatMachine,
    "mirrors": Mirrors,
    "seats": Seat,
}


def load_settings(data: Mapping[str, Any]) -> Settings:
    """Return the settings that `data` spells out.

    Raises InputError with every problem in it, each naming value, place and fix.
    """
    try:
        return Settings(**data)
    except ValidationError as error:
        raise InputError([_sentence(problem) for problem in error.errors()]) from None


def _sentence(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"]) or "the lab"
    match problem["type"]:
        case "extra_forbidden":
            known = ", ".join(_PARTS.get(problem["loc"][0], Settings).model_fields)
            return f"{place}: there is no such setting; known are {known}"
        case "missing":
            return f"{place}: is missing"
        case "too_long":
            message = f"at most {problem['ctx']['max_length']} characters are allowed"
        case _:
            message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{place}:{_shown(place, problem['input'])} is refused: {message}"


def _shown(place: str, value: object) -> str:
    # A password is never repeated, nor is an identity; a whole mapping says nothing.
    if isinstance(value, Mapping) or "password" in place or _IDENTITY.search(repr(value)):
        return ""
    if isinstance(value, datetime):
        value = value.isoformat()
    text = _USERINFO.sub("//…@", repr(value))
    return f" {text}" if len(text) <= 80 else f" {text[:60]}…"
