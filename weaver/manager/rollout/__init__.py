"""How users' traffic moves from one version of an application to the next. Pure, as the manager."""
