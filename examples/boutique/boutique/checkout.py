"""The component that turns a cart into an order: it asks all the others, one after the other."""

import logging
from uuid import uuid4

import weaver
from boutique.cart import Cart
from boutique.catalog import Catalog
from boutique.currency import Currency
from boutique.email import Email
from boutique.payment import Payment
from boutique.shipping import Shipping
from boutique.shop.cart import CartItem
from boutique.shop.money import Money
from boutique.shop.orders import EmptyCartError, Order, OrderItem, OrderRequest, total_cost

log = logging.getLogger(__name__)


@weaver.component
class Checkout:
    cart: Cart
    catalog: Catalog
    currency: Currency
    email: Email
    payment: Payment
    shipping: Shipping

    async def place_order(self, request: OrderRequest) -> Order:
        """Charge, ship and confirm. Raises EmptyCartError, CardError, UnknownCurrencyError.

        Not idempotent. When shipping fails the customer has paid: a real shop would pay back.
        """
        items = await self.cart.get_cart(request.user)
        if not items:
            raise EmptyCartError
        lines = [await self._priced(item, request.currency) for item in items]
        shipping_cost = await self._shipping_cost(request, items)
        await self.payment.charge(total_cost(lines, shipping_cost), request.card)
        tracking_id = await self.shipping.ship(request.address, items)
        order = Order(str(uuid4()), tracking_id, shipping_cost, request.address, lines)
        await self._finish(request, order)
        return order

    async def _priced(self, item: CartItem, currency: str) -> OrderItem:
        product = await self.catalog.get_product(item.product_id)
        return OrderItem(item, await self.currency.convert(product.price, currency))

    async def _shipping_cost(self, request: OrderRequest, items: list[CartItem]) -> Money:
        quote = await self.shipping.quote(request.address, items)
        return await self.currency.convert(quote, request.currency)

    async def _finish(self, request: OrderRequest, order: Order) -> None:
        """What may fail without undoing the order, which is paid by now."""
        try:
            await self.cart.empty_cart(request.user)
        except Exception:
            log.exception("order %s: the cart could not be emptied", order.id)
        try:
            await self.email.send_confirmation(request.email, order)
        except Exception:
            log.exception("order %s: the confirmation could not be sent", order.id)
