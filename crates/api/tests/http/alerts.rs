//! `/api/v1/alerts`: rules, what they tell, and whom.

use std::time::Duration;

use qd_base::Timestamp;
use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{House, OPERATOR};

const RULES: &str = "/api/v1/alerts/rules";
const INBOX: &str = "/api/v1/alerts/inbox";
const RECEIVERS: &str = "/api/v1/alerts/receivers";
const SILENCES: &str = "/api/v1/alerts/silences";

/// Half of the calls of five minutes fail.
fn failing(name: &str) -> Value {
    json!({
        "name": name, "query": {"measure": "error_rate", "model": "m"}, "window_s": 300,
        "condition": {"kind": "threshold", "direction": "above", "value": 49, "clear": 10}, "description": "look at the provider",
    })
}

/// Two calls of a minute ago, of which one failed.
async fn calls(house: &House, key: &str) {
    let at = Timestamp::now().saturating_sub(Duration::from_secs(60));
    let span = |number: u32, status: &str| {
        json!({
            "trace_id": format!("{number:032x}"), "span_id": format!("{number:016x}"), "kind": "llm", "name": "chat",
            "start_time": at, "end_time": at.saturating_add(Duration::from_secs(1)), "model": "m", "status": status,
        })
    };
    house.post(key, "/api/v1/traces", json!({"spans": [span(1, "ok"), span(2, "error")]})).await.expect(200);
}

fn each(list: &Value, field: &str) -> Vec<Value> {
    list["data"].as_array().unwrap().iter().map(|one| one[field].clone()).collect()
}

#[tokio::test]
async fn a_rule_is_made_evaluated_changed_and_removed() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    let made = house.post(&key, RULES, failing("failing")).await.expect(201);
    assert_eq!((&made["state"], &made["evaluated"], &made["unit"]), (&json!("ok"), &Value::Null, &json!("%")));
    assert_eq!(made["summary"], "error rate over 5 min above 49 %");
    assert_eq!(
        (&made["every_s"], &made["severity"], &made["on_error"]),
        (&json!(60), &json!("warning"), &json!("tell"))
    );
    house.post(&key, RULES, failing("failing")).await.refused(409, "already_exists");
    let jobs = house.get(&key, "/api/v1/jobs?kind=alert.evaluate").await.expect(200);
    assert_eq!(each(&jobs, "state"), ["queued"], "it is evaluated at once, by one job");

    calls(&house, &key).await;
    house.alerts.tick(Timestamp::now()).await.unwrap();
    let now = house.get(&key, &format!("{RULES}/failing")).await.expect(200);
    assert_eq!((&now["state"], &now["value"], &now["message"]), (&json!("firing"), &json!(50.0), &json!("50 %")));
    let other = json!({
        "query": {"measure": "error_rate"}, "window_s": 300, "severity": "critical",
        "condition": {"kind": "threshold", "direction": "above", "value": 90},
    });
    let changed = house.put(&key, &format!("{RULES}/failing"), other).await.expect(200);
    assert_eq!((&changed["state"], &changed["id"]), (&json!("ok"), &made["id"]));
    let history = house.get(&key, &format!("{RULES}/failing/history")).await.expect(200);
    assert_eq!(each(&history, "change"), ["resolved", "firing"]);
    assert_eq!(each(&history, "message"), ["the rule was changed", "50 %"]);

    assert_eq!(each(&house.get(&key, RULES).await.expect(200), "name"), ["failing"]);
    house.delete(&key, &format!("{RULES}/failing")).await.expect(204);
    for path in [format!("{RULES}/failing"), format!("{RULES}/failing/history")] {
        house.get(&key, &path).await.refused(404, "not_found");
    }
    house.delete(&key, &format!("{RULES}/failing")).await.refused(404, "not_found");
}

