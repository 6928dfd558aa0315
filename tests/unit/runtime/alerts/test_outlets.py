"""Alerts on their way: real mail and web servers, that refuse, hang, redirect and come back."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from ari_recorder.cli.app import app
from ari_recorder.config.alerts import AlertSettings, MailOutlet, MailSecurity, WebhookFormat, WebhookOutlet
from ari_recorder.config.machine import parse_machine
from ari_recorder.config.problems import ConfigFileError
from ari_recorder.disk import durable, faults
from ari_recorder.model.errors import PermanentError, RecorderError, TransientError
from ari_recorder.runtime.alerts.book import Entry, Item, What
from ari_recorder.runtime.alerts.mail import MailTeller, compose
from ari_recorder.runtime.alerts.matters import Matter
from ari_recorder.runtime.alerts.message import Identity, Message
from ari_recorder.runtime.alerts.outlets import FILE, Alerts, read_told
from ari_recorder.runtime.alerts.webhook import SIGNATURE, TIMESTAMP, WebhookTeller, rendered, signature
from ari_recorder.runtime.conditions import Conditions, Severity
from tests.unit.docs.pages import page

from .receivers import HOST, PASSWORD, USER, Certified, Inbox, Mailbox, http_receiver, mail_server

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HERE = Identity("Example Ltd", "pbx1")
EVIL = 'Call of "Mallory\r\nBcc: all@example.org\r\n\r\n<script>" \x1b[31m\u202e \ud800 fails.'
SENDER, ADMIN = "recorder@example.org", "admin@example.org"


def item(sentence: str = "The target does not answer.", what: What = What.BEGAN, **changes: Any) -> Item:
    matter = Matter("target:vault", "target.unreachable", Severity.CRITICAL, sentence, "Switch it on.", NOON)
    return Item(what, matter, **changes)


def message(*items: Item) -> Message:
    return Message(HERE, items or (item(),), NOON)


def outlet(port: int, **more: Any) -> MailOutlet:
    given: dict[str, Any] = {"server": HOST, "port": port, "security": MailSecurity.NONE, "timeout": 5.0}
    return MailOutlet(**{**given, "name": "ops", "sender": SENDER, "recipients": (ADMIN,), **more})


def hook(url: str, **more: Any) -> WebhookOutlet:
    return WebhookOutlet(**{"name": "chat", "url": SecretStr(url), "timeout": 5.0, **more})


# -- words -------------------------------------------------------------------------------------------


def test_one_item_stands_in_the_subject_and_several_are_counted() -> None:
    assert message().subject == "[Example Ltd on pbx1] CRITICAL: The target does not answer."
    over = item(what=What.ENDED, until=NOON)
    assert message(over).subject == "[Example Ltd on pbx1] OVER: The target does not answer."
    assert message(item(), item(), over).subject == "[Example Ltd on pbx1] CRITICAL: 2 new, 1 over"
    assert len(message(item("x" * 5000)).subject) == 160
    text = message(item(times=3)).text
    for words in ("Switch it on.", "It came 3 times.", "2026-11-22 12:00:00 UTC", "target:vault"):
        assert words in text


def test_a_hostile_sentence_becomes_no_header_and_no_line() -> None:
    mail = compose(message(item(EVIL)), outlet(25))
    raw = mail.as_bytes()
    head, _, _ = raw.partition(b"\r\n\r\n")
    assert {line.split(b":")[0] for line in head.split(b"\r\n") if line[:1] != b" "} == {
        b"Subject", b"From", b"To", b"Date", b"Message-ID", b"Auto-Submitted", b"X-Auto-Response-Suppress",
        b"Precedence", b"Content-Type", b"Content-Transfer-Encoding", b"MIME-Version",
    }  # fmt: skip
    assert max(len(line) for line in raw.split(b"\r\n")) < 998
    for text in (mail.get_content(), str(mail["Subject"])):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert not [line for line in mail.get_content().splitlines() if line.startswith(("Bcc", "<script"))]
    for form in WebhookFormat:
        body, _ = rendered(message(item(EVIL)), form)
        assert body.decode("utf-8")
    assert json.loads(rendered(message(item(EVIL)), WebhookFormat.JSON)[0])["events"][0]["sentence"] == EVIL


def test_the_same_news_have_the_same_id() -> None:
    later = Message(HERE, (item(),), datetime.now(UTC))
    assert later.id == message().id
    assert message(item(), item(what=What.ENDED, until=NOON)).id != message().id
    reminders = [Message(HERE, (item(what=What.LASTS),), at) for at in (NOON, datetime.now(UTC))]
    assert reminders[0].id != reminders[1].id


def test_the_page_tells_the_document_and_the_signature_as_they_are() -> None:
    it = page("docs/howto/get-alerts.md")
    told, made = json.loads(it.examples("json")[0]), message().document()
    assert told.keys() == made.keys()
    assert told["recorder"].keys() == made["recorder"].keys()
    assert told["events"][0].keys() == made["events"][0].keys()
    assert told["schema"] == made["schema"]
    names: dict[str, Any] = {}
    exec(it.examples("python")[0], names)  # noqa: S102 - our own page
    body, seal = b"{}", signature("key", "1", b"{}")
    assert names["genuine"](b"key", "1", body, seal)
    assert not names["genuine"](b"key", "2", body, seal)
    for what in What:
        assert f"`{what.value}`" in it.text


# -- settings ----------------------------------------------------------------------------------------

PBX = '[pbx.a]\nuser = "u"\npassword = "p"\n'


def test_settings_are_read_from_the_machines_file(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("https://chat.example.org/x?y=z\n", encoding="ascii")
    text = f"""{PBX}[alerts]
