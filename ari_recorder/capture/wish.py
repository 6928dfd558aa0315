"""What the dialplan asks for at the gate: `Stasis(ari-recorder,force,setting=Sales,direction=inbound)`."""

from __future__ import annotations

from dataclasses import replace

from ..model.call import CallFacts, Direction, Wish

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


def written(wish: Wish) -> str:
    """As the gate leaves it on the channel, the setting last: its name may hold anything."""
    said = {
        "force": wish.force,
        "forbid": wish.forbid,
        f"direction={wish.direction}": wish.direction,
        f"setting={wish.setting}": wish.setting,
    }
    return ",".join(word for word, asked in said.items() if asked)


def read_written(text: str) -> Wish:
    """What `written` wrote; words of anybody else's that mean nothing are left out."""
    words, chosen, name = text.partition("setting=")
    return read_wish((*words.split(","), chosen + name))[0]


def obeyed(facts: CallFacts, wish: Wish) -> CallFacts:
    """The call as it is to be judged."""
    return replace(facts, wish=wish, direction=wish.direction or facts.direction)
