"""The commented files that `ari-recorder init` writes. A test reads them, so they are always valid."""

from __future__ import annotations

MACHINE_FILE = "config.toml"
POLICY_FILE = "policy.toml"
PASSWORD_FILE = "asterisk.password"  # noqa: S105 - a file's name

MACHINE = """\
# ari-recorder: this machine. What is recorded stands in policy.toml.
# Every key: docs/reference/configuration.md. Relative paths count from this file's folder.
# A line that begins with "#" is a comment; the commented keys show their defaults.

[recorder]
policy = "policy.toml"
# spool = "/var/spool/ari-recorder"     # recordings on their way; needs room for some days
# state = "/var/lib/ari-recorder"       # the log of the chain and the sealing key: keep a backup
# log_level = "info"                    # debug, info, warning, error
# log_format = "text"                   # text, json

# The Asterisk server. Its name stands in every recording's metadata; several may be given.
[pbx.asterisk]
url = "http://127.0.0.1:8088"
user = "ari-recorder"
password_file = "asterisk.password"     # the first line is the ARI user's password
# recordings = "/var/spool/asterisk/recording"
# sounds = "/usr/share/asterisk/sounds"
# technologies = ["PJSIP"]

# Key and certificate are made at first start. key_bits: 3072 or more.
[seal]
# common_name = "Example Ltd, call recording"   # who answers for the recordings, as the certificate names it
# key = "/var/lib/ari-recorder/seal/key.pem"
# certificate = "/var/lib/ari-recorder/seal/certificate.pem"
# passphrase_file = "seal.passphrase"           # keep a copy of it, but not beside the key
# key_bits = 3072

# Who is told when something goes wrong; any number of each. Try it: ari-recorder alert test
# [[alerts.mail]]
# name = "ops"
# server = "mail.example.org"
# user = "recorder"                     # with password_file; without both for a server that needs no login
# password_file = "mail.password"
# sender = "recorder@example.org"
# recipients = ["admin@example.org"]
#
# [[alerts.webhook]]
# name = "chat"
# url_file = "chat.url"                 # the first line is the address
# format = "chat"                       # json, chat, text

# Metrics for Prometheus, and /health. Without this section nothing listens.
# [monitoring]
# listen = "127.0.0.1:9310"
"""

POLICY = """\
# ari-recorder: which calls are recorded, how, and where the recordings go.
# Every key: docs/reference/policy.md. What a call would meet: ari-recorder explain --from … --to …
# Recording calls may need an announcement or consent; the laws differ. Ask before you switch a setting on.

country = "DE"                          # two letters: how national numbers are read
# outside_prefix = "0"                  # what users dial for a line, if Asterisk shows it in dialled numbers
# extension_length = 6                  # numbers of at most so many digits are extensions

# Lines to the outside. Calls through them are inbound or outbound, all others internal.
[[trunk]]
name = "provider"
endpoints = ["PJSIP/trunk-*"]           # as Asterisk calls them: pjsip show endpoints
# numbers = ["+493012345*"]             # your own public numbers on it

# Numbers that are never recorded: exact, with * and ?, or a regular expression between slashes.
[[exception_list]]
name = "confidential"
comment = "Whom we never record"
entries = [
    { number = "+4930123456", comment = "An example: works council" },
    # { number = "anonymous", comment = "Withheld numbers" },
    # { number = "/^[+]4989555(10|20)/", comment = "The lawyers" },
]

# Announcements: shipped:LANGUAGE/recorded comes in en, de, fr, nl, sv; or a WAV or MP3 of your own.
[[prompt]]
name = "recorded"
file = "shipped:en/recorded"
comment = "This call is recorded"

# Where recordings go. Any number; the copy here is removed when all targets of a setting have confirmed.
[[target]]
kind = "local"
name = "archive"
folder = "/var/lib/ari-recorder/archive"
path = "$Y/$M/$D"

# [[target]]
# kind = "sftp"
# name = "vault"
# host = "vault.example.org"
# user = "recorder"
# key_file = "vault.key"                # or password_file
# known_hosts = "vault.known_hosts"     # made by: ari-recorder target trust vault
# folder = "recordings"

# Also kind = "smb" (Windows share, Samba, NAS) and kind = "onedrive" (OneDrive, SharePoint): docs/howto.

# Settings are asked in this order; the first that matches decides. Each is off until enabled = true.
[[setting]]
name = "Outside calls"
enabled = false
directions = ["inbound", "outbound"]    # and "internal"
# users = ["1001", "10??"]              # only these; by default all
# remote = ["+49*"]                     # only these outside parties; by default all
# trunk_numbers = ["+493012345*"]       # only through these numbers of yours; by default all
exceptions = ["confidential"]
start = "ring"                          # ring, answer, after-announcement
sides = "stereo"                        # stereo, separate, remote, local
targets = ["archive"]
# The announcement needs the gate: one line in the dialplan, see asterisk_conf/README.md. Without it take
# the next line away; with required = true a call that was not told is not recorded. With users as well, let
# the gate ask for setting=NAME: by itself it does not know who will be rung, and plays nothing.
announcement = { prompt = "recorded", directions = ["inbound"], required = true }
"""
