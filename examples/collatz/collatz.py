"""Two components that call each other: how many steps does a number take to come down to 1?

An even number is halved, an odd one is tripled and one more; each component knows one half of the
rule, and asks the other for the rest. Every step of the way is a call that waits for the next.
"""

from dataclasses import dataclass

import weaver


@dataclass(frozen=True)
class CollatzConfig:
    """[components.Collatz] in weaver.toml."""

    number: int = 27


@weaver.component
class Even:
    odd: "Odd"

    @weaver.idempotent
    async def steps(self, number: int) -> int:
        """How many steps an even number takes."""
        half = number // 2
        return 1 + await (self.odd.steps(half) if half % 2 else self.steps(half))


@weaver.component
class Odd:
    even: Even

    @weaver.idempotent
    async def steps(self, number: int) -> int:
        """How many steps an odd number takes."""
        return 0 if number == 1 else 1 + await self.even.steps(3 * number + 1)


@weaver.component
class Collatz:
    even: Even
    odd: Odd
    config: CollatzConfig

    async def main(self) -> None:
        number = self.config.number
        if number < 1:
            raise ValueError(f"{number} is not a positive number")
        steps = await (self.odd.steps(number) if number % 2 else self.even.steps(number))
        print(f"{number} takes {steps} steps")


if __name__ == "__main__":
    weaver.run(Collatz)
