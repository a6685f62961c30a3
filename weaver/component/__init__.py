"""The model at the centre: what a component is, before anything runs it. Pure."""
