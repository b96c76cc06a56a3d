"""Ending background tasks: a task that loses a cancellation is ended all the same."""

from __future__ import annotations

import asyncio

from visitor import tasks


async def test_a_task_that_loses_its_first_cancellation_is_ended() -> None:
    lost = 0

    async def stubborn() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                lost += 1
                if lost > 1:
                    raise

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await tasks.end(task)
    assert task.cancelled() and lost == 2


async def test_ending_says_nothing_of_how_a_task_ended_before() -> None:
    async def fails() -> None:
        raise RuntimeError

    done = asyncio.create_task(fails())
    await asyncio.wait({done})
    await tasks.end(None, done)
    assert isinstance(done.exception(), RuntimeError)


async def test_a_notice_and_the_end_of_the_bus_may_meet(node: object) -> None:
    """The very moment in which `asyncio.wait_for` lost a cancellation: an item arrives, and the task is cancelled with it."""
    arrived: asyncio.Queue[str | None] = asyncio.Queue()
    relay = asyncio.create_task(node.bus._relay(arrived))  # type: ignore[attr-defined]
    for _ in range(3):
        await asyncio.sleep(0)
    arrived.put_nowait("here visits 00000000-0000-0000-0000-000000000000 00000000-0000-0000-0000-000000000000")
    relay.cancel()
    await asyncio.wait({relay}, timeout=60)
    assert relay.cancelled()
