"""Hostile paths, addresses, routes and keys.

`want` is "STATUS code", "4xx" with any code, "ok", or several of these separated by "|".
"""
import json
from dataclasses import dataclass

from server import chat

CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
NOT_FOUND, REFUSED = "400 image_not_found", "400 address_refused"
IMAGE, REQUEST = "400 invalid_image", "400 invalid_request"


@dataclass
class Case:
    group: str
    name: str
    want: str
    body: object = None  # a value for JSON, bytes, or None
    path: str = CHAT
    method: str = "POST"
    headers: dict | None = None
    seconds: float = 60


def plain(**more):
    """A chat without images, cheap to answer."""
    return chat(text="How many", **{"max_tokens": 4, **more})


def looking(*urls, **more):
    return chat(*urls, **{"max_tokens": 4, **more})


def input_image(url, **more):
    """The body of a request for /v1/responses with an image."""
    content = [{"type": "input_image", "image_url": url}, {"type": "input_text", "text": "How many?"}]
    return {"model": "counting", "max_output_tokens": 4, "input": [{"type": "message", "role": "user", "content": content}],
            **more}


def paths(folder):
    """Local files, with an image root that has `good.png`, links out of it and a pipe."""
    outside, good = folder / "outside/secret.png", folder / "root/good.png"
    allowed = {"in the root": "good.png", "absolute, in the root": str(good), "file: in the root": f"file://{good}",
               "dots inside": "./deeper/../good.png", "a link inside": "inner.png"}
    refused = {
        "absolute": outside, "relative": "../outside/secret.png", "file:": f"file://{outside}",
        "file: percent": f"file://{folder}/root/%2e%2e/outside/secret.png", "file: double slash": f"file:///{outside}",
        "file: localhost": f"file://localhost{outside}", "FILE:": f"FILE://{outside}",
        "percent": "%2e%2e/outside/secret.png",
        "deep dots": "../" * 40 + "etc/passwd", "dots from a folder": "deeper/../../outside/secret.png", "link": "link.png",
        "linked folder": "linked/secret.png", "folder": ".", "pipe": "pipe", "missing": "nothing.png",
        "missing outside": folder / "outside/nothing.png", "missing folder": "/nothing/at/all.png", "null": "good.png\0",
        "null before": "\0good.png", "empty": "", "space": " ", "long": "a" * 5000, "proc": "/proc/self/environ",
        "device": "/dev/zero", "tilde": "~/.ssh/id_rsa", "backslashes": "..\\outside\\secret.png", "newline": "good.png\n",
    }
    for name, url in allowed.items():
        yield Case("paths, root", name, "ok", looking(url))
    for name, url in refused.items():
        yield Case("paths, root", name, NOT_FOUND, looking(str(url)))
    yield Case("paths, root", "file: host", "400 local_path_refused", looking(f"file://server{good}"))
    yield Case("paths, root", "no image", IMAGE, looking("notes.txt"))
    yield Case("paths, root", "too large", "400 image_too_large", looking("huge.png"))


def schemes():
    for url in ("ftp://127.0.0.1/x.png", "gopher://127.0.0.1/x", "javascript:alert(1)", "blob:null/1", "C:\\x.png",
                "about:blank",
                "ws://127.0.0.1/", "jar:file:///etc/passwd!/x", "dict://127.0.0.1:11211/stat",
                "unix:///var/run/docker.sock"):
        yield Case("schemes", url, "400 unsupported_url_scheme", looking(url))


