//! The server through HTTP: replay by request, streams, and a door that stays shut. (A real client, hostile requests by the dozen and load:
//! tests/http.)
use std::sync::Arc;

use crate::common::{config, fixture, repository};
use crate::server::{PROFILES, Server, image, request, said};
use base64::Engine;
use futures::StreamExt;
use replay_cli::serve::ServeOptions;
use serde_json::{Value, json};

#[test]
fn a_request_chooses_its_replay_and_hears_of_it() {
    crate::common::runtime().block_on(async {
        let server = Server::start(ServeOptions::default()).await;
        let (status, on) = server.chat(json!({})).await;
        assert_eq!(
            (status, &on["replay"]["status"], &on["replay"]["strategy"]),
            (200, &json!("replayed"), &json!("learned"))
        );
        assert_eq!(on["model"], "replayed");
        let (_, off) = server.chat(json!({ "replay": false })).await;
        assert_eq!(off["replay"]["status"], "passthrough");
        let (_, swap) = server.chat(json!({ "replay": "swap" })).await;
        assert_eq!(
            (&swap["replay"]["strategy"], &swap["replay"]["status"]),
            (&json!("substitute"), &json!("replayed"))
        );
        assert_ne!(on["replay"]["fingerprint"], swap["replay"]["fingerprint"]);
        let (_, again) = server.chat(json!({ "replay": true })).await;
        assert_eq!((&again["replay"]["cache_hits"], said(&again)), (&json!(1), said(&on)));
        let (status, plain) = server.chat(json!({ "model": "plain" })).await;
        assert!(status == 200 && plain.get("replay").is_none(), "{plain}");

        for (more, status, code) in [
            (json!({ "replay": "nobody" }), 400, "unknown_profile"),
            (json!({ "replay": 1 }), 400, "invalid_replay"),
            (json!({ "replay": {} }), 400, "invalid_replay"),
            (json!({ "replay": true, "model": "plain" }), 400, "replay_unavailable"),
            (json!({ "model": "nobody" }), 404, "model_not_found"),
            (json!({ "messages": 7 }), 400, "invalid_request"),
            (json!({ "repetition_penalty": 0 }), 400, "invalid_value"),
            (json!({ "top_p": 1.5 }), 400, "invalid_value"),
            (json!({ "grammar": { "type": "regex", "value": "((" } }), 400, "invalid_grammar"),
            (json!({ "grammar": { "type": "regex", "value": "\u{4e2d}" } }), 400, "invalid_grammar"),
            (
                json!({ "messages": [{ "role": "user", "content": "a ".repeat(100_000) }] }),
                400,
                "context_length_exceeded",
            ),
        ] {
            let (got, body) = server.chat(more.clone()).await;
            assert_eq!((got, &body["error"]["code"]), (status, &json!(code)), "{more}");
        }
    });
}

#[test]
fn a_stream_says_the_same_and_reports_once() {
    crate::common::runtime().block_on(async {
        let server = Server::start(ServeOptions::default()).await;
        let (_, whole) = server.chat(json!({})).await;
        let body = request(&image(), json!({ "stream": true }));
        let response = server.client.post(format!("{}/v1/chat/completions", server.address));
        let response = response.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
        let mut text = String::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
        }
        let events: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(events.last(), Some(&"[DONE]"));
        let chunks: Vec<Value> = events[..events.len() - 1].iter().map(|e| serde_json::from_str(e).unwrap()).collect();
        let streamed: String =
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(streamed, said(&whole));
        assert_eq!(chunks.iter().filter(|chunk| chunk["replay"]["status"] == "replayed").count(), 1);
    });
}

#[test]
fn log_probabilities_and_biases_mean_what_they_say() {
    crate::common::runtime().block_on(async {
        let server = Server::start(ServeOptions::default()).await;
        let tokens = |answer: &Value| answer["choices"][0]["logprobs"]["content"].as_array().unwrap().clone();
        let more = json!({ "logprobs": true, "top_logprobs": 20, "replay": false });
        let (_, plain) = server.chat(more.clone()).await;
        for token in tokens(&plain) {
            let of = |token: &Value| token["logprob"].as_f64().unwrap();
            assert!(of(&token) <= 0.0, "{token}");
            let top = token["top_logprobs"].as_array().unwrap();
            let sum: f64 = top.iter().map(|token| of(token).exp()).sum();
            assert!(sum > 0.05 && sum < 1.00001 && (of(&top[0]) - of(&token)).abs() < 1e-5, "{sum}");
        }
        let answers = |answer: &Value| tokens(answer).iter().map(|t| t["token"].clone()).collect::<Vec<_>>();
        // The number of the token that leads, as the answer tells it.
        let leads = &tokens(&plain)[0]["top_logprobs"][0];
        let number = leads["id"].as_u64().unwrap_or_else(|| panic!("{leads}"));
        let mut biased = more;
        biased["logit_bias"] = json!({ number.to_string(): -100 });
        let (_, without) = server.chat(biased).await;
        assert_ne!(answers(&without)[0], answers(&plain)[0]);
    });
}

