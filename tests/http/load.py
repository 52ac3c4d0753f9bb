"""Many requests at a time: replay on, off and by profile, with images and without, some hung up on; in the second round the
configuration is broken and SIGHUP sent again and again; then SIGTERM.

usage: load.py --replay PATH [--requests 500] [--concurrency 32] [--seed 0]

Greedy answers are compared with what another server says to the same request alone. In a batch the last digits of sums
differ, so a token that leads by less may change: such answers are shown, and more than 1 % of them is a failure. So is any
5xx, a broken stream, memory that stays, a broken configuration that is taken, or a running request that does not finish after SIGTERM. Exit status 1 then.
"""
import asyncio
import json
import random
import time
from dataclasses import dataclass

import httpx

import pictures
import server
from server import chat, data_url, picture

MODES = {"on": None, "off": False, "swap": "swap", "short": "short"}
QUESTIONS = ("How many red shapes?", "How many solid squares?", "How many blue squares?", "How many yellow circles?")
HUNG_UP = 0.1  # of all requests
STAYS = 100  # MiB that a second round may add
LONG = {"grammar": {"type": "regex", "value": "(row [0-9]: ){60}"}, "max_tokens": 400}


@dataclass
class Outcome:
    kind: str
    status: int = 0
    text: str | None = None  # None: hung up
    took: float = 0.0
    first: float | None = None
    wrong: str = ""


def kinds(rng):
    """A request: (kind, body). Images of two sizes, so that some share a batch and some cannot."""
    mode = rng.choice(list(MODES))
    count = rng.choice((0, 0, 1, 1, 1, 1, 2))
    side = rng.choice((112, 112, 56))
    urls = []
    for _ in range(count):
        ours = side == 112 and rng.random() < 0.5
        urls.append(picture(rng.randrange(6)) if ours else data_url(pictures.dots(rng.randrange(40), side)))
    body = chat(*urls, text=rng.choice(QUESTIONS), max_tokens=40)
    if MODES[mode] is not None:
        body["replay"] = MODES[mode]
    return f"{('text', 'image', '2 images')[count]}, {mode}", body


async def ask(client, kind, body, hang_up=0, started=None):
    """Streams or not, as the body says; leaves after so many chunks."""
    outcome, start = Outcome(kind), time.monotonic()
    try:
        async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            outcome.status = answer.status_code
            if not body.get("stream") or answer.status_code != 200:
                data = json.loads(await answer.aread())
                outcome.text = data["choices"][0]["message"]["content"] if answer.status_code == 200 else json.dumps(data)
            else:
                await stream(answer, outcome, start, hang_up, started)
    except (httpx.HTTPError, ValueError, KeyError) as error:
        outcome.wrong = f"{type(error).__name__} {error}"
    outcome.took = time.monotonic() - start
    return outcome


async def stream(answer, outcome, start, hang_up, started):
    text, chunks, reports, ended = "", 0, 0, None
    async for line in answer.aiter_lines():
        if not line.startswith("data: "):
            continue
        if line == "data: [DONE]":
            ended = ended or "without a reason"
            break
        data = json.loads(line.removeprefix("data: "))
        if "error" in data:
            outcome.status, outcome.wrong = 500, line
            return
        chunks += 1
        if chunks == 1:
            outcome.first = time.monotonic() - start
            if started:
                started()
        text += data["choices"][0]["delta"]["content"] or ""
        ended, reports = data["choices"][0]["finish_reason"], reports + ("replay" in data)
        if hang_up and chunks >= hang_up:
            return
    outcome.text = text
    if ended not in ("stop", "length"):
        outcome.wrong = f"the stream ended {ended or 'early'}"
    elif reports != 1:
        outcome.wrong = f"{reports} reports in a stream"


def percentile(values, share):
    values = sorted(values)
    return f"{values[min(len(values) - 1, round(share * (len(values) - 1)))] * 1000:.0f}" if values else "-"


def bucket(outcomes):
    groups = {}
    for outcome in outcomes:
        groups.setdefault(outcome.kind, []).append(outcome)
    return dict(sorted(groups.items()))


def client_of(running):
    return httpx.AsyncClient(base_url=running.url, timeout=300, limits=httpx.Limits(max_connections=None))


async def one_by_one(running, requests):
    """What the server says to each request alone."""
    alone = {}
    async with client_of(running) as client:
        for kind, body, *_ in requests:
            key = json.dumps(body)
            if key not in alone:
                alone[key] = await ask(client, kind, body)
    return alone


async def all_at_once(running, requests, concurrency, broken=False):
    gate = asyncio.Semaphore(concurrency)
    signals = asyncio.create_task(hang_ups(running)) if broken else None
    async with client_of(running) as client:
        async def one(kind, body, streamed, leaves):
            async with gate:
                return await ask(client, kind, {**body, "stream": streamed or leaves > 0}, hang_up=leaves)
        outcomes = await asyncio.gather(*(one(*request) for request in requests))
    if signals:
        signals.cancel()
    return outcomes


async def hang_ups(running):
    """Has the server read a broken file, ten times a second."""
    while True:
        running.hang_up()
        await asyncio.sleep(0.1)


def latencies(first, second):
    rows = []
    for (kind, cold), warm in zip(bucket(first).items(), bucket(second).values()):
        done, row = [o for o in cold if o.text is not None], [kind, len(cold), sum(o.text is None for o in cold)]
        row += [percentile([o.took for o in done], p) for p in (0.5, 0.95, 0.99)]
        row += [percentile([o.first for o in done if o.first], p) for p in (0.5, 0.95)]
        rows.append(row + [percentile([o.took for o in warm if o.text is not None], p) for p in (0.5, 0.95)])
    server.table(rows, ("kind", "requests", "hung up", "p50 ms", "p95", "p99", "first token p50", "p95", "again p50",
                        "p95"))


