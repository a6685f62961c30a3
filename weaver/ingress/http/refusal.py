"""What a peer is told when its HTTP message is not accepted.

Decides nothing: it carries the status code and the reason from a rule to the connection.
"""

from weaver.errors import ProtocolError


class Refusal(ProtocolError):
    """A message that breaks a rule; `status` is the code of the answer, the sentence its text."""

    def __init__(self, status: int, what: str, *, why: str = "") -> None:
        super().__init__(what, why=why)
        self.status = status
