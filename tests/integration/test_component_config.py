"""Config sections and secrets on their way into components."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

import weaver
from weaver.errors import ConfigError
from weaver.testing import TestApp

MakeApp = Callable[..., TestApp]


@dataclass
class ShopConfig:
    dsn: str
    size: int = 10


@weaver.component
class Shop:
    config: ShopConfig
    token: weaver.Secret[str]

    async def show(self) -> tuple[str, int, str]:
        return self.config.dsn, self.config.size, repr(self.token)


async def test_missing_and_wrong_config_is_reported_at_once(weaver_app: MakeApp) -> None:
    with pytest.raises(ConfigError) as caught:
        async with weaver_app(Shop, config={"Shop": {"size": "big"}}):
            pass
    text = str(caught.value)
    assert "dsn" in text
    assert "size" in text
    assert "token" in text
    assert "WEAVER__COMPONENTS__SHOP__TOKEN" in text


async def test_config_and_secrets_reach_the_component(
    weaver_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "hunter2")
    config = {"Shop": {"dsn": "db", "token": {"env": "SHOP_TOKEN"}}}
    async with weaver_app(Shop, config=config) as app:
        assert await app.get(Shop).show() == ("db", 10, "Secret('***')")
    async with weaver_app(Shop, config={Shop: {"dsn": "x", "token": {"env": "SHOP_TOKEN"}}}) as app:
        assert (await app.get(Shop).show())[0] == "x"


async def test_config_for_a_component_that_does_not_exist(weaver_app: MakeApp) -> None:
    with pytest.raises(ConfigError, match="Shpo") as caught:
        async with weaver_app(Shop, config={"Shpo": {}}):
            pass
    assert caught.value.problems[0].fix
