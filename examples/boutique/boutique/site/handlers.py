"""What happens on each page: which components are asked, in which order.

This file must not know how the pages look, nor what a cookie is made of.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from random import choice
from urllib.parse import urlsplit

from boutique import pages
from boutique.pages import CheckoutForm, Frame, Line, Offer
from boutique.shop.ads import Ad
from boutique.shop.cart import CartItem, pieces
from boutique.shop.catalog import Product
from boutique.shop.orders import EmptyCartError, total_cost
from boutique.shop.payment import CardError
from boutique.shop.shipping import NOWHERE
from boutique.site import forms
from boutique.site.forms import FormError
from boutique.site.http import Receive, Response, Scope, form, header, html, plain, see
from boutique.site.services import Services
from boutique.site.visit import CURRENCIES, Visit, forget, keep_currency

SHOWN = 4  # recommended products
PRODUCT = "/product/"

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Request:
    """One request as ASGI gives it, and whose visit it is."""

    scope: Scope
    receive: Receive
    visit: Visit


@dataclass(frozen=True)
class Handlers:
    """One method per page; `served_by` is shown at its foot."""

    services: Services
    served_by: tuple[tuple[str, str], ...]

    async def home(self, request: Request) -> Response:
        """GET /"""
        visit = request.visit
        currencies = await self._currencies()
        products = await self.services.catalog.list_products()
        items = await self.services.cart.get_cart(visit.session_id)
        offers = [await self._offer(product, visit.currency) for product in products]
        ad = await self._ad(())
        frame = self.frame(visit, currencies, pieces(items))
        return html(pages.home(frame, offers, ad))

    async def product(self, request: Request) -> Response:
        """GET /product/{product_id}"""
        visit = request.visit
        product = await self.services.catalog.get_product(request.scope["path"][len(PRODUCT) :])
        currencies = await self._currencies()
        items = await self.services.cart.get_cart(visit.session_id)
        offer = await self._offer(product, visit.currency)
        recommended = await self._recommended(visit, [product.id])
        ad = await self._ad(product.categories)
        frame = self.frame(visit, currencies, pieces(items))
        return html(pages.product(frame, offer, recommended, ad))

    async def cart(self, request: Request) -> Response:
        """GET /cart"""
        return await self._cart_page(request, _blank_form(_today()))

    async def add_to_cart(self, request: Request) -> Response:
        """POST /cart"""
        item = forms.cart_item(await form(request.scope, request.receive))
        await self.services.catalog.get_product(item.product_id)  # refuses what we do not sell
        await self.services.cart.add_item(request.visit.session_id, item)
        return see("/cart")

    async def _cart_page(self, request: Request, form: CheckoutForm) -> Response:
        visit = request.visit
        currencies = await self._currencies()
        items = await self.services.cart.get_cart(visit.session_id)
        recommended = await self._recommended(visit, [item.product_id for item in items])
        quote = await self.services.shipping.quote(NOWHERE, items)
        shipping = await self.services.currency.convert(quote, visit.currency)
        lines = [await self._line(item, visit.currency) for item in items]
        # A refused order is shown under /cart/checkout: a new currency could not lead back there.
        frame = self.frame(visit, () if form.errors else currencies, pieces(items))
        page = pages.cart(frame, lines, shipping, recommended, form)
        return html(page, 422 if form.errors else 200)

    async def empty_cart(self, request: Request) -> Response:
        """POST /cart/empty"""
        await self.services.cart.empty_cart(request.visit.session_id)
        return see("/")

    async def checkout(self, request: Request) -> Response:
        """POST /cart/checkout; with a field or card that is refused, the form once more."""
        visit = request.visit
        fields = await form(request.scope, request.receive)
        try:
            order = await self.services.checkout.place_order(forms.order_request(fields, visit))
        except (FormError, CardError, EmptyCartError) as error:
            return await self._cart_page(request, _refused_form(fields, error))
        await self._currencies()  # nothing on this page needs them: the original asks, too
        recommended = await self._recommended(visit, [])
        paid = total_cost(order.items, order.shipping_cost)
        return html(pages.order(self.frame(visit), order, paid, recommended))

    async def set_currency(self, request: Request) -> Response:
        """POST /setCurrency"""
        chosen = forms.currency(await form(request.scope, request.receive))
        response = see(_path_of(header(request.scope, b"referer")))
        response.headers.append(keep_currency(chosen))
        return response

    async def logout(self, request: Request) -> Response:
        """GET /logout"""
        response = see("/")
        response.headers += forget(request.scope)
        return response

    async def robots(self, _request: Request) -> Response:
        """GET /robots.txt"""
        return plain("User-agent: *\nDisallow: /")

    async def health(self, _request: Request) -> Response:
        """GET /_healthz"""
        return plain("ok")

    def frame(self, visit: Visit, currencies: tuple[str, ...] = (), cart_size: int = 0) -> Frame:
        """What is around the content of a page."""
        return Frame(
            visit.session_id,
            visit.request_id,
            visit.currency,
            self.served_by,
            currencies,
            cart_size,
        )

    async def _currencies(self) -> tuple[str, ...]:
        supported = await self.services.currency.supported()
        return tuple([code for code in supported if code in CURRENCIES])

    async def _offer(self, product: Product, currency: str) -> Offer:
        return Offer(product, await self.services.currency.convert(product.price, currency))

    async def _line(self, item: CartItem, currency: str) -> Line:
        product = await self.services.catalog.get_product(item.product_id)
        price = await self.services.currency.convert(product.price, currency)
        return Line(product, item.quantity, price * item.quantity)

    async def _recommended(self, visit: Visit, seen: list[str]) -> list[Product]:
        try:
            ids = await self.services.recommendation.recommend(visit.session_id, seen)
            found = [await self.services.catalog.get_product(product_id) for product_id in ids]
        except Exception:
            log.exception("a page goes without recommendations")
            return []
        return found[:SHOWN]

    async def _ad(self, categories: tuple[str, ...]) -> Ad | None:
        try:
            ads = await self.services.ads.get_ads(list(categories))
        except Exception as error:  # noqa: BLE001 # no ad is worth a page
            log.debug("a page goes without an ad: %s", error)
            return None
        return choice(ads) if ads else None


@lru_cache(maxsize=1)
def _blank_form(today: date) -> CheckoutForm:
    """The form before anybody has typed: one for all visitors of a day."""
    return CheckoutForm(forms.checkout_defaults(today), {}, today.year)


def _refused_form(
    fields: Mapping[str, str], error: FormError | CardError | EmptyCartError
) -> CheckoutForm:
    """What the form holds when it is shown again, and the message for each field.

    A card's number and code are not sent back.
    """
    return CheckoutForm(*_refusal(fields, error), _today().year)


def _refusal(
    fields: Mapping[str, str], error: FormError | CardError | EmptyCartError
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    values = {name: fields.get(name, "") for name in forms.checkout_defaults(_today())}
    values |= {"credit_card_number": "", "credit_card_cvv": ""}
    match error:
        case FormError():
            return values, error.errors
        case CardError():
            return values, {"credit_card_number": str(error)}
        case EmptyCartError():
            return values, {"cart": "There is nothing in your cart yet."}


def _path_of(referer: bytes) -> str:
    """The page of this site that a visitor came from; never another site."""
    try:
        parts = urlsplit(referer.decode("latin-1"))
    except ValueError:
        return "/"
    path = "/" + parts.path.lstrip("/\\")
    return f"{path}?{parts.query}" if parts.query else path


def _today() -> date:
    return datetime.now(UTC).date()