#[test]
fn every_choice_of_a_stream_ends_and_their_usage_is_summed() {
    crate::common::runtime().block_on(async {
        let server = Server::start(ServeOptions::default()).await;
        for round in 0..3 {
            let wanted = round < 2;
            let options = json!({ "include_usage": wanted });
            let more =
                json!({ "stream": true, "n": 3, "temperature": 1, "max_tokens": 8 + round, "stream_options": options });
            let body = request(&image(), more);
            let response = server.client.post(format!("{}/v1/chat/completions", server.address));
            let response = response.header("content-type", "application/json").body(body.to_string());
            let text = response.send().await.unwrap().text().await.unwrap();
            let events: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
            assert_eq!(events.last(), Some(&"[DONE]"), "{text}");
            let chunks: Vec<Value> =
                events[..events.len() - 1].iter().map(|e| serde_json::from_str(e).unwrap()).collect();
            let choices = || chunks.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap());
            let mut ended: Vec<u64> = choices()
                .filter(|choice| !choice["finish_reason"].is_null())
                .map(|c| c["index"].as_u64().unwrap())
                .collect();
            ended.sort_unstable();
            assert_eq!(ended, [0, 1, 2], "{text}");
            assert_eq!(chunks.iter().filter(|chunk| chunk["replay"]["status"] == "replayed").count(), 1);
            let ids: std::collections::BTreeSet<&str> =
                chunks.iter().filter_map(|chunk| chunk["id"].as_str()).collect();
            assert_eq!(ids.len(), 1, "{ids:?}");
            let usages: Vec<&Value> =
                chunks.iter().map(|chunk| &chunk["usage"]).filter(|usage| !usage.is_null()).collect();
            if !wanted {
                assert!(usages.is_empty(), "{usages:?}");
                continue;
            }
            let [usage] = usages[..] else { panic!("{usages:?}") };
            let (prompt, completion) =
                (usage["prompt_tokens"].as_u64().unwrap(), usage["completion_tokens"].as_u64().unwrap());
            assert!(completion > 8 && usage["total_tokens"].as_u64() == Some(prompt + completion), "{usage}");
        }
    });
}

#[test]
fn text_completions_and_the_list_of_models_have_the_names_and_refusals_of_chat() {
    crate::common::runtime().block_on(async {
        let server = Server::start(ServeOptions::default()).await;
        let complete = async |more: Value| {
            let mut body = json!({ "model": "replayed", "prompt": "What is", "max_tokens": 4, "temperature": 0 });
            for (key, value) in more.as_object().unwrap() {
                body[key] = value.clone();
            }
            server.post("/v1/completions", &body).await
        };
        let (status, answer) = complete(json!({})).await;
        assert_eq!(
            (status, &answer["model"], &answer["replay"]["status"]),
            (200, &json!("replayed"), &json!("passthrough"))
        );
        let text = answer["choices"][0]["text"].as_str().unwrap();
        let (_, streamed) = complete(json!({ "stream": true })).await;
        let streamed = streamed.as_str().unwrap();
        let pieces = streamed.lines().filter_map(|line| line.strip_prefix("data: {"));
        let pieces: Vec<Value> = pieces.map(|piece| serde_json::from_str(&format!("{{{piece}")).unwrap()).collect();
        assert_eq!(pieces.iter().filter_map(|piece| piece["choices"][0]["text"].as_str()).collect::<String>(), text);
        assert!(
            pieces.iter().all(|piece| piece["model"] == "replayed") && streamed.trim_end().ends_with("data: [DONE]")
        );
        for (more, status, code) in [
            (json!({ "model": "nobody" }), 404, "model_not_found"),
            (json!({ "replay": "nobody" }), 400, "unknown_profile"),
            (json!({ "prompt": 7 }), 400, "invalid_request"),
            (json!({ "best_of": 0 }), 400, "invalid_value"),
        ] {
            let (got, body) = complete(more.clone()).await;
            assert_eq!((got, &body["error"]["code"]), (status, &json!(code)), "{more}");
        }

        let get = async |method: reqwest::Method, path: &str| {
            let response = server.client.request(method, format!("{}{path}", server.address)).send().await.unwrap();
            let allowed = response.headers().get("allow").map(|allowed| allowed.to_str().unwrap().to_owned());
            let status = response.status().as_u16();
            let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null);
            (status, body, allowed)
        };
        let (status, one, _) = get(reqwest::Method::GET, "/v1/models/plain").await;
        assert_eq!((status, &one["id"], &one["object"]), (200, &json!("plain"), &json!("model")));
        for (method, path, status, code) in [
            (reqwest::Method::GET, "/v1/models/nobody", 404, "model_not_found"),
            (reqwest::Method::GET, "/v1/nothing", 404, "not_found"),
            (reqwest::Method::GET, "/v1/chat/completions", 405, "method_not_allowed"),
            (reqwest::Method::DELETE, "/v1/completions", 405, "method_not_allowed"),
        ] {
            let (got, body, allowed) = get(method, path).await;
            assert_eq!((got, &body["error"]["code"]), (status, &json!(code)), "{path}");
            assert_eq!(allowed.is_some(), status == 405, "{path}");
        }
        let large = server.client.post(format!("{}/v1/chat/completions", server.address)).body(vec![b' '; 33 << 20]);
        let large = large.send().await.unwrap();
        let (status, text) = (large.status().as_u16(), large.text().await.unwrap());
        assert!(status == 413 && text.contains("\"body_too_large\""), "{status} {text}");
    });
}

