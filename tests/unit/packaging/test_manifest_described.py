"""What the manifest tells of components, so that two versions can be compared without running."""

import dataclasses

import weaver
from weaver.application.describe import describe_component
from weaver.component.graph import build_graph
from weaver.packaging.manifest import (
    Manifest,
    ManifestComponent,
    ManifestSetting,
    decode,
    encode,
)


@dataclasses.dataclass
class Settings:
    capacity: int
    currency: str = "EUR"


@weaver.component
class Till:
    config: Settings
    token: weaver.Secret[str]

    @weaver.routed(by="customer")
    async def add(self, customer: str, amount: int) -> int:
        return amount


def described() -> ManifestComponent:
    graph, problems = build_graph([Till])
    assert not problems
    (component,) = graph.components.values()
    return describe_component(graph, component)


def test_it_names_settings_secrets_and_the_type_of_keys() -> None:
    till = described()
    assert till.settings == (
        ManifestSetting("capacity", "int", required=True),
        ManifestSetting("currency", "str"),
    )
    assert till.secrets == ("token",)
    (add,) = till.methods
    assert (add.routed_by, add.key_type) == ("customer", "str")


def test_one_of_an_older_weaver_does_not_tell() -> None:
    old = b'{"weaver":"0.1","app":"a","entry":"a:A","components":[{"name":"a.A","short_name":"A"}]}'
    (component,) = decode(old, "x").components
    assert (component.settings, component.secrets) == (None, None)


def test_it_is_read_as_it_was_written() -> None:
    manifest = Manifest("0.1", "shop", "shop:Till", components=(described(),))
    assert decode(encode(manifest), "x") == manifest
