"""Deployers: each runs applications in one kind of environment. They do not know each other."""
