//! Tool calls in a model's text: the grammar that they keep, and how they are read while they come.
//!
//! One dialect is written and read, that of Hermes, Qwen and SmolLM2: each call is
//! `<tool_call>{"name": …, "arguments": {…}}</tool_call>`. A model whose chat template knows this dialect is
//! shown the tools by its template; any other is told by a system message. A call that the model begins is
//! then held to the tools' schemas by a grammar, so its name exists and its arguments fit.

use qd_base::chat::{FunctionDelta, Tool, ToolCallDelta, ToolChoice, ToolMode};
use qd_base::{Extra, RequestId};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::grammar::{Expr, Grammar};
use crate::schema;

/// What opens a call.
pub(crate) const OPEN: &str = "<tool_call>";
/// What closes a call.
pub(crate) const CLOSE: &str = "</tool_call>";

/// More tools than a prompt can usefully describe.
const MAX_TOOLS: usize = 128;

/// Which calls a request allows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Calls {
    /// None; the tools are not shown.
    None,
    /// The model may call or answer.
    Allowed(Vec<Tool>),
    /// The whole answer is calls of these.
    Required(Vec<Tool>),
}

impl Calls {
    /// Reads `tools` and `tool_choice`.
    pub fn of(tools: Option<&[Tool]>, choice: Option<&ToolChoice>) -> Result<Self> {
        let tools = tools.unwrap_or_default();
        check(tools)?;
        match choice {
            Some(ToolChoice::Mode(ToolMode::None)) => Ok(Self::None),
            None | Some(ToolChoice::Mode(ToolMode::Auto)) if tools.is_empty() => Ok(Self::None),
            None | Some(ToolChoice::Mode(ToolMode::Auto)) => Ok(Self::Allowed(tools.to_vec())),
            Some(ToolChoice::Mode(ToolMode::Required)) if tools.is_empty() => {
                Err(Error::invalid("tool_choice", "`required` needs at least one tool in `tools`"))
            }
            Some(ToolChoice::Mode(ToolMode::Required)) => Ok(Self::Required(tools.to_vec())),
            Some(ToolChoice::Named { function, .. }) => named(tools, &function.name),
            Some(ToolChoice::Other(_)) => {
                Err(Error::invalid("tool_choice", "must be `none`, `auto`, `required` or name a function"))
            }
        }
    }

    /// The tools that the model is shown.
    pub fn tools(&self) -> &[Tool] {
        match self {
            Self::None => &[],
            Self::Allowed(tools) | Self::Required(tools) => tools,
        }
    }
}

fn check(tools: &[Tool]) -> Result<()> {
    if tools.len() > MAX_TOOLS {
        return Err(Error::invalid("tools", format!("at most {MAX_TOOLS} tools are allowed")));
    }
    match tools.iter().position(|tool| tool.function.is_none()) {
        Some(place) => Err(Error::invalid(format!("tools[{place}]"), "only tools of type `function` can be used here")),
        None => Ok(()),
    }
}

fn named(tools: &[Tool], name: &str) -> Result<Calls> {
    let tool = tools.iter().find(|tool| tool.function.as_ref().is_some_and(|function| function.name == name));
    match tool {
        Some(tool) => Ok(Calls::Required(vec![tool.clone()])),
        None => Err(Error::invalid("tool_choice", format!("the function `{name}` is not in `tools`"))),
    }
}

/// The grammar of an answer that is one call, or several.
pub(crate) fn required_grammar(tools: &[Tool], several: bool) -> Result<String> {
    let mut grammar = Grammar::default();
    define_call(&mut grammar, tools)?;
    grammar.define("root", calls("call", several));
    schema::finish(&grammar, "tools")
}

/// The grammar of what follows when the model has written [`OPEN`] by itself.
pub(crate) fn begun_grammar(tools: &[Tool], several: bool) -> Result<String> {
    let mut grammar = Grammar::default();
    define_call(&mut grammar, tools)?;
    grammar.define("root", calls("call-rest", several));
    schema::finish(&grammar, "tools")
}

/// The grammar of an answer that is calls, or a text that matches `format`.
pub(crate) fn calls_or(tools: &[Tool], several: bool, format: &Value) -> Result<String> {
    let mut grammar = Grammar::default();
    define_call(&mut grammar, tools)?;
    let text = schema::add(&mut grammar, "s", format, "response_format.json_schema.schema")?;
    grammar.define("root", Expr::choice([calls("call", several), text]));
    schema::finish(&grammar, "tools")
}

/// One call, begun or not, and more of them if there may be.
fn calls(first: &str, several: bool) -> Expr {
    let more = Expr::sequence([Expr::rule("space"), Expr::rule("call")]).repeat(0, Some(if several { 31 } else { 0 }));
    Expr::sequence([Expr::rule(first), more])
}

