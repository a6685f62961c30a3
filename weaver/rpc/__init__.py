"""Calls between processes as bytes: codec, connection state machine, method table. Pure."""
