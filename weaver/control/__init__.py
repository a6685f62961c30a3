"""What manager, envelopes and proclets say to each other, and its form on a pipe. Pure."""
