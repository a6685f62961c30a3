"""What is refused or warned of before a version follows another one."""

import pytest

from weaver.packaging.compatibility import Conflict, conflicts
from weaver.packaging.manifest import (
    Manifest,
    ManifestComponent,
    ManifestMethod,
    ManifestSetting,
)


def cart(*methods: ManifestMethod, secrets: tuple[str, ...] = ()) -> ManifestComponent:
    settings = (ManifestSetting("capacity", "int"),)
    return ManifestComponent(
        "shop.Cart", "Cart", "shop.py:3", methods, settings=settings, secrets=secrets
    )


def version(
    config: str = "", *components: ManifestComponent, listeners: tuple[str, ...] = ("http",)
) -> Manifest:
    return Manifest(
        "0.1", "shop", "shop:Web", components=components, listeners=listeners, config=config
    )


def routed(by: str | None, key_type: str = "str") -> ManifestMethod:
    return ManifestMethod("add", "async", "(user: str)", routed_by=by, key_type=key_type)


HTTP = '[listeners.http]\naddress = "127.0.0.1:8080"\n'


def only(old: Manifest, new: Manifest) -> Conflict:
    (found,) = conflicts(old, new)
    return found


def test_equal_versions_have_no_conflict() -> None:
    one = version(HTTP + "[components.Cart]\ncapacity = 1\n", cart(routed("user")))
    assert conflicts(one, one) == ()


def test_what_is_added_is_no_conflict() -> None:
    new = version(
        HTTP + '[listeners.admin]\naddress = "127.0.0.1:9"\n[components.Cart]\ncapacity = 1\n',
        cart(routed("user")),
        listeners=("http", "admin"),
    )
    assert conflicts(version(HTTP), new) == ()


def test_a_removed_listener_is_refused() -> None:
    found = only(version(HTTP), version(listeners=()))
    assert found.severity == "refuse"
    assert 'no listener "http"' in found.what
    assert "127.0.0.1:8080" in found.why


def test_a_renamed_listener_is_refused_by_its_name() -> None:
    new = version(HTTP.replace("http", "web"), listeners=("web",))
    found = only(version(HTTP), new)
    assert found.severity == "refuse"
    assert 'is called "web"' in found.what


def test_a_moved_listener_is_refused_but_not_one_whose_port_the_system_chooses() -> None:
    found = only(version(HTTP), version(HTTP.replace("8080", "8081")))
    assert found.severity == "refuse"
    assert "from 127.0.0.1:8080 to 127.0.0.1:8081" in found.what
    assert conflicts(version(), version('[listeners.http]\naddress = "127.0.0.1:0"\n')) == ()


@pytest.mark.parametrize("first", [True, False])
def test_turning_encryption_on_or_off_is_refused(first: bool) -> None:
    plain, tls = version(HTTP), version(HTTP + 'tls = { cert = "c", key = "k" }\n')
    found = only(plain, tls) if first else only(tls, plain)
    assert found.severity == "refuse"
    assert ("from http to https" if first else "from https to http") in found.what


def test_another_certificate_is_no_conflict() -> None:
    one, other = (version(HTTP + f'tls = {{ cert = "{c}", key = "k" }}\n') for c in "ab")
    assert conflicts(one, other) == ()


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (routed(None), "no longer routed (by user)"),
        (routed("basket"), "routed by basket rather than by user"),
        (routed("user", "int"), "is int rather than str"),
    ],
)
def test_another_routing_key_is_warned_of(after: ManifestMethod, said: str) -> None:
    found = only(version("", cart(routed("user"))), version("", cart(after)))
    assert found.severity == "warn"
    assert said in found.what
    assert found.where == "shop.py:3"


def test_a_key_type_that_an_older_weaver_did_not_tell_is_no_conflict() -> None:
    old = version("", cart(routed("user", "")))
    assert conflicts(old, version("", cart(routed("user")))) == ()


def test_a_routed_component_that_is_gone_is_warned_of() -> None:
    found = only(version("", cart(routed("user"))), version())
    assert found.severity == "warn"
    assert "no component Cart" in found.what
    assert conflicts(version("", cart()), version()) == ()


def test_a_setting_that_is_no_longer_written_is_warned_of_with_its_value() -> None:
    old = version("[components.Cart]\ncapacity = 5000\n", cart())
    found = only(old, version("", cart()))
    assert found.severity == "warn"
    assert found.what == "Cart.capacity is no longer set"
    assert "5000" in found.why
    assert "default" in found.why


def test_another_source_of_a_secret_is_warned_of_by_name() -> None:
    old, new = (
        version(f'[components.Cart]\ntoken = {{ env = "{name}" }}\n', cart(secrets=("token",)))
        for name in ("OLD", "NEW")
    )
    found = only(old, new)
    assert found.severity == "warn"
    assert "environment NEW" in found.what
    assert "environment OLD" in found.fix


def test_a_new_secret_that_is_written_nowhere_is_warned_of() -> None:
    found = only(version("", cart()), version("", cart(secrets=("token",))))
    assert "secret Cart.token is new" in found.what
    assert "WEAVER__COMPONENTS__CART__TOKEN" in found.fix


def test_what_is_refused_comes_first() -> None:
    old = version(HTTP, cart(routed("user")))
    found = conflicts(old, version("", cart(routed(None)), listeners=()))
    assert [conflict.severity for conflict in found] == ["refuse", "warn"]
