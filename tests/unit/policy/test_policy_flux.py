"""What Flux would read is judged, whatever its name is; and everything in a push is judged.

Each attack is a push to a server with the hook, on a branch of its own.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.policy import policy_material
from tests.unit.policy.conftest import Repo

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {note: hunter2}\n"
GENERATOR = "secretGenerator:\n- name: a\n  files: [note.txt]\n"
FOLDER = "flux/secrets/develop"
IDENTITY = policy_material.age_identity()
ZERO = "0" * 40


def judged(repo: Repo, commit: str = "HEAD", ref: str = "refs/heads/x", **env: str) -> set[str]:
    """Return the rules that a push of *commit* to an empty server would break."""
    oid = repo.git("rev-parse", commit).stdout.strip()
    line = f"{ZERO} {oid} {ref}\n"
    # The policy does not look at commits that the repository's refs reach already.
    for name in repo.git("for-each-ref", "--format=%(refname)").stdout.split():
        repo.git("update-ref", "-d", name)
    answer: dict[str, Any] = json.loads(
        repo.policy("pre-receive", "--json", stdin=line, **env).stdout
    )
    assert answer["undecided"] == []
    assert IDENTITY not in json.dumps(answer)
    return {finding["rule"] for finding in answer["findings"]}


@pytest.mark.parametrize(
    "path",
    [
        "flux/a.css",
        "flux/apps/pnpm-lock.yaml",
        "flux/go.sum",
        "flux/x/a.png",
        "flux/a",
        "flux/a.env",
    ],
)
def test_a_manifest_is_one_whatever_it_is_called(repo: Repo, path: str) -> None:
    repo.commit(path, SECRET)
    assert "secret-plaintext" in judged(repo)


HEAD = "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n"
TWICE = HEAD.replace("{name: x}", "{name: &a x, namespace: &a y}")
ESCAPED = TWICE.replace("y}", "y, annotations: {z: \"it\\'s\", y: 'it\\', x: \"\\'\"}}")
STAND_INS = (
    "op://a/b/hunter2",
    "file:hunter2",
    "vault:secret/hunter2",
    "password(hunter2)",
    "request.hunter2",
    "!secret hunter2",
    "((hunter2))",
    "#{hunter2}#",
    '{{ "hunter2" }}',
    "$HUNTER2",
)
FORMS = {
    "block.yaml": HEAD + "stringData:\n  k: 'VALUE'\n",
    "crlf.yaml": (HEAD + "stringData:\n  k: 'VALUE'\n").replace("\n", "\r\n"),
    "second.yaml": "a: 1\n---\n" + HEAD + "stringData: {k: 'VALUE'}\n",
    "list.yaml": "apiVersion: v1\nkind: List\nitems:\n- "
    + HEAD.replace("\n", "\n  ")
    + "stringData: {k: 'VALUE'}\n",
    "twice.yaml": TWICE + "stringData: {k: 'VALUE'}\n",
    "escaped.yaml": ESCAPED + "stringData:\n  k: 'VALUE'\n",
    "broken.yaml": HEAD + "stringData:\n  k: 'VALUE'\nx: \"\\z\"\n",
    "operation.yaml": "- {op: add, path: /stringData/k, value: 'VALUE'}\n",
    "literal/kustomization.yaml": "secretGenerator: [{name: a, literals: ['k=VALUE']}]\n",
    "patch/kustomization.yaml": "patches:\n- target: {kind: Secret}\n"
    "  patch: |-\n    - {op: add, path: /stringData/k, value: 'VALUE'}\n",
}


def test_nothing_stands_for_a_value_where_flux_reads(repo: Repo) -> None:
    """Flux fetches nothing, calls nothing and fills nothing in: it applies what is written."""
    paths = set[str]()
    for number, value in enumerate(STAND_INS):
        for name, text in FORMS.items():
            path = f"flux/apps/{number}/{name}"
            paths.add(path)
            repo.write(path, "").write_bytes(text.replace("VALUE", value).encode())
    repo.git("add", "--all")
    answer = json.loads(repo.policy("pre-commit", "--json").stdout)
    assert answer["undecided"] == []
    assert paths - {finding["path"] for finding in answer["findings"]} == set()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"caf\xe9\n", {"not-looked-into"}),
        (gzip.compress(SECRET.encode(), mtime=0), {"not-looked-into"}),
        (b"PK\x03\x04" + bytes(200), {"not-looked-into"}),
        ("Grüße\n".encode(), set()),
        (b"", set()),
    ],
)
def test_what_is_no_text_is_refused_where_flux_reads(
    repo: Repo, data: bytes, expected: set[str]
) -> None:
    for path in ("flux/apps/a", "docs/a"):
        repo.write(path, "").write_bytes(data)
    repo.commit("b", "b\n")
    assert judged(repo) == expected


@pytest.mark.parametrize("path", ["flux", "flux/a", "flux/secrets/develop"])
def test_links_and_submodules_where_flux_reads_are_refused(repo: Repo, path: str) -> None:
    repo.commit("b", "b\n")
    link = repo.folder / path
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to("/etc")
    repo.git("add", "--all")
    assert repo.policy("pre-commit").returncode == 1
    repo.git("commit", "-q", "--no-verify", "-m", "c")
    tip = repo.git("rev-parse", "HEAD").stdout.strip()
    assert judged(repo, tip) == {"not-a-regular-file"}
    repo.git("rm", "-q", "--cached", path)
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{tip},{path}")
    assert repo.policy("pre-commit").returncode == 1


def test_links_elsewhere_pass(repo: Repo) -> None:
    (repo.folder / "docs").symlink_to("flux")
    repo.commit("b", "b\n")
    assert judged(repo) == set()


def test_a_source_is_judged_when_it_comes_after_what_names_it(repo: Repo, server: Repo) -> None:
    repo.commit(f"{FOLDER}/kustomization.yaml", GENERATOR)
    repo.git("push", "-q", "origin", "main")
    repo.write(f"{FOLDER}/note.txt", "hunter2 is it\n")
    repo.write("apps/kustomization.yaml", GENERATOR)
    repo.git("add", "--all")
    for below in (".", "apps"):
        local = repo.policy("pre-commit", "--json", below=below).stdout
        assert ("generator-plaintext-source", f"{FOLDER}/kustomization.yaml") in {
            (finding["rule"], finding["path"]) for finding in json.loads(local)["findings"]
        }
    repo.git("commit", "-q", "--no-verify", "-m", "c")
    pushed = repo.git("push", "origin", "main", check=False)
    assert pushed.returncode != 0
    assert f"{FOLDER}/kustomization.yaml" in pushed.stderr
    assert "generator-plaintext-source" in pushed.stderr


@pytest.mark.parametrize("name", ["note.txt", "a note.txt"])
def test_a_source_in_a_later_commit_of_the_same_push_is_judged(repo: Repo, name: str) -> None:
    repo.commit("apps/kustomization.yaml", GENERATOR.replace("note.txt", f"note={name}"))
    repo.commit(f"apps/{name}", "hunter2 is it\n")
    assert judged(repo) == {"generator-plaintext-source"}


def test_a_patch_in_a_later_commit_is_judged(repo: Repo) -> None:
    text = "patches:\n- target: {kind: Secret}\n  path: p.json\n"
    repo.commit("apps/kustomization.yaml", text)
    repo.commit("apps/p.json", '[{"op": "add", "path": "/data/note", "value": "aHVudGVyMg=="}]\n')
    assert judged(repo) == {"secret-plaintext"}


def as_link(repo: Repo) -> str:
    (repo.folder / "docs").symlink_to(IDENTITY)
    return "HEAD"


def as_message(repo: Repo) -> str:
    repo.git("commit", "-q", "--allow-empty", "-m", f"see\n\n{IDENTITY}")
    return "HEAD"


def as_author(repo: Repo) -> str:
    repo.git("-c", f"user.name={IDENTITY}", "commit", "-q", "--allow-empty", "-m", "c",
             f"--author={IDENTITY} <a@lab>")  # fmt: skip
    return "HEAD"


def as_tag(repo: Repo) -> str:
    repo.git("tag", "-a", "inner", "-m", IDENTITY)
    repo.git("tag", "-a", "outer", "-m", "two", "inner")
    return "outer"


def as_file_name(repo: Repo) -> str:
    repo.write(f"docs/{IDENTITY}.md", "nothing\n")
    return "HEAD"


@pytest.mark.parametrize("hide", [as_link, as_message, as_author, as_tag, as_file_name])
def test_keys_are_found_in_all_that_a_push_adds(repo: Repo, hide: Callable[[Repo], str]) -> None:
    repo.commit("b", "b\n")
    tip = hide(repo)
    repo.git("add", "--all")
    repo.git("commit", "-q", "--allow-empty", "-m", "c")
    assert judged(repo, tip) == {"key-age"}


def test_keys_are_found_in_the_names_of_refs(repo: Repo) -> None:
    repo.commit("b", "b\n")
    assert judged(repo, "HEAD", f"refs/heads/{IDENTITY}") == {"key-age"}


def encrypted(*recipients: str, more: str = "") -> str:
    block = policy_material.sops_block(*recipients, more=more)
    return SECRET.replace("hunter2", f'"{policy_material.encrypted_value()}"') + block + "\n"


OURS = policy_material.RECIPIENT
VAULT = f"""    hc_vault:
    - vault_address: http://127.0.0.1:8200
      engine_path: transit
      key_name: k
      created_at: "2026-11-24T10:00:00Z"
      enc: vault:v1:{policy_material.b64("wrapped")}
