"""`weaver completion`."""

import click
from click.shell_completion import get_completion_class

_ZSH_SETUP = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }"


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
    script = adapter(root.command, {}, "weaver", "_WEAVER_COMPLETE").source()
    if shell == "zsh":  # its completion may not be set up yet, or only below in ~/.zshrc
        head, _, rest = script.partition("\n")
        script = f"{head}\n{_ZSH_SETUP}\n{rest}"
    click.echo(script)
