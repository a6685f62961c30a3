"""The components that keep carts: `Cart` knows what a cart is, `CartCache` stores it.

All calls for one user go to the same replica of either, as long as the replicas stay the same. A
cart lives in memory: it is gone when its replica ends.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import weaver
from boutique.shop import cart
from boutique.shop.cart import CartItem


@dataclass(frozen=True)
class CartCacheConfig:
    """[components.CartCache] in weaver.toml."""

    capacity: int = 1 << 20  # carts; the one that was not used for longest makes room


@weaver.component
class CartCache:
    config: CartCacheConfig
    _carts: OrderedDict[str, list[CartItem]] = field(
        default_factory=OrderedDict[str, list[CartItem]], init=False
    )

    @weaver.routed(by="user")
    @weaver.idempotent
    async def get(self, user: str) -> list[CartItem] | None:
        """What is stored for the user, or None."""
        if user not in self._carts:
            return None
        self._carts.move_to_end(user)
        return self._carts[user]

    @weaver.routed(by="user")
    @weaver.idempotent
    async def put(self, user: str, items: list[CartItem]) -> None:
        """Store these items in place of what there was."""
        self._carts[user] = items
        self._carts.move_to_end(user)
        if len(self._carts) > self.config.capacity:
            self._carts.popitem(last=False)

    @weaver.routed(by="user")
    @weaver.idempotent
    async def remove(self, user: str) -> None:
        """Forget what is stored for the user."""
        self._carts.pop(user, None)


@weaver.component
class Cart:
    cache: CartCache
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(
        default_factory=WeakValueDictionary[str, asyncio.Lock], init=False
    )

    @weaver.routed(by="user")
    @weaver.idempotent
    async def get_cart(self, user: str) -> list[CartItem]:
        """What the user has in the cart; nothing, for an unknown user."""
        return await self.cache.get(user) or []

    @weaver.routed(by="user")
    async def add_item(self, user: str, item: CartItem) -> None:
        """Put an item into the user's cart."""
        # Without the lock, the second of two impatient clicks could overwrite the first.
        async with self._locks.setdefault(user, asyncio.Lock()):
            items = await self.cache.get(user) or []
            await self.cache.put(user, cart.with_item(items, item))

    @weaver.routed(by="user")
    @weaver.idempotent
    async def empty_cart(self, user: str) -> None:
        """Take everything out of the user's cart."""
        await self.cache.remove(user)
