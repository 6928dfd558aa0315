"""The reference of the policy, written from the models: `python -m ari_recorder.rules.reference DIR`."""

from __future__ import annotations

import sys

from ..config.reference import GENERATED, sections, write
from ..config.starter import POLICY
from ..config.targets import TEMPLATE_WORDS
from .decide import REASONS
from .policy import Policy

HEAD = f"""\
{GENERATED}
# The policy: what is recorded

The file that `policy` in the machine's settings names. What holds for that file holds for this one: TOML,
unknown keys refused with a suggestion, every mistake told with its line, relative paths counted from the
file's folder. Try a policy without a call: `ari-recorder explain --from +4930123456 --to 1001`.
"""

DECIDING = """
## How a call is decided

1. The dialplan's wish, if it has one: `forbid`, then `setting=NAME`, then `force`.
2. The settings in the order of the file. The first enabled one decides that fits in all of: direction,
   feature codes, trunk number, user, outside party.
3. The deciding setting's exception lists. A match refuses the call and no later setting is asked. Exceptions
   refuse a forced call and one for which the dialplan chose the setting, too.

In an internal call either party may be the user; the other one is then its remote party, and where both
parties fit, both are looked up in the exception lists. There each party is known by its number, by its
endpoint (`PJSIP/alice`) and the endpoint's name (`alice`).

Who is called may show only when a user is rung, and who has the call when one answers. The user of an inbound
call goes by what was dialled as well, as a group's extension. A call that nothing records so far is decided
again for each user who is rung, also for one to whom it is handed on later: from then on it is recorded, when
a setting is for that user. A recording that runs is decided once more when another user is the first to
answer: it goes on as the setting for that user says, or what was captured is discarded for good, with the
reason in the log. Whoever takes the call over later changes nothing about a recording that runs.

`force` without a setting takes the first that matches, else the first that is enabled.

Every decision has one of these reasons, in logs, metadata and `explain`:

| reason | meaning |
|---|---|
"""

PATTERNS = """
## Number patterns

| written | matches |
|---|---|
| `+4930123456`, `030 123456` | that number, however it is written |
| `1001`, `alice` | that extension, that SIP user |
| `+4930*`, `030*`, `10??` | numbers that look so: `*` any characters, `?` exactly one |
| `/^[+]49(30\\|40)/` | a regular expression, matched anywhere unless anchored by `^` and `$` |
| `0049*`, `00*` | beginning with the country's international prefix: as `+49*`; all of other countries |
| `anonymous` | withheld and empty numbers |
| `*` | every number, withheld ones too |

Numbers are read like this, in this order:

- Digits only and no longer than `extension_length`: an extension. It never becomes a public number.
- Beginning with `*` or `#`: a feature code. (As a pattern `*72` is a glob; write `/^[*]72$/`.)
- Public numbers become E.164 (`+4930123456`) with the country's rules. In countries whose national numbers
  begin with 0, digits without it are taken as E.164 that lost its plus. A dialled number loses
  `outside_prefix` first, where what is left is a public number.
- Everything else is compared as it is written, without regard to upper and lower case.

Two numbers are the same when their E.164 forms are, or, where one has none, when they are written the same.
Globs and regular expressions may match any form of a number: `+4930123456`, in its own country also
`030123456`, and as it is written.

Only the first 64 characters of a number are looked at. Regular expressions ignore case and must be bounded:
repetitions inside one another, more than three unlimited ones, references to groups and flags are refused,
since a caller could otherwise send a number that keeps the recorder busy for hours.
"""

TEMPLATES = """
## Path templates

Words in a target's `path`; `${Y}` where letters follow, `$$` for a dollar sign.

| word | stands for |
|---|---|
"""

FILE = f"""
## A file to begin with

```toml
{POLICY}```
"""


def policy() -> str:
    """`policy.md`."""
    reasons = "\n".join(f"| `{reason}` | {meaning} |" for reason, meaning in REASONS.items())
    words = "\n".join(f"| `${word}` | {meaning} |" for word, meaning in TEMPLATE_WORDS.items())
    pages = [HEAD.rstrip(), *sections(Policy), DECIDING + reasons, PATTERNS, TEMPLATES + words, FILE]
    return "\n".join(pages)


if __name__ == "__main__":
    sys.exit(write("policy.md", policy(), sys.argv[1:]))
