"""The component that serves the web site, and the entry of the application."""

import weaver
from boutique.ads import Ads
from boutique.cart import Cart
from boutique.catalog import Catalog
from boutique.checkout import Checkout
from boutique.currency import Currency
from boutique.recommendation import Recommendation
from boutique.shipping import Shipping
from boutique.site.app import make_app
from boutique.site.services import Services

AD_TIMEOUT = 0.1  # seconds: a page does not wait longer for an ad


@weaver.component
class Web:
    ads: Ads
    cart: Cart
    catalog: Catalog
    checkout: Checkout
    currency: Currency
    recommendation: Recommendation
    shipping: Shipping
    http: weaver.Listener

    async def main(self) -> None:
        """Serve the site until the application is asked to stop."""
        services = Services(
            ads=weaver.options(self.ads, timeout=AD_TIMEOUT),
            cart=self.cart,
            catalog=self.catalog,
            checkout=self.checkout,
            currency=self.currency,
            recommendation=self.recommendation,
            shipping=self.shipping,
        )
        here = weaver.deployment()
        served_by = {
            "version": here.version,
            "deployment": here.deployment,
            "group": here.group,
            "replica": here.replica,
            "host": here.host,
        }
        await self.http.serve(make_app(services, served_by))
