//! Prompts from the command line: made of files, shown, compared, labelled, called.

use serde_json::json;

use crate::binary::{Place, alone};
use crate::upstream;

const BARE: &str = "[server]\naddress = \"127.0.0.1:0\"\n[models]\ndefaults = []\npreload = []\n";

/// A file beside the configuration.
fn file(place: &Place, name: &str, text: &str) -> String {
    let path = place.path().join(name);
    std::fs::write(&path, text).expect("it is written");
    path.to_str().expect("text").to_owned()
}

#[test]
fn versions_are_made_of_files_and_compared() {
    let place = Place::new(BARE);
    let json = file(
        &place,
        "greeting.json",
        r#"{"messages": [{"role": "user", "content": "Greet {{ name }}."}], "variables": [{"name": "name"}]}"#,
    );
    let toml = file(
        &place,
        "greeting.toml",
        "messages = [{ role = \"user\", content = \"Greet {{ name }} warmly.\" }]\nvariables = [{ name = \"name\" }]\n",
    );
    assert_eq!(place.json(&["prompt", "create", "greeting", "--file", &json, "--label", "production"])["version"], 1);
    assert_eq!(place.json(&["prompt", "create", "greeting", "--file", &toml, "-m", "warmer"])["version"], 2);
    let listed = place.json(&["prompt", "list"]);
    assert_eq!((&listed[0]["latest"], &listed[0]["labels"][0]["version"]), (&json!(2), &json!(1)));
    assert_eq!(place.json(&["prompt", "versions", "greeting"])[0]["message"], "warmer");
    assert_eq!(
        place.print(&["prompt", "show", "greeting"]),
        "[user]\nGreet {{ name }}.\n\n--- variables\nname: string\n"
    );
    assert_eq!(place.json(&["prompt", "show", "greeting@latest"])["version"], 2);

    let diff = place.print(&["prompt", "diff", "greeting", "production", "latest"]);
    assert!(diff.contains("\n-Greet {{ name }}.\n+Greet {{ name }} warmly.\n"), "{diff}");
    assert!(diff.contains("\nIn experiments: No experiment has asked version 1 and version 2"), "{diff}");
    assert!(diff.contains("\nIn production: No call in this time said version 1 or version 2."), "{diff}");
    let diff = place.json(&["prompt", "diff", "greeting", "1", "2"]);
    assert_eq!(json!([diff["to"], diff["evidence"]["experiment"]]), json!([2, null]));
    let said = place.print(&["prompt", "render", "greeting@2", "--var", "name=Ada"]);
    assert_eq!(said, "[user]\nGreet Ada warmly.\n\n");
    let labels = place.json(&["prompt", "label", "greeting", "production", "2", "--expect", "1"]);
    assert_eq!(labels[0]["version"], 2);
    assert_eq!(place.run(&["prompt", "label", "greeting", "production", "1", "--expect", "1"]).status.code(), Some(1));
    place.print(&["prompt", "comment", "greeting", "2", "Too warm."]);
    assert_eq!(place.json(&["prompt", "comment", "greeting"])[0]["text"], "Too warm.");
    assert_eq!(place.json(&["prompt", "unlabel", "greeting", "production"]), json!([]));
    place.print(&["prompt", "remove", "greeting"]);
    assert_eq!(place.json(&["prompt", "list"]), json!([]));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let place = Place::new(BARE);
    let said = |arguments: &[&str], code: i32| {
        let output = place.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let broken = file(&place, "broken.json", r#"{"messages": [{"role": "user", "content": "a\n{{ name"}]}"#);
    assert!(said(&["prompt", "create", "x", "--file", &broken], 1).contains("line 2"));
    let good = file(&place, "good.json", r#"{"kind": "text", "text": "{{ name }}", "variables": [{"name": "name"}]}"#);
    place.print(&["prompt", "create", "x", "--file", &good]);
    assert!(said(&["prompt", "render", "x"], 1).contains("'name' is missing"));
    said(&["prompt", "render", "not a name"], 2);
    said(&["prompt", "create", "x", "--file", "absent.json"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_is_run_and_its_call_names_it() {
    let _alone = alone().await;
    let upstream = upstream::start().await;
    let place = Place::new(&format!(
        "{BARE}[net]\nallow = [\"127.0.0.1\"]\n[[providers]]\nname = \"stub\"\nbase_url = \"{upstream}\"\n"
    ));
    let path = file(
        &place,
        "greeting.json",
        r#"{"messages": [{"role": "user", "content": "Greet {{ name }}."}], "variables": [{"name": "name"}], "model": "stub/m"}"#,
    );
    place.print(&["prompt", "create", "greeting", "--file", &path]);
    let server = place.serve().await;
    assert_eq!(place.print(&["prompt", "run", "greeting", "--var", "name=Ada"]), "echo Greet Ada.\n");
    let whole = place.json(&["prompt", "run", "greeting", "--var", "name=Bea"]);
    assert_eq!(whole["choices"][0]["message"]["content"], "echo Greet Bea.");
    assert_eq!(server.terminate(), 0);
    let rows = place.json(&["sql", "SELECT prompt_name, prompt_version FROM spans"]);
    assert_eq!(
        rows,
        json!([{"prompt_name": "greeting", "prompt_version": 1}, {"prompt_name": "greeting", "prompt_version": 1}])
    );
    let streamed = place.json(&["sql", "SELECT count(*) AS n FROM spans WHERE attributes LIKE '%\"stream\":true%'"]);
    assert_eq!(streamed[0]["n"], 1, "for people it streams, for programs it does not");
    let metrics = place.json(&["prompt", "metrics", "greeting"]);
    assert_eq!(json!([metrics[0]["version"], metrics[0]["calls"]]), json!([1, 2]));
}
