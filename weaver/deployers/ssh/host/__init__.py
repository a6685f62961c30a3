"""What runs on a host: programs of the standard library alone, in the syntax of Python 3.8.

They are sent over standard input and never stored (../host_program.py), so nothing here may import
anything but its siblings. A host's Python may be older than the one that weaver itself needs.
"""
