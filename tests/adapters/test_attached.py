"""A socket that an endpoint has taken: nothing of its handshake is kept, and the endpoint hears of every end of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from socket import socket

import pytest

from bokeh_server.adapters.websocket import FramesProtocol
from bokeh_server.seat import Connection
from tests.adapters.raw import CLOSE, frame
from tests.adapters.test_splitting import Endpoint, opened


class Noted(Endpoint):
    """Notes the end."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = asyncio.Event()

    def disconnected(self) -> None:
        """It is over."""
        self.ended.set()


def say_goodbye(_: FramesProtocol, peer: socket) -> None:
    """The peer closes the websocket."""
    peer.sendall(frame((1001).to_bytes(2), CLOSE))


def vanish(_: FramesProtocol, peer: socket) -> None:
    """The peer closes its socket."""
    peer.close()


def talk_nonsense(_: FramesProtocol, peer: socket) -> None:
    """The peer sends what is no frame of a client."""
    peer.sendall(frame(b"{}", mask=False))


def end_it(protocol: FramesProtocol, _: socket) -> None:
    """We close the websocket; the peer does not answer."""
    protocol.connection.close(1013, "too slow")


def abort(protocol: FramesProtocol, _: socket) -> None:
    """Our end of the connection is cut."""
    protocol.transport.abort()


@pytest.mark.parametrize("end", [say_goodbye, vanish, talk_nonsense, end_it, abort])
def test_an_endpoint_hears_at_once_that_its_socket_ends(end: Callable[[FramesProtocol, socket], None]) -> None:
    async def play() -> None:
        endpoint = Noted()
        async with opened(endpoint) as (protocol, peer):
            await asyncio.sleep(0)
            assert not endpoint.ended.is_set()
            end(protocol, peer)
            await asyncio.wait_for(endpoint.ended.wait(), protocol.farewell / 2)
            protocol.transport.abort()
            await asyncio.sleep(0)

    asyncio.run(play())


class Refusing(Noted):
    """Closes the websocket as soon as it has it."""

    def connected(self, connection: Connection) -> None:
        """No."""
        super().connected(connection)
        connection.close(1008, "not you")


def test_an_endpoint_that_closes_its_socket_at_once_hears_that_it_ends() -> None:
    async def play() -> None:
        endpoint = Refusing()
        async with opened(endpoint) as (protocol, _):
            await asyncio.wait_for(endpoint.ended.wait(), protocol.farewell / 2)
            protocol.transport.abort()
            await asyncio.sleep(0)

    asyncio.run(play())


def test_nothing_of_the_handshake_is_kept_and_no_task_runs_for_an_open_socket() -> None:
    async def play() -> None:
        endpoint = Noted()
        async with opened(endpoint) as (protocol, peer):
            await asyncio.sleep(0.01)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert not any((protocol.scope, protocol.request, protocol.response))
            assert not protocol.transport.is_closing()
            peer.sendall(frame(b"answer"))
            peer.setblocking(False)
            loop, sent = asyncio.get_running_loop(), b""
            while not sent.endswith(b"an answer"):
                sent += await asyncio.wait_for(loop.sock_recv(peer, 4096), 10)
            protocol.transport.abort()
            await asyncio.sleep(0)

    asyncio.run(play())
