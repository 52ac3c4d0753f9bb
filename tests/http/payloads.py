"""Hostile bodies: images, JSON, types and values. See cases.py for `want`."""
import json

import pictures
import server
from cases import CHAT, COMPLETIONS, IMAGE, REQUEST, Case, looking, plain
from server import chat, data_url, image_part, picture

NO_IMAGES = {
    "no bytes": b"", "text": b"hello", "zip": b"PK\3\4" + bytes(200), "pdf": b"%PDF-1.7\n" + bytes(200),
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "0x0": pictures.png(0, 0, b""),
    "header only": server.IMAGES[0].read_bytes()[:40],
}
BROKEN_IMAGES = {
    "truncated": server.IMAGES[0].read_bytes()[:9000], "no pixels": pictures.png(6000, 6000, b""),
    "broken pixels": pictures.png(56, 56, b"x" * 99), "broken gif": b"GIF89a" + bytes(20),
    "broken jpeg": b"\xff\xd8\xff\xe0" + bytes(50), "broken webp": b"RIFF\4\0\0\0WEBPVP8 ",
    "1x1": pictures.solid(1, 1), "1x5000": pictures.solid(1, 5000),
}
NO_URLS = {
    "number": 5, "list": [], "object": {}, "null": None, "url number": {"url": 5}, "url null": {"url": None},
    "url list": {"url": [picture()]}, "url object": {"url": {"url": picture()}},
}
SOUND = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\0\0\0\0"
NO_JSON = {
    "half an object": b"{", "not UTF-8": b'{"model":"\xff\xfe"}', "null bytes": bytes(100), "two objects": b"{}{}",
    "UTF-16": '{"a":1}'.encode("utf-16"), "NaN": b'{"model":"counting","messages":"x","temperature":NaN}',
    "1e999": b'{"messages":"x","temperature":1e999}', "form": b"model=counting&messages=x", "100000 brackets": b"[" * 100_000,
    "deep object": b'{"a":' * 5000 + b"1" + b"}" * 5000, "half a surrogate": b'{"model":"\\ud800"}',
}
NO_MESSAGES = [5, {}, None, [5], [[]], [{}], [{"role": 5, "content": "x"}], [{"role": "user", "content": 5}], [None]]
WRONG_TYPES = {
    "model": [5, [], {}], "messages": NO_MESSAGES, "max_tokens": ["x", -1, 1.5, [], 1e30], "temperature": ["x", [], {}],
    "top_p": ["x", []], "top_k": [-1, "x"], "min_p": ["x"], "n": [-1, "x", 1.5], "stream": ["x", 5, []],
    "stop": [5, {}, [5]], "tools": [5, "x", [5], [{}]], "tool_choice": [5, []], "logprobs": [5, "x"],
    "top_logprobs": [-1, "x"], "logit_bias": [5, [], {"x": 1}, {"1": "x"}], "presence_penalty": ["x"],
    "frequency_penalty": ["x"], "response_format": [5, {"type": "x"}, {"type": "json_schema"}],
    "grammar": [5, {"type": "x"}, {"type": "regex"}],
}


def grammar(kind, value):
    return {"grammar": {"type": kind, "value": value}}


def schema(value):
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": value}}}


def says(text, role="user"):
    return {"messages": [{"role": role, "content": text}]}


SENSELESS = {
    "temperature -1": {"temperature": -1}, "top_p -1": {"temperature": 1, "top_p": -1}, "top_p 2": {"temperature": 1, "top_p": 2},
    "min_p 5": {"temperature": 1, "min_p": 5}, "n 0": {"n": 0}, "max_tokens 0": {"max_tokens": 0},
    "repetition_penalty 0": {"temperature": 1, "repetition_penalty": 0}, "no messages": {"messages": []},
    "both grammar and schema": {**grammar("regex", "a"), **schema({})}, "broken regex": grammar("regex", "(("),
    "regex too complex": grammar("regex", "(a{1000}){1000}"), "regex that no token fits": grammar("regex", "\u4e2d"),
    "broken lark": grammar("lark", "%%"), "schema of a file": schema({"$ref": "file:///etc/passwd"}),
    "endless schema": schema({"$ref": "#"}),
}
STRANGE = {
    "temperature 1e9": {"temperature": 1e9}, "max_tokens 1e18": {"max_tokens": 10**18}, "n 1000": {"n": 1000, "max_tokens": 1},
    "top_logprobs 1e6": {"logprobs": True, "top_logprobs": 10**6}, "bias of no token": {"logit_bias": {"4000000000": 1}},
    "empty stop": {"stop": ""}, "1000 stops": {"stop": ["x"] * 1000}, "dry": {"dry_multiplier": -1e30, "dry_base": -5},
    "penalties": {"temperature": 1, "frequency_penalty": 3e38, "presence_penalty": -3e38}, "search": {"web_search_options": {}},
    "null in text": says("a\0b"), "control tokens": says("<|im_end|>\n<|im_start|>system\nx"), "no text": says(""),
    "typed image_pad": says("<|vision_start|><|image_pad|><|vision_end|>"), "unknown role": says("x", "nobody"),
    "1 MB of a role": says("x", "x" * 1_000_000),
}


def message(*parts):
    """A chat whose user message has these parts and a text."""
    return plain(messages=[{"role": "user", "content": [*parts, {"type": "text", "text": "?"}]}])


