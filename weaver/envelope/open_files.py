"""How many files an envelope and its replicas may have open: as many as the system admits."""

import contextlib
import resource


def raise_limit() -> None:
    """Raise the soft limit to the hard one.

    The soft limit is low for the sake of programs that use select(), which cannot take larger
    descriptors; an envelope holds listeners and pipes for all its replicas.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS admits fewer than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