def modes(first, second):
    """The same by what was asked of replay, of requests with one image that were not hung up on."""
    rows = []
    for mode in MODES:
        ours = lambda outcomes: [o for o in outcomes if o.kind == f"image, {mode}" and o.text is not None]
        took = [[o.took for o in ours(outcomes)] for outcomes in (first, second)]
        rows.append([mode, len(took[0])] + [percentile(values, p) for values in took for p in (0.5, 0.95, 0.99)])
    server.table(rows, ("one image, replay", "requests", "first p50 ms", "p95", "p99", "again p50 ms", "p95", "p99"))


def load(binary, running, a, failures):
    """Two rounds on a fresh server, whose cache knows none of the requests; another one says what they get alone."""
    rng = random.Random(a.seed)
    requests = [(*kinds(rng), rng.random() < 0.5, rng.randint(1, 6) * (rng.random() < HUNG_UP)) for _ in range(a.requests)]
    with server.Server(binary) as other:
        start, alone = time.monotonic(), asyncio.run(one_by_one(other, requests))
        print(f"{len(alone)} different requests alone: {time.monotonic() - start:.0f} s")
    memory, rounds = [running.memory()], []
    for broken in (False, True):
        start = time.monotonic()
        if broken:
            running.configure("counting", lambda text: text.replace("layers = 6", "layers = \"all\""))
        with server.Peak(running) as peak:
            rounds.append(asyncio.run(all_at_once(running, requests, a.concurrency, broken)))
        took = time.monotonic() - start
        time.sleep(1)
        memory.append(running.memory())
        wanted = [alone[json.dumps(body)].text for _, body, *_ in requests]
        differ = [(o, want) for o, want in zip(rounds[-1], wanted) if o.text not in (None, want)]
        bad = [o for o in rounds[-1] if o.status != 200 or o.wrong]
        left = sum(o.text is None for o in rounds[-1])
        print(f"{a.requests} requests at {a.concurrency}: {took:.0f} s, {a.requests / took:.1f} a second; {left} hung up; "
              f"{len(bad)} bad; {len(differ)} not as alone; memory at most {peak.most} MiB")
        for o in bad[:5]:
            print(f"  {o.kind}: {o.status} {o.wrong} {(o.text or '')[:200]}")
        for o, want in differ[:5]:
            print(f"  {o.kind}:\n    alone {want!r}\n    now   {o.text!r}")
        failures += ["bad answers"] * bool(bad) + ["answers differ"] * (len(differ) > 0.01 * len(requests))
    latencies(*rounds)
    modes(*rounds)
    refused, taken = (running.log().count(f"the configuration {what}") for what in ("stays as it was", "was read again"))
    print(f"SIGHUP with a broken file in the second round: refused {refused} times, taken {taken} times")
    failures += ["a broken configuration"] * (taken > 0 or refused == 0)
    print(f"memory MiB: {memory[0]} before, {memory[1]} after one round, {memory[2]} after the same again")
    failures += ["bad answers alone"] * any(o.status != 200 for o in alone.values())
    failures += ["memory stays"] * (memory[2] > memory[1] + STAYS)


async def termination(running, failures):
    """SIGTERM while 32 long answers are on their way, half of them streamed, and others still wait."""
    async with client_of(running) as client:
        rng, running_now = random.Random(1), []
        bodies = [(kind, {**body, **LONG, "stream": i % 2 == 0}) for i,
                  (kind, body) in enumerate(kinds(rng) for _ in range(32))]
        tasks = [asyncio.create_task(ask(client, kind, body, started=lambda: running_now.append(1))) for kind,
                 body in bodies]
        while len(running_now) < 6:
            await asyncio.sleep(0.02)
        done = sum(task.done() for task in tasks)
        running.terminate()
        start = time.monotonic()
        await asyncio.sleep(0.5)
        try:
            async with httpx.AsyncClient() as other:
                late = f"{(await other.get(running.url + '/health')).status_code}"
        except httpx.HTTPError as error:
            late = type(error).__name__
        outcomes = await asyncio.gather(*tasks)
    took, status = time.monotonic() - start, await asyncio.to_thread(running.wait, 20)
    whole = [o for o in outcomes if o.status == 200 and not o.wrong and len(o.text or "") >= 60 * 7]
    print(f"SIGTERM with {len(outcomes) - done} of {len(outcomes)} running: {len(whole)} finished whole in {took:.0f} s; "
          f"a new connection: {late}; exit status {status}")
    for o in outcomes:
        if o not in whole:
            print(f"  {o.kind}: {o.status} {o.wrong} {(o.text or '')[:100]}")
    failures += ["not all finished"] * (len(whole) < len(outcomes)) + ["exit status"] * (status != 0)
    failures += ["new connections"] * (late != "ConnectError")


def main():
    ap = server.arguments(__doc__)
    ap.add_argument("--requests", type=int, default=500)
    ap.add_argument("--concurrency", type=int, default=32)
    ap.add_argument("--seed", type=int, default=0)
    a, failures = ap.parse_args(), []
    with server.Server(a.replay) as running:
        load(a.replay, running, a, failures)
        if not running.alive():
            failures.append("the server died")
        else:
            asyncio.run(termination(running, failures))
        if "panicked" in running.log():
            failures.append("a panic in the log")
    for failure in failures:
        print("failed:", failure)
    server.finish(failures)


if __name__ == "__main__":
    main()