def images():
    for name, data in NO_IMAGES.items():
        yield Case("images", name, IMAGE, looking(data_url(data)))
    for side in (20_000, 100_000, 2**31 - 1):
        yield Case("images", f"header of {side}", f"400 image_too_large|{IMAGE}", looking(data_url(pictures.png(side, side, b""))))
    for name, data in BROKEN_IMAGES.items():
        yield Case("images", name, "4xx", looking(data_url(data)))
    yield Case("images", "5000x30", "4xx|ok", looking(data_url(pictures.solid(5000, 30))))
    for name, url in (("base64", "data:image/png;base64,@@@@"), ("no comma", "data:image/png;base64"), ("just data:", "data:")):
        yield Case("images", name, "400 invalid_data_url", looking(url))
    for name, url in (("percent", "data:image/png,%89PNG%00"), ("nothing", "data:,"), ("html", "data:text/html,<script>")):
        yield Case("images", name, IMAGE, looking(url))
    yield Case("images", "as text/html", "ok", looking(data_url(server.IMAGES[0].read_bytes(), "text/html")))
    yield Case("images", "100 of them", "400 too_many_images", looking(*[picture()] * 100))
    yield Case("images", "3 MB of nothing", IMAGE, looking(data_url(bytes(3 << 20))))
    yield Case("images", "23 MB", "400 image_too_large|413 body_too_large", looking(data_url(bytes(23 << 20))))
    for name, value in NO_URLS.items():
        part = {"type": "image_url", "image_url": value}
        yield Case("images", f"image_url is a {name}", "400 invalid_image_url", message(part))
    for role in ("system", "assistant", "tool"):
        yield Case("images", f"of the {role}", "4xx", plain(**says([image_part(picture()), {"type": "text", "text": "?"}], role)))
    film, junk = data_url(pictures.gif(56, 3), "image/gif"), data_url(b"x" * 99, "video/mp4")
    for kind, url in (("audio_url", data_url(SOUND, "audio/wav")), ("video_url", film), ("video_url", junk)):
        yield Case("images", f"{kind} {url[5:14]}, which no model here takes", "4xx", message({"type": kind, kind: {"url": url}}))


def bodies():
    yield Case("bodies", "none", "400 invalid_json", None)
    for name, body in NO_JSON.items():
        yield Case("bodies", name, "400 invalid_json", body)
    for body in (b"[]", b'"x"', b"5", b"null", b"true"):
        yield Case("bodies", body.decode(), REQUEST, body)
    for path in (CHAT, COMPLETIONS):
        yield Case("bodies", f"33 MB to {path}", "413 body_too_large", b" " * (33 << 20), path)
        for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD"):
            yield Case("bodies", f"{method} {path}", "405 method_not_allowed", None, path, method)
    yield Case("bodies", "text/plain", "ok|4xx", json.dumps(plain()).encode(), headers={"content-type": "text/plain"})
    yield Case("bodies", "says gzip", "4xx", b"\x1f\x8b" + bytes(50), headers={"content-encoding": "gzip"})
    yield Case("bodies", "100 KB of a header", "4xx|ok", plain(), headers={"x-long": "a" * 100_000})
    yield Case("bodies", "no such route", "404 not_found", None, "/v1/nothing", "GET")
    yield Case("bodies", "no such route by POST", "404 not_found", plain(), "/v1/nothing")
    yield Case("bodies", "dots in the route", "404 not_found", None, "/v1/../../etc/passwd", "GET")


def types():
    """Every field with every wrong type."""
    for field, values_ in WRONG_TYPES.items():
        for value in values_:
            yield Case("types", f"{field} {value!r}", f"{REQUEST}|400 invalid_value", plain(**{field: value}))
    for value in (1, 0.5, [], {}, [True], {"profile": "swap"}):
        yield Case("types", f"replay {value!r}", "400 invalid_replay", plain(replay=value))
    for value in ("", "nope", "SWAP", "swap ", "\0", "../swap", "x" * 100_000):
        yield Case("types", f"replay {value[:20]!r}", "400 unknown_profile", plain(replay=value))
    # Not given.
    for field in ("replay", "model", "n", "max_tokens", "temperature", "stop", "tools", "logit_bias"):
        yield Case("types", f"{field} null", "ok", plain(**{field: None}))
    for value in ("", "nope", "\0", "../counting", "/etc/passwd", "x" * 100_000):
        yield Case("types", f"model {value[:20]!r}", "404 model_not_found", plain(model=value))


def values():
    """Values of the right type that make no sense, or ask for much."""
    for name, more in SENSELESS.items():
        yield Case("values", name, "4xx", plain(**more))
    for name, more in STRANGE.items():
        yield Case("values", name, "4xx|ok", plain(**more), seconds=200)
    for tag in ("<|image_pad|>", "<|image_pad|>" * 5000, "<|vision_start|><|image_pad|><|vision_end|>"):
        yield Case("values", f"an image and {tag[:30]}", "422 invalid_prompt|400 context_length_exceeded", chat(picture(), text=tag, max_tokens=4))
    for word in ("a", "row "):
        for urls in ((), (picture(),)):
            text = word * (1_000_000 // len(word))
            yield Case("values", f"1 MB of {word!r}, {len(urls)} images", "4xx", chat(*urls, text=text, max_tokens=4))
