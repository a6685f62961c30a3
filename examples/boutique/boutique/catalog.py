"""The component that knows the products."""

import weaver
from boutique.shop import catalog
from boutique.shop.catalog import Product


@weaver.component
class Catalog:
    @weaver.idempotent
    async def list_products(self) -> list[Product]:
        """All products, in the order of the shop window."""
        return catalog.products()

    @weaver.idempotent
    async def get_product(self, product_id: str) -> Product:
        """One product. Raises UnknownProductError."""
        return catalog.product(product_id)

    @weaver.idempotent
    async def search_products(self, words: str) -> list[Product]:
        """The products whose name or description contains the words."""
        return catalog.search(words)
