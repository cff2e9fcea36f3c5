//! Commands: what they print, in which form, and with which exit code.

use serde_json::Value;

use crate::binary::{Place, alone};

/// No models, a free port: everything that a command without a model needs.
const BARE: &str = "[server]\naddress = \"127.0.0.1:0\"\n[models]\ndefaults = []\npreload = []\n";

/// Runs a command that must end with `code` and say `words` on standard error.
fn check_refused(place: &Place, arguments: &[&str], code: i32, words: &[&str]) {
    let output = place.run(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed data although it failed");
    // Long sentences are wrapped and decorated; the words are what counts.
    let flat: String =
        said.chars().filter(|c| c.is_ascii()).collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(flat.contains(word), "{arguments:?} should say {word:?}: {flat}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_exit_code() {
    let place = Place::new(BARE);
    check_refused(&place, &["modle", "list"], 2, &["modle", "model"]);
    check_refused(
        &place,
        &["--set", "server.adress=1", "config", "show"],
        2,
        &["server.adress", "--set", "no such setting"],
    );
    check_refused(&place, &["--config", "absent.toml", "config", "show"], 2, &["absent.toml"]);
    check_refused(&place, &["trace", "list", "--group", "a"], 2, &["--group-by"]);
    check_refused(&place, &["trace", "list", "--group-by", "user"], 2, &["--group <NAME>", "--except-group <NAME>"]);
    check_refused(&place, &["trace", "list", "--group-by", "moon", "--group", ""], 1, &["group_by", "environment"]);
    check_refused(&place, &["model", "show", "no-such-model"], 1, &["no-such-model"]);
    check_refused(&place, &["sql", "SELECT nonsense FROM spans"], 1, &["nonsense"]);
    check_refused(&place, &["sql", "DROP TABLE spans"], 1, &[]);
    check_refused(&place, &["job", "show", "01890000-0000-7000-8000-000000000000"], 1, &["job"]);
    // Port 1 answers nobody.
    check_refused(
        &place,
        &["--url", "http://127.0.0.1:1", "model", "list"],
        4,
        &["http://127.0.0.1:1", "quarterdeck serve"],
    );
    check_refused(&place, &["trace", "tail"], 4, &["quarterdeck serve"]);
}

/// What only the rooms can know to be wrong is the configuration's fault all the same.
#[test]
fn a_configuration_that_cannot_work_is_said_with_its_exit_code() {
    let with = |more: &str| Place::new(&format!("{BARE}{more}"));
    check_refused(&with("[net]\nallow = [\"no such thing\"]\n"), &["serve"], 2, &["net.allow", "no such thing"]);
    let twice = "[[routes]]\nname = \"a\"\ntargets = [{ provider = \"local\", model = \"m\" }]\n";
    check_refused(&with(&twice.repeat(2)), &["serve"], 2, &["two routes"]);
    check_refused(&with("[[routes]]\nname = \"a\"\ntargets = []\n"), &["key", "list"], 2, &["targets"]);
    let unset =
        "[[providers]]\nname = \"up\"\nbase_url = \"https://up.example/v1\"\napi_key_env = \"NO_SUCH_KEY_HERE\"\n";
    let place = with(unset);
    check_refused(&place, &["serve"], 2, &["NO_SUCH_KEY_HERE", "up"]);
    assert_eq!(place.json(&["key", "list"]), serde_json::json!([]), "who only looks needs no key of an upstream");
}

#[test]
fn an_unknown_key_is_shown_with_its_line() {
    let place = Place::new("[server]\nadress = \"127.0.0.1:1\"\n");
    check_refused(&place, &["model", "list"], 2, &["unknown field", "adress", "quarterdeck.toml:2:1"]);
}

#[test]
fn settings_tell_their_origin() {
    let place = Place::new(BARE);
    let output = place
        .command(&["config", "show", "--origin", "--output", "json", "--set", "engine.slots=3"])
        .env("QUARTERDECK_TRACE_MODE", "sync")
        .output()
        .expect("the binary runs");
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let row = |key: &str| rows.iter().find(|row| row["setting"] == key).expect(key).clone();
    assert_eq!(
        (&row("engine.slots")["value"], row("engine.slots")["origin"].as_str()),
        (&3.into(), Some("flag --set"))
    );
    assert_eq!(row("trace.mode")["origin"], "environment QUARTERDECK_TRACE_MODE");
    assert!(row("server.address")["origin"].as_str().expect("text").ends_with("quarterdeck.toml:2"));
    assert_eq!(row("limits.sql_rows")["origin"], "default");
}

#[test]
fn the_same_rows_in_every_form() {
    let place = Place::new(BARE);
    let sql = "SELECT 1 AS one, 'a,b' AS two";
    assert_eq!(place.json(&["sql", sql]), serde_json::json!([{"one": 1, "two": "a,b"}]));
    assert_eq!(place.print(&["sql", sql, "--output", "jsonl"]), "{\"one\":1,\"two\":\"a,b\"}\n");
    assert_eq!(place.print(&["sql", sql, "--output", "csv"]), "one,two\r\n1,\"a,b\"\r\n");
    let table = place.print(&["sql", sql]);
    let words: Vec<_> = table.split_whitespace().collect();
    assert_eq!(words, ["ONE", "TWO", "1", "a,b"]);
}

/// Names that nobody gave, with dots in them, as in the README.
#[test]
fn columns_without_an_alias_have_their_values() {
    let place = Place::new(BARE);
    let sql = "SELECT model, count(*), approx_percentile_cont(latency_ms, 0.99) FROM \
               (VALUES ('m', 7.0), ('m', 7.0)) AS spans (model, latency_ms) GROUP BY 1";
    let csv = place.print(&["sql", sql, "--output", "csv"]);
    let cells: Vec<_> = csv.lines().nth(1).expect("a row").split(',').collect();
    assert_eq!(cells, ["m", "2", "7.0"]);
    let table = place.print(&["sql", sql]);
    assert_eq!(table.lines().nth(1).expect("a row").split_whitespace().collect::<Vec<_>>(), ["m", "2", "7.0"]);
}

#[test]
fn keys_are_shown_once() {
    let place = Place::new(BARE);
    let made = place.json(&["key", "create", "laptop", "--scope", "infer", "--scope", "read"]);
    let secret = made["key"].as_str().expect("the key itself").to_owned();
    assert!(secret.starts_with("qd-"));
    let listed = place.json(&["key", "list"]);
    assert_eq!(listed[0]["name"], "laptop");
    assert!(!listed.to_string().contains(&secret));
    place.print(&["key", "revoke", made["id"].as_str().expect("an id")]);
    let listed = place.json(&["key", "list"]);
    assert!(!listed[0]["revoked"].is_null(), "{listed}");
}

#[test]
fn accounts_take_their_password_from_standard_input() {
    use std::io::Write as _;
    let place = Place::new(BARE);
    let piped = |arguments: &[&str], password: &str| {
        let mut child = place.command(arguments).stdin(std::process::Stdio::piped()).spawn().expect("the binary runs");
        // It may end before it reads, when the arguments are wrong.
        let _ = child.stdin.take().expect("piped").write_all(password.as_bytes());
        child.wait().expect("it ends").code()
    };
    let create = ["account", "create", "ada", "--password-stdin"];
    assert_eq!(piped(&create, "too short\n"), Some(1));
    assert_eq!(piped(&create, "correct horse battery\n"), Some(0));
    assert_eq!(piped(&["account", "create", "bob"], "correct horse battery\n"), Some(2), "there is no terminal");
    place.print(&["account", "role", "ada", "editor"]);
    place.print(&["account", "disable", "ada"]);
    let listed = place.json(&["account", "list"]);
    assert_eq!((&listed[0]["name"], &listed[0]["role"]), (&"ada".into(), &"editor".into()));
    assert_eq!(listed[0]["disabled"], true);
    assert!(!listed.to_string().contains("argon2"));
    place.print(&["account", "enable", "ada"]);
    assert_eq!(piped(&["account", "password", "ada", "--password-stdin"], "another password\n"), Some(0));
    place.print(&["account", "remove", "ada"]);
    assert_eq!(place.json(&["account", "list"]), serde_json::json!([]));
}

#[test]
fn provider_secrets_come_by_pipe_and_never_come_back() {
    use std::io::Write as _;
    let place = Place::new(BARE);
    place.print(&["provider", "add", "hosted", "--base-url", "https://api.example.org/v1"]);
    let mut child = place
        .command(&["provider", "set-secret", "hosted"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    child.stdin.take().expect("piped").write_all(b"sk-very-secret\n").expect("it reads");
    assert!(child.wait().expect("it ends").success());
    let shown = place.json(&["provider", "show", "hosted"]);
    assert_eq!((&shown["has_secret"], &shown["name"]), (&true.into(), &"hosted".into()));
    for format in ["table", "json", "jsonl", "csv"] {
        assert!(!place.print(&["provider", "list", "--output", format]).contains("sk-very-secret"));
    }
    place.print(&["provider", "remove", "hosted"]);
    assert_eq!(place.json(&["provider", "list"]), serde_json::json!([]));
}

#[test]
fn routes_of_the_file_and_of_the_project_stand_side_by_side() {
    let file = "[[routes]]\nname = \"fixed\"\ntargets = [{ provider = \"local\", model = \"a\" }]\n";
    let place = Place::new(&format!("{BARE}{file}"));
    place.print(&["route", "set", "team/fast", "--target", "up/org/model", "--target", "local/b", "--retries", "1"]);
    let routes = place.json(&["route", "list"]);
    let told: Vec<_> =
        routes.as_array().expect("rows").iter().map(|route| (route["name"].clone(), route["origin"].clone())).collect();
    assert_eq!(told, [("fixed".into(), "file".into()), ("team/fast".into(), "project".into())]);
    assert_eq!(routes[1]["targets"][0], serde_json::json!({"provider": "up", "model": "org/model"}));
    assert!(place.print(&["route", "list"]).contains("up/org/model, then local/b"));
    check_refused(&place, &["route", "set", "x", "--target", "nameless"], 2, &["nameless", "provider/model"]);
    check_refused(&place, &["route", "remove", "fixed"], 1, &["quarterdeck.toml"]);
    place.print(&["route", "remove", "team/fast"]);
    check_refused(&place, &["route", "show", "team/fast"], 1, &["team/fast"]);
}

#[test]
fn completions_and_documents_need_no_data_folder() {
    let place = Place::new(BARE);
    assert!(place.print(&["completions", "bash"]).contains("_quarterdeck"));
    let document: Value = serde_json::from_str(&place.print(&["openapi"])).expect("JSON");
    assert!(document["paths"]["/v1/chat/completions"].is_object());
    assert!(!place.data().exists(), "nothing was created");
}

#[test]
fn doctor_finds_nothing_wrong_here() {
    let place = Place::new(BARE);
    let checks = place.json(&["doctor"]);
    let failed: Vec<_> = checks.as_array().expect("rows").iter().filter(|check| check["state"] == "failed").collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn doctor_reads_the_whole_lake_when_it_is_asked_to() {
    let place = Place::new(BARE);
    let checks = place.json(&["doctor", "--verify-lake"]);
    let finding = |name: &str| {
        let check = checks.as_array().expect("rows").iter().find(|check| check["check"] == name).expect(name);
        (check["state"].as_str().expect("text").to_owned(), check["finding"].as_str().expect("text").to_owned())
    };
    assert_eq!(finding("files of the lake"), ("ok".to_owned(), "0 read, 0 damaged and set aside".to_owned()));
    assert_eq!((finding("lake").0, finding("recording").0), ("ok".to_owned(), "ok".to_owned()));
    assert_eq!(place.json(&["job", "list"])[0]["kind"], "lake.verify");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_answers_the_commands() {
    let _alone = alone().await;
    let place = Place::new(BARE);
    let server = place.serve().await;
    place.print(&["key", "create", "by-server"]);
    let names: Vec<_> =
        place.json(&["key", "list"]).as_array().expect("rows").iter().map(|key| key["name"].clone()).collect();
    assert!(names.contains(&"by-server".into()), "{names:?}");
    // A second server on the same folder is refused: the folder has one owner.
    check_refused(&place, &["serve"], 4, &["using the data folder"]);
    let weak = place.json(&["key", "create", "weak", "--scope", "infer"])["key"].as_str().expect("the key").to_owned();
    let url = server.client.base.to_string();
    let refused =
        place.command(&["--url", &url, "key", "list"]).env("QUARTERDECK_KEY", weak).output().expect("the binary runs");
    assert_eq!(refused.status.code(), Some(4), "{}", String::from_utf8_lossy(&refused.stderr));
    assert_eq!(server.terminate(), 0);
}
