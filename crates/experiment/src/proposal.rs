//! What a model proposed as instructions, and which of it can be tried.
//!
//! A model that proposes may answer anything: nothing, templates, an essay, what it was shown, the same line ten times. What
//! cannot be an instruction is left out, with why.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value;

/// Characters of an answer that are read.
const READ_CHARS: usize = 20_000;
/// The longest instruction.
const LONGEST_CHARS: usize = 1_000;
/// Words of an instruction at least.
const LEAST_WORDS: usize = 3;
/// Lines that were left out of which is told, and characters of each.
const MOST_REFUSED: usize = 20;
const TOLD_CHARS: usize = 120;
/// Characters of the answer that are told.
const ANSWER_CHARS: usize = 1_000;

/// What was proposed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Proposed {
    /// How the answer begins; none when nobody was asked.
    pub answer: Option<String>,
    /// Instructions that can be tried.
    pub kept: Vec<String>,
    /// Lines that cannot.
    pub refused: Vec<Refused>,
}

/// A line that is no instruction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refused {
    /// How it begins.
    pub line: String,
    /// Why it is left out.
    pub why: &'static str,
}

/// Reads an answer: one instruction a line, or a JSON list of them. `shown` is what the model was shown, and `own` what the prompt
/// says already.
pub fn read(answer: &str, most: usize, shown: &str, own: &[String]) -> Proposed {
    let answer: String = answer.chars().take(READ_CHARS).collect();
    let begins = answer.chars().take(ANSWER_CHARS).collect();
    let mut found = Proposed { answer: Some(begins), ..Proposed::default() };
    let mut seen: HashSet<String> = own.iter().map(|text| plain(text)).collect();
    let own: HashSet<String> = seen.clone();
    for line in lines(&answer) {
        let plain = plain(&line);
        // The proposer was shown the prompt, so what that says is looked for first.
        let said = own.contains(&plain).then_some("the prompt says it already");
        let fault = said.or_else(|| fault(&line, &plain, shown));
        let why = fault.or_else(|| (!seen.insert(plain)).then_some("it was proposed before"));
        match why {
            None if found.kept.len() < most => found.kept.push(line),
            None => {}
            Some(why) if found.refused.len() < MOST_REFUSED => {
                found.refused.push(Refused { line: line.chars().take(TOLD_CHARS).collect(), why });
            }
            Some(_) => {}
        }
    }
    found
}

fn lines(answer: &str) -> Vec<String> {
    let fenced = |line: &&str| !line.trim_start().starts_with("```");
    let text = answer.lines().filter(fenced).collect::<Vec<_>>().join("\n");
    let whole: Option<Vec<Value>> = serde_json::from_str(&text).ok();
    let lines: Vec<String> = match &whole {
        Some(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        None => text.lines().map(str::to_owned).collect(),
    };
    lines.iter().map(|line| bare(line)).filter(|line| !line.is_empty()).collect()
}

/// A line without what lists put before it and quotes around it.
fn bare(line: &str) -> String {
    let mark = |c: char| c.is_ascii_digit() || matches!(c, '.' | ')' | '-' | '*' | '•' | ' ' | '"');
    line.trim().trim_start_matches(mark).trim_end_matches('"').trim().to_owned()
}

/// Lower case, one space between words: two lines that differ in nothing else are one.
fn plain(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn fault(line: &str, plain: &str, shown: &str) -> Option<&'static str> {
    let words = plain.split(' ').filter(|word| word.chars().any(char::is_alphabetic)).count();
    if ["{{", "{%", "{#"].iter().any(|syntax| line.contains(syntax)) {
        Some("it is a template")
    } else if line.chars().count() > LONGEST_CHARS {
        Some("it is longer than 1,000 characters")
    } else if words < LEAST_WORDS {
        Some("it has fewer than three words")
    } else if line.ends_with(':') {
        Some("it announces what comes after it")
    } else if self::plain(shown).contains(plain) {
        Some("it repeats what the proposer was shown")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, kept: &[&str], why: &[&str]) {
        let shown = "Here is a prompt for a language model:\n\nsystem: Solve it.\n\nWrite 4 different instructions.";
        let own = ["Solve  the puzzle now.".to_owned()];
        let found = read(answer, 4, shown, &own);
        assert_eq!(found.kept, kept, "{answer}");
        assert_eq!(found.refused.iter().map(|refused| refused.why).collect::<Vec<_>>(), why, "{answer}");
    }

    #[test]
    fn instructions_are_lines_or_a_list() {
        let both = ["Answer with one word only.", "Think step by step, then answer."];
        check("1. Answer with one word only.\n2) \"Think step by step, then answer.\"\n", &both, &[]);
        check("```json\n[\"Answer with one word only.\", \"Think step by step, then answer.\"]\n```", &both, &[]);
    }

    #[test]
    fn the_beginning_of_the_answer_is_told_also_where_there_is_nothing_in_it() {
        assert_eq!(read("", 4, "", &[]).answer.as_deref(), Some(""));
        assert_eq!(read(&"x".repeat(5_000), 4, "", &[]).answer.unwrap().len(), ANSWER_CHARS);
        assert_eq!(Proposed::default().answer, None, "nobody was asked");
    }

    #[test]
    fn rubbish_is_left_out_with_why() {
        check("", &[], &[]);
        check("\n\n   \n", &[], &[]);
        check("Sure!\n???\n1. 2. 3.", &[], &["it has fewer than three words"; 2]);
        let announced = ["it announces what comes after it"];
        check("Here are four instructions:\n\n1. Name one place only.", &["Name one place only."], &announced);
        check("Use {{ x }} in it.\n{% for a in b %} go on", &[], &["it is a template"; 2]);
        check(&"very ".repeat(300), &[], &["it is longer than 1,000 characters"]);
        check("solve the PUZZLE now.", &[], &["the prompt says it already"]);
        check("Write 4 different instructions.", &[], &["it repeats what the proposer was shown"]);
        check("Be brief and exact.\nBE brief  and exact.", &["Be brief and exact."], &["it was proposed before"]);
    }

    #[test]
    fn there_is_a_limit_on_everything() {
        let many: String = (0..5_000).map(|n| format!("Take care of case {n}.\n")).collect();
        let found = read(&many, 4, "", &[]);
        // Only the line at which reading ends is too short.
        assert_eq!((found.kept.len(), found.refused.len()), (4, 1));
        let same = "Take care of it.\n".repeat(1_000);
        let found = read(&same, 4, "", &[]);
        assert_eq!((found.kept.len(), found.refused.len()), (1, MOST_REFUSED));
    }
}
