"""Who has which book, and until when."""

from dataclasses import dataclass
from datetime import date, timedelta

from pydantic import BaseModel

from .books import Book, Books


class Loan(BaseModel):
    member: str
    book: Book
    due: date


class NotAvailableError(Exception):
    def __init__(self, title: str) -> None:
        super().__init__(f"all copies of {title} are lent")
        self.title = title


@dataclass
class LoanSettings:
    days: int = 14


class Loans:
    def __init__(self, books: Books, settings: LoanSettings) -> None:
        self._books = books
        self._settings = settings
        self._loans: list[Loan] = []

    async def lend(self, isbn: str, member: str, today: date) -> Loan:
        book = await self._books.find(isbn)
        if sum(loan.book.isbn == isbn for loan in self._loans) >= book.copies:
            raise NotAvailableError(book.title)
        loan = Loan(member=member, book=book, due=today + timedelta(days=self._settings.days))
        self._loans.append(loan)
        return loan

    async def of(self, member: str) -> list[Loan]:
        return [loan for loan in self._loans if loan.member == member]
