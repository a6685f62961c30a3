"""One process of a baseline: `baseline.py grpc|rest NAME FOLDER`.

Processes are set up as weaver sets up its own: the same event loop, settings of the collector and
the allocator, log level, and for the web site the same HTTP server.
"""

import asyncio
import importlib
import logging
import os
import sys

import uvloop
from boutique.site.app import make_app

from weaver.proclet.http import HttpServer
from weaver.proclet.http_sockets import Sockets
from weaver.proclet.log_level import wanted_level
from weaver.proclet.tuning import tune
from weaver.transport.listening import bind


async def run(kind: str, name: str, folder: str) -> None:
    """Be the process NAME until a signal ends it."""
    process = importlib.import_module(f"{kind}_baseline.process")
    if name != "frontend":
        asyncio.get_running_loop().call_later(1.0, tune)
        await process.run_service(name, folder)
        return
    served_by = {
        "version": "1", "deployment": kind, "group": "frontend",
        "replica": f"frontend/{os.getpid()}", "host": os.uname().nodename,
    }  # fmt: skip
    sock = bind("127.0.0.1:0")
    app = make_app(process.site(folder), served_by)
    server = HttpServer(app, Sockets(sock), name="frontend", grace=1.0)
    host, port = sock.getsockname()
    print(f"{host}:{port}", flush=True)
    asyncio.get_running_loop().call_later(1.0, tune)
    await server.serve()


if __name__ == "__main__":
    logging.basicConfig(level=wanted_level())
    logging.getLogger("httpx").setLevel(logging.WARNING)  # one line per call otherwise
    uvloop.run(run(*sys.argv[1:]))
