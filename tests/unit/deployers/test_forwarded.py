"""Which variables of this machine go to other hosts, and what is said of those that are missing."""

from pathlib import Path

import pytest

from weaver.config.configuration import Config
from weaver.config.load import load
from weaver.deployers.forwarded import forwarded
from weaver.errors import ConfigError

TEXT = """
[app]
name = "shop"
[components.Cart]
capacity = 3
token = { env = "CART_TOKEN" }
[components."shop.Mail"]
password = { file = "mail.secret" }
"""


def config() -> Config:
    return load(TEXT)


def test_what_sets_values_and_what_secrets_name_is_forwarded_and_nothing_else(
    tmp_path: Path,
) -> None:
    (tmp_path / "mail.secret").write_text("hush\n")
    environ = {"HOME": "/root", "CART_TOKEN": "t", "WEAVER__COMPONENTS__CART__CAPACITY": "4"}
    assert forwarded(config(), environ, tmp_path) == {
        "CART_TOKEN": "t",
        "WEAVER__COMPONENTS__CART__CAPACITY": "4",
        "WEAVER__COMPONENTS__SHOP_MAIL__PASSWORD": "hush",
    }


def test_a_variable_stands_above_a_file(tmp_path: Path) -> None:
    name = "WEAVER__COMPONENTS__SHOP_MAIL__PASSWORD"
    found = forwarded(config(), {"CART_TOKEN": "t", name: "set"}, tmp_path)
    assert found[name] == "set"


def test_all_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        forwarded(config(), {}, tmp_path)
    text = str(caught.value)
    assert "variable CART_TOKEN is not set" in text
    assert "file mail.secret" in text
    assert "weaver.toml:6" in text
