//! Published chat templates against the outputs of Hugging Face's own implementation (`parity/chat_templates.py`).

use std::collections::BTreeMap;

use chrono::{DateTime, Local, TimeZone};
use qd_base::chat::{Message, Tool};
use qd_model::{ChatTemplate, TemplateError};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Reference {
    templates: BTreeMap<String, String>,
    conversations: BTreeMap<String, Conversation>,
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Conversation {
    messages: Vec<Message>,
    #[serde(default)]
    tools: Vec<Tool>,
    add_generation_prompt: bool,
}

#[derive(Deserialize)]
struct Output {
    template: String,
    conversation: String,
    text: Option<String>,
    refused: Option<String>,
}

/// The day that the reference was rendered on.
fn reference_day() -> DateTime<Local> {
    Local.with_ymd_and_hms(2024, 7, 26, 12, 0, 0).unwrap()
}

#[test]
fn published_templates_render_as_hugging_face_renders_them() {
    let path = std::env::var("QUARTERDECK_PARITY_CHAT_TEMPLATES");
    let path = path.unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../parity/chat_templates.json").into());
    let reference: Reference = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(reference.outputs.len() >= 50, "the reference was cut");
    let different: Vec<_> = reference.outputs.iter().filter_map(|output| difference(&reference, output)).collect();
    assert!(
        different.is_empty(),
        "{} of {} differ\n{}",
        different.len(),
        reference.outputs.len(),
        different.join("\n")
    );
}

fn difference(reference: &Reference, output: &Output) -> Option<String> {
    let conversation = &reference.conversations[&output.conversation];
    let template = ChatTemplate::with_clock(&reference.templates[&output.template], "<BOS>", "<EOS>", reference_day);
    let variables = json!({"date_string": "26 Jul 2024"});
    let rendered = template.and_then(|template| {
        template.render(
            &conversation.messages,
            &conversation.tools,
            conversation.add_generation_prompt,
            variables.as_object().unwrap(),
        )
    });
    let same = match (&rendered, &output.text, &output.refused) {
        (Ok(ours), Some(theirs), _) => ours == theirs,
        (Err(TemplateError::Refused { message }), _, Some(theirs)) => message == theirs,
        _ => false,
    };
    let ours = rendered.map_err(|error| format!("{error}: {:?}", std::error::Error::source(&error)));
    (!same).then(|| {
        format!(
            "--- {} with {}\nours: {ours:?}\ntheirs: {:?} {:?}",
            output.template, output.conversation, output.text, output.refused
        )
    })
}
