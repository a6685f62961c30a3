"""Clients with the methods of the boutique's components, over persistent channels."""

from boutique.web import AD_TIMEOUT
from grpc_baseline import messages as m
from grpc_baseline.generated import pb, pb_grpc
from grpc_baseline.refusals import raising

NOTHING = pb.Nothing()


class Ads:
    def __init__(self, channel):
        self._get_ads = pb_grpc.AdsStub(channel).GetAds

    async def get_ads(self, categories):
        found = await self._get_ads(pb.Categories(categories=categories), timeout=AD_TIMEOUT)
        return [m.to_ad(ad) for ad in found.ads]


class Cart:
    def __init__(self, channel):
        self._stub = pb_grpc.CartStub(channel)

    async def get_cart(self, user):
        return m.to_items((await self._stub.GetCart(pb.User(user=user))).items)

    async def add_item(self, user, item):
        await self._stub.AddItem(pb.UserItem(user=user, item=m.from_item(item)))

    async def empty_cart(self, user):
        await self._stub.EmptyCart(pb.User(user=user))


class CartCache:
    def __init__(self, channel):
        self._stub = pb_grpc.CartCacheStub(channel)

    async def get(self, user):
        answer = await self._stub.Get(pb.User(user=user))
        return m.to_items(answer.items) if answer.found else None

    async def put(self, user, items):
        await self._stub.Put(pb.UserItems(user=user, items=m.from_items(items)))

    async def remove(self, user):
        await self._stub.Remove(pb.User(user=user))


class Catalog:
    def __init__(self, channel):
        self._stub = pb_grpc.CatalogStub(channel)

    async def list_products(self):
        answer = await self._stub.ListProducts(NOTHING)
        return [m.to_product(product) for product in answer.products]

    async def get_product(self, product_id):
        with raising():
            return m.to_product(await self._stub.GetProduct(pb.ProductId(id=product_id)))

    async def search_products(self, words):
        answer = await self._stub.SearchProducts(pb.Words(words=words))
        return [m.to_product(product) for product in answer.products]


class Checkout:
    def __init__(self, channel):
        self._stub = pb_grpc.CheckoutStub(channel)

    async def place_order(self, request):
        with raising():
            return m.to_order(await self._stub.PlaceOrder(m.from_request(request)))


class Currency:
    def __init__(self, channel):
        self._stub = pb_grpc.CurrencyStub(channel)

    async def supported(self):
        return list((await self._stub.Supported(NOTHING)).codes)

    async def convert(self, amount, to):
        with raising():
            asked = pb.Conversion(amount=m.from_money(amount), to=to)
            return m.to_money(await self._stub.Convert(asked))


class Email:
    def __init__(self, channel):
        self._stub = pb_grpc.EmailStub(channel)

    async def send_confirmation(self, address, order):
        await self._stub.SendConfirmation(pb.Confirmation(address=address, order=m.from_order(order)))


class Payment:
    def __init__(self, channel):
        self._stub = pb_grpc.PaymentStub(channel)

    async def charge(self, amount, card):
        with raising():
            asked = pb.Charge(amount=m.from_money(amount), card=m.from_card(card))
            return (await self._stub.Charge(asked)).id


class Recommendation:
    def __init__(self, channel):
        self._stub = pb_grpc.RecommendationStub(channel)

    async def recommend(self, user, product_ids):
        answer = await self._stub.Recommend(pb.Seen(user=user, product_ids=product_ids))
        return list(answer.product_ids)


class Shipping:
    def __init__(self, channel):
        self._stub = pb_grpc.ShippingStub(channel)

    async def quote(self, address, items):
        parcel = pb.Parcel(address=m.from_address(address), items=m.from_items(items))
        return m.to_money(await self._stub.Quote(parcel))

    async def ship(self, address, items):
        parcel = pb.Parcel(address=m.from_address(address), items=m.from_items(items))
        return (await self._stub.Ship(parcel)).id


CLIENTS = {
    "ads": Ads,
    "cart": Cart,
    "cart_cache": CartCache,
    "catalog": Catalog,
    "checkout": Checkout,
    "currency": Currency,
    "email": Email,
    "payment": Payment,
    "recommendation": Recommendation,
    "shipping": Shipping,
}