#[test]
fn images_are_fetched_together_and_have_one_deadline() {
    crate::common::runtime().block_on(async {
        // A web server whose images take their time.
        let bytes = std::fs::read(fixture("qwen2_5_vl").join("image.png")).unwrap();
        let slow = axum::Router::new().route(
            "/image.png",
            axum::routing::get(async move || {
                tokio::time::sleep(std::time::Duration::from_millis(700)).await;
                bytes
            }),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/image.png", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, slow).await });
        let server = Server::start(ServeOptions { private_addresses: true, ..ServeOptions::default() }).await;
        let part = json!({ "type": "image_url", "image_url": { "url": url } });
        let mut parts = vec![part; 6];
        parts.push(json!({ "type": "text", "text": "What is it?" }));
        let started = std::time::Instant::now();
        let (status, answer) =
            server.chat(json!({ "replay": false, "messages": [{ "role": "user", "content": parts }] })).await;
        assert_eq!((status, &answer["replay"]["status"]), (200, &json!("passthrough")), "{answer}");
        let (_, plain) = server.chat(json!({ "replay": false })).await;
        assert!(plain["choices"][0]["message"]["content"].is_string());
        // One after another, six take 4.2 s to come.
        assert!(started.elapsed() < std::time::Duration::from_millis(4200), "{:?}", started.elapsed());
    });
}

#[test]
fn the_door_stays_shut_and_the_next_request_is_answered() {
    crate::common::runtime().block_on(async {
        let server = Server::start(ServeOptions { max_pixels: 100_000, ..ServeOptions::default() }).await;
        let here = fixture("qwen2_5_vl").join("image.png").display().to_string();
        let large = image::DynamicImage::new_rgb8(400, 400);
        let mut png = std::io::Cursor::new(Vec::new());
        large.write_to(&mut png, image::ImageFormat::Png).unwrap();
        let large =
            format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(png.into_inner()));
        for (source, code) in [
            (here.clone(), "local_path_refused"),
            (format!("file://{here}"), "local_path_refused"),
            ("../tests/fixtures/qwen2_5_vl/image.png".into(), "local_path_refused"),
            ("ftp://example.org/a.png".into(), "unsupported_url_scheme"),
            ("http://127.0.0.1:1/a.png".into(), "address_refused"),
            ("http://[::1]/a.png".into(), "address_refused"),
            ("http://169.254.169.254/latest".into(), "address_refused"),
            ("http://2130706433/a.png".into(), "address_refused"),
            ("data:image/png;base64,!!!".into(), "invalid_data_url"),
            ("data:text/plain,hello".into(), "invalid_image"),
            (large, "image_too_large"),
        ] {
            let (status, body) = server.post("/v1/chat/completions", &request(&source, json!({}))).await;
            assert_eq!((status, &body["error"]["code"]), (400, &json!(code)), "{source:.60}");
            assert!(!body.to_string().contains("fixtures"), "{body}");
        }
        let responses = json!({ "model": "default", "input": [{ "type": "message", "role": "user", "content": [
            { "type": "input_text", "text": "?" }, { "type": "input_image", "image_url": here },
        ]}]});
        assert_eq!(server.post("/v1/responses", &responses).await.1["error"]["code"], "route_refused");
        // Something that one reader of JSON takes and another does not.
        let smuggled = request(&here, json!({})).to_string().replacen('{', "{\"more\": 1e999, ", 1);
        for path in ["/v1/completions", "/v1/chat/completions"] {
            let response = server.client.post(format!("{}{path}", server.address));
            let response = response.header("content-type", "application/json").body(smuggled.clone()).send().await.unwrap();
            let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
            assert!(status == 400 && text.contains("invalid_json"), "{path}: {status} {text}");
        }
        for (more, code) in [(json!({ "n": 1000 }), "invalid_n"), (json!({ "n": 0 }), "invalid_n")] {
            assert_eq!(server.chat(more).await.1["error"]["code"], code);
        }
        let many = request(&image(), json!({ "messages": [{ "role": "user", "content": [
            { "type": "video_url", "video_url": { "url": "data:image/gif;base64,R0lGODlh" } },
        ]}]}));
        assert_eq!(server.post("/v1/chat/completions", &many).await.1["error"]["code"], "unsupported_media");
        let alone = json!({ "messages": [{ "role": "user", "content": [
            { "type": "image_url", "image_url": { "url": image() } },
        ]}]});
        assert_eq!(server.chat(alone).await.0, 200);
        let tool = json!({ "tools": [{ "type": "function", "function": { "name": "look", "description": "d", "parameters": {
            "type": "object", "properties": { "image_url": { "type": "string" } } } } }] });
        assert_eq!(server.chat(tool).await.0, 200);
        let embed = server.post("/v1/embeddings", &json!({ "model": "replayed", "input": "x" })).await;
        assert_eq!((embed.0, &embed.1["error"]["code"]), (400, &json!("unsuited_model")));
        assert_eq!(server.post("/v1/models/unload", &json!({ "model_id": "replayed" })).await.0, 403);
        let (status, answer) = server.chat(json!({})).await;
        assert_eq!((status, &answer["replay"]["status"]), (200, &json!("replayed")));

        let metrics =
            server.client.get(format!("{}/metrics", server.address)).send().await.unwrap().text().await.unwrap();
        assert!(metrics.contains("replay_requests_total{outcome=\"replayed\"}"), "{metrics}");
    });
}

