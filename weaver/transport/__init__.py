"""The only place with sockets and pipes."""
