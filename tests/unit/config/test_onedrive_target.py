"""OneDrive and SharePoint as the policy writes them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ari_recorder.config.targets import OneDriveTarget
from ari_recorder.rules.policy import parse_policy

GIVEN: dict[str, Any] = {
    "kind": "onedrive",
    "name": "cloud",
    "tenant": "contoso.onmicrosoft.com",
    "client_id": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    "client_secret": "geheim",
    "user": "archive@contoso.example",
}


def made(**changes: Any) -> OneDriveTarget:
    values = {key: value for key, value in (GIVEN | changes).items() if value is not None}
    return OneDriveTarget.model_validate(values, context={"folder": Path("/etc/x")})


def test_what_is_given_and_what_is_not() -> None:
    target = made()
    assert target.missing() == ()
    assert (target.folder, target.fragment, target.timeout, target.warn_days) == ("", 10240, 30.0, 14)
    assert target.read_secret() == "geheim"
    assert "geheim" not in repr(target) + target.model_dump_json() + target.place
    assert target.authority_url == "https://login.microsoftonline.com/contoso.onmicrosoft.com"
    assert made(certificate_file="a.pem", client_secret=None).certificate_file == Path("/etc/x/a.pem")
    assert made(secret_expires=date(2027, 1, 31)).secret_expires == date(2027, 1, 31)


@pytest.mark.parametrize(
    ("cloud", "graph"),
    [
        ("global", "https://graph.microsoft.com"),
        ("us-gov", "https://graph.microsoft.us"),
        ("us-gov-dod", "https://dod-graph.microsoft.us"),
        ("china", "https://microsoftgraph.chinacloudapi.cn"),
    ],
)
def test_clouds(cloud: str, graph: str) -> None:
    assert made(cloud=cloud).graph_url == graph


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"tenant": None, "client_id": None}, ("tenant", "client_id")),
        ({"client_secret": None}, ("client_secret_file or certificate_file",)),
        ({"user": None}, ("user, site or drive",)),
        ({"user": None, "client_secret": None, "login": "device-code"}, ()),
    ],
)
def test_what_is_still_missing(changes: dict[str, Any], missing: tuple[str, ...]) -> None:
    assert made(**changes).missing() == missing


def test_addresses_of_sites_and_folders_are_made_plain() -> None:
    site = made(user=None, site="https://contoso.sharepoint.com/sites/archive/", library="Calls")
    assert site.site == "contoso.sharepoint.com/sites/archive"
    assert made(folder="/a//b/./c/").folder == "a/b/c"
    assert site.place == "contoso.sharepoint.com/sites/archive/Calls"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"client_secret_file": "x"}, "only one of"),
        ({"certificate_file": "x"}, "only one of"),
        ({"passphrase": "x"}, 'no "certificate_file"'),
        ({"login": "device-code"}, "no use for a secret"),
        ({"site": "contoso.sharepoint.com"}, "only one of"),
        ({"library": "x"}, 'no "site"'),
        ({"tenant": "a b"}, "tenant's id"),
        ({"client_id": "x"}, "pattern"),
        ({"folder": "../x"}, "must not hold"),
        ({"folder": "a:b"}, "must not hold"),
        ({"user": None, "site": "https://x/?y"}, "site's address"),
        ({"fragment": 321}, "multiple of 320"),
        ({"fragment": 61440}, "less than or equal to 61120"),
        ({"fragment": 0}, "greater than"),
        ({"cloud": "moon"}, "global"),
        ({"authority": "http://x"}, "https://"),
        ({"graph": "https://u:p@x"}, "neither a user"),
        ({"proxy": "socks5://x"}, "http://proxy"),
        ({"proxy": "http://u:geheim@x"}, "without a login"),
        ({"warn_days": -1}, "greater than"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        made(**changes)
    assert "geheim" not in str(caught.value)


def test_a_secret_does_not_show_in_the_revision() -> None:
    """The revision stands in every recording's metadata."""
    text = '[[target]]\nkind = "onedrive"\nname = "cloud"\nclient_secret = "{}"\n'
    one, other = (parse_policy(text.format(secret)).revision for secret in ("geheim", "anders"))
    assert one == other