/// Defines `call`, and `call-rest` for a call after its opening.
fn define_call(grammar: &mut Grammar, tools: &[Tool]) -> Result<()> {
    let space = || Expr::rule("space");
    let mut bodies = Vec::with_capacity(tools.len());
    for (place, function) in tools.iter().filter_map(|tool| tool.function.as_ref()).enumerate() {
        let param = format!("tools[{place}].function.parameters");
        let any = json!({"type": "object"});
        let parameters = function.parameters.as_ref().unwrap_or(&any);
        let arguments = schema::add(grammar, &format!("t{place}-"), parameters, &param)?;
        let name = Value::String(function.name.clone()).to_string();
        bodies.push(Expr::sequence([
            Expr::literal(format!("{name},")),
            space(),
            Expr::literal("\"arguments\":"),
            space(),
            arguments,
        ]));
    }
    let head = [Expr::literal("{"), space(), Expr::literal("\"name\":"), space()];
    grammar.define(
        "call-body",
        Expr::sequence([head.to_vec(), vec![Expr::choice(bodies), space(), Expr::literal("}")]].concat()),
    );
    grammar.define("call-rest", Expr::sequence([space(), Expr::rule("call-body"), space(), Expr::literal(CLOSE)]));
    grammar.define("call", Expr::sequence([Expr::literal(OPEN), Expr::rule("call-rest")]));
    Ok(())
}

/// What a text turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    /// Text for the reader.
    Text(String),
    /// A part of a call: its id and name first, then its arguments piece by piece.
    Call(ToolCallDelta),
}

/// Separates text from calls while they come.
#[derive(Debug, Default)]
pub(crate) struct CallReader {
    held: String,
    call: Option<Call>,
    calls: u32,
}

/// A call that is being read.
#[derive(Debug, Default)]
struct Call {
    named: bool,
    arguments: ArgumentScan,
}

impl CallReader {
    /// Whether a call was read or begun.
    pub fn called(&self) -> bool {
        self.calls > 0
    }

    /// Takes more of the answer.
    pub fn push(&mut self, text: &str) -> Vec<Said> {
        self.held.push_str(text);
        let mut said = Vec::new();
        while self.read(&mut said) {}
        said
    }

    /// What is left when the answer ends. A call that never got a name is shown as the text it is.
    pub fn finish(&mut self) -> Vec<Said> {
        let held = std::mem::take(&mut self.held);
        match self.call.take() {
            Some(call) if !call.named => vec![Said::Text(format!("{OPEN}{held}"))],
            Some(_) => Vec::new(),
            None if held.is_empty() || (self.called() && held.trim().is_empty()) => Vec::new(),
            None => vec![Said::Text(held)],
        }
    }

    /// Reads one thing from what is held; whether there may be another.
    fn read(&mut self, said: &mut Vec<Said>) -> bool {
        match self.call.take() {
            None => self.read_text(said),
            Some(call) if !call.named => self.read_name(call, said),
            Some(call) => self.read_arguments(call, said),
        }
    }

    fn read_text(&mut self, said: &mut Vec<Said>) -> bool {
        if let Some(start) = self.held.find(OPEN) {
            let rest = self.held.split_off(start + OPEN.len());
            let mut before = std::mem::replace(&mut self.held, rest);
            before.truncate(start);
            push_text(said, before, self.called());
            self.call = Some(Call::default());
            return true;
        }
        let safe = self.held.len() - unfinished(&self.held, OPEN);
        let text: String = self.held.drain(..safe).collect();
        push_text(said, text, self.called());
        false
    }

    fn read_name(&mut self, mut call: Call, said: &mut Vec<Said>) -> bool {
        let Some((name, arguments_at)) = head_of_call(&self.held) else {
            self.call = Some(call);
            return false;
        };
        said.push(Said::Call(ToolCallDelta {
            index: self.calls,
            id: Some(format!("call_{}", RequestId::new().to_string().replace('-', ""))),
            r#type: Some("function".to_owned()),
            function: Some(FunctionDelta { name: Some(name), arguments: Some(String::new()) }),
            extra: Extra::new(),
        }));
        self.calls += 1;
        self.held.drain(..arguments_at);
        call.named = true;
        self.call = Some(call);
        true
    }

    fn read_arguments(&mut self, mut call: Call, said: &mut Vec<Said>) -> bool {
        if call.arguments.ended {
            // Between the arguments and the closing there is a brace and white space.
            let Some(end) = self.held.find(CLOSE) else {
                self.call = Some(call);
                return false;
            };
            self.held.drain(..end + CLOSE.len());
            return true;
        }
        let length = call.arguments.scan(&self.held);
        let arguments: String = self.held.drain(..length).collect();
        let ended = call.arguments.ended;
        if !arguments.is_empty() {
            said.push(Said::Call(self.arguments_delta(arguments)));
        }
        self.call = Some(call);
        ended
    }

    fn arguments_delta(&self, arguments: String) -> ToolCallDelta {
        let function = Some(FunctionDelta { name: None, arguments: Some(arguments) });
        ToolCallDelta { index: self.calls - 1, function, ..ToolCallDelta::default() }
    }
}

