"""The official OpenAI client, unmodified, against the server. Exit status 1 if anything is not as the API has it.

usage: client.py --replay PATH
"""
import json
import traceback

import httpx
import openai

import server
from server import messages, picture

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def text(answer):
    return answer.choices[0].message.content


def ask(client, *urls, question=server.QUESTION, **more):
    more = {"model": "counting", "messages": messages(*urls, text=question), "max_tokens": 40, "temperature": 0, **more}
    return client.chat.completions.create(**more)


def gather(stream):
    """(text by choice, finish reasons by choice, reports of replay, usages, chunks) of a stream."""
    texts, reasons, reports, usages, chunks = {}, {}, [], [], 0
    for chunk in stream:
        chunks += 1
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
            if choice.finish_reason:
                reasons[choice.index] = choice.finish_reason
        if getattr(chunk, "replay", None):
            reports.append(chunk.replay)
        if chunk.usage:
            usages.append(chunk.usage)
    return texts, reasons, reports, usages, chunks


def refused(kind, code, call):
    try:
        call()
    except kind as refusal:
        assert refusal.code == code, (refusal.code, refusal.message)
        return refusal
    raise AssertionError(f"not refused with {kind.__name__}")


@check
def models_are_listed(client):
    names = [model.id for model in client.models.list()]
    assert {"counting", "seeing"} <= set(names), names


@check
def a_model_is_retrieved(client):
    assert client.models.retrieve("counting").id == "counting"


@check
def an_image_is_answered(client):
    answer = ask(client, picture())
    assert "boxed" in text(answer) and answer.model == "counting" and answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@check
def an_image_alone_is_answered(client):
    parts = [server.image_part(picture())]
    assert text(ask(client, messages=[{"role": "user", "content": parts}]))


@check
def the_report_is_in_the_answer(client):
    report = ask(client, picture()).replay
    assert (report["status"], report["strategy"], report["images"]) == ("replayed", "learned", 1), report


@check
def the_report_is_in_exactly_one_chunk(client):
    for more in ({}, {"extra_body": {"replay": "swap"}}, {"extra_body": {"replay": False}}):
        _, _, reports, _, chunks = gather(ask(client, picture(), stream=True, **more))
        assert len(reports) == 1 and chunks > 5, (len(reports), chunks)


@check
def a_stream_says_what_an_answer_says(client):
    for urls in ([], [picture(1)], [picture(2), picture(3)]):
        for replay in (True, False, "swap", "short"):
            more = {"extra_body": {"replay": replay}}
            answer, stream = ask(client, *urls, **more), gather(ask(client, *urls, stream=True, **more))
            assert stream[0][0] == text(answer), (replay, stream[0][0], text(answer))
            assert stream[1][0] == answer.choices[0].finish_reason


@check
def greedy_answers_repeat(client):
    assert len({text(ask(client, picture(4))) for _ in range(4)}) == 1


@check
def several_images_are_replayed(client):
    report = ask(client, *map(picture, range(5))).replay
    assert (report["status"], report["images"]) == ("replayed", 5), report


@check
def replay_is_chosen_by_request(client):
    said = {}
    for replay in (True, False, "swap", "short"):
        report = ask(client, picture(), extra_body={"replay": replay}).replay
        said[replay] = report["status"], report["strategy"], (report["learned"] or {}).get("iterations")
    assert said[True] == ("replayed", "learned", 8) and said["short"] == ("replayed", "learned", 2), said
    assert said[False][0] == "passthrough" and said["swap"] == ("replayed", "substitute", None), said


@check
def a_model_without_replay_says_so(client):
    answer = ask(client, picture(), model="seeing")
    assert text(answer) and getattr(answer, "replay", None) is None
    assert text(ask(client, picture(), model="seeing", extra_body={"replay": False})) == text(answer)
    for replay in (True, "swap"):
        refused(openai.BadRequestError, "replay_unavailable",
                lambda: ask(client, picture(), model="seeing", extra_body={"replay": replay}))


