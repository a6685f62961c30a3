"""Exceptions of the boutique as HTTP answers, and back: the site shows the same pages for them."""

from boutique.shop.catalog import UnknownProductError
from boutique.shop.currency import UnknownCurrencyError
from boutique.shop.orders import EmptyCartError
from boutique.shop.payment import CardError
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

STATUS = 409


def answer_refusals(app: FastAPI) -> None:
    """Make the app answer with a status where a component raises an exception of the boutique."""

    def answering(kind: type[Exception], name: str) -> None:
        async def answer(_request: Request, error: Exception) -> JSONResponse:
            text = getattr(error, "product_id", None) or getattr(error, "code", None) or str(error)
            return JSONResponse({"refusal": name, "text": text}, STATUS)

        app.add_exception_handler(kind, answer)

    answering(UnknownProductError, "product")
    answering(UnknownCurrencyError, "currency")
    answering(EmptyCartError, "cart")
    answering(CardError, "card")


def refusal_of(answer: dict[str, str]) -> Exception:
    """The exception that the service raised."""
    match answer["refusal"]:
        case "product":
            return UnknownProductError(answer["text"])
        case "currency":
            return UnknownCurrencyError(answer["text"])
        case "cart":
            return EmptyCartError()
        case _:
            return CardError(answer["text"])
