"""An online shop of eleven components: it runs as one process or as many."""
