"""One file to ship: build a PEX of an application, read one without running it, install it."""
