"""A file for credentials is recognised by its name, and its passwords by their form."""

from __future__ import annotations

import time

import pytest

from sopslab.policy import credentials

PW = "Quince77" + "lantern"
HEX = "0123456789abcdef" * 2
KEY = "A" * 21 + "b" * 22 + "="
SHARE, MAIL = "a password of a database or a share", "a password of a mail or file client"
MACHINE = "a password for a machine"
# Path, text with the password, and the description in the finding.
FILES = {
    "git": (".git-credentials", f"https://ada:{PW}@example.org", "a Git password"),
    "git-of-libsecret": ("a/credentials.store", f"https://ada:{PW}@example.org", "a Git password"),
    "pgpass": (".pgpass", f"db:5432:app:ada:{PW}", "a password for PostgreSQL"),
    "pgpass-with-a-colon": ("pgpass.conf", rf"db:5432:a\:b:ada:{PW}", "a password for PostgreSQL"),
    "my-cnf": (".my.cnf", f"password={PW}", SHARE),
    "my-cnf-quoted": ("etc/my.cnf", f'password = "{PW}"', SHARE),
    "pg-service": ("pg_service.conf", f"  password = '{PW}'", SHARE),
    "cifs": (".smbcredentials", f"pwd={PW}", SHARE),
    "msmtp": (".msmtprc", f"password {PW}", MAIL),
    "wget": ("wgetrc", f"http_password={PW}", MAIL),
    "mutt": (".muttrc", f'set imap_pass="{PW}"', MAIL),
    "fetchmail": (".fetchmailrc", f"poll a user b pass {PW}", MAIL),
    "netrc": (".netrc", f"machine a login b password {PW}", MACHINE),
    "netrc-of-windows": ("_netrc", f"machine a\n login b\n passwd {PW}", MACHINE),
    "authinfo": (".authinfo", f"machine a port 25 password {PW}", MACHINE),
    "postfix": ("sasl_passwd", f"[mail.example.org] ada:{PW}", "a password for a mail relay"),
    "ppp": ("etc/ppp/chap-secrets", f'"ada"  * "{PW}"', "a password of a dial-in"),
    "ipsec": ("ipsec.secrets", f': PSK "{PW}"', "a secret of a VPN"),
    "s3fs": (".passwd-s3fs", f"AKIA:{PW}", "keys of an object store"),
    "rclone": ("rclone.conf", f"client_secret = {PW}", "a credential of a remote store"),
    "filezilla": ("sitemanager.xml", f'<Pass encoding="base64">{PW}</Pass>',
                  "a password of an FTP client"),
    "winscp": ("WinSCP.ini".lower(), f"Password={PW}", "a password of an FTP client"),
    "sftp": (".vscode/sftp.json", f'{{"password": "{PW}"}}', "a password of an upload"),
    "jetbrains": (".idea/webservers.xml", f'<a password="{PW}"/>', "a password kept by an IDE"),
    "jetbrains-ssh": (".idea/sshconfigs.xml", f'<a ssh-password="{PW}"/>',
                      "a password kept by an IDE"),
    "dbeaver": ("credentials-config.json", f'{{"userPassword" : "{PW}"}}',
                "a password kept by a client of databases"),
    "rails-master": ("config/master.key", HEX, "a key of Rails' credentials"),
    "rails-environment": ("config/credentials/production.key", f"{HEX}\n",
                          "a key of Rails' credentials"),
    "rails-token": ("secret_token.rb", f"a.secret_token = '{PW}{PW}'", "a key of Rails"),
    "wordpress": ("wp-config.php", f"define('DB_PASSWORD', '{PW}');",
                  "a password or key of WordPress"),
    "wordpress-salt": ("wp-config.php", f'define( "AUTH_SALT", "{PW}" );',
                       "a password or key of WordPress"),
    "php": ("configuration.php", f"public $password = '{PW}';",
            "a password in a framework's configuration"),
    "php-array": ("database.php", f"'password' => '{PW}',",
                  "a password in a framework's configuration"),
    "phpmyadmin": ("config.inc.php", f"$cfg['Servers'][$i]['password'] = '{PW}';",
                   "a password in a framework's configuration"),
    "django": ("app/settings.py", f'SECRET_KEY = "{PW}"', "a key or password of Django or Flask"),
    "django-database": ("settings/production.py", f"  'PASSWORD': '{PW}',",
                        "a key or password of Django or Flask"),
    "rails-database": ("config/database.yml", f"  password: {PW}",
                       "a password in a framework's configuration"),
    "irssi": (".irssi/config", f'password = "{PW}";', "a password of a chat client"),
    "hub": (".config/hub", f"  oauth_token: {PW}", "a token for GitHub"),
    "gem": (".gem/credentials", f":rubygems_api_key: {PW}", "a key for a package index"),
    "bundle": (".bundle/config", f'BUNDLE_A__B: "ada:{PW}"', "a key for a package index"),
    "cargo": (".cargo/credentials.toml", f'token = "{PW}"', "a token for a package index"),
    "composer": ("auth.json", f'{{"github.com": "{PW}"}}', "a credential for a package index"),
    "terraform": ("credentials.tfrc.json", f'{{"token": "{PW}"}}', "a token for Terraform"),
    "ansible": (".vault_pass", f"{PW}\n", "a stored credential"),
    "restic": (".restic-password", PW, "a stored credential"),
    "aws": (".aws/credentials", f"aws_secret_access_key = {PW}", "a stored credential"),
    "wifi": ("wpa_supplicant.conf", f'  psk="{PW}"', "a password of a network"),
    "wireguard": ("wg0.conf", f"PrivateKey = {KEY}", "a key of WireGuard"),
    "remote-desktop": ("a.rdp", f"password 51:b:{HEX}", "a password of a remote desktop"),
    "kaggle": ("kaggle.json", f'{{"key":"{PW}"}}', "a key for Kaggle"),
    "game": ("server.properties", f"rcon.password={PW}", "a password of a server"),
    "tomcat": ("tomcat-users.xml", f'<user password="{PW}"/>',
               "a password of an application server"),
    "jboss": ("standalone.xml", f"<password>{PW}</password>", "a password of a data source"),
    "shadow": ("etc/shadow", "ada:$" + f"6$abcdefgh{HEX}:1::::", "a password hash"),
    "keytab": ("host.keytab", HEX[:16], "a stored credential"),
}  # fmt: skip


