"""The component that charges credit cards."""

import logging
from datetime import UTC, datetime
from uuid import uuid4

import weaver
from boutique.shop.money import Money
from boutique.shop.payment import Card, check_card, digits_of

log = logging.getLogger(__name__)


@weaver.component
class Payment:
    async def charge(self, amount: Money, card: Card) -> str:
        """Charge the card and return the transaction's id. Raises CardError.

        Not idempotent: nobody wants to pay twice.
        """
        card_type = check_card(card, datetime.now(UTC).date())
        log.debug("charged %s to %s ending %s", amount, card_type, digits_of(card.number)[-4:])
        return str(uuid4())
