"""`weaver completion`."""

import click
from click.shell_completion import get_completion_class

_ZSH_SETUP = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }"


# Click leaves the lines after \b as they are.
_HELP = """Print a completion script for SHELL: bash, zsh or fish.

\b
~/.bashrc:                   eval "$(weaver completion bash)"
~/.zshrc:                    eval "$(weaver completion zsh)"
~/.config/fish/config.fish:  weaver completion fish | source
"""


@click.command("completion", help=_HELP)
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a completion script."""
    adapter = get_completion_class(shell)
    assert adapter is not None
    root = ctx.find_root()
    script = adapter(root.command, {}, "weaver", "_WEAVER_COMPLETE").source()
    if shell == "zsh":  # its completion may not be set up yet, or only below in ~/.zshrc
        head, _, rest = script.partition("\n")
        script = f"{head}\n{_ZSH_SETUP}\n{rest}"
    click.echo(script)