def scan(path: str, text: str, *, is_example: bool = False) -> list[tuple[int, str, str]]:
    found = credentials.scan(path, text, is_example=is_example)
    return [(hit.line, hit.rule, hit.message) for hit in found]


@pytest.mark.parametrize("name", FILES)
def test_a_credential_is_named_in_its_line_and_in_its_file_alone(name: str) -> None:
    path, text, what = FILES[name]
    last = text.count("\n", 0, max(text.find(PW), 0)) + 1
    assert scan(path, text) == [(last, "credential-file", what)]
    assert scan(f"home/{path}", text) == [(last, "credential-file", what)]
    assert scan(f"{path}.md", text) == []
    assert scan(f"x{path.replace('/', '-')}-x", text) == []


def test_the_line_is_that_of_the_value_and_not_of_its_name() -> None:
    assert scan(".netrc", f"machine a\npassword\n\n  {PW}\n") == [(4, "credential-file", MACHINE)]


def test_every_credential_is_named_once_in_its_own_line() -> None:
    text = f"# first\nmachine a password {PW}\n\nmachine b password {PW}x account {PW}y\n"
    what = ("credential-file", MACHINE)
    assert scan(".netrc", text) == [(2, *what), (4, *what)]


@pytest.mark.parametrize(
    "value",
    [
        "<password>", "{{password}}", "****", "[password]", "your-password", "changeme",
        "change-me", "CHANGE_THIS", "replace", "put_it_here", "placeholder", "redacted", "xxx",
        "...", "todo", "example-password", "${PASSWORD}", "ENC[AES256_GCM,data:YQ==]",
    ],
)  # fmt: skip
def test_what_stands_in_for_a_password_is_none(value: str) -> None:
    assert scan(".netrc", f"machine a password {value}\n") == []


def test_what_stands_in_is_short_and_a_long_value_is_one() -> None:
    assert scan(".netrc", f"machine a password your{'x' * 35}\n") == []
    assert scan(".netrc", f"machine a password your{'x' * 36}\n")


def test_quotes_do_not_hide_what_stands_in() -> None:
    assert scan(".netrc", "machine a password \"todo'\n") == []
    assert scan(".netrc", "machine a password X****X\n")


@pytest.mark.parametrize("value", ['"****"', "'xxx'", "\"'..."])
def test_quotes_are_no_part_of_what_stands_in(value: str) -> None:
    assert scan(".netrc", f"machine a password {value}\n") == []


def test_in_an_example_more_stands_in() -> None:
    text = "machine a password secret\n"
    assert scan(".netrc", text)
    assert scan(".netrc", text, is_example=True) == []
    assert scan(".netrc", f"machine a password {PW}\n", is_example=True)


@pytest.mark.parametrize(
    ("path", "part"),
    [
        (".git-credentials", "://a:"),
        ("chap-secrets", "a"),
        ("configuration.php", "$a["),
        ("settings.py", "\n"),
        ("wpa_supplicant.conf", "\n"),
    ],
)
def test_a_file_of_credentials_takes_no_quadratic_time(path: str, part: str) -> None:
    start = time.process_time()
    assert scan(path, part * (100_000 // len(part))) == []
    assert time.process_time() - start < 1
