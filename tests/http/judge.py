"""What is wrong with an answer, and the list of what was."""
import os
import re
import time

import httpx

import cases
import server
from cases import plain

KEY = "sesame-open"
TELLING = re.compile(r"panicked|\.rs:\d|\.cargo|mistralrs.core|candle|stack backtrace|hunter2|root:x:")


class Judge:
    """Collects what each case got."""

    def __init__(self, everything, only):
        self.rows, self.failures, self.counts, self.everything, self.only = [], [], {}, everything, only

    def wants(self, group):
        return not self.only or group in self.only

    def note(self, group, name, got, why):
        good, all_ = self.counts.get(group, (0, 0))
        self.counts[group] = (good + (not why), all_ + 1)
        if why:
            self.failures.append(f"{group}: {name}")
        if why or self.everything:
            self.rows.append((group, name[:46].replace("\n", " "), got[:90].replace("\n", " "), why))

    def case(self, running, client, case):
        if not self.wants(case.group):
            return
        kind = {"content": case.body} if isinstance(case.body, bytes) or case.body is None else {"json": case.body}
        headers = {"content-type": "application/json", **(case.headers or {})}
        start = time.monotonic()
        try:
            answer = client.request(case.method, running.url + case.path, headers=headers, timeout=case.seconds, **kind)
            got, why = f"{answer.status_code} {answer.text}", judged(answer, case, running)
        except httpx.HTTPError as error:
            got, why = type(error).__name__, f"no answer in {time.monotonic() - start:.0f} s"
        self.note(case.group, case.name, got, why or still_well(running))


def judged(answer, case, running):
    """What is wrong with an answer, or nothing."""
    status, code = answer.status_code, None
    if status >= 500:
        return f"{status}"
    if status >= 400 and case.method != "HEAD":
        try:
            code = answer.json()["error"]["code"]
            assert isinstance(code, str) and isinstance(answer.json()["error"]["message"], str)
        except (ValueError, KeyError, TypeError, AssertionError):
            return "an error without a code"
    folder = str(running.folder)
    asked = str(case.body)
    for place in (str(server.REPOSITORY), folder, os.path.expanduser("~"), running.url.removeprefix("http://")):
        if place in answer.text and place not in asked:
            return f"tells {'a path' if place.startswith('/') else 'an address'}"
    if found := TELLING.search(answer.text):
        return f"tells {found.group()!r}"
    for wanted in case.want.split("|"):
        if wanted == "ok" and status == 200 or wanted == "4xx" and 400 <= status < 500:
            return ""
        if wanted == f"{status} {code}" or case.method == "HEAD" and wanted.startswith(str(status)):
            return ""
    return f"wanted {case.want}"


def still_well(running):
    """What became of a good request on a connection of its own, if it was not answered."""
    headers = {"authorization": f"Bearer {KEY}"}
    try:
        good = httpx.post(running.url + cases.CHAT, json=plain(), headers=headers, timeout=60)
        return "" if good.status_code == 200 else f"afterwards: {good.status_code}"
    except httpx.HTTPError as error:
        return f"afterwards: {type(error).__name__}" + ("" if running.alive() else ", the server died")
