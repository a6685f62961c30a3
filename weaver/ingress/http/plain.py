"""Heads that pass as they are: most of them, read in one match of one pattern.

The patterns admit less than the rules do: no header that frames, ends or forwards a message but the
usual forms of Host, Content-Length, "Connection: keep-alive" and, in answers, "Transfer-Encoding:
chunked". What does not match is read by the general rules, which also say what is wrong with it;
what matches has the same meaning there, which a test of hostile heads holds. This file must not
know what is done with a head.
"""

import re
from typing import Final

HOST: Final = rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+;=]*)(?::[0-9]{0,5})?"
_VALUE: Final = rb"[\t -~\x80-\xff]*+\r\n"
_HOP: Final = (
    rb"con(?:nection|tent-length)|keep-alive|proxy-[a-z]+|te|trailer|transfer-encoding|upgrade"
)
_LENGTH: Final = rb"[Cc]ontent-[Ll]ength: ?([0-9]{1,18})\r\n"
# No "_" in names of requests: gateways take it for a hyphen, which the general rules judge.
_ASKED: Final = (
    rb"(?:(?!(?i:" + _HOP + rb"|host|expect|forwarded|x-forwarded-[a-z]+):)"
    rb"[!#$%&'*+\-.^`|~0-9A-Za-z]++:" + _VALUE + rb"|[Cc]onnection: ?[Kk]eep-[Aa]live\r\n)*+"
)
_ANSWERED: Final = rb"(?:(?!(?i:" + _HOP + rb"):)[!#$%&'*+\-.^_`|~0-9A-Za-z]++:" + _VALUE + rb")*+"

request: Final = re.compile(
    rb"(GET|POST|HEAD|PUT|DELETE|PATCH|OPTIONS) (/[!-\"$-~]*+) HTTP/1\.1\r\n"
    + _ASKED + rb"[Hh]ost: ?(" + HOST + rb")\r\n" + _ASKED
    + rb"(?:" + _LENGTH + _ASKED + rb")?\r\n"
).match  # fmt: skip
"""The match of a plain request's head at the start of some bytes, or None.

Groups: method, target, host, and the content's length or None.
"""

line: Final = re.compile(rb"(GET|DELETE|OPTIONS|POST|PUT|PATCH) (/[!-\"$-~]*+) HTTP/1\.1").fullmatch
"""The match of the first line of a plain request but HEAD, without its end.

Groups: method, target.
"""

response: Final = re.compile(
    rb"HTTP/1\.1 (?!204|304)([2-5][0-9][0-9]) [\t -~\x80-\xff]++\r\n"
    + _ANSWERED + rb"(?:" + _LENGTH + rb"|[Tt]ransfer-[Ee]ncoding: ?chunked\r\n)" + _ANSWERED
    + rb"\r\n"
).match  # fmt: skip
"""The match of a plain response's head at the start of some bytes, or None.

Groups: status, and the content's length or None if it is in chunks.
"""
