"""Hostile requests. Each must be refused with a 4xx, a JSON error and a code, or answered where it is legal; a good
request must be answered right after; nothing may tell a path or an address of the server. Exit status 1 if one is not.

usage: hostile.py --replay PATH [--only GROUP...] [--all]
"""
import concurrent.futures
import os
import re
import socket
import time

import httpx

import cases
import payloads
import server
from bombs import bombs, shutdown
from cases import plain
from judge import KEY, Judge, still_well
from web import Web


def furnish(folder):
    """The image root: a good image, links, a pipe, a text and a file too large."""
    good = server.IMAGES[0].read_bytes()
    (folder / "outside/secret.png").write_bytes(good)
    root = folder / "root"
    (root / "deeper").mkdir()
    (root / "good.png").write_bytes(good)
    (root / "notes.txt").write_text("password: hunter2")
    (root / "inner.png").symlink_to("good.png")
    (root / "link.png").symlink_to(folder / "outside/secret.png")
    (root / "linked").symlink_to(folder / "outside")
    os.mkfifo(root / "pipe")
    with (root / "huge.png").open("wb") as file:
        file.truncate(200 << 20)


def raw(running, data, seconds=5):
    """What comes back for bytes on a bare connection."""
    with socket.create_connection(running.address, timeout=seconds) as wire:
        try:
            wire.sendall(data)
            return wire.recv(65536)
        except OSError as error:
            return type(error).__name__.encode()


def kept_connections(judge, running):
    """A refusal must leave its connection usable, or say that it closes it."""
    dropped = 0
    with httpx.Client(base_url=running.url) as client:
        for _ in range(200):
            answer = client.post(cases.CHAT, json=plain(), headers={"authorization": "Bearer wrong"})
            try:
                if "close" not in answer.headers.get("connection", ""):
                    client.get("/health")
            except httpx.HTTPError:
                dropped += 1
    judge.note("keys", "200 connections after a refusal", f"{dropped} were closed without a word",
               f"{dropped} closed" if dropped else "")


def wires(judge, running):
    """What is not HTTP, or hardly. A bare status is answer enough."""
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    chunked = b"Transfer-Encoding: chunked\r\n\r\n"
    tries = {
        "noise": bytes(range(256)) * 4,
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(400),
        "2 MB of a header": head + b"X: " + b"a" * (2 << 20) + b"\r\n\r\n",
        "5000 headers": head + b"".join(b"X-%d: a\r\n" % i for i in range(5000)) + b"\r\n",
        "1 MB of a route": b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        "length -1": head + b"Content-Length: -1\r\n\r\n",
        "two lengths": head + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "broken chunks": head + chunked + b"zz\r\n{}\r\n0\r\n\r\n",
        "length and chunks": head + b"Content-Length: 2\r\n" + chunked + b"0\r\n\r\n",
        "null in the route": b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
        "HTTP/9": b"GET / HTTP/9.9\r\n\r\n",
    }
    for name, data in tries.items():
        got = raw(running, data)
        bad = "" if not got or re.match(rb"HTTP/1.[01] 4\d\d|ConnectionResetError|BrokenPipeError", got) else "not refused"
        judge.note("wires", name, got[:40].decode(errors="replace"), bad or still_well(running))
    idle = []
    for data in [head + b"Content-Length: 1000\r\n\r\n{"] * 100 + [b"POST /v1/cha"] * 100:
        wire = socket.create_connection(running.address)
        wire.sendall(data)
        idle.append(wire)
    judge.note("wires", "200 half requests left open", "", still_well(running))
    for wire in idle:
        wire.close()


def twins(judge, running):
    """Whether a file exists outside the root must not be told: not by the answer."""
    said = []
    for url in (running.folder / "outside/secret.png", running.folder / "outside/nothing.png", "/etc/passwd",
                "/etc/nothing"):
        answer = httpx.post(running.url + cases.CHAT, json=cases.looking(str(url)))
        said.append((answer.status_code, answer.text))
    judge.note("paths, root", "files outside, there or not", str(said[0]), "" if len(set(said)) == 1 else "told apart")


def unhurried(judge, running, web):
    """While an image takes its time to come, others are answered."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = [pool.submit(httpx.post, running.url + cases.CHAT, json=cases.looking(web.url("silent")),
                            timeout=60) for _ in range(20)]
        time.sleep(1)
        start = time.monotonic()
        why = still_well(running)
        took = time.monotonic() - start
        judge.note("fetches", "20 silent ones at a time", f"another was answered in {took:.2f} s",
                   why or ("slow" if took > 3 else ""))
        for each in slow:
            each.result()


def main():
    ap = server.arguments(__doc__)
    ap.add_argument("--only", nargs="*", help="groups")
    ap.add_argument("--all", action="store_true", help="print every case, not only those that failed")
    a = ap.parse_args()
    judge, web = Judge(a.all, a.only), Web()
    options = {"models": ("counting",)}
    with server.Server(a.replay, "--image-root", "root", **options) as running, httpx.Client() as client:
        furnish(running.folder)
        if judge.wants("paths, root"):
            twins(judge, running)
        groups = [cases.paths(running.folder), cases.schemes(), cases.addresses(web),
                  cases.engine_routes(running.folder, web),
                  payloads.images(), payloads.bodies(), payloads.types(), payloads.values()]
        for group in groups:
            for case in group:
                judge.case(running, client, case)
        if judge.wants("addresses") or judge.wants("engine routes"):
            judge.note("addresses", "nobody was called", str(set(web.asked)),
                       f"{len(web.asked)} calls reached this machine" if web.asked else "")
        if judge.wants("wires"):
            wires(judge, running)
    with server.Server(a.replay, "--image-root", "root", "--admin", **options) as running, httpx.Client() as client:
        furnish(running.folder)
        for case in cases.responses(running.folder, web):
            judge.case(running, client, case)
    with server.Server(a.replay, **options) as running, httpx.Client() as client:
        for url in ("good.png", "/etc/passwd", "file:///etc/passwd", "../x", ""):
            judge.case(running, client, cases.Case("paths, no root", url, "400 local_path_refused", cases.looking(url)))
    with server.Server(a.replay, "--no-fetch", **options) as running, httpx.Client() as client:
        for url in (web.url("image"), "https://example.com/x.png"):
            judge.case(running, client, cases.Case("no fetch", url, "400 fetch_refused", cases.looking(url)))
    if judge.wants("fetches"):
        with server.Server(a.replay, "--private-addresses", **options) as running, httpx.Client() as client:
            for case in cases.fetches(web):
                judge.case(running, client, case)
            judge.note("fetches", "an endless body is left", f"{web.sent >> 20} MiB were taken",
                       "" if web.sent < 60 << 20 else "too much")
            unhurried(judge, running, web)
    if judge.wants("keys"):
        with server.Server(a.replay, "--api-key-env", "HTTP_TEST_KEY",
                           environment={"HTTP_TEST_KEY": KEY}) as running, httpx.Client() as client:
            for case in cases.locked(KEY):
                judge.case(running, client, case)
            kept_connections(judge, running)
    if judge.wants("bombs"):
        bombs(judge, a.replay)
    if judge.wants("shutdown"):
        shutdown(judge, a.replay)
    if judge.rows:
        server.table(judge.rows, ("group", "case", "got", "why it fails"))
        print()
    server.table([(group, f"{good} of {all_}") for group, (good, all_) in judge.counts.items()], ("group", "good"))
    server.finish(judge.failures)


if __name__ == "__main__":
    main()
