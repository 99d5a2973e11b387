"""Find credentials in files that are made for them, and in configuration that always has some.

Names and forms are those of the tools' own documentation: Git, PostgreSQL, MySQL, curl, mail and
FTP clients, IDEs, Rails, Django, WordPress and other frameworks, package managers, VPNs. In such a
file, every value counts that is neither a template nor an obvious filler: even `password`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sopslab.policy import placeholders, sops
from sopslab.policy.findings import Hit
from sopslab.policy.later import later
from sopslab.policy.lines import Lines

_FILLED = later(
    r"<[^<>]{1,80}>|\{\{|^\*+$|^\[[^\[\]]+\]$|your|change[-_ ]?(?:me|it|this)|replace|_here$"
    r"|unique phrase|placehold|redact|^x{3,}$"
    r"|^\.{3}|todo|^$|example[-_ ]?pass(?:word)?$",
    re.IGNORECASE,
)


def _assigned(*keys: str) -> str:
    """Return an expression for ``key = value`` and ``key value`` lines, quoted or not."""
    names = "|".join(keys)
    return (
        rf"^[ \t]*(?:set[ \t]+)?[\"']?(?:{names})[\"']?[ \t]*(?:[=:][ \t]*|[ \t]+)"
        r"(?:\"([^\"\n]+)\"|'([^'\n]+)'|([^\s\"'#;][^\n]*?))[ \t]*,?$"
    )


def _member(*keys: str) -> str:
    """Return an expression for members of JSON objects."""
    return rf"\"(?:{'|'.join(keys)})\"\s*:\s*\"([^\"\n]+)\""


def _attribute(*keys: str) -> str:
    return rf"\b(?:{'|'.join(keys)})=\"([^\"\n]+)\""


def _element(*keys: str) -> str:
    return rf"<(?:{'|'.join(keys)})(?:\s[^<>]*)?>([^<>\n]+)</"


_PASS = (r"pass(?:word|wd|phrase)?", r"[\w.]*_pass(?:word|wd)?", r"[\w.]*password")
_TABLE: tuple[tuple[str, str, str], ...] = (
    (
        r"\.?git-?credentials(?:-store)?|credentials\.store|credential-cache",
        r"://[^\s:/]{0,256}:([^\s]{1,512})@[^\s@]",
        "a Git password",
    ),
    (
        r"\.?pgpass(?:\.conf)?",
        r"^[^#:\n]+(?::(?:[^:\\\n]|\\.)*){3}:((?:[^:\\\n]|\\.)+)$",
        "a password for PostgreSQL",
    ),
    (
        r"\.?pg_service\.conf|\.?my\.cnf|\.?mylogin\.cnf|\.?odbc\.ini|cqlshrc|\.?snowsql\.?(?:cnf|config)?|"
        r"\.rediscli_auth|\.?smb-?credentials|\.?cifs-?credentials|\.?smbpasswd|\.?davfs2?\.?secrets",
        _assigned(*_PASS, "pwd", "auth"),
        "a password of a database or a share",
    ),
    (
        r"\.?(?:esmtprc|msmtprc|fetchmailrc|mbsyncrc|isyncrc|offlineimaprc|getmailrc|muttrc|mailrc|"
        r"neomuttrc|lftprc|wgetrc|curlrc|ncftprc|sendmailrc)",
        _assigned(*_PASS, "imap_pass", "smtp_pass", "remotepass", "ftp-?password", "proxy-user"),
        "a password of a mail or file client",
    ),
    (
        r"\.?(?:fetchmailrc|lftprc|bookmarks)",
        r"\b(?:pass(?:word)?|auth)[ \t]+[\"']?([^\s\"',]+)",
        "a password of a mail or file client",
    ),
    (
        r"\.?authinfo|[._]netrc",
        r"\b(?:password|passwd|account)\s+(\S+)",
        "a password for a machine",
    ),
    (r"sasl_?passwd", r"^[^#\s]\S*[ \t]+[^\s:]+:(\S+)$", "a password for a mail relay"),
    (
        r"(?:chap|pap)-secrets",
        r"^[ \t]*(?:\"[^\"\n]*\"|[^#\s\"]\S*)[ \t]+(?:\"[^\"\n]*\"|\S+)[ \t]+\"?([^\s\"]+)",
        "a password of a dial-in",
    ),
    (r"ipsec\.secrets", r":\s*(?:PSK|XAUTH|EAP|NTLM)\s+\"?([^\"\s]+)", "a secret of a VPN"),
    (r"\.?passwd-s3fs|\.?passwd_s3fs", r"^[^#\s:]+:(\S{8,})$", "keys of an object store"),
    (
        r"rclone\.conf",
        _assigned("pass", "password2?", "secret_access_key", "token", "client_secret"),
        "a credential of a remote store",
    ),
    (
        r"(?:recentservers|sitemanager|filezilla)\.xml",
        _element("Pass"),
        "a password of an FTP client",
    ),
    (
        r"winscp\.ini|ws_ftp\.ini|wcx_ftp\.ini",
        _assigned("Password", "PWD", "PasswordPlain", "SavedPassword"),
        "a password of an FTP client",
    ),
    (
        r"\.?(?:ftpconfig|sftp-config(?:-alt\d*)?\.json|remote-sync\.json|ftpsync\.settings|ftp-sync\.json|"
        r"deployment-config\.json|ftppass|ftp-deploy\.json|sftp\.json|ftp-simple\.json|ftp-kr\.json)",
        _member(*_PASS, "passphrase"),
        "a password of an upload",
    ),
    (
        r"webservers\.xml|deployment\.xml|datasources(?:\.local)?\.xml|[\w-]*data-sources\.xml|"
        r"sshconfigs\.xml|security\.xml|sqldeveloper[\w.-]*\.xml",
        _attribute("password", "passphrase", "ssh-password"),
        "a password kept by an IDE",
    ),
    (
        r"credentials-config\.json|robomongo\.json|robo3t\.json|studio-3t\.properties",
        _member("password", "userPassword", "sshPassphrase", "sshUserPassword"),
        "a password kept by a client of databases",
    ),
    (
        r"(?:config/)?(?:master|production|staging|credentials/\w+)\.key",
        r"\A\s*([0-9a-f]{32}(?:[0-9a-f]{32})?)\s*\Z",
        "a key of Rails' credentials",
    ),
    (
        r"secret_token\.rb|devise\.rb|session_store\.rb",
        r"(?:secret_token|secret_key(?:_base)?|pepper)\s*=\s*[\"']([^\"'#]{16,})[\"']",
        "a key of Rails",
    ),
    (
        r"wp-config(?:-\w+)?\.php",
        r"define\(\s*[\"'](?:\w*PASSWORD|\w+_KEY|\w+_SALT)[\"']\s*,\s*[\"']([^\"'\n]+)[\"']",
        "a password or key of WordPress",
    ),
    (
        r"configuration\.php|config(?:\.inc)?\.php|localsettings\.php|settings(?:\.local|\.inc)?\.php|"
        r"database\.php|db\.php|parameters\.php|app_local\.php|local\.php|env\.php|config_local\.php",
        r"(?:\$\w*(?:passw(?:or)?d|passwd|dbpass|secret|blowfish_secret)\b\w*(?:\[[^\]\n]{0,80}\]){0,8}"
        r"|\$\w+(?:\[[^\]\n]{0,80}\]){0,8}\[[\"'](?:\w*passw(?:or)?d|blowfish_secret)[\"']\]"
        r"|[\"'](?:\w*passw(?:or)?d|db_pass)[\"'])\s*=>?\s*[\"']([^\"'\n]{3,})[\"']",
        "a password in a framework's configuration",
    ),
    (
        r"settings(?:[_.]\w+)?\.py|settings/\w+\.py|local_settings\.py|config\.py",
        r"(?:^[ \t]*SECRET_KEY\s*=|^[ \t]*[\"']PASSWORD[\"']\s*:)\s*[\"']([^\"'\n]{4,})[\"']",
        "a key or password of Django or Flask",
    ),
    (
        r"database\.ya?ml|parameters\.ya?ml|mongoid\.ya?ml|secrets\.ya?ml",
        r"^[ \t]*(?:password|database_password|mailer_password|secret_key_base|secret)\s*:\s*"
        r"[\"']?([^\s\"'#<%&*!{$|>][^\s\"'#]*)",
        "a password in a framework's configuration",
    ),
    (
        r"\.?irssi/config|irc\.conf|\.?weechat/\w+\.conf|accounts\.xml|\.?xchat2?/servlist_\.conf|"
        r"hexchat/servlist\.conf|\.?centericq/config|\.?znc\.conf",
        r"(?:_PASS|password|\bpass)\"?\s*[=:>]\s*\"?([^\s\";<]{3,})",
        "a password of a chat client",
    ),
    (
        r"\.?(?:hub|config/hub|gh/hosts\.yml|hosts\.yml)",
        r"^[ \t]*oauth_token:\s*(\S+)",
        "a token for GitHub",
    ),
    (
        r"\.?gem/credentials|\.?bundle/config",
        r":\w*(?:api_key|token)\w*:\s*(\S+)|__\w+:\s*\"?(\S+:\S+)\"?",
        "a key for a package index",
    ),
    (
        r"\.?cargo/credentials(?:\.toml)?|\.?cargo/config(?:\.toml)?",
        r"^[ \t]*token\s*=\s*\"([^\"]+)\"",
        "a token for a package index",
    ),
    (
        r"\.?composer/auth\.json|auth\.json",
        r"\"(?:password|github\.com|gitlab\.com|token)\"\s*:\s*\"([^\"]{4,})\"",
        "a credential for a package index",
    ),
    (
        r"credentials\.tfrc\.json|\.?terraformrc|terraform\.rc",
        r"\btoken\"?\s*[=:]\s*\"([^\"]+)\"",
        "a token for Terraform",
    ),
    (
        r"\.?(?:vault[-_]pass(?:word)?|ansible[-_]vault[-_]pass(?:word)?)(?:[-_.](?:file|txt))?|"
        r"\.?vault-token|\.?restic[-_]password|borg[-_]passphrase",
        r"\A\s*(?!#!)(\S[^\n]{3,})\s*\Z",
        "a stored credential",
    ),
    (
        r"\.?(?:s3cfg|boto|tugboat|databrickscfg|dockerhub|trc|twurlrc|oci/config|aws/credentials)",
        _assigned(
            "secret_key",
            "access_key",
            "gpg_passphrase",
            "aws_secret_access_key",
            "token",
            *_PASS,
            "[\\w]*secret[\\w]*",
        ),
        "a stored credential",
    ),
    (
        r"wpa_supplicant(?:-\w+)?\.conf|[^/]+\.nmconnection",
        r"^[ \t]*(?:psk|password|wep-key\d)\s*=\s*\"?([^\"\s]+)",
        "a password of a network",
    ),
    (
        r"wg\d*\.conf|wireguard\.conf|wg-[\w-]+\.conf",
        r"^[ \t]*(?:PrivateKey|PresharedKey)\s*=\s*([A-Za-z0-9+/]{43}=)",
        "a key of WireGuard",
    ),
    (r"[^/]+\.rdp", r"password 51:b:([0-9A-Fa-f]{8,})", "a password of a remote desktop"),
    (r"kaggle\.json", _member("key"), "a key for Kaggle"),
    (
        r"ventrilo_srv\.ini|server\.properties",
        _assigned("AdminPassword", "Password", "rcon\\.password"),
        "a password of a server",
    ),
    (
        r"tomcat-users\.xml|jetty-realm\.properties|server\.xml",
        r"\b(?:password|keystorePass)=\"([^\"\n]+)\"",
        "a password of an application server",
    ),
    (
        r"standalone\.xml|[^/]*-ds\.xml|persistence\.xml|context\.xml",
        r"<password>([^<>\n$]+)</|\bpassword=\"([^\"\n$]+)\"",
        "a password of a data source",
    ),
    (r"shadow-?|master\.passwd", r"^[^:\s]+:(\$[^:]{12,}):", "a password hash"),
    (
        r"hudson\.util\.secret|[^/]+\.keytab|\.?cvspass|\.?lesshst\.key|secret\.key",
        r"\A([\s\S]{16,})",
        "a stored credential",
    ),
)

_RULES = tuple(
    (later(rf"(?:^|/)(?:{names})$"), later(content, re.MULTILINE), what)
    for names, content, what in _TABLE
)
_ANY = later("|".join(rf"(?:^|/)(?:{names})$" for names, _, _ in _TABLE))


def scan(path: str, text: str, *, is_example: bool) -> Iterator[Hit]:
    """Yield the credentials in a file whose path is in the table; *path* is in lower case."""
    if not _ANY.search(path):
        return
    lines = Lines(text)
    seen: set[int] = set()
    for names, content, what in _RULES:
        for match in content.finditer(text) if names.search(path) else ():
            value = next((group for group in match.groups() if group), "")
            line = lines.at(match.start(match.lastindex or 0))
            if line not in seen and not _stands_in(value, is_example=is_example):
                seen.add(line)
                yield Hit(line, "credential-file", what)


def _stands_in(value: str, *, is_example: bool) -> bool:
    bare = value.strip().strip("\"'")
    if is_example and placeholders.is_placeholder(bare):
        return True
    if placeholders.is_template(bare) or sops.LOOKS_ENCRYPTED.match(bare):
        return True
    return bool(_FILLED.search(bare)) and len(bare) < 40
