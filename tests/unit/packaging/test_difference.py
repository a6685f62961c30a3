"""What `weaver diff` finds between two versions, before it is shown."""

from weaver.packaging.difference import Change, difference
from weaver.packaging.manifest import Manifest, ManifestComponent, ManifestMethod
from weaver.packaging.snapshot import Snapshot

GET = ManifestMethod("get", "async", "(user: str) -> int", routed_by="user", idempotent=True)
CART = ManifestComponent("shop.Cart", "Cart", methods=(GET,), secrets=("token",))
WEB = ManifestComponent("shop.Web", "Web", references=("shop.Cart",), listeners=("http",))


def version(
    *components: ManifestComponent,
    config: str = "",
    wheels: tuple[str, ...] = (),
    files: dict[str, str] | None = None,
    weaver: str = "0.1",
    python: str = "3.11",
    groups: dict[str, tuple[str, ...]] | None = None,
) -> Snapshot:
    listeners = tuple(name for c in components for name in c.listeners)
    manifest = Manifest(
        weaver,
        "shop",
        "shop:Web",
        components=components,
        listeners=listeners,
        config=config,
        python=python,
        groups=groups or {},
    )
    return Snapshot(build_id="", manifest=manifest, wheels=wheels, files=files or {})


def only(old: Snapshot, new: Snapshot) -> Change:
    (found,) = difference(old, new)
    return found


def test_a_version_does_not_differ_from_itself() -> None:
    one = version(WEB, CART, config="[app]\nthreads = 2\n", wheels=("a-1-py3-none-any.whl",))
    assert difference(one, one) == ()


def test_components_come_and_go_without_their_methods() -> None:
    assert only(version(), version(CART)) == Change(
        "component", "added", "shop.Cart", after="1 method"
    )
    assert only(version(CART), version()).what == "removed"


def test_a_method_shows_all_that_callers_know_of_it() -> None:
    other = ManifestComponent(
        "shop.Cart",
        "Cart",
        methods=(ManifestMethod("get", "stream", "(user: int) -> str"),),
        secrets=("token",),
    )
    assert only(version(CART), version(other)) == Change(
        "method",
        "changed",
        "shop.Cart.get",
        "async get(user: str) -> int  [routed by user, idempotent]",
        "stream get(user: int) -> str",
    )


def test_methods_and_calls_of_kept_components_come_and_go() -> None:
    more = ManifestComponent("shop.Web", "Web", listeners=("http",), methods=(GET,))
    found = difference(version(WEB, CART), version(more, CART))
    assert found == (
        Change(
            "method",
            "added",
            "shop.Web.get",
            after="async get(user: str) -> int  [routed by user, idempotent]",
        ),
        Change("call", "removed", "shop.Web -> shop.Cart"),
    )


def test_listeners_and_groups_are_told_key_by_key() -> None:
    old = version(
        WEB,
        config='[listeners.http]\naddress = "127.0.0.1:1"\n[groups.a]\ncomponents = ["Web"]\n',
        groups={"a": ("shop.Web",)},
    )
    new = version(
        WEB,
        config='[listeners.http]\naddress = "127.0.0.1:2"\n'
        '[groups.a]\ncomponents = ["Web"]\nreplicas = 2\n[groups.b]\ncomponents = []\n',
        groups={"a": ("shop.Web",), "b": ()},
    )
    assert difference(old, new) == (
        Change("listener", "changed", "http.address", '"127.0.0.1:1"', '"127.0.0.1:2"'),
        Change("group", "added", "b"),
        Change("group", "added", "a.replicas", after="2"),
    )


def test_dependencies_are_told_with_their_versions() -> None:
    old = version(wheels=("Jinja2-3.1-py3-none-any.whl", "typing_x-1-py3-none-any.whl"))
    new = version(wheels=("jinja2-3.2-py3-none-any.whl", "tomli-2-py3-none-any.whl"))
    assert difference(old, new) == (
        Change("dependency", "changed", "jinja2", "3.1", "3.2"),
        Change("dependency", "added", "tomli", after="2"),
        Change("dependency", "removed", "typing-x", before="1"),
    )


def test_weaver_and_python_are_told_and_weavers_files_only_counted() -> None:
    old = version(files={"weaver/a.py": "1", "shop/a.py": "1"})
    new = version(files={"weaver/a.py": "2", "shop/a.py": "2"}, python="3.12", weaver="0.2")
    assert difference(old, new) == (
        Change("weaver", "changed", "weaver", "0.1", "0.2 (1 file differs)"),
        Change("python", "changed", "Python", "3.11", "3.12"),
        Change("file", "changed", "shop/a.py"),
    )


def test_secrets_are_masked_and_their_change_is_seen_all_the_same() -> None:
    old, new = (version(CART, config=f'[app.env]\nDB_PASSWORD = "{word}"\n') for word in "ab")
    assert only(old, new) == Change("config", "changed", "app.env.DB_PASSWORD", "***", "***")


def test_the_source_of_a_secret_is_shown_and_a_password_in_an_address_is_not() -> None:
    text = '[components.Cart]\ntoken = {{ env = "{}" }}\ndsn = "pg://me:{}@db/x"\n'
    old, new = (version(CART, config=text.format(name, name)) for name in ("ONE", "TWO"))
    dsn = '"pg://***@db/x"'
    assert difference(old, new) == (
        Change("config", "changed", "components.Cart.dsn", dsn, dsn),
        Change("config", "changed", "components.Cart.token", "environment ONE", "environment TWO"),
    )


def test_a_literal_where_a_secret_belongs_is_never_shown() -> None:
    new = version(CART, config='[components.Cart]\ntoken = "hunter2"\n')
    assert "hunter2" not in repr(difference(version(CART), new))


def test_a_config_that_is_no_toml_is_as_an_empty_one() -> None:
    assert difference(version(config="[["), version()) == ()
