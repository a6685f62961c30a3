"""The name of the socket at which one incarnation of a replica serves a listener to the ingress.

Both sides know it without being told: the replica that makes the file, and the envelope that
removes it after a replica that could not.
"""

import hashlib


def private_name(replica: str, incarnation: int, listener: str) -> str:
    """A file name of few bytes, whatever the names are: the path of a socket must be short."""
    text = f"{replica}/{incarnation}/{listener}".encode()
    return f"in-{hashlib.blake2b(text, digest_size=6).hexdigest()}.sock"
