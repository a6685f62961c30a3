import weaver


@weaver.component
class Greeter:
    @weaver.idempotent
    async def greet(self, name: str) -> str:
        return f"Hello, {name}!"


@weaver.component
class Hello:
    greeter: Greeter

    async def main(self) -> None:
        print(await self.greeter.greet("world"))


if __name__ == "__main__":
    weaver.run(Hello)