@check
def systems_turns_and_tools_pass(client):
    parameters = {"type": "object", "properties": {"shape": {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": "count", "description": "counts", "parameters": parameters}}]
    call = {"id": "1", "type": "function", "function": {"name": "count", "arguments": json.dumps({"shape": "red"})}}
    talk = [{"role": "system", "content": "Count."}, *messages(picture()),
            {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "1", "content": "8"},
            {"role": "user", "content": "How many?"}]
    for choice in ("auto", "none"):
        assert ask(client, messages=talk, tools=tools, tool_choice=choice).replay["status"] == "replayed"
    assert gather(ask(client, messages=talk, tools=tools, stream=True))[1]


@check
def a_tool_may_have_a_parameter_called_image_url(client):
    parameters = {"type": "object", "properties": {"image_url": {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": "look", "description": "looks", "parameters": parameters}}]
    assert ask(client, tools=tools).choices


@check
def all_choices_arrive(client):
    answer = ask(client, picture(), n=3, temperature=1)
    assert sorted(choice.index for choice in answer.choices) == [0, 1, 2]


@check
def all_choices_of_a_stream_end(client):
    for _ in range(5):
        reasons = gather(ask(client, n=3, temperature=1, stream=True, max_tokens=12))[1]
        assert sorted(reasons) == [0, 1, 2], reasons


@check
def log_probabilities_are_none_above_zero(client):
    for token in ask(client, logprobs=True, top_logprobs=2).choices[0].logprobs.content:
        assert token.logprob <= 1e-4, token.logprob


@check
def a_bias_forbids_a_token(client):
    plain = ask(client, logprobs=True, top_logprobs=1).choices[0].logprobs.content[0]
    number = str(plain.top_logprobs[0].token)
    number = number if number.isdigit() else "107"
    assert not text(ask(client, logit_bias={number: -100})).startswith(plain.token)


@check
def usage_comes_with_a_stream(client):
    usages = gather(ask(client, picture(), stream=True, stream_options={"include_usage": True}))[3]
    assert len(usages) == 1 and usages[0].completion_tokens > 5, usages


@check
def texts_are_completed(client):
    more = {"model": "counting", "prompt": "How many", "max_tokens": 6, "temperature": 0}
    answer = client.completions.create(**more)
    assert answer.model == "counting" and answer.choices[0].text and answer.replay["status"] == "passthrough"
    pieces = list(client.completions.create(**more, stream=True))
    assert "".join(piece.choices[0].text for piece in pieces) == answer.choices[0].text
    assert {piece.model for piece in pieces} == {"counting"}
    refused(openai.NotFoundError, "model_not_found", lambda: client.completions.create(**{**more, "model": "nope"}))


@check
def what_makes_no_sense_is_refused_by_name(client):
    for field, value in {"temperature": -1, "top_p": 2, "max_tokens": 0, "presence_penalty": 3, "stop": ""}.items():
        refusal = refused(openai.BadRequestError, "invalid_value", lambda: ask(client, **{field: value}))
        assert refusal.param == field, refusal.param
    for extra in ({"repetition_penalty": 0}, {"min_p": 5}, {"top_k": -1}):
        refused(openai.BadRequestError, "invalid_value", lambda: ask(client, extra_body=extra))
    grammar = {"grammar": {"type": "regex", "value": "(("}}
    refused(openai.BadRequestError, "invalid_grammar", lambda: ask(client, extra_body=grammar))
    long = "How many " * 100_000
    refused(openai.BadRequestError, "context_length_exceeded", lambda: ask(client, question=long))


@check
def an_unknown_model_is_not_found(client):
    refused(openai.NotFoundError, "model_not_found", lambda: client.models.retrieve("gpt-4o"))
    refused(openai.NotFoundError, "model_not_found", lambda: ask(client, picture(), model="gpt-4o"))


@check
def refusals_have_codes(client):
    bad = openai.BadRequestError
    refused(bad, "unknown_profile", lambda: ask(client, picture(), extra_body={"replay": "nope"}))
    refused(bad, "invalid_replay", lambda: ask(client, picture(), extra_body={"replay": 1}))
    refused(bad, "local_path_refused", lambda: ask(client, "file:///etc/passwd"))


@check
def a_broken_prompt_raises_in_a_stream_too(client):
    typed = "<|image_pad|>"
    refused(openai.UnprocessableEntityError, "invalid_prompt", lambda: ask(client, picture(), question=typed))
    refused(openai.APIError, "invalid_prompt", lambda: gather(ask(client, picture(), question=typed, stream=True)))


@check
def a_key_is_asked_for(client):
    with server.Server(client.binary, "--api-key-env", "KEY", environment={"KEY": "secret"}) as locked:
        options = {"base_url": locked.url + "/v1", "max_retries": 0}
        lower = httpx.get(locked.url + "/v1/models", headers={"authorization": "bearer secret"})
        assert lower.status_code == 200, lower.text
        with openai.OpenAI(api_key="secret", **options) as right, openai.OpenAI(api_key="wrong", **options) as wrong:
            assert text(ask(right, picture()))
            refused(openai.AuthenticationError, "invalid_api_key", lambda: ask(wrong, picture()))
        assert httpx.get(locked.url + "/health").status_code == 200


def main():
    a = server.arguments(__doc__).parse_args()
    rows, failures = [], []
    with server.Server(a.replay, models=("counting", "seeing")) as running:
        with openai.OpenAI(base_url=running.url + "/v1", api_key="none", max_retries=0, timeout=120) as client:
            client.binary = a.replay
            for function in CHECKS:
                name, why = function.__name__.replace("_", " "), ""
                try:
                    function(client)
                except Exception as error:
                    line = traceback.extract_tb(error.__traceback__)[-1].lineno
                    why = f"{type(error).__name__}: {str(error)[:110]} (line {line})".replace("\n", " ")
                    failures.append(name)
                rows.append((name, "failed" if why else "ok", why))
    server.table(rows, ("check", "", "why"))
    server.finish(failures)


if __name__ == "__main__":
    main()