#[tokio::test]
async fn everyone_has_an_inbox() {
    let house = House::open().await;
    let (key, other) = (house.key(&[Scope::Write]).await, house.key(&[Scope::Read]).await);
    for name in ["one", "two"] {
        house.post(&key, RULES, failing(name)).await.expect(201);
    }
    calls(&house, &key).await;
    house.alerts.tick(Timestamp::now()).await.unwrap();
    let unread = async |key: &str| house.get(key, &format!("{INBOX}/unread")).await.expect(200);
    assert_eq!(unread(&key).await, json!({"unread": 2, "firing": 2}));
    let first = house.get(&key, &format!("{INBOX}?limit=1")).await.expect(200);
    let event = &first["data"][0];
    assert_eq!((&event["change"], &event["told"], &event["read"]), (&json!("firing"), &json!(true), &json!(false)));
    assert_eq!(event["summary"], "error rate over 5 min above 49 %");
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = house.get(&key, &format!("{INBOX}?cursor={cursor}")).await.expect(200);
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));

    let mark = format!("{INBOX}/read");
    house.post(&key, &mark, json!({"ids": [event["id"]]})).await.expect(204);
    assert_eq!((unread(&key).await["unread"].as_u64(), unread(&other).await["unread"].as_u64()), (Some(1), Some(2)));
    assert_eq!(house.get(&key, &format!("{INBOX}?unread=true")).await.expect(200)["data"].as_array().unwrap().len(), 1);
    // Who only reads may say so.
    house.post(&other, &mark, json!({"all": true})).await.expect(204);
    assert_eq!((unread(&key).await["unread"].as_u64(), unread(&other).await["unread"].as_u64()), (Some(1), Some(0)));
    for wrong in [json!({}), json!({"all": true, "ids": []}), json!({"all": false})] {
        house.post(&key, &mark, wrong).await.refused(400, "invalid_value");
    }
    let theirs = house.key_of("other", &[Scope::Read]).await;
    assert_eq!(unread(&theirs).await, json!({"unread": 0, "firing": 0}));
    house.get(&theirs, &format!("{RULES}/one")).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_statement_is_an_administrator_s_and_all_projects_are_the_operator_s() {
    let house = House::open().await;
    let (editor, admin) = (house.key(&[Scope::Write]).await, house.key(&[Scope::Admin]).await);
    let condition = json!({"kind": "threshold", "direction": "above", "value": 1});
    let sql =
        json!({"name": "sql", "query": {"sql": "SELECT count(*) FROM spans"}, "window_s": 60, "condition": condition});
    house.post(&editor, RULES, sql.clone()).await.refused(403, "missing_scope");
    house.post(&editor, "/api/v1/alerts/preview", json!({"alert": sql})).await.refused(403, "missing_scope");
    house.post(&admin, RULES, sql).await.expect(201);
    let mut all = failing("all");
    all["everywhere"] = json!(true);
    house.post(&admin, RULES, all.clone()).await.refused(403, "operator_only");
    house.post(OPERATOR, RULES, all).await.expect(201);

    // Nor may others take such a rule away, or put another in its place.
    let mut plain = failing("sql");
    for (name, caller, refusal) in [("sql", &editor, "missing_scope"), ("all", &admin, "operator_only")] {
        let path = format!("{RULES}/{name}");
        plain["name"] = json!(name);
        house.put(caller, &path, plain.clone()).await.refused(403, refusal);
        house.delete(caller, &path).await.refused(403, refusal);
    }
    house.delete(&admin, &format!("{RULES}/sql")).await.expect(204);
}

#[tokio::test]
async fn evaluation_is_an_administrator_s_to_stop_since_it_is_every_project_s() {
    let house = House::open().await;
    let (editor, admin) = (house.key(&[Scope::Write]).await, house.key(&[Scope::Admin]).await);
    house.post(&editor, RULES, failing("one")).await.expect(201);
    let jobs = house.get(&editor, "/api/v1/jobs?kind=alert.evaluate").await.expect(200);
    let cancel = format!("/api/v1/jobs/{}/cancel", jobs["data"][0]["id"].as_str().unwrap());
    house.post(&editor, &cancel, json!({})).await.refused(403, "missing_scope");
    house.post(&admin, &cancel, json!({})).await.expect(200);
}

