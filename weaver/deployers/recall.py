"""Asks an envelope what its last manager has left, without becoming its manager."""

import asyncio
from typing import Any, Final

from weaver.control.messages import FromEnvelope
from weaver.control.stream import Codec, Receiver, encode
from weaver.control.succession import Memo, Recall
from weaver.deployers.deployer import Link
from weaver.errors import Unreachable

PATIENCE: Final = 10.0
"""Seconds for the answer of an envelope."""

_from_envelope: Final[Codec[Any]] = Codec(FromEnvelope)


async def recall(link: Link, host: str) -> Memo:
    """What the envelope at the other end has kept; the link is closed then.

    Raises Unreachable where it does not answer in time, ProtocolError for an answer of no sense.
    """
    receiver: Receiver[Any] = Receiver(_from_envelope)
    why = "it ended the connection"
    try:
        link.send(encode(Recall()))
        async with asyncio.timeout(PATIENCE):
            while data := await link.receive():
                for message in receiver.feed(data):
                    if isinstance(message, Memo):
                        return message
    except TimeoutError:
        why = f"no answer within {PATIENCE:g} s"
    except OSError as error:
        why = error.strerror or str(error)
    finally:
        link.close()
    raise Unreachable(
        "an envelope does not say what its manager has left",
        where=host,
        why=why,
        fix="is it of an older weaver? deploy again with `weaver deploy`",
    )
