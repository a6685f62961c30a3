"""The `weaver` command: parse, call, print."""
