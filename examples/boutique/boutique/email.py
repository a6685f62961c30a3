"""The component that writes to customers. It logs what a real one would send."""

import logging

import weaver
from boutique.shop.email import confirmation
from boutique.shop.orders import Order

log = logging.getLogger(__name__)


@weaver.component
class Email:
    async def send_confirmation(self, address: str, order: Order) -> None:
        """Confirm an order by e-mail."""
        text = confirmation(order)
        log.debug("confirmation of order %s to %s: %d characters", order.id, address, len(text))
