"""Clients of a service in a process of their own: each asks again as soon as it is answered, and takes the time."""

import asyncio
import json
import re
import sys
import time

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


def to_request(path: str, body: object) -> bytes:
    """A POST request as it goes over the wire."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    return f"{head}\r\n\r\n".encode() + content


async def ask(host: str, port: int, requests: list[bytes], times: list[float], statuses: list[int]) -> None:
    """One client: a connection that stays open, one request after another."""
    reader, writer = await asyncio.open_connection(host, port)
    for request in requests:
        started = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        found = _LENGTH.search(head)
        await reader.readexactly(int(found[1]) if found else 0)
        times.append(time.perf_counter() - started)
        statuses.append(int(head.split(b" ", 2)[1]))
    writer.close()


async def ask_all(host: str, port: int, path: str, bodies: list, clients: int) -> dict:
    requests = [to_request(path, body) for body in bodies]
    times: list[float] = []
    statuses: list[int] = []
    started = time.perf_counter()
    await asyncio.gather(*[ask(host, port, requests[place::clients], times, statuses) for place in range(clients)])
    return {
        "seconds": time.perf_counter() - started,
        "times": sorted(times),
        "failed": sum(s != 200 for s in statuses),
    }


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump(asyncio.run(ask_all(**asked)), sys.stdout)
