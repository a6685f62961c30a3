"""Exceptions of the boutique as gRPC statuses, and back: the site shows the same pages for them."""

import functools
from contextlib import contextmanager

import grpc
from boutique.shop.catalog import UnknownProductError
from boutique.shop.currency import UnknownCurrencyError
from boutique.shop.orders import EmptyCartError
from boutique.shop.payment import CardError

NAME = "refusal"  # the key of the trailing metadata that tells which


def refusing(method):
    """A servicer's method whose exceptions of the boutique become statuses."""

    @functools.wraps(method)
    async def call(self, request, context):
        try:
            return await method(self, request, context)
        except UnknownProductError as error:
            name, code, details = "product", grpc.StatusCode.NOT_FOUND, error.product_id
        except UnknownCurrencyError as error:
            name, code, details = "currency", grpc.StatusCode.INVALID_ARGUMENT, error.code
        except EmptyCartError as error:
            name, code, details = "cart", grpc.StatusCode.FAILED_PRECONDITION, str(error)
        except CardError as error:
            name, code, details = "card", grpc.StatusCode.FAILED_PRECONDITION, str(error)
        await context.abort(code, details, ((NAME, name),))

    return call


@contextmanager
def raising():
    """Raises the boutique's exception for a status that stands for one."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raised = refusal_of(error)
        if raised is None:
            raise
        raise raised from None


def refusal_of(error):
    """The boutique's exception that the service raised, or None."""
    name = dict(error.trailing_metadata() or ()).get(NAME)
    match name:
        case "product":
            return UnknownProductError(error.details())
        case "currency":
            return UnknownCurrencyError(error.details())
        case "cart":
            return EmptyCartError()
        case "card":
            return CardError(error.details())
    return None
