"""What the dialplan asks for at the gate: `Stasis(ari-recorder,force,setting=Sales,direction=inbound)`."""

from __future__ import annotations

from dataclasses import replace

from ..model.call import Direction, Wish

NOTHING = Wish()


def read_wish(arguments: tuple[str, ...]) -> tuple[Wish, tuple[str, ...]]:
    """The wish, and the words that say nothing, as they were written.

    Blanks and upper and lower case make no difference, except in a setting's name. Empty words are those that
    the gate's unused arguments leave.
    """
    wish, unknown = NOTHING, []
    for argument in arguments:
        key, given, value = (part.strip() for part in argument.partition("="))
        match key.casefold(), value:
            case "", "" if not given:
                pass
            case "force", "" if not given:
                wish = replace(wish, force=True)
            case "forbid", "" if not given:
                wish = replace(wish, forbid=True)
            case "setting", name if name:
                wish = replace(wish, setting=name)
            case "direction", way if way.casefold() in set(Direction):
                wish = replace(wish, direction=Direction(way.casefold()))
            case _:
                unknown.append(argument)
    return wish, tuple(unknown)
