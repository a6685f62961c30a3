"""The parent of the replicas of one version on one host: starts, watches, restarts, ends them."""
