"""`weaver completion`."""

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    r"""Print a completion script for SHELL.

    \b
    bash: eval "$(weaver completion bash)"            in ~/.bashrc
    zsh:  eval "$(weaver completion zsh)"             in ~/.zshrc
    fish: weaver completion fish | source             in ~/.config/fish/config.fish
    """
    adapter = get_completion_class(shell)
    assert adapter is not None
    root = ctx.find_root()
    click.echo(adapter(root.command, {}, "weaver", "_WEAVER_COMPLETE").source())
