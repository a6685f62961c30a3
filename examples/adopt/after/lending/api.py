"""The library on the web."""

from datetime import UTC, datetime

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

import weaver

from .books import Book, Books, UnknownBookError
from .labels import Labels
from .loans import Loan, Loans, NotAvailableError

app = FastAPI(title="Lending")

books = weaver.use(Books)
labels = weaver.use(Labels)
loans = weaver.use(Loans)


@app.get("/books")
async def all_books() -> list[Book]:
    return await books.all()


@app.get("/books/{isbn}/label.svg")
def label(isbn: str) -> Response:
    return Response(labels.svg(isbn), media_type="image/svg+xml")


@app.post("/loans")
async def lend(isbn: str, member: str) -> Loan:
    return await loans.lend(isbn, member, datetime.now(UTC).date())


@app.get("/loans/{member}")
async def loans_of(member: str) -> list[Loan]:
    return await loans.of(member)


@app.exception_handler(UnknownBookError)
async def unknown(_request: object, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 404)


@app.exception_handler(NotAvailableError)
async def not_available(_request: object, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 409)
