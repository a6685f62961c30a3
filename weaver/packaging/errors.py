"""What can be wrong with a build, or with a PEX that was built before."""

from weaver.errors import WeaverError


class BuildError(WeaverError):
    """The application cannot be frozen into a PEX; nothing was written."""


class PexError(WeaverError):
    """A file is no PEX of a weaver application, is damaged, or does not fit this machine."""
