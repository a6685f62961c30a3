"""The component that exchanges currencies: the most called one of the shop."""

import weaver
from boutique.shop import currency
from boutique.shop.money import Money


@weaver.component
class Currency:
    @weaver.idempotent
    async def supported(self) -> list[str]:
        """The codes of all currencies that can be exchanged."""
        return currency.supported()

    @weaver.idempotent
    async def convert(self, amount: Money, to: str) -> Money:
        """The amount in another currency. Raises UnknownCurrencyError."""
        return currency.convert(amount, to)
