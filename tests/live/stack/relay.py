"""Passes what comes in at a UNIX socket on to a TCP address: ``python relay.py SOCKET HOST PORT``.

Runs in a test host, whose addresses nothing outside can reach; the socket's folder is visible
there.
"""

import asyncio
import sys
from contextlib import suppress


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
    sink.close()


async def main(path: str, host: str, port: str) -> None:
    """Serve until killed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pass(reader, forth), _pass(back, writer))

    server = await asyncio.start_unix_server(serve, path)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
