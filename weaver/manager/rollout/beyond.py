"""Which replicas of other hosts an ingress may turn to while none of its own host takes requests.

Decides how many, and that those of all other hosts have their turn. It must not know when they are
used: an ingress sees that sooner than a manager.
"""

import itertools
from typing import Final

from weaver.control.ingress import Backend
from weaver.manager.rollout import facts
from weaver.manager.rollout.state import State

MOST: Final = 8
"""Replicas in one table: it is pushed to all hosts when one of them changes."""


def beyond(state: State, deployment: str, host: str, listener: str) -> tuple[Backend, ...]:
    """Replicas on other hosts, the next host's first, and of each host one after the other."""
    version = facts.running(state, deployment)
    if version is None or len(version.hosts) == 1:
        return ()
    hosts = sorted(version.hosts)
    start = hosts.index(host) + 1 if host in hosts else 0
    others = [name for name in hosts[start:] + hosts[:start] if name != host]
    each = [version.hosts[name].beyond.get(listener, ()) for name in others]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*each))
    return tuple(itertools.islice((one for one in turns if one is not None), MOST))
