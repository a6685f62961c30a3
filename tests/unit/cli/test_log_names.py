"""A log of what there is none of is refused: it would look like one without lines."""

import pytest

from weaver.cli.log_names import check_log_names
from weaver.control.operator import GroupReport, ReplicaReport
from weaver.errors import UsageError

GROUPS = (
    GroupReport("front", ("shop.web.Web",), 2, (ReplicaReport("front-1", 7, "local", "ready"),)),
    GroupReport("back-end", ("shop.cart.Cart", "shop.cart.Catalog"), 1),
)


@pytest.mark.parametrize("component", ["", "Cart", "shop.cart.Cart"])
@pytest.mark.parametrize("replica", ["", "front", "front-1", "front-9", "back-end", "back-end-1"])
def test_names_that_there_are_or_may_have_been_pass(component: str, replica: str) -> None:
    check_log_names("shop", component, replica, GROUPS)


@pytest.mark.parametrize(
    ("component", "replica", "what", "fix"),
    [
        ("Crat", "", 'shop has no component "Crat"', 'did you mean "Cart"?'),
        ("x", "", 'shop has no component "x"', "valid names: Cart, Catalog, Web"),
        ("", "frnt-1", 'shop has no replica or group "frnt-1"', 'did you mean "front-1"?'),
        ("", "front-x", 'shop has no replica or group "front-x"', 'did you mean "front-1"?'),
    ],
)
def test_others_are_refused_with_the_nearest(
    component: str, replica: str, what: str, fix: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check_log_names("shop", component, replica, GROUPS)
    assert caught.value.what == what
    assert caught.value.fix.startswith(fix)


def test_nothing_is_refused_while_nothing_is_known() -> None:
    check_log_names("shop", "Crat", "frnt", ())
