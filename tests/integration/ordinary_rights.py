"""Root's rights laid down: what may not be written is so for root, too."""

import os
from typing import Final

ORDINARY: Final[tuple[str, ...]] = (
    () if os.getuid() else ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
)
"""What is put before a command, so that it may do no more to files than their modes say."""