fn push_text(said: &mut Vec<Said>, text: String, between_calls: bool) {
    let says_nothing = if between_calls { text.trim().is_empty() } else { text.is_empty() };
    if !says_nothing {
        said.push(Said::Text(text));
    }
}

/// How many bytes at the end of `text` may be the start of `mark`.
fn unfinished(text: &str, mark: &str) -> usize {
    (1..mark.len()).rev().find(|length| text.ends_with(&mark[..*length])).unwrap_or(0)
}

/// The name of a call and where its arguments start, once both are there.
fn head_of_call(text: &str) -> Option<(String, usize)> {
    let rest = after(text, "{")?;
    let rest = after(rest, "\"name\"")?;
    let rest = after(rest, ":")?.trim_start();
    let mut names = serde_json::Deserializer::from_str(rest).into_iter::<String>();
    let name = names.next()?.ok()?;
    let rest = after(&rest[names.byte_offset()..], ",")?;
    let rest = after(rest, "\"arguments\"")?;
    let rest = after(rest, ":")?.trim_start();
    rest.starts_with('{').then(|| (name, text.len() - rest.len()))
}

fn after<'t>(text: &'t str, token: &str) -> Option<&'t str> {
    text.trim_start().strip_prefix(token)
}

/// Finds the end of a JSON object that comes in pieces.
#[derive(Debug, Default)]
struct ArgumentScan {
    depth: usize,
    in_string: bool,
    escaped: bool,
    ended: bool,
}

impl ArgumentScan {
    /// How many bytes of `text` belong to the object.
    fn scan(&mut self, text: &str) -> usize {
        for (place, byte) in text.bytes().enumerate() {
            self.take(byte);
            if self.ended {
                return place + 1;
            }
        }
        text.len()
    }

    fn take(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.ended = self.depth == 0;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The text of an answer and its calls as (name, arguments), read in pieces of `step` characters.
    fn read(answer: &str, step: usize) -> (String, Vec<(String, String)>) {
        let mut reader = CallReader::default();
        let characters: Vec<char> = answer.chars().collect();
        let mut said = Vec::new();
        for piece in characters.chunks(step) {
            said.extend(reader.push(&piece.iter().collect::<String>()));
        }
        said.extend(reader.finish());
        let (mut text, mut calls) = (String::new(), Vec::new());
        for part in said {
            match part {
                Said::Text(more) => text.push_str(&more),
                Said::Call(delta) => {
                    let function = delta.function.unwrap();
                    if let Some(name) = function.name {
                        calls.push((name, String::new()));
                    }
                    calls[delta.index as usize].1.push_str(&function.arguments.unwrap());
                }
            }
        }
        (text, calls)
    }

    const TWO: &str = "Let me look.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}<\\\"\", \"b\": [1, {}]}}\n</tool_call>\n<tool_call>{\"name\": \"g\", \"arguments\": {}}</tool_call>";

    #[test]
    fn calls_are_read_however_they_are_cut() {
        for step in 1..=TWO.len() {
            let (text, calls) = read(TWO, step);
            assert_eq!(text, "Let me look.\n", "step {step}");
            let f = ("f".to_owned(), "{\"a\": \"}<\\\"\", \"b\": [1, {}]}".to_owned());
            assert_eq!(calls, [f, ("g".to_owned(), "{}".to_owned())], "step {step}");
        }
    }

    #[test]
    fn what_is_no_call_stays_text() {
        for text in ["a <tool", "a < b", "<tool_call> nothing", "<tool_call>{\"name\": 3}</tool_call>"] {
            assert_eq!(read(text, 3), (text.to_owned(), vec![]));
        }
    }

    #[test]
    fn a_call_that_is_cut_off_keeps_what_came() {
        let (text, calls) = read("<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1", 4);
        assert_eq!((text.as_str(), calls), ("", vec![("f".to_owned(), "{\"a\": 1".to_owned())]));
    }

    #[test]
    fn a_choice_must_name_a_tool_that_is_there() {
        let tools: Vec<Tool> =
            serde_json::from_value(json!([{"type": "function", "function": {"name": "f"}}])).unwrap();
        let choice = |value: Value| serde_json::from_value::<ToolChoice>(value).unwrap();
        let g = choice(json!({"type": "function", "function": {"name": "g"}}));
        assert!(matches!(Calls::of(Some(&tools), Some(&g)), Err(Error::Invalid { .. })));
        let f = choice(json!({"type": "function", "function": {"name": "f"}}));
        assert_eq!(Calls::of(Some(&tools), Some(&f)).unwrap(), Calls::Required(tools.clone()));
        assert_eq!(Calls::of(Some(&tools), Some(&choice(json!("none")))).unwrap(), Calls::None);
        assert!(Calls::of(None, Some(&choice(json!("required")))).is_err());
    }

    proptest! {
        #[test]
        fn text_without_calls_passes_unchanged(text in "[<tol_ca>{}é ]{0,40}", step in 1usize..7) {
            prop_assume!(!text.contains(OPEN));
            prop_assert_eq!(read(&text, step), (text, vec![]));
        }
    }
}
