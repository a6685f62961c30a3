import pytest

from weaver.deployers.launch import entry_name, spec_of
from weaver.deployers.multiprocess import HOST
from weaver.errors import ConfigError
from weaver.manager.hosts import HostSpec
from weaver.manager.state import Spec
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
    assert spec_of(manifest(), "build", foreground=True).hosts == {HOST: HostSpec()}
    wanted = spec_of(manifest('[app]\ntls = "always"\n'), "build", foreground=True)
    certificates = wanted.hosts[HOST].certificates
    assert certificates is not None
    assert certificates.always
    assert b"PRIVATE KEY" in certificates.key
    assert "PRIVATE KEY" not in repr(wanted)


def test_unknown_names_are_refused_before_anything_starts() -> None:
    with pytest.raises(ConfigError, match="Crat"):
        spec_of(manifest('[groups.a]\ncomponents = ["Crat"]\n'), "build", foreground=True)


HOSTS = {
    "web1": HostSpec(groups=("web",), address="10.0.0.1"),
    "web2": HostSpec(groups=("web",), labels=("big",), slots=2, address="10.0.0.2"),
}


def over_ssh(config: str = "", hosts: dict[str, HostSpec] = HOSTS) -> Spec:
    return spec_of(manifest(config), "build", foreground=False, hosts=hosts)


def test_each_host_gets_its_own_key_and_all_trust_one_authority() -> None:
    spec = over_ssh()
    one, two = (spec.hosts[name].certificates for name in HOSTS)
    assert one is not None
    assert two is not None
    assert one.ca == two.ca
    assert one.name == two.name
    assert one.key != two.key
    assert not one.always
    assert spec.application.certificates is None
    assert "PRIVATE KEY" not in repr(spec)
    assert {name: host.address for name, host in spec.hosts.items()} == {
        "web1": "10.0.0.1",
        "web2": "10.0.0.2",
    }


def test_a_host_alone_is_dialled_by_nobody() -> None:
    (host,) = over_ssh(hosts={"web1": HOSTS["web1"]}).hosts.values()
    assert (host.address, host.certificates) == ("", None)


def test_what_is_written_about_lost_hosts_and_managers_holds_over_ssh() -> None:
    spec = over_ssh('[ssh]\non_manager_lost = "stop after 10m"\nhost_grace = "5m"\n')
    assert (spec.on_manager_lost, spec.stop_after, spec.waits.moved) == ("stop", 600.0, 300.0)
    spec = over_ssh()
    assert (spec.on_manager_lost, spec.stop_after, spec.waits.moved) == ("continue", 0.0, 60.0)


SELECTING = '[groups.shop]\ncomponents = ["Cart"]\nreplicas = {count}\nhosts = [{hosts}]\n'


def test_hosts_of_groups_are_selected_over_ssh_and_ignored_on_this_machine() -> None:
    config = SELECTING.format(count=2, hosts='"web", "tag:big", "web1"')
    assert over_ssh(config).groups["shop"].hosts == ("web", "tag:big", "web1")
    here = spec_of(manifest(config), "build", foreground=True)
    assert here.groups["shop"].hosts == ()


def test_unknown_hosts_are_refused_with_what_may_be_meant() -> None:
    config = SELECTING.format(count=1, hosts='"web11", "tag:bg"') + "[components.Crat]\n"
    with pytest.raises(ConfigError) as refused:
        over_ssh(config)
    crat, one, two = refused.value.problems
    assert "Crat" in crat.what
    assert one.what == 'unknown host "web11" in [groups.shop] hosts'
    assert (one.where, two.where) == ("weaver.toml:4", "weaver.toml:4")
    assert '"web1"' in one.fix
    assert '"tag:big"' in two.fix


def test_more_replicas_than_slots_are_refused() -> None:
    with pytest.raises(ConfigError, match="to have 3 replicas, but there is room for 2") as refused:
        over_ssh(SELECTING.format(count=3, hosts='"tag:big"'))
    (problem,) = refused.value.problems
    assert "web2 has 2" in problem.why
    assert problem.fix


@pytest.mark.parametrize("address", ["", "0.0.0.0", "::"])
def test_hosts_that_others_cannot_dial_are_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="host b has no address that other hosts can dial"):
        over_ssh(hosts={"a": HOSTS["web1"], "b": HostSpec(address=address)})
