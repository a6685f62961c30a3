"""Values of the boutique as protobuf messages, and back."""

from functools import lru_cache

from boutique.shop.ads import Ad
from boutique.shop.cart import CartItem
from boutique.shop.catalog import Product
from boutique.shop.money import Money
from boutique.shop.orders import Order, OrderItem, OrderRequest
from boutique.shop.payment import Card
from boutique.shop.shipping import Address
from grpc_baseline.generated import pb


def from_money(value):
    return pb.Money(currency=value.currency, units=value.units, nanos=value.nanos)


def to_money(message):
    return Money(message.currency, message.units, message.nanos)


def from_item(value):
    return pb.Item(product_id=value.product_id, quantity=value.quantity)


def from_items(values):
    return [pb.Item(product_id=value.product_id, quantity=value.quantity) for value in values]


def to_item(message):
    return CartItem(message.product_id, message.quantity)


def to_items(messages):
    return [CartItem(message.product_id, message.quantity) for message in messages]


@lru_cache(maxsize=64)  # products do not change: their messages are made once
def from_product(value):
    return pb.Product(
        id=value.id,
        name=value.name,
        description=value.description,
        picture=value.picture,
        price=from_money(value.price),
        categories=value.categories,
    )


def to_product(message):
    return Product(
        message.id,
        message.name,
        message.description,
        message.picture,
        to_money(message.price),
        tuple(message.categories),
    )


def from_address(value):
    return pb.Address(
        street=value.street,
        city=value.city,
        state=value.state,
        country=value.country,
        zip_code=value.zip_code,
    )


def to_address(message):
    return Address(message.street, message.city, message.state, message.country, message.zip_code)


def from_card(value):
    return pb.Card(number=value.number, cvv=value.cvv, year=value.year, month=value.month)


def to_card(message):
    return Card(message.number, message.cvv, message.year, message.month)


def from_order(value):
    return pb.Order(
        id=value.id,
        tracking_id=value.tracking_id,
        shipping_cost=from_money(value.shipping_cost),
        address=from_address(value.address),
        items=[
            pb.OrderLine(item=from_item(line.item), cost=from_money(line.cost)) for line in value.items
        ],
    )


def to_order(message):
    lines = [OrderItem(to_item(line.item), to_money(line.cost)) for line in message.items]
    return Order(
        message.id,
        message.tracking_id,
        to_money(message.shipping_cost),
        to_address(message.address),
        lines,
    )


def from_request(value):
    return pb.OrderRequest(
        user=value.user,
        currency=value.currency,
        address=from_address(value.address),
        email=value.email,
        card=from_card(value.card),
    )


def to_request(message):
    return OrderRequest(
        message.user,
        message.currency,
        to_address(message.address),
        message.email,
        to_card(message.card),
    )


def from_ad(value):
    return pb.Ad(url=value.url, text=value.text)


def to_ad(message):
    return Ad(message.url, message.text)
