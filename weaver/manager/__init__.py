"""Decides what shall run where, and where calls go. Pure: a function of state, event and time."""
