"""One process of the gRPC baseline: a service, or with the name "frontend" the web site.

Every service listens on a Unix socket named after it, in a folder that all processes are given.
Channels are opened once and kept. Nothing is traced, compressed or intercepted.
"""

import grpc
from grpc_baseline.clients import CLIENTS
from grpc_baseline.servicers import SERVICES
from wiring import component, services

# Nothing is looked up, probed, limited or shared on the way. Both ends of a small call take 622 us of
# CPU with all of these and 636 without any (least of 12 alternating rounds; each alone: 614 to 654).
CHANNEL = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.optimization_target", "latency"),
)
SERVER = (
    ("grpc.so_reuseport", 0),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.optimization_target", "latency"),
)


_channels = []


def clients(folder):
    """Gives clients of services in the folder."""

    def client(name):
        channel = grpc.aio.insecure_channel(f"unix:{folder}/{name}", options=CHANNEL)
        _channels.append(channel)
        return CLIENTS[name](channel)

    return client


async def close():
    """Close all channels of this process."""
    while _channels:
        await _channels.pop().close()


async def serve(name, folder, client):
    """Start the service and return its server."""
    server = grpc.aio.server(options=SERVER)
    servicer, add = SERVICES[name]
    add(servicer(component(name, client)), server)
    server.add_insecure_port(f"unix:{folder}/{name}")
    await server.start()
    return server


async def run_service(name, folder):
    """Serve until the process ends."""
    server = await serve(name, folder, clients(folder))
    await server.wait_for_termination()


def site(folder):
    """What the web site asks."""
    return services(clients(folder))
