"""Which replica owns which slice of the key space, with as few moves as possible.

A function of the slices there were and the replicas there are. When one leaves, only its slices
move; when one joins, each of the others gives up its fair part of what the new one gets. Slices are
about `SLICES` per replica: fine enough to be even, few enough to be pushed around.
"""

import heapq
import operator
from typing import Final

from weaver.routing import KEY_SPACE, Assignment

SLICES: Final = 64
"""Fewest slices per replica; beyond twice as many, neighbours of one owner are merged."""


def assign(previous: Assignment, replicas: list[str] | tuple[str, ...]) -> Assignment:
    """The slices shared among `replicas`, as evenly as whole slices allow, with few moves.

    The same input gives the same slices; without replicas there are none. `version` is kept.
    """
    names = sorted(set(replicas))
    if not names:
        return Assignment(previous.version)
    starts = list(previous.starts) or [0]
    known = set(names)
    owners = [owner if owner in known else "" for owner in previous.owners] or [""]
    starts, owners = _split(starts, owners, KEY_SPACE // (SLICES * len(names)))
    owners = _balance(starts, owners, names)
    starts, owners = _merge(starts, owners, len(names))
    return Assignment(previous.version, tuple(starts), tuple(owners))


def _split(starts: list[int], owners: list[str], widest: int) -> tuple[list[int], list[str]]:
    """Slices in equal parts, none wider than `widest`; nothing moves."""
    ends = [*starts[1:], KEY_SPACE]
    if max(map(operator.sub, ends, starts)) <= widest:
        return starts, owners  # by far the most frequent case: a replica came or went
    found: list[tuple[int, str]] = []
    for start, end, owner in zip(starts, ends, owners, strict=True):
        # Powers of two: parts of parts have the same edges, whichever way they came about.
        parts = 1 << (-(-(end - start) // widest) - 1).bit_length()
        found += [(start + (end - start) * part // parts, owner) for part in range(parts)]
    return [start for start, _ in found], [owner for _, owner in found]


def _merge(starts: list[int], owners: list[str], count: int) -> tuple[list[int], list[str]]:
    """Fewer slices where there are too many: neighbours of one owner become one; nothing moves."""
    most = 2 * SLICES * count
    excess = len(starts) - most
    if excess <= 0:
        return starts, owners
    widest = KEY_SPACE // (SLICES * count)
    ends = [*starts[1:], KEY_SPACE]
    kept = [0]
    for i in range(1, len(starts)):
        joins = owners[i] == owners[kept[-1]] and ends[i] - starts[kept[-1]] <= widest
        if excess > 0 and joins:
            excess -= 1
        else:
            kept.append(i)
    return [starts[i] for i in kept], [owners[i] for i in kept]


def _balance(starts: list[int], owners: list[str], names: list[str]) -> list[str]:
    """Give away slices without an owner, then move from the fullest replica to the emptiest."""
    ends = [*starts[1:], KEY_SPACE]
    width = list(map(operator.sub, ends, starts))
    owned: dict[str, list[int]] = {name: [] for name in names}
    orphans: list[int] = []
    for i, owner in enumerate(owners):
        (owned[owner] if owner else orphans).append(i)
    load = {name: sum(width[i] for i in slices) for name, slices in owned.items()}
    emptiest = [(load[name], name) for name in names]
    heapq.heapify(emptiest)
    # Largest first, so that small ones can even out what is left.
    for i in sorted(orphans, key=lambda i: (-width[i], i)):
        _, name = heapq.heappop(emptiest)
        owned[name].append(i)
        load[name] += width[i]
        heapq.heappush(emptiest, (load[name], name))
    _level(owned, load, width)
    found = list(owners)
    for name, slices in owned.items():
        for i in slices:
            found[i] = name
    return found


def _level(owned: dict[str, list[int]], load: dict[str, int], width: list[int]) -> None:
    """Move slices as long as each move makes the fullest and the emptiest more alike."""
    fullest = [(-amount, name) for name, amount in load.items()]
    emptiest = [(amount, name) for name, amount in load.items()]
    heapq.heapify(fullest)
    heapq.heapify(emptiest)
    while True:
        giver, taker = _top(fullest, load, -1), _top(emptiest, load, 1)
        moved = owned[giver][-1]
        if load[giver] - load[taker] <= width[moved]:
            return
        owned[giver].pop()
        owned[taker].insert(0, moved)  # what has just come is the last to go again
        for name, change in ((giver, -width[moved]), (taker, width[moved])):
            load[name] += change
            heapq.heappush(fullest, (-load[name], name))
            heapq.heappush(emptiest, (load[name], name))


def _top(heap: list[tuple[int, str]], load: dict[str, int], sign: int) -> str:
    """The first name of a heap whose entry is not out of date."""
    while heap[0][0] != sign * load[heap[0][1]]:
        heapq.heappop(heap)
    return heap[0][1]
