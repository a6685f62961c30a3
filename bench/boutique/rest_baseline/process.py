"""One process of the REST baseline: FastAPI on uvicorn, asked by httpx over kept connections.

Every service listens on a Unix socket named after it, in a folder that all processes are given.
"""

import asyncio
from typing import Any

import httpx
import uvicorn
from boutique.web import AD_TIMEOUT
from fastapi import FastAPI
from pydantic import TypeAdapter
from wiring import Client, component, services

from rest_baseline.refusals import STATUS, answer_refusals, refusal_of
from rest_baseline.routes import Route, routes

# Each request looks at every idle connection: no more of them than can be of use.
LIMITS = httpx.Limits(max_connections=16, max_keepalive_connections=16, keepalive_expiry=60)
JSON = {"content-type": "application/json"}


class RestClient:
    """The methods of one component, as coroutine functions that ask its service."""

    def __init__(self, service: str, transport: httpx.AsyncBaseTransport) -> None:
        timeout = AD_TIMEOUT if service == "ads" else 30.0
        self.http = httpx.AsyncClient(
            transport=transport, base_url=f"http://{service}", timeout=timeout, trust_env=False
        )
        for name, route in routes(service).items():
            setattr(self, name, self._caller(route))

    def _caller(self, route: Route) -> Any:
        whole = TypeAdapter(route.types["return"])
        fields = {name: TypeAdapter(route.types[name]) for name in route.body}
        post = self.http.post

        def body(arguments: dict[str, Any]) -> bytes:
            if len(fields) == 1:
                [(name, adapter)] = fields.items()
                return adapter.dump_json(arguments[name])
            parts = (
                b'"%s":%s' % (name.encode(), adapter.dump_json(arguments[name]))
                for name, adapter in fields.items()
            )
            return b"{%s}" % b",".join(parts)

        async def call(*values: Any) -> Any:
            arguments = dict(zip(route.names, values, strict=True))
            query = {name: arguments[name] for name in route.query} or None
            content = body(arguments) if fields else None
            answer = await post(route.path, params=query, content=content, headers=JSON)
            if answer.status_code == STATUS:
                raise refusal_of(answer.json())
            answer.raise_for_status()
            return whole.validate_json(answer.content)

        return call


def clients(folder: str) -> Client:
    """Gives clients of services in the folder."""
    return lambda name: RestClient(
        name, httpx.AsyncHTTPTransport(uds=f"{folder}/{name}", limits=LIMITS, retries=0)
    )


def make_service(name: str, client: Client) -> FastAPI:
    """The service's application: one route per method of its component."""
    app = FastAPI(title=name, openapi_url=None)
    made = component(name, client)
    for method, route in routes(name).items():
        app.add_api_route(route.path, getattr(made, method), methods=["POST"])
    answer_refusals(app)
    return app


def server_of(name: str, folder: str, client: Client) -> uvicorn.Server:
    """uvicorn with what is fastest in it, and no log of requests."""
    config = uvicorn.Config(
        make_service(name, client),
        uds=f"{folder}/{name}",
        http="httptools",
        loop="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=75,
        server_header=False,
        proxy_headers=False,
    )
    return uvicorn.Server(config)


async def run_service(name: str, folder: str) -> None:
    """Serve until the process ends."""
    await asyncio.create_task(server_of(name, folder, clients(folder)).serve())


def site(folder: str) -> Any:
    """What the web site asks."""
    return services(clients(folder))
