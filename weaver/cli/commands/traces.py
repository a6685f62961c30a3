"""`weaver traces`."""

import json
import re

import click

from weaver.cli.deployment import app_argument
from weaver.cli.target import json_option


@click.command("traces")
@app_argument
@click.argument("trace", metavar="[TRACE]", required=False, default="")
@click.option(
    "-n",
    "--tail",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    metavar="N",
    help="The last N only.",
)
@json_option
def command(*, app: str | None, trace: str, tail: int, as_json: bool) -> None:
    """Show the traces of APP, or what took how long in TRACE, by the beginning of its id.

    APP may be left out where only one application runs.

    Requests are traced that say so (the header traceparent), and a share of the others: `[app]
    trace_sample`.
    """
    import msgspec

    from weaver.cli.namesakes import meant
    from weaver.cli.render_traces import listed, tree, whole
    from weaver.control.messages import Spans
    from weaver.control.operator import GetSpans
    from weaver.control.spans import decode_span
    from weaver.deployers.manager_client import ask

    alone = app if app is not None and not trace and _is_trace(app) else ""
    record = meant(None if alone else app)
    answers = ask(record, GetSpans(trace or alone))
    spans = [
        decode_span(span)
        for answer in answers
        if isinstance(answer, Spans)
        for span in answer.spans
    ]
    traces = whole(spans)[-tail:] if tail else []
    if not traces and (trace or alone) and tail:
        known = f"see: weaver traces {record.app}"
        click.echo(f'no trace "{trace or alone}" of {record.app} is kept; {known}', err=True)
    if as_json:
        shown = [span for found in traces for span in found]
        click.echo(json.dumps([msgspec.to_builtins(span) for span in shown], indent=2))
    elif trace or alone:
        for found in traces:
            click.echo(tree(found))
    else:
        click.echo(listed(traces))


def _is_trace(word: str) -> bool:
    """Whether a word that stands alone is a trace: no application is called so."""
    from weaver.deployers import registry

    return re.fullmatch("[0-9a-fA-F]{4,32}", word) is not None and not registry.records(word)
