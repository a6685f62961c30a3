"""Deploys to hosts over SSH: nothing is installed there but a Python that the PEX accepts."""
