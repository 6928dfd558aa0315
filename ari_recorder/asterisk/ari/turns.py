"""Many questions to one Asterisk, a few at a time.

A request's limit runs from the moment it waits for a connection: of thousands that are asked at once the last
ones would be given up before they were sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Q = TypeVar("Q")
A = TypeVar("A")

AT_ONCE = 20
"""Questions on their way: half of `transport.CONNECTIONS`, for calls need the others."""


async def in_turns(ask: Callable[[Q], Awaitable[A]], questions: Iterable[Q]) -> list[A]:
    """The answers in the order of the questions. The first that fails is raised, and no more are asked."""
    waiting = list(enumerate(questions))[::-1]
    answers: dict[int, A] = {}

    async def one_after_the_other() -> None:
        while waiting:
            number, question = waiting.pop()
            answers[number] = await ask(question)

    askers = [asyncio.create_task(one_after_the_other()) for _ in waiting[:AT_ONCE]]
    try:
        await asyncio.gather(*askers)
    finally:
        for asker in askers:
            asker.cancel()
        await asyncio.gather(*askers, return_exceptions=True)
    return [answers[number] for number in range(len(answers))]