#[tokio::test]
async fn a_preview_reads_the_past_and_saves_nothing() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    calls(&house, &key).await;
    let reader = house.key(&[Scope::Read]).await;
    let ask = json!({"alert": failing("x"), "points": 3, "step_s": 600});
    let found = house.post(&reader, "/api/v1/alerts/preview", ask).await.expect(200);
    let points = found["points"].as_array().unwrap();
    assert_eq!((points.len(), &found["fired"], &found["unit"]), (3, &json!(1), &json!("%")));
    assert_eq!(
        (&points[0]["value"], &points[2]["value"], &points[2]["state"]),
        (&Value::Null, &json!(50.0), &json!("firing"))
    );
    assert_eq!(each(&house.get(&key, RULES).await.expect(200), "name"), Vec::<Value>::new());
    for (field, value) in [("points", 0), ("points", 201), ("step_s", 0)] {
        let mut wrong = json!({"alert": failing("x")});
        wrong[field] = json!(value);
        assert_eq!(
            house.post(&reader, "/api/v1/alerts/preview", wrong).await.refused(400, "invalid_value")["param"],
            field
        );
    }
}

#[tokio::test]
async fn a_receiver_s_secret_is_shown_once_and_its_url_to_who_may_change_it() {
    let house = House::open().await;
    let (admin, reader) = (house.key(&[Scope::Admin]).await, house.key(&[Scope::Read]).await);
    let url = "https://hooks.example.test/in/t0ken?key=k3y";
    let made = house.post(&admin, RECEIVERS, json!({"name": "ops", "url": url})).await.expect(201);
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"), "{secret}");
    assert_eq!(made["receiver"]["changes"], json!(["firing", "resolved", "no_data", "error"]));
    house.post(&admin, RECEIVERS, json!({"name": "ops", "url": url})).await.refused(409, "already_exists");

    let one = format!("{RECEIVERS}/ops");
    let shown = house.get(&admin, &one).await;
    assert_eq!(shown.expect(200)["url"], url);
    assert!(!shown.text().contains(&secret), "{}", shown.text());
    for path in [RECEIVERS, &one] {
        let shown = house.get(&reader, path).await;
        assert!(!shown.text().contains("t0ken") && !shown.text().contains("k3y"), "{}", shown.text());
    }
    assert_eq!(house.get(&reader, &one).await.expect(200)["url"], "https://hooks.example.test");
    let audit = house.get(&admin, "/api/v1/audit").await;
    assert!(audit.text().contains("\"ops\"") && !audit.text().contains("t0ken"), "{}", audit.text());

    let changed = house.put(&admin, &one, json!({"enabled": false, "changes": ["resolved"]})).await.expect(200);
    assert_eq!(
        (&changed["enabled"], &changed["changes"], &changed["url"]),
        (&json!(false), &json!(["resolved"]), &json!(url))
    );
    let again = house.post(&admin, &format!("{one}/secret"), json!({})).await.expect(200);
    assert_ne!(again["secret"], json!(secret));
    let missing = house.post(&admin, RULES, json!({
        "name": "x", "query": {"measure": "calls"}, "window_s": 60, "receivers": ["oops"], "condition": {"kind": "absence"}
    }));
    assert_eq!(missing.await.refused(400, "invalid_value")["param"], "receivers");
    house.delete(&admin, &one).await.expect(204);
    house.get(&admin, &one).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_receiver_is_tried_out() {
    let house = House::open().await;
    let admin = house.key(&[Scope::Admin]).await;
    // The stub answers 404 to a path that it does not know.
    let known = format!("{}/embeddings", house.stub.base_url());
    for (name, url) in [("takes", known.as_str()), ("refuses", &house.stub.base_url())] {
        house.post(&admin, RECEIVERS, json!({"name": name, "url": url})).await.expect(201);
    }
    let went = house.post(&admin, &format!("{RECEIVERS}/takes/test"), json!({})).await.expect(200);
    assert_eq!((&went["delivered"], &went["status"], &went["error"]), (&json!(true), &json!(200), &Value::Null));
    let sent: Value = serde_json::from_str(&house.stub.shared.last.body()).unwrap();
    assert_eq!((&sent["type"], &sent["data"]["project"]), (&json!("alert.test"), &json!("default")));
    let headers = house.stub.shared.last.headers();
    assert!(headers.contains("webhook-signature") && headers.contains("v1,"), "{headers}");
    let went = house.post(&admin, &format!("{RECEIVERS}/refuses/test"), json!({})).await.expect(200);
    assert_eq!((&went["delivered"], &went["error"]), (&json!(false), &json!("it answered 404 Not Found")));
    let fared = house.get(&admin, &format!("{RECEIVERS}/refuses")).await.expect(200);
    assert_eq!((&fared["failures"], &fared["last_error"]), (&json!(1), &json!("it answered 404 Not Found")));
    house.post(&admin, &format!("{RECEIVERS}/nobody/test"), json!({})).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_silenced_rule_says_so() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    house.post(&key, RULES, failing("failing")).await.expect(201);
    let new = json!({"pattern": "fail*", "for_s": 3600, "reason": "the provider moves house"});
    let made = house.post(&key, SILENCES, new).await.expect(201);
    assert!(made["author"].as_str().unwrap().starts_with("key:"), "{made}");
    calls(&house, &key).await;
    house.alerts.tick(Timestamp::now()).await.unwrap();
    assert_eq!(house.get(&key, &format!("{RULES}/failing")).await.expect(200)["silenced"], true);
    let inbox = house.get(&key, INBOX).await.expect(200);
    assert_eq!((&inbox["data"][0]["change"], &inbox["data"][0]["silenced"]), (&json!("firing"), &json!(true)));
    let id = made["id"].as_str().unwrap();
    assert_eq!(each(&house.get(&key, SILENCES).await.expect(200), "id"), [json!(id)]);
    house.delete(&key, &format!("{SILENCES}/{id}")).await.expect(204);
    house.delete(&key, &format!("{SILENCES}/{id}")).await.refused(404, "not_found");
    assert_eq!(house.get(&key, &format!("{RULES}/failing")).await.expect(200)["silenced"], false);
    for wrong in [
        json!({"pattern": "*", "reason": "x"}),
        json!({"pattern": "*", "reason": "x", "for_s": 0}),
        json!({"pattern": "*", "reason": "x", "for_s": 367 * 86_400}),
        json!({"pattern": "*", "reason": "x", "for_s": 60, "until": "2999-01-01T00:00:00Z"}),
        json!({"pattern": "*", "reason": "", "for_s": 60}),
        json!({"pattern": "*", "reason": "x", "until": "2020-01-01T00:00:00Z"}),
    ] {
        house.post(&key, SILENCES, wrong.clone()).await.refused(400, "invalid_value");
    }
}

#[tokio::test]
async fn what_cannot_be_a_rule_is_refused_by_its_field() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    for (change, param) in [
        (json!({"window_s": 10}), json!("window_s")),
        (json!({"query": {}}), json!("query")),
        (json!({"query": {"measure": "moons"}}), json!("query.measure")),
        (json!({"condition": {"kind": "budget", "limit": 1, "period_s": 3600, "factor": 2}}), json!("query.measure")),
        (
            json!({"condition": {"kind": "threshold", "direction": "above", "value": 1, "clear": 2}}),
            json!("condition.clear"),
        ),
        (json!({"name": "Not A Name"}), json!("name")),
        (json!({"name": null}), json!("name")),
        (json!({"moon": 1}), json!("moon")),
    ] {
        let mut wrong = failing("x");
        wrong.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = house.post(&key, RULES, wrong.clone()).await;
        assert_eq!(answer.expect(400)["error"]["param"], param, "{wrong}");
    }
    let elsewhere = house.put(&key, &format!("{RULES}/other"), failing("x")).await;
    assert_eq!(elsewhere.refused(400, "invalid_value")["param"], "name");
}
