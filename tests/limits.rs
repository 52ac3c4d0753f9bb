//! Limits under load, through HTTP: time budgets, the bound of the cache, and failures of replay that stay with their request.
use crate::common::{change, config, copied, fixture};
use crate::server::{Server, dots, request};
use replay_cli::serve::{ServeOptions, Served, ServedModel, router};
use serde_json::{Value, json};

/// A server of one model, and the models behind it.
async fn start(config: replay_core::Config) -> (Server, Served) {
    let served = Served::open(&[ServedModel { name: "replayed".into(), config }]).await.unwrap();
    (Server::of(router(served.clone(), ServeOptions::default()).await.unwrap()).await, served)
}

/// Answers to different images, all asked for at once.
async fn all_at_once(server: &Server, count: u8, more: &Value) -> Vec<(u16, Value)> {
    let ask =
        |index: u8| async move { server.post("/v1/chat/completions", &request(&dots(index), more.clone())).await };
    futures::future::join_all((0..count).map(ask)).await
}

#[test]
fn a_time_budget_and_the_bound_of_the_cache_hold_for_every_request_at_a_time() {
    const CACHE: u64 = 100 << 10;
    const ENDLESS: &str = "strategy = \"learned\"\nlayers = 4\ncache.max_bytes = 102400\n[replay.rank]\nquantile = 0.5\n\
        [replay.learned]\niterations = 1000000\nlearning_rate = 0.000001\ntime_budget_ms = 60\n\
        [profiles.short]\nlearned.time_budget_ms = 0\nlearned.iterations = 2";
    let pair = fixture("qwen2_5_vl").join("pair");
    crate::common::runtime().block_on(async {
        let (server, served) = start(config(&pair.join("base"), &pair.join("rlvr"), ENDLESS)).await;
        for (status, answer) in all_at_once(&server, 12, &json!({})).await {
            let learned = &answer["replay"]["learned"];
            assert_eq!((status, &learned["stop"]), (200, &json!("time_budget")), "{answer}");
            // The budget, and the pass that was begun within it on a machine that does other things as well.
            let took = answer["replay"]["milliseconds"]["learn"].as_f64().unwrap();
            assert!((60.0..5000.0).contains(&took), "{took} ms");
        }
        // What was cut short is not kept; what was not is, as far as there is room.
        let kept = || served.model(None).unwrap().1.statistics().cache_bytes;
        assert_eq!(kept(), 0);
        let short = json!({ "replay": "short" });
        for (status, answer) in all_at_once(&server, 24, &short).await {
            assert_eq!((status, &answer["replay"]["status"]), (200, &json!("replayed")), "{answer}");
        }
        assert!(kept() > 0 && kept() <= CACHE, "{}", kept());
    });
}

#[test]
fn a_failure_of_replay_stays_with_its_requests_under_load() {
    // This base passes the self-test on text, and panics on every image.
    let (_folder, base, rlvr) = copied("qwen2_5_vl");
    change(&base.join("config.json"), |config| config["vision_config"]["window_size"] = 0.into());
    crate::common::runtime().block_on(async {
        for (on_error, wanted) in [("fail", (500, json!("engine_error"))), ("passthrough", (200, Value::Null))] {
            let replay = format!(
                "on_error = \"{on_error}\"\nstrategy = \"substitute\"\nlayers = 4\n[replay.rank]\nquantile = 0.5"
            );
            let (server, _) = start(config(&base, &rlvr, &replay)).await;
            let (broken, off) = (json!({}), json!({ "replay": false }));
            let (broken, off) = tokio::join!(all_at_once(&server, 8, &broken), all_at_once(&server, 8, &off));
            for (status, answer) in broken {
                assert_eq!((status, answer["error"]["code"].clone()), wanted, "{answer}");
                let why = if status == 200 { &answer["replay"]["reason"] } else { &answer["error"]["message"] };
                assert!(why.as_str().unwrap().contains("activation replay failed"), "{answer}");
            }
            for (status, answer) in off {
                assert_eq!((status, &answer["replay"]["status"]), (200, &json!("passthrough")), "{answer}");
            }
        }
    });
}