def addresses(web):
    """This machine and private networks, written in every way; `web` must hear of none."""
    port = web.server_port
    hosts = ("127.0.0.1", "localhost", "localhost.", "LOCALHOST", "[::1]", "0.0.0.0", "0", "[::]", "2130706433",
             "0x7f000001",
             "017700000001", "0177.0.0.1", "127.1", "127.0.1", "127.255.255.254", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
             "[0:0:0:0:0:ffff:7f00:1]", "[::127.0.0.1]", "\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021",
             "%31%32%37.0.0.1", "user:word@127.0.0.1")
    for host in hosts:
        yield Case("addresses", host, REFUSED + "|400 image_unreachable", looking(web.url("image", host)))
    for host in ("169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "198.18.0.1", "224.0.0.1",
                 "255.255.255.255", "[fe80::1]", "[fc00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[ff02::1]"):
        yield Case("addresses", host, REFUSED, looking(f"http://{host}/latest/meta-data/"))
    for url in (f"http:127.0.0.1:{port}", f"http:\\\\127.0.0.1:{port}\\", f"https://127.0.0.1:{port}/",
                f" http://127.0.0.1:{port}/",
                f"ht\ntp://127.0.0.1:{port}/", f"//127.0.0.1:{port}/image"):
        yield Case("addresses", repr(url.replace(str(port), "PORT")), "4xx", looking(url))
    yield Case("addresses", "no host", "4xx", looking("http://"))
    yield Case("addresses", "no such name", "400 image_unreachable", looking("http://no-such-name.invalid/x.png"))


def responses(folder, web):
    """What concerns files and addresses, where the responses API is open. (What it answers is the engine's: it names directories.)"""
    for case in engine_routes(folder, web, shut=""):
        if case.path == RESPONSES and "unknown pr" not in case.name:
            yield case


def engine_routes(folder, web, shut="|404 route_refused"):
    """The engine's own routes must see no path and no address either, however the body is written."""
    secret = str(folder / "outside/secret.png")
    for name, url, code in (("path", secret, NOT_FOUND), ("file:", f"file://{secret}", NOT_FOUND),
                            ("address", web.url("image"), REFUSED)):
        yield Case("engine routes", f"responses, {name}", code + shut, input_image(url), RESPONSES)
    for name, extra in (("deep nesting", "[" * 200 + "]" * 200), ("1e999", "1e999"), ("half a surrogate", '"\\ud800"')):
        for what, url in (("path", secret), ("missing path", "/nothing.png"), ("address", web.url("image"))):
            body = json.dumps(input_image(url))[:-1] + f', "more": {extra}}}'
            yield Case("engine routes", f"responses, {what}, {name}", "4xx", body.encode(), RESPONSES)
    for kind in ("audio_url", "video_url", "file_url"):
        for url in (secret, web.url("image"), "file:///etc/passwd"):
            message = [{"role": "user", "content": [{"type": kind, kind: {"url": url}}, {"type": "text", "text": "?"}]}]
            yield Case("engine routes", f"{kind} {url[:7]}", "400 unsupported_media", plain(messages=message))
    yield Case("engine routes", "completions, a path as prompt", "ok",
               {"model": "counting", "prompt": secret, "max_tokens": 4}, COMPLETIONS)
    for name, path, body in (("completions", COMPLETIONS, {"prompt": "x", "max_tokens": 4}),
                             ("responses", RESPONSES, {"input": "x", "max_output_tokens": 4}),
                             ("embeddings", "/v1/embeddings", {"input": "x"})):
        yield Case("engine routes", f"{name}, unknown model", "404 model_not_found" + shut, {"model": "nope", **body}, path)
        yield Case("engine routes", f"{name}, broken JSON", "4xx", b'{"model":', path)
        yield Case("engine routes", f"{name}, wrong type", "4xx", {"model": 5, **body}, path)
        yield Case("engine routes", f"{name}, empty", "4xx", {}, path)
    yield Case("engine routes", "embeddings", "4xx", {"model": "counting", "input": "x"}, "/v1/embeddings")
    yield Case("engine routes", "images", "4xx", {"model": "counting", "prompt": "x"}, "/v1/images/generations")
    yield Case("engine routes", "speech", "4xx", {"model": "counting", "input": "x", "response_format": "wav"},
               "/v1/audio/speech")
    yield Case("engine routes", "completions, unknown profile", "4xx",
               {"model": "counting", "prompt": "x", "max_tokens": 2, "replay": "nope"}, COMPLETIONS)
    yield Case("engine routes", "responses, unknown profile", "4xx", {"model": "counting", "input": "x",
                                                                      "max_output_tokens": 2, "replay": "nope"}, RESPONSES)
    yield Case("engine routes", "responses, unknown previous", "4xx",
               {"model": "counting", "input": "x", "max_output_tokens": 2, "previous_response_id": "resp_0"}, RESPONSES)
    for path, body in (("/re_isq", {"ggml_type": "Q4K"}), ("/v1/models/unload", {"model_id": "counting"}),
                       ("/v1/models/reload", {"model_id": "counting"}),
                       ("/v1/models/tune", {"model_id": "counting"}), ("/v1/system/doctor", {})):
        yield Case("admin", path, "403 admin_refused", body, path)
        yield Case("admin", path + " by GET", "4xx", None, path, "GET")
    for path in ("/v1/models/unload/", "//v1/models/unload", "/v1/models/%75nload", "/V1/MODELS/UNLOAD",
                 "/v1/x/../models/unload"):
        yield Case("admin", path, "4xx", {"model_id": "counting"}, path)


