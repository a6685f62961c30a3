"""Colours of names in the log: whoever reads it finds them again the next day."""

from weaver.cli.deployment import colour_of


def test_a_name_has_the_same_colour_in_every_process() -> None:
    found = {name: colour_of(name) for name in ("front-1/Web", "front-2/Web", "carts-1/Cart")}
    assert found == {"front-1/Web": "yellow", "front-2/Web": "green", "carts-1/Cart": "magenta"}


def test_names_are_told_apart() -> None:
    assert len({colour_of(f"front-{number}/Web") for number in range(50)}) > 4
