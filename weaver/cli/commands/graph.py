"""`weaver graph`."""

import click

from weaver.cli.target import config_option, target_argument


@click.command("graph")
@target_argument
@config_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "mermaid", "json"]),
    default="text",
    show_default=True,
    help="How to show it.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def command(*, target: str | None, config: str | None, form: str, as_json: bool) -> None:
    """Show the components of TARGET and who calls whom."""
    from weaver.application import describe_graph, load_target
    from weaver.cli.render_graph import RENDERERS

    graph = describe_graph(load_target(target, config=config))
    click.echo(RENDERERS["json" if as_json else form](graph))
