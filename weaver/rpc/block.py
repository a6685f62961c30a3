"""The memory of a large body on its way in, which is handed out as bytes without a copy."""

import contextlib
from io import BytesIO


class Block(BytesIO):
    """A BytesIO that may be collected as garbage while something looks into it, in silence."""

    def close(self) -> None:
        """As that of BytesIO, but without an error for what is still looked into.

        Python calls it for garbage, such as a connection that has ended amid a large body, and
        since 3.13 tells on stderr if it fails.
        """
        with contextlib.suppress(BufferError):
            super().close()
