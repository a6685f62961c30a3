"""`weaver traces`."""

import json

import click

from weaver.cli.deployment import app_argument
from weaver.cli.target import json_option


@click.command("traces")
@app_argument
@click.argument("trace", required=False, default="")
@click.option("-n", "--tail", type=click.IntRange(0), default=20, metavar="N", help="The last N.")
@json_option
def command(*, app: str | None, trace: str, tail: int, as_json: bool) -> None:
    """Show the traces of APP, or what took how long in TRACE, by the beginning of its id.

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

    record = meant(app)
    answers = ask(record, GetSpans(trace))
    spans = [
        decode_span(span)
        for answer in answers
        if isinstance(answer, Spans)
        for span in answer.spans
    ]
    traces = whole(spans)[-tail:] if tail else []
    if as_json:
        shown = [span for found in traces for span in found]
        click.echo(json.dumps([msgspec.to_builtins(span) for span in shown], indent=2))
    elif trace:
        for found in traces:
            click.echo(tree(found))
    else:
        click.echo(listed(traces))
