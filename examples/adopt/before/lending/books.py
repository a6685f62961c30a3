"""The books of the library."""

from pydantic import BaseModel


class Book(BaseModel):
    isbn: str
    title: str
    copies: int


class UnknownBookError(LookupError):
    def __init__(self, isbn: str) -> None:
        super().__init__(f"the library has no book {isbn}")
        self.isbn = isbn


class Books:
    def __init__(self) -> None:
        self._books = {book.isbn: book for book in _SHELF}

    async def all(self) -> list[Book]:
        return list(self._books.values())

    async def find(self, isbn: str) -> Book:
        if isbn not in self._books:
            raise UnknownBookError(isbn)
        return self._books[isbn]


_SHELF = (
    Book(isbn="9780141439518", title="Pride and Prejudice", copies=2),
    Book(isbn="9780141439556", title="Wuthering Heights", copies=1),
    Book(isbn="9780141439570", title="The Picture of Dorian Gray", copies=1),
)