def fetches(web):
    """Only where addresses of this machine are allowed: what a server on the other side can do."""
    yield Case("fetches", "image", "ok", looking(web.url("image")))
    yield Case("fetches", "mislabelled", "ok", looking(web.url("mislabelled")))
    yield Case("fetches", "3 redirects", "ok", looking(web.url("redirect/3")))
    for name, path in (("4 redirects", "redirect/4"), ("loop", "loop")):
        yield Case("fetches", name, "400 too_many_redirects", looking(web.url(path)))
    for name in ("missing", "failing", "nowhere", "cut", "to/file:///etc/passwd", "to/ftp://127.0.0.1/",
                 "to/data:image/png;base64,AAAA", "to/http://"):
        yield Case("fetches", name, "400 image_unreachable", looking(web.url(name)))
    yield Case("fetches", "closed port", "400 image_unreachable", looking("http://127.0.0.1:9/"))
    for name in ("page", "empty"):
        yield Case("fetches", name, IMAGE, looking(web.url(name)))
    for name in ("declared", "endless"):
        yield Case("fetches", name, "400 image_too_large", looking(web.url(name)), seconds=20)
    for name in ("drip", "silent"):
        yield Case("fetches", name, "400 image_unreachable", looking(web.url(name)), seconds=22)
    yield Case("fetches", "4 silent ones", "400 image_unreachable", looking(*[web.url("silent")] * 4), seconds=22)
    yield Case("fetches", "4 late ones", "ok|400 image_unreachable", looking(*[web.url("late")] * 4), seconds=25)
    yield Case("fetches", "good, then silent", "400 image_unreachable", looking(web.url("image"), web.url("silent")),
               seconds=22)


def locked(key):
    wrong = {"wrong": "Bearer wrong", "basic": f"Basic {key}", "bare": key, "empty": "", "Bearer": "Bearer", "longer": f"Bearer {key}x",
             "shorter": f"Bearer {key[:-1]}", "not ASCII": b"Bearer \xff\xfe", "quoted": f'Bearer "{key}"'}
    for name, value in wrong.items():
        yield Case("keys", name, "401 invalid_api_key", plain(), headers={"authorization": value})
    for path in ("/v1/models", "/metrics", "/v1/responses/x", "/v1/system/info", "/v1/nothing"):
        yield Case("keys", f"none, {path}", "401 invalid_api_key", None, path, "GET")
    for path in (CHAT, COMPLETIONS, RESPONSES, "/v1/models/unload"):
        yield Case("keys", f"none, {path}", "401 invalid_api_key", plain(), path)
    yield Case("keys", "right", "ok", plain(), headers={"authorization": f"Bearer {key}"})
    yield Case("keys", "right, bearer in small letters", "ok|401 invalid_api_key", plain(),
               headers={"authorization": f"bearer {key}"})
    yield Case("keys", "health", "ok", None, "/health", "GET", {})
    for path in ("/health/", "//health", "/health/../v1/models"):
        yield Case("keys", path, "4xx", None, path, "GET", {})
