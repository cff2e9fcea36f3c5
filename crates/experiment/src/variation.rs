//! What a prompt becomes with another instruction and with other examples.

use qd_base::chat::Role;
use qd_prompt::{Example, ExampleTemplate, MessageTemplate, Prompt, Slot, Strategy};

use crate::{Error, Result};

/// The prompt with another instruction and with these examples.
pub(crate) fn changed(prompt: &Prompt, instruction: Option<&str>, examples: &[Example]) -> Result<Prompt> {
    let mut prompt = if examples.is_empty() { prompt.clone() } else { with_slot(prompt)? };
    if let Some(slot) = &mut prompt.examples {
        slot.items = examples.to_vec();
        (slot.count, slot.strategy, slot.seed, slot.dataset) = (Some(examples.len()), Strategy::Fixed, None, None);
    }
    if let Some(instruction) = instruction {
        instruct(&mut prompt, instruction);
    }
    Ok(prompt)
}

/// Puts an instruction in the place of the prompt's own, or before that where it reads variables: their values would not be
/// said any more.
fn instruct(prompt: &mut Prompt, instruction: &str) {
    let before = |said: &str| format!("{instruction}\n\n{said}");
    if let Some(text) = &mut prompt.text {
        *text = before(text);
        return;
    }
    let system = |message: &&mut MessageTemplate| matches!(message.role, Some(Role::System | Role::Developer));
    match prompt.messages.iter_mut().find(system) {
        Some(message) => {
            let own = message.content.take().unwrap_or_default();
            let is_template = ["{{", "{%"].iter().any(|syntax| own.contains(syntax));
            message.content = Some(if is_template { before(&own) } else { instruction.to_owned() });
        }
        None => prompt.messages.insert(0, MessageTemplate::new(Role::System, instruction)),
    }
}

/// The prompt with a place for examples: before its last question, written as that is, when it has none.
///
/// # Errors
/// [`Error::Definition`] for a prompt that is one text without such a place, or has no question.
pub(crate) fn with_slot(prompt: &Prompt) -> Result<Prompt> {
    let mut prompt = prompt.clone();
    if prompt.examples.is_some() {
        return Ok(prompt);
    }
    let none = || {
        Error::definition(
            "prompt",
            "it has no place for examples, and no last message of the user that they could stand before",
        )
    };
    let asked = prompt.messages.iter().rposition(|message| message.role == Some(Role::User)).ok_or_else(none)?;
    let question = prompt.messages[asked].clone();
    let answer = MessageTemplate::new(Role::Assistant, "{{ output }}");
    prompt
        .messages
        .insert(asked, MessageTemplate { placeholder: Some("examples".to_owned()), ..MessageTemplate::default() });
    prompt.examples = Some(Slot {
        template: ExampleTemplate::Messages(vec![question, answer]),
        count: Some(0),
        strategy: Strategy::Fixed,
        seed: None,
        items: Vec::new(),
        dataset: None,
        by: None,
        embedding_model: None,
        separator: None,
    });
    Ok(prompt)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_prompt_gets_a_place_for_examples_and_another_instruction() {
        let prompt: Prompt = serde_json::from_value(json!({
            "messages": [{"role": "user", "content": "{{ q }}"}], "variables": [{"name": "q"}],
        }))
        .unwrap();
        let example = Example { variables: json!({"q": "1+1"}).as_object().unwrap().clone(), output: json!("2") };
        let found = changed(&prompt, Some("Be brief."), std::slice::from_ref(&example)).unwrap();
        found.check().unwrap();
        let values = json!({"q": "2+2"});
        let said = found.render(values.as_object().unwrap(), &found.own_examples()).unwrap();
        let qd_prompt::Rendered::Chat(messages) = said else { panic!("it is a conversation") };
        let texts: Vec<String> =
            messages.iter().map(|m| m.content.as_ref().unwrap().as_text().unwrap().into_owned()).collect();
        assert_eq!(texts, ["Be brief.", "1+1", "2", "2+2"]);
        assert!(with_slot(&Prompt::text("{{ q }}", Vec::new())).is_err());
    }

    /// What a prompt says with another instruction.
    fn instructed(prompt: Value, values: Value) -> Value {
        let prompt: Prompt = serde_json::from_value(prompt).unwrap();
        let found = changed(&prompt, Some("Be brief."), &[]).unwrap();
        found.check().unwrap();
        assert_eq!(found.examples, prompt.examples, "nothing but the words is another");
        match found.render(values.as_object().unwrap(), &[]).unwrap() {
            qd_prompt::Rendered::Chat(messages) => json!(messages),
            qd_prompt::Rendered::Text(text) => json!(text),
        }
    }

    /// Of a text there is no message to put it into, and a system message may say what every call is about.
    #[test]
    fn an_instruction_takes_away_no_variable() {
        let text = json!({"kind": "text", "text": "Q: {{ q }}", "variables": [{"name": "q"}]});
        assert_eq!(instructed(text, json!({"q": "2+2"})), "Be brief.\n\nQ: 2+2");
        let context = json!({
            "messages": [{"role": "system", "content": "Use this: {{ context }}"}, {"role": "user", "content": "{{ q }}"}],
            "variables": [{"name": "q"}, {"name": "context"}],
        });
        let said = instructed(context, json!({"q": "Who?", "context": "Ada wrote it."}));
        assert_eq!(said[0]["content"], "Be brief.\n\nUse this: Ada wrote it.");
        let plain = json!({
            "messages": [{"role": "system", "content": "Guess."}, {"role": "user", "content": "{{ q }}"}], "variables": [{"name": "q"}],
        });
        assert_eq!(instructed(plain, json!({"q": "Who?"}))[0]["content"], "Be brief.");
    }
}
