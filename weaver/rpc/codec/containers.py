"""Containers: lists, tuples, sets, mappings and their relatives from `collections`."""

import collections
import collections.abc
import typing
from typing import Any, Final

from weaver.rpc.codec.mappings import defaultdict_plan, mapping_plan
from weaver.rpc.codec.plan import Build, Plan, Unsupported, Workshop
from weaver.rpc.codec.sequences import deque_plan, sequence_plan
from weaver.rpc.codec.tuples import tuple_plan

_LISTS: Final = (list, collections.abc.Sequence, collections.abc.MutableSequence)
_SETS: Final = (set, collections.abc.Set, collections.abc.MutableSet)
_MAPS: Final = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_MAP_KINDS: Final = (collections.defaultdict, collections.OrderedDict, collections.Counter)
_OTHERS: Final = (frozenset, collections.deque, tuple)


def container_plan(annotation: Any, workshop: Workshop, build: Build) -> Plan | None:
    """The plan of a container type, or None if it is something else."""
    origin = typing.get_origin(annotation) or annotation
    if origin not in (*_LISTS, *_SETS, *_MAPS, *_MAP_KINDS, *_OTHERS):
        return None
    args = typing.get_args(annotation)
    if not args and annotation != tuple[()]:
        name = getattr(annotation, "__name__", repr(annotation))
        raise Unsupported(
            f"`{name}` does not say what it contains, so the types inside would be lost",
            f"write `{name.lower()}[...]` with the types of its contents",
        )
    if origin is tuple:
        return tuple_plan(args, workshop, build)
    if origin in (*_MAPS, *_MAP_KINDS):
        return _mapping(origin, args, workshop, build)
    item = build(args[0])
    if origin is collections.deque:
        return deque_plan(item, workshop)
    if origin in _LISTS:
        return sequence_plan(list, "list", item, workshop)
    cls = frozenset if origin is frozenset else set
    return sequence_plan(cls, cls.__name__, item, workshop)


def _mapping(origin: Any, args: tuple[Any, ...], workshop: Workshop, build: Build) -> Plan:
    key, value = build(args[0]), build(int if origin is collections.Counter else args[1])
    if origin is collections.defaultdict:
        return defaultdict_plan(mapping_plan(dict, key, value, workshop), workshop)
    cls = dict if origin in _MAPS else origin
    return mapping_plan(cls, key, value, workshop)