#[test]
fn an_api_key_and_an_image_root_open_what_they_should() {
    crate::common::runtime().block_on(async {
        let images = repository().join("tests/fixtures/qwen2_5_vl");
        let options =
            ServeOptions { api_key: Some("secret".into()), image_root: Some(images), ..ServeOptions::default() };
        let server = Arc::new(Server::start(options).await);
        assert_eq!(server.chat(json!({})).await.1["error"]["code"], "invalid_api_key");
        let post = async |key: &str, source: &str| {
            let body = request(source, json!({})).to_string();
            let url = format!("{}/v1/chat/completions", server.address);
            let response = server.client.post(url).header("authorization", format!("Bearer {key}"));
            let response = response.header("content-type", "application/json").body(body).send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        };
        assert_eq!(post("wrong", "image.png").await.0, 401);
        let lower = server.client.post(format!("{}/v1/chat/completions", server.address));
        let lower = lower.header("authorization", "bearer secret").body(request("image.png", json!({})).to_string());
        assert_eq!(lower.send().await.unwrap().status().as_u16(), 200);
        assert_eq!(post("secret", "image.png").await.0, 200);
        for escape in
            ["../qwen2_vl/image.png", "/etc/passwd", "file:///etc/passwd", "nowhere.png", "..%2f..%2fetc/passwd"]
        {
            let (status, text) = post("secret", escape).await;
            assert!(status == 400 && text.contains("image_not_found"), "{escape}: {status} {text}");
        }
        let health = server.client.get(format!("{}/health", server.address)).send().await.unwrap();
        assert_eq!(health.status().as_u16(), 200);
    });
}

#[test]
fn settings_are_exchanged_whole_or_not_at_all() {
    use crate::common::{prompt, session};
    use replay_core::config::Strategy;
    use replay_core::session::{Directive, Sampling, Session as _};
    crate::common::runtime().block_on(async {
        let session = session("qwen2_5_vl", PROFILES).await;
        let pair = fixture("qwen2_5_vl").join("pair");
        let config = |replay: &str| config(&pair.join("base"), &pair.join("rlvr"), replay);
        let strategy = async || {
            let sampling = Sampling { max_tokens: Some(1), ..Sampling::default() };
            let asked = prompt("qwen2_5_vl", &["image.png"], "What is it?");
            session.answer(asked, sampling, Directive::default()).await.unwrap().replay.unwrap().strategy
        };
        let replay = session.replay().unwrap();
        assert_eq!(strategy().await, Strategy::Learned);
        replay.reload(&config("strategy = \"substitute\"\nlayers = 2\n[replay.rank]\ntop = 3")).unwrap();
        assert_eq!(strategy().await, Strategy::Substitute);
        assert_eq!(replay.settings().profiles().count(), 0);
        for (bad, why) in [
            ("strategy = \"learned\"\nlayers = 5\n[replay.rank]\ntop = 3", "not loaded"),
            ("strategy = \"learned\"\nlayers = 99\n[replay.rank]\ntop = 3", "decoder layers"),
            ("enabled = false\nstrategy = \"learned\"\nlayers = 2\n[replay.rank]\ntop = 3", "enabled"),
        ] {
            let error = replay.reload(&config(bad)).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            assert_eq!(strategy().await, Strategy::Substitute);
        }
    });
}
