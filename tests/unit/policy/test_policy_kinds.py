"""Kinds of files that the policy once judged wrongly, each with more cases of its kind.

A case is a path and a text, in which ``{{ token }}`` marks are filled in (policy_material). All
cases are judged in one run, each below a folder of its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from sopslab.policy import callers
from tests.texts import write_files
from tests.unit.policy import policy_material

R = policy_material.RECIPIENT
PW = "Quince77" + "lantern"
ODD = "Pl$um77" + "word"
BCRYPT = "$2y" + "$05$" + policy_material.pick(policy_material.ALNUM, 53)
PGP = policy_material.b64(
    b"\xc1\xc0\x4c\x03" + policy_material.noise(8) + b"\x01" + policy_material.noise(400)
)
NARROW = policy_material.sops_block(R)
ALL = policy_material.sops_block(R, options="unencrypted_suffix: _unencrypted")
COMMENTS = policy_material.sops_block(R, options="encrypted_comment_regex: x")
TRANSIT = policy_material.b64(policy_material.noise(60))
TOKEN = "ghp_" + policy_material.pick(policy_material.ALNUM, 36)
NOISE = policy_material.b64(b"0\x82" + policy_material.noise(300))
RULE = f"creation_rules:\n- path_regex: \\.sops\\.ya?ml$\n  age: {R}\n"
FLAT = policy_material._sops_flat("sops_", "=")
ES = "kind: ExternalSecret\napiVersion: external-secrets.io/v1\nspec:\n  data:\n"
Files = dict[str, str]


def one(path: str, text: str) -> Files:
    return {path: text}


APR = "$apr" + "1$"
OLD = re.sub(r"\n +version: .*", "", ALL)
BLOCK: dict[str, Files] = {
    # Values beside templates, variables and names, which are no values.
    "value-between-statements": one(
        "a.yaml.j2",
        "kind: Secret\nstringData:\n  a: |\n    #% raw %#\n    quince lantern\n    #% endraw %#\n"
        "#% if x %#\n",
    ),
    "value-behind-a-statement": one(
        "a.yaml.j2", "kind: Secret\nstringData:\n  a: {% raw %}quince{% endraw %}\n{% if x %}\n"
    ),
    "password-behind-a-variable": one(
        "a.yaml", "kind: Secret\nstringData:\n  DB_PASSWORD: '${USER}/quince'\n"
    ),
    "address-with-a-password": one(
        "a.yaml", "kind: Secret\nstringData:\n  uri: 'postgres://app:quince@${HOST}/app'\n"
    ),
    "address-with-a-token": one(
        "a.yaml", f"kind: Secret\nstringData:\n  hook: 'https://${{HOST}}/hooks/{PW}'\n"
    ),
    "address-of-flux-itself": one(
        "flux/a.yaml", "kind: Secret\nstringData:\n  hook: 's3:${HOST}/restic'\n"
    ),
    "form-with-a-value": one(
        "a.yaml",
        "kind: Secret\nstringData:\n  a: |\n    {\n"
        '      "Tag": "${TAG}",\n      "Secret": "quince"\n    }\n',
    ),
    "name-before-a-template": one("a.yaml", "kind: Secret\nstringData:\n  a: 'quince: ${HOST}'\n"),
    "generated-by-a-rule-with-a-value": one(
        "a.yaml",
        "kind: ClusterPolicy\nspec:\n  generate:\n    kind: Secret\n    name: a\n    data:\n"
        "      type: Opaque\n      data: {a: cXVpbmNl}\n",
    ),
    "value-beside-sections": one(
        "a.yaml", "kind: Secret\nname: a\ndata:\n  stringData: {a: '${A}'}\n  phrase: quince\n"
    ),
    "braces-that-name-no-store": one("a.yaml", f"password: '{PW}{{x:y}}'\n"),
    "number-of-another-key": one(".env", "PIN=10267\n"),
    "hash-that-nobody-published": one(
        "a.yaml", f"# foo:{APR}OFG3Xybp$" + "Q" * 9 + "abcdefghij.12"
    ),
    "old-sops-without-mac": one(
        "a.yaml", "data: {{ enc }}\n" + re.sub(r"\n +mac: .*", "", OLD) + "\n"
    ),
    "sops-of-no-version": one(
        "a.yaml", "data: {{ enc }}\n" + ALL.replace("version: 3", "version: three") + "\n"
    ),
    "password-after-a-substitution": one("a.sh", f'user=$(id -un)\nDB_PASSWORD="{PW}"\n'),
    "literal-of-a-secret": one(
        "a.sh",
        f"kubectl create configmap a --from-literal=color=blue\n"
        f"kubectl create secret generic a --from-literal=userKey={PW}\n",
    ),
    "password-as-a-parameter": one(
        "a.yaml", 'kind: Secret\nstringData:\n  uri: \'{{ "{{ base }}" }}?password=' + PW + "'\n"
    ),
    "real-value-in-a-script": one(
        "a.sh", f"cat <<EOF\nkind: Secret\nstringData:\n  key: {PW}\nEOF\n"
    ),
    "user-at-digits": one("a.yaml", "db_password: user@" + "90210x\n"),
    "toml-beside-sops": one(
        "a.toml", f"[sops]\nmac = 'x'\nlastmodified = 'y'\n[a]\npassword = '{PW}'\n"
    ),
    "capitals-that-name-nothing": one("a.yaml", "client_secret: QX7RT_" + "9KLM2_ZP4WV8_NB3\n"),
    "substituted-in-part": one(
        "a.tf", f'password = "{PW}${{data.x["y"]}}"\napi_password = "{ODD}"\n'
    ),
    "alias-without-an-anchor": one("a.yaml", f"# db_password: *{PW}\n"),
    "address-of-a-store-below-flux": {
        "flux/a.yaml": "kind: Secret\nstringData:\n  k: op://vault/{{ .A }}/field\n",
    },
    "password-of-a-mail-client": one("msmtprc", f"host smtp.example.net\npassword {PW}\n"),
    "password-of-a-database": one("my.cnf", f"[client]\nuser=a\npassword={PW}\n"),
    "keys-of-a-store": one("x/.s3cfg", f"[default]\nsecret_key = {PW}\n"),
    "generated-password": one("a.yaml", f"generated_password: {PW}\n"),
    # A sops block over plain text.
    "hollow-values": one("a.yaml", f"pepper: marmalade\n{NARROW}\n"),
    "hollow-helm-release": one(
        "a.yaml",
        f"apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nspec: {{a: b}}\n{NARROW}\n",
    ),
    "hollow-json": one("a.json", '{"data": "plum orchard", "sops": {{ sops_json }}}'),
    "hollow-dotenv": one(
        "a.env",
        "PHRASE=marmalade\n"
        + FLAT.replace("unencrypted_suffix=_unencrypted", "encrypted_regex=^(data|stringData)$"),
    ),
    "hollow-comment-regex": one(
        "a.yaml",
        f"pepper: marmalade\n{COMMENTS}\n",
    ),
    "hollow-two-runs": one(
        "a.yaml",
        f"a: {{{{ enc }}}}\n{ALL}\n---\npepper: marmalade\n{policy_material.sops_block(R)}\n",
    ),
    "left-out-by-the-file-not-by-the-rule": {
        ".sops.yaml": RULE,
        "a.sops.yaml": "data: {{ enc }}\nphrase: marmalade\n" + NARROW + "\n",
    },
    "values-among-the-secrets": one(
        "flux/secrets/develop/values.yaml", "data: {{ enc }}\npepper: marmalade\n{{ sops }}\n"
    ),
    "password-left-in-dotenv": one(
        "a.env",
        f"A={{{{ enc }}}}\nDB_PASSWORD={PW}\n"
        + FLAT.replace("unencrypted_suffix=_unencrypted", "encrypted_regex=^A$"),
    ),
    # YAML that Go reads.
    "anchor-twice-with-secret": one(
        "a.yaml", "kind: Secret\nmetadata: {name: &a x, namespace: &a y}\nstringData: {k: plain}\n"
    ),
    "apostrophe-escaped": one("a.yaml", f'note: "it\\\'s"\ndb_password: {PW}\n'),
    "anchor-twice-in-list": one(
        "a.yaml", f"- &a {{x: 1}}\n- &a {{x: 2}}\n- *a\n- {{db_password: {PW}}}\n"
    ),
    "unreadable-might-be-a-secret": one(
        "a.yaml", 'apiVersion: v1\nkind: "S\\u0065cret"\nx: [\nstringData: {}\n'
    ),
    # What counts as a value.
    "dollar-inside": one("a.yaml", f"password: {ODD}\n"),
    "dollar-inside-ini": one("a.ini", f"[db]\npassword = {ODD}\n"),
    "dollar-twice": one("a.yaml", "password: Pa$$wo" + "rd19\n"),
    "dollar-in-url": one("a.conf", "url = postgres://app:Tr0ub$" + "dor9x@db.internal/x\n"),
    "passphrase": one("a.yaml", "passphrase: correct horse battery " + "staple\n"),
    "passphrase-with-digits": one("a.ini", "password = Quince lantern " + "77\n"),
    "passphrase-quoted": one("a.toml", 'password = "plum orchard lantern ' + '7733"\n'),
    "comment": one("a.yaml", f"a: b\n# DB_PASSWORD: {PW}\n"),
    "comment-behind": one("a.yaml", f"a: b  # password: {PW}\n"),
    "comment-ini": one("a.ini", f"; password = {PW}\n"),
    "comment-slashes": one("a.conf", f"// password: {PW}\n"),
    "comment-dotenv": one("a.env.example", f"#DB_PASSWORD={PW}\n"),
    "hash-in-list": one("a.yaml", f"users:\n- 'ada:{BCRYPT}'\n"),
    "hash-in-label": one("a.yaml", f'labels: ["users=ada:{BCRYPT.replace("$", "$$")}"]\n'),
    "hash-alone": one("a.yaml", f"admin: '{BCRYPT}'\n"),
    "hash-in-toml": one("a.toml", f'users = ["ada:{BCRYPT}"]\n'),
    "discord": one(
        "a.yaml", "to: https://discord.com/api/" + "webhooks/119284719284719284/{{ token }}a1B2\n"
    ),
    "url-token": one(
        "a.yaml",
        "to: https://chat.example.org.invalid/v1?token={{ token }}\n".replace(
            "example.org.", "corp."
        ),
    ),
    # stringData without a kind.
    "app-template": one(
        "a.yaml",
        "kind: HelmRelease\napiVersion: v2\nspec: {values: {secrets: {db: {stringData: "
        "{PHRASE: marmalade}}}}}\n",
    ),
    "sops-secret-data": one(
        "a.yaml", "kind: SopsSecret\napiVersion: x/v1\nspec: {secretTemplates: [{data: {a: b}}]}\n"
    ),
    "cluster-secret": one("a.yaml", "kind: ClusterSecret\napiVersion: x/v1\ndata: {a: cGx1bQ==}\n"),
    # What has to be encrypted.
    "named-sops": one("talos/env.sops.yaml", "wifi: lantern\n"),
    "named-sops-json": one("a.sops.json", '{"wifi": "lantern"}'),
    "named-sops-dotenv": one("a.sops.env", "WIFI=lantern\n"),
    "named-sops-text": one("recovery.sops.txt", "plum orchard\n"),
    "named-enc": one("values.enc.yaml", "wifi: lantern\n"),
    "named-sops-second-document": one("a.sops.yaml", f"a: {{{{ enc }}}}\n{ALL}\n---\nb: plain\n"),
    "ruled-by-name": {
        ".sops.yaml": f"creation_rules:\n- path_regex: ^talos/talsecret\\.yaml$\n  age: {R}\n",
        "talos/talsecret.yaml": "wifi: lantern\n",
    },
    "ruled-by-folder": {
        ".sops.yaml": f"creation_rules:\n- path_regex: secrets/.*\n  age: {R}\n",
        "secrets/app.yaml": "wifi: lantern\n",
    },
    # Expressions hold no values; texts in expressions do.
    "hcl-text": one("main.tf", f'db_password = "{PW}"\n'),
    "hcl-heredoc": one("main.tf", f"x = <<EOT\nDB_PASSWORD={PW}\nEOT\n"),
    "jsonnet-text": one("a.jsonnet", f"{{ \n  db_password: '{PW}',\n}}\n"),
    "bicep-text": one("a.bicep", f"param password = '{PW}'\n".replace("param ", "")),
    # Lock files, other marks and other ciphertext are no hiding places.
    "lock-with-password": one("a.lock", f"db_password: {PW}\n"),
    "lock-with-password-beside-a-sum": one("a.lock", f"db_password: {PW} # {{{{ sha1 }}}}\n"),
    "groovy-text": one("Jenkinsfile", f'sh """\n  export DB_PASSWORD={PW}\n"""\n'),
    "nix-text": one("a.nix", f"x = ''\n  DB_PASSWORD={PW}\n'';\n"),
    "token-beside-ciphertext": one("a.json", f'{{"a": "vault:v1:{TRANSIT}", "note": "{TOKEN}"}}\n'),
    "token-beside-names": one(
        "a.json",
        '{"r": {"secretKeyRef": {"name": "a", "key": "b"}}, "stripe_api_keys": "{{ token }}"}\n',
    ),
    "store-without-a-field": one("a.yaml", "kind: Secret\nstringData: {k: op://plum-orchard}\n"),
    "escaped-apostrophe-elsewhere": one(
        "a.yaml",
        "# \"\na: \\'\nkind: Secret\nstringData:\n  k: marmalade\nz: x'\nnote: \"it\\'s\"\n",
    ),
    "marks-with-text": one("a.yaml.j2", "kind: Secret\nstringData: {a: '#{ 7 plum }# x'}\n"),
    "pgp-lookalike": one(
        "a.json", '{"password": "wcFMA' + policy_material.b64("plain text " * 30) + '"}'
    ),
    # Files of credentials.
    "git-store": one(".git-credentials", "https://user@example.com:password!#@498@github.com\n"),
    "pgpass": one(".pgpass", "localhost:5432:db:root:password\n"),
    "my-cnf": one(".my.cnf", "[client]\npassword=secret\n"),
    "filezilla": one("sitemanager.xml", '<Pass encoding="base64">cGFzcw==</Pass>\n'),
    "msmtprc": one(".msmtprc", "account x\npassword   password\n"),
    "esmtprc": one(".esmtprc", 'password "password"\n'),
    "ide-servers": one(".idea/WebServers.xml", '<fileTransfer password="dff9dfdf"/>\n'),
    "dbeaver": one("dbeaver-data-sources.xml", '<connection password="password"/>\n'),
    "vscode-sftp": one(".vscode/sftp.json", '{"password": "password"}\n'),
    "rails": one("config/master.key", "{{ sha1 }}"[:0] + "3ebf21f8e5d1ab86b27a720842c3bb56\n"),
    "wordpress": one("wp-config.php", "define( 'DB_PASSWORD', 'admin' );\n"),
    "joomla": one("configuration.php", "public $password = 'plum7';\n"),
    "mediawiki": one("LocalSettings.php", '$wgDBpassword = "plum7";\n'),
    "django": one("x/settings.py", "SECRET_KEY = 'zh!=!gq(w^_t[sBR29954x)HI+$ehwss'\n"),
    "wireguard": one("wg0.conf", f"PrivateKey = {policy_material.b64(bytes(range(32)))}\n"),
    "chap": one("chap-secrets", 'ada * "plum7" *\n'),
    "vault-pass": one(".vault_pass", "plum orchard\n"),
}
PASS: dict[str, Files] = {
    # Good files of Flux, sops and public repositories.
    "published-hashes": one(
        "values.yaml",
        f"#   auth: |\n#     foo:{APR}OFG3Xybp$" + "ckL0FHDAkoXYIlH9" + f".cysT0\n"
        f"#     someoneelse:{APR}DMZX2Z4q$" + "6SbQIfyuLQd.xmo/" + "P0m2c.\n",
    ),
    "sops-1": one(
        "a.yaml", "data: {{ enc }}\n" + re.sub(r"version: .*", "version: '1.13'", ALL) + "\n"
    ),
    "no-version": one("a.yaml", "data: {{ enc }}\n" + OLD + "\n"),
    "output-of-a-command": one(
        "a.sh",
        "password=$(docker exec ${NAME} grep 'Password:' /etc/x | sed \"s/Password: //g\")\n"
        "token=`docker exec a printenv ROOT_TOKEN12`\n",
    ),
    "how-to-generate": one(
        "Taskfile.yaml", "tasks:\n  a:\n    cmds: [\"op item --generate-password='64,letters'\"]\n"
    ),
    "who-and-where": one(
        "a.sh",
        "kubectl create secret generic a \\\n  --from-literal=userID=csi-rbd-node \\\n"
        '  --from-literal=adminID=csi-cephfs-node --from-literal=userKey="$KEY"\n'
        "kubectl create configmap a --from-literal=color=blue\n",
    ),
    "expression-in-an-expression": one(
        "policy.yaml",
        "kind: ClusterPolicy\napiVersion: kyverno.io/v1\nspec:\n  stringData:\n    uri: "
        "\"{{ base64_decode('{{ request.object.data.uri }}') }}?sslmode=require\"\n",
    ),
    "toml-about-sops": one(
        "a.toml", "[sops]\ndescription = 'of sops'\n[[sops.rules]]\npattern = 'sops -d'\n"
    ),
    "names-of-variables": one(
        "a.yaml",
        "clientSecret: OAUTH_OIDC_CLIENT_SECRET\nKANIDM_CLIENT_SECRET_KEY: OAUTH2_"
        "CLIENT_SECRET\n"
        "password: HOMEB0X_PASSWORD\naccesskeyEncryptionKey: SEMAPHORE_"
        "ACCESS_KEY_ENCRYPTION\n",
    ),
    "external-secret-in-comments": one(
        "a.yaml", f"{ES}# - secretKey: calibre_username\n# - secretKey: grafana_password\n"
    ),
    "aliases-in-comments": one(
        "a.yaml", '# PG_PASS: &dbPass "{{{{ .GENERIC_PASSWORD1 }}}}"\n# A_PASS: *dbPass\na: b\n'
    ),
    "quotes-in-an-expression": one(
        "a.tf", 'api_key = "${data.sops_file.servarr-secrets.data["sonarr_api_key"]}"\n'
    ),
    "mapping-in-a-template": one(
        "a.yaml",
        ES + '  - a: |\n      "password": {"type": "bcrypt", "key": "{{ index . "aHash" }}"},\n',
    ),
    "command-in-a-taskfile": one(
        "Taskfile.yaml",
        "tasks:\n  a: |\n    RESTIC_PASSWORD=$(sops decrypt x | yq .a.RESTIC_PASSWORD1) restic\n",
    ),
    "paths-in-a-store": one(
        "a.yaml",
        ES + "  - extract:\n      ke"
        "y: infra/kubernetes/main/observability/"
        "grafana #x\n"
        "  - secretKeyRef: {name: a}\n  - valuesKe"
        "y: S3_BUCKET_REGION\n"
        "  - ke"
        "y: rfc2136_"
        "tsig_secret\n",
    ),
    "addresses-in-a-store": one(
        "a.yaml.tpl",
        "kind: Secret\nstringData:\n  a: op://vault/1password-{{ .CLUSTER }}/TOKEN\n"
        "  {{ if x }}\n  b: op://vault/52okh3ubjhdu5cgeqfvvldsj2u/credential\n",
    ),
    "braces-in-an-expression": one(
        "policy.yaml",
        "kind: ClusterPolicy\nspec:\n  stringData:\n    a: \"{{ random('[0-9a-f]{128}') }}\"\n",
    ),
    "mail-client-without-a-password": one(
        "msmtprc.j2", "defaults\nauth off\nhost smtp-relay.example.net\nfrom a@example.net\n"
    ),
    "login-without-a-password": one("Taskfile.yaml", 'a: curl -T - -u "root:" sftp://host/x\n'),
    "what-documentation-shows": one(
        "a.yaml",
        "encryption_key: a_very_important_secret\n# secret_key: 1234567890" + "abcdefghifjkl\n"
        "postgresPass: overwritten-by-env\n# token: username@pam!Token ID\n",
    ),
    "example-in-the-usage-of-a-script": one(
        "a.sh", 'cat <<EOF\nkind: Secret\nstringData:\n  example-key: "example-value"\nEOF\n'
    ),
    "encrypted-with-plain-parts": one("a.yaml", "host: db\ndata: {{ enc }}\n{{ sops }}\n"),
    "encrypted-beside-an-object": one(
        "a.yaml",
        "kind: Secret\napiVersion: v1\ndata:\n  a: {{ enc }}\n"
        + NARROW
        + "\n---\nkind: HelmRelease\napiVersion: v2\nspec: {a: b}\n"
        + NARROW
        + "\n",
    ),
    "encrypted-empty-values": one("a.yaml", f"a: ''\nb: null\n{ALL}\n"),
    "anchor-twice": one("a.yaml", "- {name: &n A_USER, key: *n}\n- {name: &n A_ZONE, key: *n}\n"),
    "apostrophe": one("a.yaml", 'note: "it\\\'s"\n'),
    "tags-of-others": one(
        "a.yaml",
        "wifi:\n  password: !secret wifi_password\n  token: !env_var API_TOKEN_VALUE_1\n"
        "x: !include other_secrets.yaml\n",
    ),
    "external-secret": one(
        "a.yaml",
        ES + "  - secretKey: github_app_private_key\n    remoteRef: {key: a, property: b}\n"
        "  - {secretKey: POSTGRES_SUPER_PASSWORD1, remoteRef: {key: a}}\n",
    ),
    "push-secret": one(
        "a.yaml",
        "kind: PushSecret\nspec:\n  data:\n  - match:\n      secretKey: api_private_key1\n"
        "      remoteRef: {remoteKey: a_private_key1}\n",
    ),
    "selector": one(
        "a.yaml",
        "apiTokenSecretRef: {name: cf, key: cloudflare_api_token_9x}\n"
        "user: {name: a, key: ED25519_PRIVATE_KEY_HEX}\n",
    ),
    "existing-secret": one("a.yaml", "existingSecretKey: postgres-super-password-key1\n"),
    "stores": one(
        "a.yaml",
        "password: op://vault1/db/password\na:\n  password: file:/run/secrets/db1\nb:\n"
        "  token: vault:secret/data/app#token1\nc: {password: '$__file{/etc/pw1}'}\n",
    ),
    "secret-from-a-store": one(
        "a.yaml", "kind: Secret\nstringData: {token: op://Automation/1password connect/token}\n"
    ),
    "hcl": one(
        "main.tf",
        "db_password = sensitive(var.db_password)\nprivateKey = tls_private_key.a.key_pem\n"
        'token = "${data.vault_secret.app.token1}"\n'
        "admin_password = random_password.admin.result\n",
    ),
    "jsonnet": one(
        "a.libsonnet", "{\n  password: std.extVar('db_password'),\n  token: $.config.token1,\n}\n"
    ),
    "bicep": one("a.bicep", "param x string = ''\nadministratorLoginPassword: adminPassword1\n"),
    "cel": one("a.yaml", "token: request.auth.claims.token1\nsecret: object.spec.secret_name1\n"),
    "call": one("a.conf", "password = getenv('DB_PASSWORD1')\n"),
    "variables": one(
        "a.sh", '#!/bin/sh\nDB_PASSWORD=pre$fix9xK\nTOKEN=$API_TOKEN_1\npassword="$db_pass1"\n'
    ),
    "variable-alone": one("a.yaml", "password: $DB_PASSWORD1\na:\n  password: '$(DB_PASSWORD1)'\n"),
    "prose": one(
        "a.yaml",
        "password: Enter your password 12\na:\n  password: at least 8 characters long\n"
        "b: {password: Mot de passe oublie}\n",
    ),
    "comment-default": one(
        "a.yaml", "a: b\n# adminPassword: strongpassword\n# password: changeme\n"
    ),
    "discord-filler": one(
        "a.yaml",
        "to: https://discord.com/api/webhooks/123456789012345678/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
    ),
    "hash-of-nothing": one("a.yaml", "image: a@sha256:{{ sha256 }}\n"),
    "crd": one(
        "a.yaml",
        "kind: CustomResourceDefinition\nspec: {properties: {stringData: {type: object, "
        "description: x, additionalProperties: {type: string}}}}\n",
    ),
    "string-data-template": one(
        "a.yaml", "values: {stringData: {A: '${DB_PASSWORD}', B: '{{ x }}'}}\n"
    ),
    "named-sops-encrypted": {".sops.yaml": RULE, "a.sops.yaml": f"a: {{{{ enc }}}}\n{ALL}\n"},
    "named-sops-template": one("a.sops.yaml.j2", "wifi: '#{ wifi.phrase }#'\n"),
    "named-sops-example": one("a.sops.yaml.example", "wifi: lantern\n"),
    "ruled-kustomization": {
        ".sops.yaml": f"creation_rules:\n- path_regex: secrets/.*\n  age: {R}\n",
        "secrets/kustomization.yaml": "resources: [a.yaml]\n",
        "secrets/README.md": "prose\n",
    },
    "ruled-by-everything": {
        ".sops.yaml": f"creation_rules:\n- path_regex: .*\\.ya?ml$\n  age: {R}\n",
        "values.yaml": "replicas: 3\n",
    },
    "ruled-narrowly": {
        ".sops.yaml": "creation_rules:\n- path_regex: secrets/.*\n"
        f"  encrypted_regex: ^(data|stringData)$\n  age: {R}\n",
        "secrets/app.yaml": "replicas: three\n",
    },
    "rule-that-names-nobody": {
        ".sops.yaml": "creation_rules:\n- path_regex: .*\n  encrypted_regex: ^(data|stringData)$\n",
        "a.yaml": "kind: Secret\ndata:\n  a: {{ enc }}\n{{ sops }}\n",
    },
    "no-rules-at-all": {
        ".sops.yaml": "stores: {yaml: {indent: 2}}\n",
        "a.yaml": "kind: Secret\ndata:\n  a: {{ enc }}\n{{ sops }}\n",
    },
    "merged-groups": {
        ".sops.yaml": "creation_rules:\n- key_groups:\n  - merge:\n"
        f"    - age: [{R}]\n    - merge: []\n",
        "a.yaml": "kind: Secret\ndata:\n  a: {{ enc }}\n{{ sops }}\n",
    },
    "jinja-marks": one(
        "a.yaml.j2",
        "kind: Secret\nstringData:\n  a: '#{ dns.token }#'\n  b: '<%= db.pass %>'\n"
        "  c: '[[ .Token ]]'\n  d: '((db-password))'\n  e: '@@DB_PASSWORD@@'\n",
    ),
    "statements-of-a-template": one(
        "a.sops.yaml.j2",
        "kind: Secret\nstringData:\n  identity: |\n    #% filter indent(width=4, first=False) %#\n"
        "    #{ deploy_key() }#\n    #% endfilter %#\n  b: |\n    {% filter indent(4) %}\n"
        "    {{ b }}\n    {% endfilter %}\n",
    ),
    "address-of-variables": one(
        "a.yaml",
        "kind: Secret\nstringData:\n  RESTIC_REPOSITORY: '${REPOSITORY}/baikal'\n"
        "  B: s3:${ENDPOINT}/restic/${APP}\n  C: http://${ENDPOINT}:9000\n",
    ),
    "form-of-variables": one(
        "a.yaml",
        "kind: Secret\nstringData:\n  credentials.json: |\n    {\n"
        '      "AccountTag": "${ACCOUNT}",\n      "TunnelSecret": "${SECRET}"\n    }\n'
        "  rclone: |\n    pass = ${PASS}\n    user = ${USER_NAME}\n",
    ),
    "generated-by-a-rule": one(
        "a.yaml",
        "kind: ClusterPolicy\nspec:\n  generate:\n    kind: Secret\n    name: a\n    data:\n"
        "      metadata: {labels: {a: b}}\n      type: Opaque\n      stringData:\n"
        "        A: \"{{ random('[0-9a-f]{128}') }}\"\n",
    ),
    "references-in-single-braces": one(
        "a.yaml",
        'config: |\n  {\n    "apiKey": "{env:LITELLM_API_KEY}",\n'
        '    "authToken": "{file:~/.config/token1}"\n  }\n',
    ),
    "numbers-of-users-and-ports": one(".env", "UID=1026\nUSER_ID=1026\nDB_PORT=5432\n"),
    "locks": {
        "deno.lock": '{"https://x/auth-token.ts": "{{ sha256 }}"}\n',
        ".terraform.lock.hcl": 'hashes = [\n  "zh:{{ sha256 }}",\n]\n',
        "gradle.lockfile": "auth-token:1.0={{ sha1 }}\n",
    },
    "renovate": one("renovate.json", f'{{"encrypted": {{"password": "{PGP}"}}}}\n'),
    "eyaml": one(
        "a.yaml",
        f"db_password: ENC[PKCS7,{NOISE}]\n",
    ),
    "travis": one(
        ".travis.yml",
        f"env: {{secure: {policy_material.b64(policy_material.noise(512))}}}\n",
    ),
    "transit": one("a.yaml", f"token: vault:v1:{policy_material.b64(policy_material.noise(60))}\n"),
    "wp-config-template": one("wp-config.php", "define('DB_PASSWORD', getenv('DB_PASSWORD'));\n"),
    "wp-config-sample": one("wp-config-sample.php", "define('DB_PASSWORD', 'password_here');\n"),
    "pgpass-template": one(".pgpass", "localhost:5432:db:root:${PGPASSWORD}\n"),
    "django-env": one("settings.py", "SECRET_KEY = os.environ['SECRET_KEY']\n"),
}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, gitleaks: str) -> dict[str, list[str]]:
    """The findings of each case, by its kind and name."""
    root = tmp_path_factory.mktemp("kinds")
    for kind, cases in (("block", BLOCK), ("pass", PASS)):
        for name, files in cases.items():
            folder = root / kind / name
            (folder / ".git").mkdir(parents=True)
            (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
            write_files(
                folder, {path: policy_material.render(text) for path, text in files.items()}
            )
    answer = callers.check([str(p) for p in sorted(root.glob("*/*"))])
    assert answer.undecided == []
    found: dict[str, list[str]] = defaultdict(list)
    for finding in answer.findings:
        parts = Path(finding.path).relative_to(root).parts
        found["/".join(parts[:2])].append(f"{parts[-1]}:{finding.line} {finding.rule}")
    return found


def test_the_whole_table(judged: dict[str, list[str]]) -> None:
    """Each case has its own test below. Mutation testing runs the test that makes `judged`: this
    one."""
    assert [name for name in BLOCK if not judged.get(f"block/{name}")] == []
    assert [name for name in PASS if judged.get(f"pass/{name}")] == []


@pytest.mark.parametrize("name", BLOCK)
def test_is_blocked(name: str, judged: dict[str, list[str]]) -> None:
    assert judged.get(f"block/{name}")


@pytest.mark.parametrize("name", PASS)
def test_passes(name: str, judged: dict[str, list[str]]) -> None:
    assert judged.get(f"pass/{name}", []) == []
