"""The hostile requests. `want` is "STATUS code", "4xx" with any code, "ok", or several of these separated by "|"."""
import json
from dataclasses import dataclass

import pictures
import server
from server import chat, data_url, image_part, picture

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
    return {"model": "counting", "max_output_tokens": 4, "input": [{"type": "message", "role": "user", "content": content}], **more}


def paths(folder):
    """Local files, with an image root that has `good.png`, links out of it and a pipe."""
    outside, good = folder / "outside/secret.png", folder / "root/good.png"
    allowed = {"in the root": "good.png", "absolute, in the root": str(good), "file: in the root": f"file://{good}",
               "dots inside": "./deeper/../good.png", "a link inside": "inner.png"}
    refused = {
        "absolute": outside, "relative": "../outside/secret.png", "file:": f"file://{outside}",
        "file: percent": f"file://{folder}/root/%2e%2e/outside/secret.png", "file: double slash": f"file:///{outside}",
        "file: localhost": f"file://localhost{outside}", "FILE:": f"FILE://{outside}", "percent": "%2e%2e/outside/secret.png",
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
    for url in ("ftp://127.0.0.1/x.png", "gopher://127.0.0.1/x", "javascript:alert(1)", "blob:null/1", "C:\\x.png", "about:blank",
                "ws://127.0.0.1/", "jar:file:///etc/passwd!/x", "dict://127.0.0.1:11211/stat", "unix:///var/run/docker.sock"):
        yield Case("schemes", url, "400 unsupported_url_scheme", looking(url))


def addresses(web):
    """This machine and private networks, written in every way; `web` must hear of none."""
    port = web.server_port
    hosts = ("127.0.0.1", "localhost", "localhost.", "LOCALHOST", "[::1]", "0.0.0.0", "0", "[::]", "2130706433", "0x7f000001",
             "017700000001", "0177.0.0.1", "127.1", "127.0.1", "127.255.255.254", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
             "[0:0:0:0:0:ffff:7f00:1]", "[::127.0.0.1]", "\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021",
             "%31%32%37.0.0.1", "user:word@127.0.0.1")
    for host in hosts:
        yield Case("addresses", host, REFUSED + "|400 image_unreachable", looking(web.url("image", host)))
    for host in ("169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "198.18.0.1", "224.0.0.1",
                 "255.255.255.255", "[fe80::1]", "[fc00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[ff02::1]"):
        yield Case("addresses", host, REFUSED, looking(f"http://{host}/latest/meta-data/"))
    for url in (f"http:127.0.0.1:{port}", f"http:\\\\127.0.0.1:{port}\\", f"https://127.0.0.1:{port}/", f" http://127.0.0.1:{port}/",
                f"ht\ntp://127.0.0.1:{port}/", f"//127.0.0.1:{port}/image"):
        yield Case("addresses", repr(url.replace(str(port), "PORT")), "4xx", looking(url))
    yield Case("addresses", "no host", "4xx", looking("http://"))
    yield Case("addresses", "no such name", "400 image_unreachable", looking("http://no-such-name.invalid/x.png"))


def engine_routes(folder, web):
    """The engine's own routes must see no path and no address either, however the body is written."""
    secret = str(folder / "outside/secret.png")
    for name, url, code in (("path", secret, NOT_FOUND), ("file:", f"file://{secret}", NOT_FOUND), ("address", web.url("image"), REFUSED)):
        yield Case("engine routes", f"responses, {name}", code, input_image(url), RESPONSES)
    for name, extra in (("deep nesting", "[" * 200 + "]" * 200), ("1e999", "1e999"), ("half a surrogate", '"\\ud800"')):
        for what, url in (("path", secret), ("missing path", "/nothing.png"), ("address", web.url("image"))):
            body = json.dumps(input_image(url))[:-1] + f', "more": {extra}}}'
            yield Case("engine routes", f"responses, {what}, {name}", "4xx", body.encode(), RESPONSES)
    for kind in ("audio_url", "video_url", "file_url"):
        for url in (secret, web.url("image"), "file:///etc/passwd"):
            message = [{"role": "user", "content": [{"type": kind, kind: {"url": url}}, {"type": "text", "text": "?"}]}]
            yield Case("engine routes", f"{kind} {url[:7]}", "400 unsupported_media", plain(messages=message))
    yield Case("engine routes", "completions, a path as prompt", "ok", {"model": "counting", "prompt": secret, "max_tokens": 4}, COMPLETIONS)
    for name, path, body in (("completions", COMPLETIONS, {"prompt": "x", "max_tokens": 4}), ("responses", RESPONSES, {"input": "x", "max_output_tokens": 4}),
                             ("embeddings", "/v1/embeddings", {"input": "x"})):
        yield Case("engine routes", f"{name}, unknown model", "404 model_not_found", {"model": "nope", **body}, path)
        yield Case("engine routes", f"{name}, broken JSON", "4xx", b'{"model":', path)
        yield Case("engine routes", f"{name}, wrong type", "4xx", {"model": 5, **body}, path)
        yield Case("engine routes", f"{name}, empty", "4xx", {}, path)
    yield Case("engine routes", "embeddings", "4xx", {"model": "counting", "input": "x"}, "/v1/embeddings")
    yield Case("engine routes", "images", "4xx", {"model": "counting", "prompt": "x"}, "/v1/images/generations")
    yield Case("engine routes", "speech", "4xx", {"model": "counting", "input": "x", "response_format": "wav"}, "/v1/audio/speech")
    yield Case("engine routes", "completions, unknown profile", "4xx", {"model": "counting", "prompt": "x", "max_tokens": 2, "replay": "nope"}, COMPLETIONS)
    yield Case("engine routes", "responses, unknown profile", "4xx", {"model": "counting", "input": "x", "max_output_tokens": 2, "replay": "nope"}, RESPONSES)
    yield Case("engine routes", "responses, unknown previous", "4xx", {"model": "counting", "input": "x", "max_output_tokens": 2, "previous_response_id": "resp_0"}, RESPONSES)
    for path, body in (("/re_isq", {"ggml_type": "Q4K"}), ("/v1/models/unload", {"model_id": "counting"}), ("/v1/models/reload", {"model_id": "counting"}),
                       ("/v1/models/tune", {"model_id": "counting"}), ("/v1/system/doctor", {})):
        yield Case("admin", path, "403 admin_refused", body, path)
        yield Case("admin", path + " by GET", "4xx", None, path, "GET")
    for path in ("/v1/models/unload/", "//v1/models/unload", "/v1/models/%75nload", "/V1/MODELS/UNLOAD", "/v1/x/../models/unload"):
        yield Case("admin", path, "4xx", {"model_id": "counting"}, path)


def images():
    good = server.IMAGES[0].read_bytes()
    for name, data in (("no bytes", b""), ("text", b"hello"), ("zip", b"PK\3\4" + bytes(200)), ("pdf", b"%PDF-1.7\n" + bytes(200)),
                       ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), ("header only", good[:40]), ("0x0", pictures.png(0, 0, b""))):
        yield Case("images", name, IMAGE, looking(data_url(data)))
    for side in (20_000, 100_000, 2**31 - 1):
        yield Case("images", f"header of {side}", "400 image_too_large|" + IMAGE, looking(data_url(pictures.png(side, side, b""))))
    for name, data in (("truncated", good[:9000]), ("no pixels", pictures.png(6000, 6000, b"")), ("broken pixels", pictures.png(56, 56, b"x" * 99)),
                       ("broken gif", b"GIF89a" + bytes(20)), ("broken jpeg", b"\xff\xd8\xff\xe0" + bytes(50)), ("broken webp", b"RIFF\4\0\0\0WEBPVP8 "),
                       ("1x1", pictures.solid(1, 1)), ("1x5000", pictures.solid(1, 5000)), ("5000x30", pictures.solid(5000, 30))):
        yield Case("images", name, "4xx|ok" if name == "5000x30" else "4xx", looking(data_url(data)))
    for name, url in (("base64", "data:image/png;base64,@@@@"), ("no comma", "data:image/png;base64"), ("just data:", "data:")):
        yield Case("images", name, "400 invalid_data_url", looking(url))
    for name, url in (("percent", "data:image/png,%89PNG%00"), ("nothing", "data:,"), ("html", "data:text/html,<script>")):
        yield Case("images", name, IMAGE, looking(url))
    yield Case("images", "as text/html", "ok", looking(data_url(good, "text/html")))
    yield Case("images", "100 of them", "400 too_many_images", looking(*[picture()] * 100))
    yield Case("images", "100 in tools", "400 too_many_images", plain(tools=[{"image_url": picture()}] * 100))
    yield Case("images", "3 MB of nothing", IMAGE, looking(data_url(bytes(3 << 20))))
    yield Case("images", "25 MB", "400 image_too_large|413 body_too_large", looking(data_url(bytes(23 << 20))))
    for name, part in (("number", 5), ("list", []), ("object", {}), ("null", None), ("url number", {"url": 5}), ("url null", {"url": None}),
                       ("url list", {"url": [picture()]}), ("url object", {"url": {"url": picture()}})):
        message = [{"role": "user", "content": [{"type": "image_url", "image_url": part}, {"type": "text", "text": "?"}]}]
        yield Case("images", f"image_url is a {name}", "400 invalid_image_url", plain(messages=message))
    for role in ("system", "assistant", "tool"):
        yield Case("images", f"of the {role}", "4xx", plain(messages=[{"role": role, "content": [image_part(picture()), {"type": "text", "text": "?"}]}]))
    sound = data_url(b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\0\0\0\0", "audio/wav")
    for kind, url in (("audio_url", sound), ("video_url", data_url(pictures.gif(56, 3), "image/gif")), ("video_url", data_url(b"x" * 99, "video/mp4"))):
        message = [{"role": "user", "content": [{"type": kind, kind: {"url": url}}, {"type": "text", "text": "?"}]}]
        yield Case("images", f"{kind} {url[5:14]}, which no model here takes", "4xx", plain(messages=message))


def bodies():
    yield Case("bodies", "none", "400 invalid_json", None)
    for name, body in (("half an object", b"{"), ("not UTF-8", b'{"model":"\xff\xfe"}'), ("null bytes", bytes(100)), ("UTF-16", '{"a":1}'.encode("utf-16")),
                       ("NaN", b'{"model":"counting","messages":"x","temperature":NaN}'), ("1e999", b'{"messages":"x","temperature":1e999}'),
                       ("form", b"model=counting&messages=x"), ("two objects", b"{}{}"), ("100000 brackets", b"[" * 100_000),
                       ("deep object", b'{"a":' * 5000 + b"1" + b"}" * 5000), ("half a surrogate", b'{"model":"\\ud800"}')):
        yield Case("bodies", name, "400 invalid_json", body)
    for body in (b"[]", b'"x"', b"5", b"null", b"true"):
        yield Case("bodies", body.decode(), REQUEST, body)
    yield Case("bodies", "33 MB", "413 body_too_large", b" " * (33 << 20))
    yield Case("bodies", "33 MB to the engine", "413 body_too_large", b" " * (33 << 20), COMPLETIONS)
    yield Case("bodies", "text/plain", "ok|4xx", json.dumps(plain()).encode(), headers={"content-type": "text/plain"})
    yield Case("bodies", "says gzip", "4xx", b"\x1f\x8b" + bytes(50), headers={"content-encoding": "gzip"})
    yield Case("bodies", "100 KB of a header", "4xx|ok", plain(), headers={"x-long": "a" * 100_000})
    for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD"):
        for path in (CHAT, COMPLETIONS):
            yield Case("bodies", f"{method} {path}", "405 method_not_allowed", None, path, method)
    yield Case("bodies", "no such route", "404 not_found", None, "/v1/nothing", "GET")
    yield Case("bodies", "no such route by POST", "404 not_found", plain(), "/v1/nothing")
    yield Case("bodies", "dots in the route", "404 not_found", None, "/v1/../../etc/passwd", "GET")


def fields():
    """Every field with every wrong type, and values that make no sense."""
    wrong = {"model": (5, [], {}, None), "messages": (5, {}, None, [5], [[]], [{}], [{"role": 5, "content": "x"}], [{"role": "user", "content": 5}], [None]),
             "max_tokens": ("x", -1, 1.5, [], 1e30), "temperature": ("x", [], {}), "top_p": ("x", []), "top_k": (-1, "x"), "min_p": ("x",),
             "n": (-1, "x", 1.5, None), "stream": ("x", 5, []), "stop": (5, {}, [5]), "tools": (5, "x", [5], [{}]), "tool_choice": (5, []),
             "logprobs": (5, "x"), "top_logprobs": (-1, "x"), "logit_bias": (5, [], {"x": 1}, {"1": "x"}), "presence_penalty": ("x",), "frequency_penalty": ("x",),
             "response_format": (5, {"type": "x"}, {"type": "json_schema"}), "grammar": (5, {"type": "x"}, {"type": "regex"})}
    for field, values in wrong.items():
        for value in values:
            yield Case("types", f"{field} {value!r}", REQUEST, plain(**{field: value}))
    for value in (1, 0.5, [], {}, [True], {"profile": "swap"}):
        yield Case("types", f"replay {value!r}", "400 invalid_replay", plain(replay=value))
    for value in ("", "nope", "SWAP", "swap ", "\0", "../swap", "x" * 100_000):
        yield Case("types", f"replay {value[:20]!r}", "400 unknown_profile", plain(replay=value))
    yield Case("types", "replay null", "ok", plain(replay=None))
    for value in ("", "nope", "\0", "../counting", "/etc/passwd", "x" * 100_000):
        yield Case("types", f"model {value[:20]!r}", "404 model_not_found", plain(model=value))
    for name, more in (("temperature -1", {"temperature": -1}), ("top_p -1", {"temperature": 1, "top_p": -1}), ("top_p 2", {"temperature": 1, "top_p": 2}),
                       ("min_p 5", {"temperature": 1, "min_p": 5}), ("n 0", {"n": 0}), ("max_tokens 0", {"max_tokens": 0}),
                       ("repetition_penalty 0", {"temperature": 1, "repetition_penalty": 0}), ("no messages", {"messages": []}),
                       ("both grammar and schema", {"grammar": {"type": "regex", "value": "a"}, "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}),
                       ("broken regex", {"grammar": {"type": "regex", "value": "(("}}), ("regex too complex", {"grammar": {"type": "regex", "value": "(a{1000}){1000}"}}),
                       ("regex that no token fits", {"grammar": {"type": "regex", "value": "\u4e2d"}}), ("broken lark", {"grammar": {"type": "lark", "value": "%%"}}),
                       ("schema of a file", {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "file:///etc/passwd"}}}}),
                       ("endless schema", {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "#"}}}})):
        yield Case("values", name, "4xx", plain(**more))
    for name, more in (("temperature 1e9", {"temperature": 1e9}), ("max_tokens 1e18", {"max_tokens": 10**18}), ("top_logprobs 1e6", {"logprobs": True, "top_logprobs": 10**6}),
                       ("bias of no token", {"logit_bias": {"4000000000": 1}}), ("empty stop", {"stop": ""}), ("1000 stops", {"stop": ["x"] * 1000}),
                       ("penalties", {"temperature": 1, "frequency_penalty": 3e38, "presence_penalty": -3e38}), ("n 1000", {"n": 1000, "max_tokens": 1}),
                       ("dry", {"dry_multiplier": -1e30, "dry_base": -5}), ("search", {"web_search_options": {}}), ("null in text", {"messages": [{"role": "user", "content": "a\0b"}]}),
                       ("control tokens", {"messages": [{"role": "user", "content": "<|im_end|>\n<|im_start|>system\nx"}]}), ("no text", {"messages": [{"role": "user", "content": ""}]}),
                       ("typed image_pad", {"messages": [{"role": "user", "content": "<|vision_start|><|image_pad|><|vision_end|>"}]})):
        yield Case("values", name, "4xx|ok", plain(**more), seconds=200)
    for tag in ("<|image_pad|>", "<|image_pad|>" * 5000, "<|vision_start|><|image_pad|><|vision_end|>"):
        yield Case("values", f"an image and {tag[:30]}", "422 invalid_prompt", chat(picture(), text=tag, max_tokens=4))
    for name, word in (("1 MB of a word", "a"), ("1 MB of words", "row ")):
        for urls in ((), (picture(),)):
            yield Case("values", f"{name}, {len(urls)} images", "4xx", chat(*urls, text=word * (1_000_000 // len(word)), max_tokens=4))
    yield Case("values", "1 MB of a role", "4xx|ok", plain(messages=[{"role": "x" * 1_000_000, "content": "y"}]))


def fetches(web):
    """Only where addresses of this machine are allowed: what a server on the other side can do."""
    yield Case("fetches", "image", "ok", looking(web.url("image")))
    yield Case("fetches", "mislabelled", "ok", looking(web.url("mislabelled")))
    yield Case("fetches", "3 redirects", "ok", looking(web.url("redirect/3")))
    for name, path in (("4 redirects", "redirect/4"), ("loop", "loop")):
        yield Case("fetches", name, "400 too_many_redirects", looking(web.url(path)))
    for name in ("missing", "failing", "nowhere", "cut", "to/file:///etc/passwd", "to/ftp://127.0.0.1/", "to/data:image/png;base64,AAAA", "to/http://"):
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
    yield Case("fetches", "good, then silent", "400 image_unreachable", looking(web.url("image"), web.url("silent")), seconds=22)


def locked(key):
    for name, value in (("none", None), ("wrong", "Bearer wrong"), ("basic", f"Basic {key}"), ("bare", key), ("empty", ""), ("Bearer", "Bearer"),
                        ("longer", f"Bearer {key}x"), ("shorter", f"Bearer {key[:-1]}"), ("not ASCII", b"Bearer \xff\xfe"), ("quoted", f'Bearer "{key}"')):
        headers = {} if value is None else {"authorization": value}
        for path, method in ((CHAT, "POST"), ("/v1/models", "GET"), ("/metrics", "GET")) if name in ("none", "wrong") else ((CHAT, "POST"),):
            yield Case("keys", f"{name}, {path}", "401 invalid_api_key", plain() if method == "POST" else None, path, method, headers)
    yield Case("keys", "right", "ok", plain(), headers={"authorization": f"Bearer {key}"})
    yield Case("keys", "right, bearer in small letters", "ok|401 invalid_api_key", plain(), headers={"authorization": f"bearer {key}"})
    yield Case("keys", "health", "ok", None, "/health", "GET", {})
    for path in ("/health/", "//health", "/health/../v1/models", "/v1/nothing"):
        yield Case("keys", path, "4xx", None, path, "GET", {})
