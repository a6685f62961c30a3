"""What is written of a response, and when."""

import asyncio
from typing import cast

from weaver.proclet.http_writing import COPIED, Joining


class Written(asyncio.Transport):
    """A transport that keeps what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.pieces.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def joining() -> tuple[Written, Joining]:
    written = Written()
    return written, Joining(cast("asyncio.Transport", written), asyncio.get_running_loop())


async def test_head_and_body_of_one_turn_are_one_piece() -> None:
    written, response = joining()
    response.write(b"head")
    response.write(b"body")
    response.write(b"more")
    await asyncio.sleep(0)
    assert written.pieces == [b"headbody", b"more"]


async def test_a_head_whose_body_takes_its_time_does_not_wait_for_it() -> None:
    written, response = joining()
    response.write(b"head")
    assert written.pieces == []
    await asyncio.sleep(0)
    assert written.pieces == [b"head"]
    response.write(b"body")
    assert written.pieces == [b"head", b"body"]


async def test_what_waits_is_written_before_the_end() -> None:
    written, response = joining()
    response.write(b"head")
    response.close()
    await asyncio.sleep(0)
    assert (written.pieces, response.is_closing()) == ([b"head"], True)


async def test_a_large_body_is_not_copied() -> None:
    written, response = joining()
    response.write(b"head")
    response.write(b"x" * (COPIED + 1))
    assert [len(piece) for piece in written.pieces] == [4, COPIED + 1]
