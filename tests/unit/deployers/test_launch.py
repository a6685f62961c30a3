import pytest

from weaver.deployers.launch import entry_name, spec_of
from weaver.errors import ConfigError
from weaver.packaging.manifest import Manifest, ManifestComponent

COMPONENTS = (
    ManifestComponent("shop.Web", "Web", references=("shop.Cart",), listeners=("http",)),
    ManifestComponent("shop.Cart", "Cart"),
)


def manifest(config: str = "", entry: str = "shop:Web") -> Manifest:
    return Manifest("0.1", "shop", entry, components=COMPONENTS, config=config)


def test_a_foreground_run_ends_with_its_manager_and_a_deployment_goes_on() -> None:
    foreground = spec_of(manifest(), "build", foreground=True)
    assert (foreground.foreground, foreground.on_manager_lost) == (True, "end")
    detached = spec_of(manifest(), "build", foreground=False)
    assert (detached.foreground, detached.on_manager_lost) == (False, "continue")
    assert foreground.application.version == "build"
    assert foreground.application.deployment != detached.application.deployment


def test_groups_listeners_and_entry_come_from_the_manifest() -> None:
    config = '[groups.all]\ncomponents = ["Web", "Cart"]\nreplicas = 3\n'
    config += '[listeners.http]\naddress = "127.0.0.1:0"\n'
    (group,) = spec_of(manifest(config), "build", foreground=True).groups.values()
    assert set(group.components) == {"shop.Web", "shop.Cart"}
    assert (group.entry, group.replicas) == ("shop.Web", 3)
    assert group.listeners == {"http": "127.0.0.1:0"}


def test_code_comes_from_the_pex_alone() -> None:
    assert spec_of(manifest(), "build", foreground=True).application.project == ""


def test_an_existing_web_application_is_its_own_entry() -> None:
    component = ManifestComponent("shop.api.app", "app", listeners=("http",))
    found = Manifest("0.1", "shop", "shop.api:app", components=(component,))
    assert entry_name(found) == "shop.api.app"


def test_certificates_are_made_when_tls_is_always_wanted_and_keep_their_key_to_themselves() -> None:
    assert spec_of(manifest(), "build", foreground=True).application.certificates is None
    wanted = spec_of(manifest('[app]\ntls = "always"\n'), "build", foreground=True)
    certificates = wanted.application.certificates
    assert certificates is not None
    assert certificates.always
    assert b"PRIVATE KEY" in certificates.key
    assert "PRIVATE KEY" not in repr(wanted)


def test_unknown_names_are_refused_before_anything_starts() -> None:
    with pytest.raises(ConfigError, match="Crat"):
        spec_of(manifest('[groups.a]\ncomponents = ["Crat"]\n'), "build", foreground=True)
