"""A process that is being started is not us, whatever it is sent."""

import asyncio
import os
import signal
import sys

import pytest

from weaver.envelope import spawn as spawning
from weaver.envelope.process import Exit


@pytest.mark.skipif(sys.platform != "linux", reason="ends of processes are told by pidfd")
async def test_a_signal_to_a_process_that_begins_is_not_taken_for_one_to_us(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def signalled_before_it_runs(parent: int) -> None:
        del parent
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(spawning, "die_with", signalled_before_it_runs)
    ours = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ours.set)
    try:
        command = [sys.executable, "-c", "pass"]
        output = os.open(os.devnull, os.O_WRONLY)
        try:
            process = spawning.spawn(command, stdout=output, stderr=output, inherited=())
        finally:
            os.close(output)
        assert await asyncio.wait_for(process.exited, 30) == Exit(0, signal.SIGTERM)
        assert not ours.is_set()
        os.kill(os.getpid(), signal.SIGTERM)  # and one to us is still ours
        await asyncio.wait_for(ours.wait(), 30)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