hold_off = 10
[[alerts.mail]]
name = "ops"
server = "mail.example.org"
sender = "{SENDER}"
recipients = ["{ADMIN}"]
[[alerts.webhook]]
name = "chat"
url_file = "hook"
"""
    alerts = parse_machine(text, folder=tmp_path).alerts
    assert alerts.hold_off == 10.0
    assert alerts.mail[0].usual_port == 587
    assert alerts.webhook[0].read_url() == "https://chat.example.org/x?y=z"
    assert parse_machine(PBX).alerts == AlertSettings()
    assert parse_machine(PBX).monitoring is None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ('[[alerts.mail]]\nname="a"\nsender="a@b"\nrecipients=["x@y\\nBcc: z@z"]', "bare mail address"),
        ('[[alerts.mail]]\nname="a"\nsender="a@b"\nrecipients=[]', "must not be empty"),
        ('[[alerts.mail]]\nname="a"\nsender="a@b"\nrecipients=["x@y"]\nuser="u"', "password"),
        (
            '[[alerts.mail]]\nname="a"\nsender="a@b"\nrecipients=["x@y"]\nuser="u"\npassword="geheim"\n'
            'security="none"',
            "unprotected",
        ),
        ('[[alerts.webhook]]\nname="a"\nurl="ftp://geheim"', "https://"),
        ('[[alerts.webhook]]\nname="a"\nurl="https://u:geheim@x/"', "must not hold"),
        ('[[alerts.webhook]]\nname="a"', "exactly one"),
        (
            '[[alerts.webhook]]\nname="a"\nurl="https://x"\n[[alerts.webhook]]\nname="a"\nurl="https://y"',
            '"a"',
        ),
        ('[monitoring]\nlisten = "0.0.0.0:9310"', "token"),
        ('[monitoring]\nlisten = "127.0.0.1"', "127.0.0.1:9310"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(wrong: str, says: str) -> None:
    with pytest.raises(ConfigFileError) as caught:
        parse_machine(PBX + wrong)
    assert says in str(caught.value)
    assert "geheim" not in str(caught.value)


# -- mail --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    return Certified.made(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("security", [MailSecurity.STARTTLS, MailSecurity.TLS])
async def test_mail_over_tls_with_login(tls: Certified, security: MailSecurity) -> None:
    with mail_server(Mailbox(), tls=tls, direct=security is MailSecurity.TLS) as box:
        login = {"user": USER, "password": SecretStr(PASSWORD), "security": security}
        await MailTeller(outlet(box.port, ca_file=tls.authority, **login)).send(message())
        (mail,) = box.mails
        assert mail["Subject"] == message().subject
        assert mail["To"] == ADMIN
        assert mail["Auto-Submitted"] == "auto-generated"
        assert message().id in mail["Message-ID"]
        assert mail.get_content().replace("\r\n", "\n") == message().text
        wrong = login | {"password": SecretStr("not-it")}
        with pytest.raises(PermanentError, match="refuses the login") as caught:
            await MailTeller(outlet(box.port, ca_file=tls.authority, **wrong)).send(message())
        assert "not-it" not in str(caught.value)
        with pytest.raises(PermanentError, match="not trusted"):
            await MailTeller(outlet(box.port, **login)).send(message())
        other_name = outlet(box.port, ca_file=tls.authority, **login, server="localhost")
        with pytest.raises(PermanentError, match="not trusted"):
            await MailTeller(other_name).send(message())
        assert len(box.mails) == 1


async def test_what_a_mail_server_may_answer() -> None:
    box = Mailbox(
        answers=["451 Try later\nplease", "554 Spam \x1b[31m"], refused=frozenset({"gone@example.org"})
    )
    with mail_server(box):
        with pytest.raises(TransientError, match="451 Try later"):
            await MailTeller(outlet(box.port)).send(message())
        with pytest.raises(PermanentError, match="554 Spam"):
            await MailTeller(outlet(box.port)).send(message())
        with pytest.raises(PermanentError, match="does not offer STARTTLS"):
            await MailTeller(outlet(box.port, security=MailSecurity.STARTTLS)).send(message())
        with pytest.raises(PermanentError, match=r"gone@example\.org: 550"):
            await MailTeller(outlet(box.port, recipients=("gone@example.org",))).send(message())
        await MailTeller(outlet(box.port, recipients=("gone@example.org", ADMIN))).send(message())
        assert len(box.mails) == 1
        port = box.port
    with pytest.raises(TransientError, match="cannot be reached"):
        await MailTeller(outlet(port)).send(message())
    given = {"user": "u", "password_file": Path("/none"), "security": MailSecurity.TLS}
    with pytest.raises(RecorderError, match="cannot be read"):
        await MailTeller(outlet(port, **given)).send(message())


async def test_a_mail_server_that_drips_is_left() -> None:
    """It says one letter every 50 ms: no time limit of a single answer would ever end that."""
    stop = threading.Event()
    with socket.create_server((HOST, 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                while not stop.wait(0.05):
                    connection.send(b"2")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        settings = outlet(listening.getsockname()[1], timeout=0.3)
        with pytest.raises(TransientError):
            await asyncio.wait_for(MailTeller(settings).send(message()), 10)
        stop.set()
        thread.join(5)


async def test_a_mail_server_that_says_too_much_is_left() -> None:
    """An answer of any number of lines is one answer, and all of it would be kept."""
    with socket.create_server((HOST, 0)) as listening:

        def talk() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.sendall(b"220 hello\r\n")
                while True:
                    connection.sendall(b"250-more\r\n" * 100)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        with pytest.raises(TransientError, match="too much"):
            await MailTeller(outlet(listening.getsockname()[1], timeout=0.5)).send(message())
        thread.join(5)


# -- webhook -----------------------------------------------------------------------------------------


async def test_a_webhook_is_signed_and_documented(tls: Certified) -> None:
    with http_receiver(Inbox(), tls) as inbox:
        url = f"https://{HOST}:{inbox.port}/hooks/token-4711?a=b"
        settings = hook(url, ca_file=tls.authority, secret=SecretStr("key"))
        await WebhookTeller(settings).send(message(item(times=2)))
        ((path, headers, body),) = inbox.requests
        assert path == "/hooks/token-4711?a=b"
        stamp = headers[TIMESTAMP]
        expected = hmac.new(b"key", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        assert headers[SIGNATURE] == f"sha256={expected}"
        assert headers["Content-Type"] == "application/json"
        document = json.loads(body)
        assert document["schema"] == "ari-recorder/alert/1"
        assert document["recorder"] == {"name": "Example Ltd", "host": "pbx1", "version": HERE.version}
        assert document["events"] == [
            {
                "what": "began", "key": "target:vault", "code": "target.unreachable", "severity": "critical",
                "sentence": "The target does not answer.", "remedy": "Switch it on.",
                "since": "2026-11-22T12:00:00.000+00:00", "until": None, "times": 2, "count": 1,
            }
        ]  # fmt: skip
        with pytest.raises(PermanentError, match="not trusted") as caught:
            await WebhookTeller(hook(url)).send(message())
        assert "4711" not in str(caught.value)
        assert "4711" not in WebhookTeller(settings).place


async def test_what_a_webhook_may_answer() -> None:
    with http_receiver(Inbox()) as inbox:
        url = f"http://{HOST}:{inbox.port}/token-4711"
        teller = WebhookTeller(hook(url, format=WebhookFormat.CHAT))
        inbox.answers = [(429, {"Retry-After": "7"}), 503, (302, {"Location": url + "/elsewhere"}), 404]
        with pytest.raises(TransientError, match="429") as throttled:
            await teller.send(message())
        assert throttled.value.retry_after == 7
        with pytest.raises(TransientError, match="503"):
            await teller.send(message())
        with pytest.raises(PermanentError, match="302"):
            await teller.send(message())
        with pytest.raises(PermanentError, match="404") as gone:
            await teller.send(message())
        assert "4711" not in str(gone.value)
        assert len(inbox.requests) == 4, "a redirection was followed"
        await teller.send(message())
        assert message().subject in json.loads(inbox.requests[-1][2])["text"]
        await WebhookTeller(hook(url, format=WebhookFormat.TEXT)).send(message())
        assert inbox.requests[-1][2].decode().startswith(message().subject)
    with pytest.raises(TransientError, match="cannot be reached") as away:
        await teller.send(message())
    assert "4711" not in str(away.value)


async def test_a_webhook_that_hangs_is_left() -> None:
    with socket.create_server((HOST, 0)) as listening:  # takes connections, and never says a word
        url = f"http://{HOST}:{listening.getsockname()[1]}/"
        with pytest.raises(TransientError, match="in time"):
            await asyncio.wait_for(WebhookTeller(hook(url, timeout=0.3)).send(message()), 10)


# -- together ----------------------------------------------------------------------------------------


@asynccontextmanager
async def alerting(conditions: Conditions, state: Path, **settings: Any) -> AsyncIterator[Alerts]:
    given = AlertSettings(**{"hold_off": 0.5, "settle": 0.5, **settings})
    alerts = Alerts(given, conditions, state, HERE, pauses=(0.2,))
    task = asyncio.create_task(alerts.run())
    try:
        yield alerts
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(ask: Callable[[], object], seconds: float = 15) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not ask():
        assert asyncio.get_running_loop().time() < deadline, "it did not come"
        await asyncio.sleep(0.02)


def fail(conditions: Conditions, key: str = "target:vault") -> None:
    conditions.begin(key, "target.unreachable", f"{key} does not answer.")


def kept(state: Path) -> tuple[Entry, ...]:
    return read_told(state)["ops"].entries


async def test_begun_ended_and_a_restart_between(tmp_path: Path) -> None:
    with mail_server(Mailbox()) as box:
        how = {"mail": (outlet(box.port),)}
        conditions = Conditions()
        async with alerting(conditions, tmp_path, **how):
            fail(conditions)
            await until(lambda: box.subjects)
            await until(lambda: [e.told for e in kept(tmp_path)] != [None])
        assert [entry.matter.key for entry in kept(tmp_path)] == ["target:vault"]
        again = Conditions()
        async with alerting(again, tmp_path, **how):  # the same is wrong in the next life: nothing new
            fail(again)
            fail(again, "pbx:main")
            await until(lambda: len(box.subjects) == 2)
            again.end("target:vault")
            await until(lambda: len(box.subjects) == 3)
        assert [subject.partition("] ")[2] for subject in box.subjects] == [
            "CRITICAL: target:vault does not answer.",
            "CRITICAL: pbx:main does not answer.",
            "OVER: target:vault does not answer.",
        ]


async def test_people_are_told_while_the_state_folders_disk_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, writes = threading.Event(), list[bytes]()

    def hangs(path: Path, data: bytes) -> None:
        writes.append(data)
        answers.wait(20)
        durable.write_atomically(path, data)

    monkeypatch.setattr("ari_recorder.runtime.alerts.outlets.write_atomically", hangs)
    with mail_server(Mailbox()) as box:
        conditions = Conditions()
        async with alerting(conditions, tmp_path, mail=(outlet(box.port),)):
            fail(conditions)
            await until(lambda: box.subjects)
            conditions.end("target:vault")
            await until(lambda: len(box.subjects) == 2)
            assert len(writes) == 1, "one at a time"
            answers.set()
            await until(lambda: (tmp_path / FILE).exists() and kept(tmp_path) == ())


class DiedError(BaseException):
    """Nobody catches this: what comes after it in the program does not happen."""


async def test_killed_after_an_alert_was_sent_it_is_told_again_not_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(point: str) -> None:
        if point == "alert.sent":
            raise DiedError

    with mail_server(Mailbox()) as box:
        how = {"mail": (outlet(box.port),)}
        monkeypatch.setattr(faults, "hook", die)
        conditions = Conditions()
        fail(conditions)
        with suppress(DiedError, BaseExceptionGroup):
            async with alerting(conditions, tmp_path, **how):
                await until(lambda: box.subjects)
        assert [entry.told for entry in kept(tmp_path)] == [None]
        monkeypatch.setattr(faults, "hook", faults._nothing)
        again = Conditions()
        fail(again)
        async with alerting(again, tmp_path, **how):
            await until(lambda: [entry.told for entry in kept(tmp_path)] != [None])
        assert len(box.subjects) == 2
        assert len(set(box.subjects)) == 1


async def test_a_mail_server_that_is_away_is_a_condition_and_others_are_told(tmp_path: Path) -> None:
    box, conditions = Mailbox(), Conditions()
    with mail_server(box):
        pass  # from here on nobody listens on its port
    with http_receiver(Inbox()) as inbox:
        how = {"mail": (outlet(box.port),), "webhook": (hook(f"http://{HOST}:{inbox.port}/"),)}
        async with alerting(conditions, tmp_path, **how):
            fail(conditions)
            await until(lambda: conditions.get("alerts:ops"))
            said = conditions.get("alerts:ops")
            assert said is not None
            assert said.code == "alert.mail"
            assert said.severity is Severity.WARNING
            await until(lambda: "alerts:ops" in keys_told(inbox))
            conditions.end("target:vault")
            await until(lambda: "ended target:vault" in keys_told(inbox, what=True))
            with mail_server(box):
                await until(lambda: box.subjects)
                await until(lambda: conditions.get("alerts:ops") is None)
        assert len(box.subjects) == 1
        assert "OVER" in box.subjects[0]
        assert "Was wrong meanwhile" in box.texts[0]
        assert "alerts:ops" not in box.texts[0]


def keys_told(inbox: Inbox, *, what: bool = False) -> list[str]:
    events = [event for _, _, body in inbox.requests for event in json.loads(body)["events"]]
    return [f"{event['what']} {event['key']}" if what else event["key"] for event in events]


async def test_damaged_memory_and_nobody_to_tell(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"format": "x", "outlets": 7}', encoding="ascii")
    assert read_told(tmp_path) == {}
    conditions = Conditions()
    async with alerting(conditions, tmp_path):
        fail(conditions)


# -- the command -------------------------------------------------------------------------------------


def test_the_command_says_which_outlet_works_and_why_one_does_not(tmp_path: Path) -> None:
    box, inbox = Mailbox(), Inbox(answers=[404])
    with mail_server(box), http_receiver(inbox):
        config = tmp_path / "config.toml"
        config.write_text(f"""{PBX}
[[alerts.mail]]
name = "ops"
server = "{HOST}"
port = {box.port}
security = "none"
sender = "{SENDER}"
recipients = ["{ADMIN}"]
[[alerts.webhook]]
name = "chat"
url = "http://{HOST}:{inbox.port}/token-4711"
""", encoding="utf-8")  # fmt: skip

        def ask(*words: str) -> tuple[int, str]:
            done = CliRunner().invoke(app, ["alert", "test", *words, "--config", str(config)])
            return done.exit_code, done.output

        status, said = ask()
        assert status == 1
        assert "✓ ops" in said
        assert "✗ chat" in said
        assert "404" in said
        assert "4711" not in said
        assert "Test: alerts from this recorder arrive here" in box.subjects[0]
        status, said = ask("chat", "--json")
        assert status == 0
        assert json.loads(said)["outlets"][0]["ok"] is True
        status, said = ask("opps")
        assert status == 3
        assert 'did you mean "ops"?' in said
    config.write_text(PBX, encoding="utf-8")
    assert ask()[0] == 3
