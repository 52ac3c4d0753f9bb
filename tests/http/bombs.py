"""Small requests that take much memory, each to a server of its own; and clients that do not let a server end."""
import socket
import time

import httpx

import cases
import pictures
import server
from cases import plain
from judge import still_well

MEMORY = 1500  # MiB that one request may take
SPACE = 6 << 30  # address space of a server that is bombed, so that it dies and not the machine


def bombs(judge, binary):
    """Small requests that take much memory or time, each to a server of its own."""
    deep = server.data_url(pictures.solid(7000, 7000, 16, 6))  # 49 million pixels, 8 bytes each, 380 KB
    grey = server.data_url(pictures.solid(7000, 7000, 1, 0))
    film = [{"type": "video_url", "video_url": {"url": server.data_url(pictures.gif(5000, 60), "image/gif")}},
            {"type": "text", "text": "?"}]
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    both = {"grammar": {"type": "regex", "value": "a"}, "response_format": schema}  # refused, but after the images
    many = {"model": "counting", "prompt": "x", "n": 20_000, "max_tokens": 1}
    tries = {
        "60 images of 7000x7000, 16 bits": (cases.looking(*[deep] * 60, **both), cases.CHAT),
        "64 images of 7000x7000, 1 bit": (cases.looking(*[grey] * 64, **both), cases.CHAT),
        "video of 60 frames, 1 KB": (plain(messages=[{"role": "user", "content": film}]), cases.CHAT),
        "n = 20000": (plain(n=20_000, max_tokens=1), cases.CHAT),
        "n = 20000, engine": (many, cases.COMPLETIONS),
    }
    for name, (body, path) in tries.items():
        case = cases.Case("bombs", name, "4xx", body, path, seconds=200)
        with server.Server(binary, address_space=SPACE) as running, httpx.Client() as client:
            still_well(running)
            before = running.memory()
            with server.Peak(running) as peak:
                judge.case(running, client, case)
            took = peak.most - before
            judge.note("bombs", f"{name}: memory", f"{took} MiB", f"{took} MiB" if took > MEMORY else "")
    with server.Server(binary) as running:
        still_well(running)
        before, big = running.memory(), {"a": "x" * (5 << 20)}
        for _ in range(20):
            body = {"model": "counting", "input": "x", "max_output_tokens": 1, "metadata": big}
            httpx.post(running.url + cases.RESPONSES, json=body, timeout=60)
        took = running.memory() - before
        judge.note("bombs", "20 responses, kept", f"{took} MiB", f"{took} MiB stay" if took > 50 else "")


def shutdown(judge, binary):
    """Clients that do not finish must not keep a server that was told to end."""
    for name, data in (("half a body", b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"),
                       ("half a head", b"POST /v1/cha")):
        with server.Server(binary) as running:
            with socket.create_connection(running.address) as wire:
                wire.sendall(data)
                time.sleep(0.5)
                running.terminate()
                ended = running.wait(30)
                judge.note("shutdown", f"beside {name}", str(ended), "" if ended == 0 else "runs 30 s after SIGTERM")
                if ended is None:
                    running.terminate()
                    ended = running.wait(5)
                    judge.note("shutdown", f"beside {name}, second SIGTERM", str(ended),
                               "" if ended is not None else "ignored")
