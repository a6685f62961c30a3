"""The boutique's components as gRPC services: each method converts, and calls the component."""

from grpc_baseline import messages as m
from grpc_baseline.generated import pb, pb_grpc
from grpc_baseline.refusals import refusing

NOTHING = pb.Nothing()


class Ads(pb_grpc.AdsServicer):
    def __init__(self, component):
        self._ads = component

    async def GetAds(self, request, context):
        ads = await self._ads.get_ads(list(request.categories))
        return pb.AdList(ads=[m.from_ad(ad) for ad in ads])


class Cart(pb_grpc.CartServicer):
    def __init__(self, component):
        self._cart = component

    async def GetCart(self, request, context):
        return pb.Items(items=m.from_items(await self._cart.get_cart(request.user)))

    async def AddItem(self, request, context):
        await self._cart.add_item(request.user, m.to_item(request.item))
        return NOTHING

    async def EmptyCart(self, request, context):
        await self._cart.empty_cart(request.user)
        return NOTHING


class CartCache(pb_grpc.CartCacheServicer):
    def __init__(self, component):
        self._cache = component

    async def Get(self, request, context):
        items = await self._cache.get(request.user)
        return pb.FoundItems(found=items is not None, items=m.from_items(items or ()))

    async def Put(self, request, context):
        await self._cache.put(request.user, m.to_items(request.items))
        return NOTHING

    async def Remove(self, request, context):
        await self._cache.remove(request.user)
        return NOTHING


class Catalog(pb_grpc.CatalogServicer):
    def __init__(self, component):
        self._catalog = component

    async def ListProducts(self, request, context):
        products = await self._catalog.list_products()
        return pb.Products(products=[m.from_product(product) for product in products])

    @refusing
    async def GetProduct(self, request, context):
        return m.from_product(await self._catalog.get_product(request.id))

    async def SearchProducts(self, request, context):
        products = await self._catalog.search_products(request.words)
        return pb.Products(products=[m.from_product(product) for product in products])


class Checkout(pb_grpc.CheckoutServicer):
    def __init__(self, component):
        self._checkout = component

    @refusing
    async def PlaceOrder(self, request, context):
        return m.from_order(await self._checkout.place_order(m.to_request(request)))


class Currency(pb_grpc.CurrencyServicer):
    def __init__(self, component):
        self._currency = component

    async def Supported(self, request, context):
        return pb.Codes(codes=await self._currency.supported())

    @refusing
    async def Convert(self, request, context):
        return m.from_money(await self._currency.convert(m.to_money(request.amount), request.to))


class Email(pb_grpc.EmailServicer):
    def __init__(self, component):
        self._email = component

    async def SendConfirmation(self, request, context):
        await self._email.send_confirmation(request.address, m.to_order(request.order))
        return NOTHING


class Payment(pb_grpc.PaymentServicer):
    def __init__(self, component):
        self._payment = component

    @refusing
    async def Charge(self, request, context):
        charged = self._payment.charge(m.to_money(request.amount), m.to_card(request.card))
        return pb.Transaction(id=await charged)


class Recommendation(pb_grpc.RecommendationServicer):
    def __init__(self, component):
        self._recommendation = component

    async def Recommend(self, request, context):
        ids = await self._recommendation.recommend(request.user, list(request.product_ids))
        return pb.ProductIds(product_ids=ids)


class Shipping(pb_grpc.ShippingServicer):
    def __init__(self, component):
        self._shipping = component

    async def Quote(self, request, context):
        quoted = self._shipping.quote(m.to_address(request.address), m.to_items(request.items))
        return m.from_money(await quoted)

    async def Ship(self, request, context):
        shipped = self._shipping.ship(m.to_address(request.address), m.to_items(request.items))
        return pb.Tracking(id=await shipped)


SERVICES = {
    "ads": (Ads, pb_grpc.add_AdsServicer_to_server),
    "cart": (Cart, pb_grpc.add_CartServicer_to_server),
    "cart_cache": (CartCache, pb_grpc.add_CartCacheServicer_to_server),
    "catalog": (Catalog, pb_grpc.add_CatalogServicer_to_server),
    "checkout": (Checkout, pb_grpc.add_CheckoutServicer_to_server),
    "currency": (Currency, pb_grpc.add_CurrencyServicer_to_server),
    "email": (Email, pb_grpc.add_EmailServicer_to_server),
    "payment": (Payment, pb_grpc.add_PaymentServicer_to_server),
    "recommendation": (Recommendation, pb_grpc.add_RecommendationServicer_to_server),
    "shipping": (Shipping, pb_grpc.add_ShippingServicer_to_server),
}