"""


@pytest.mark.parametrize(
    ("rules", "text", "expected"),
    [
        (f"age: {OURS}", encrypted(OURS), set()),
        (f"hc_vault_transit_uri: http://127.0.0.1:8200/v1/transit/keys/k\n  age: {OURS}",
         encrypted(OURS), {"sops-foreign-recipient"}),
        (f"key_groups: [{{age: [{OURS}], pgp: [{'A' * 40}]}}]", encrypted(OURS),
         {"sops-foreign-recipient", "sops-missing-recipient"}),
        (f"age: {OURS}", encrypted(OURS, more=VAULT), {"sops-foreign-recipient"}),
        (f"age: {OURS}", encrypted(OURS, "age1yubikey1" + "q" * 40), {"sops-foreign-recipient"}),
    ],
)  # fmt: skip
def test_a_class_takes_age_keys_only(repo: Repo, rules: str, text: str, expected: set[str]) -> None:
    repo.write(".sops.yaml", f"creation_rules:\n- path_regex: flux/.*\n  {rules}\n")
    repo.commit(f"{FOLDER}/a.yaml", text)
    found = judged(repo, SOPSLAB_REQUIRED_RECIPIENTS=OURS)
    assert expected <= found
    assert bool(found) == bool(expected)


@pytest.mark.parametrize(
    ("made_up", "rule"), [("sops_other_key", "sops-unopenable"), ("sops_short_mac", "sops-no-mac")]
)
def test_a_class_takes_no_file_whose_ciphertext_is_made_up(
    repo: Repo, made_up: str, rule: str
) -> None:
    block = policy_material.render(f"{{{{ {made_up} }}}}")
    value = f'"{policy_material.encrypted_value()}"'
    repo.commit(f"{FOLDER}/a.yaml", f"{SECRET.replace('hunter2', value)}{block}\n")
    commit = repo.git("rev-parse", "HEAD").stdout.strip()
    assert rule in judged(repo, commit, SOPSLAB_REQUIRED_RECIPIENTS=OURS)
    # In an example, such a file stands for one that somebody would encrypt.
    assert rule not in judged(repo, commit)


def test_who_needs_others_to_open_a_file_is_no_recipient_of_it(repo: Repo) -> None:
    groups = policy_material.render("{{ sops_groups }}")
    value = f'"{policy_material.encrypted_value()}"'
    repo.commit("a.yaml", f"{SECRET.replace('hunter2', value)}{groups}\n")
    found = judged(repo, SOPSLAB_REQUIRED_RECIPIENTS=OURS)
    assert "sops-missing-recipient" in found


def test_a_hostile_expression_ends_the_push_soon(repo: Repo) -> None:
    repo.write(".sops.yaml", f"creation_rules:\n- path_regex: (.*a)*$x|/\n  age: {OURS}\n")
    text = encrypted(OURS).replace("^(data|stringData)$", "'^(data|stringData|((a+)+)+!)$'")
    repo.write("apps/a.yaml", text.replace("note:", "a" * 60 + ":"))
    repo.commit(f"{FOLDER}/{'a' * 120}.yaml", encrypted(OURS))
    assert judged(repo) == set()


def test_what_only_the_build_makes_a_secret_is_refused(repo: Repo) -> None:
    repo.write(
        f"{FOLDER}/kustomization.yaml",
        "resources: [a.yaml]\npatches:\n- target: {kind: ConfigMap}\n"
        "  options: {allowKindChange: true}\n"
        '  patch: \'[{"op": "replace", "path": "/kind", "value": "Secret"}]\'\n',
    )
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {note: aHVudGVyMg==}\n"
    tip = repo.commit(f"{FOLDER}/a.yaml", text)
    assert judged(repo, tip, "refs/heads/main") == {"built-plaintext"}
    repo.git("update-ref", "refs/heads/main", tip)
    (repo.folder / f"{FOLDER}/kustomization.yaml").unlink()
    tip = repo.commit("b", "b\n")
    assert judged(repo, tip, "refs/heads/main") == set()
