//! Does a template only write what is judged, or does it change it?
//!
//! Templates see placeholders, so a filter that cuts or changes texts would do so to a placeholder, or nothing at all. That is
//! found out beforehand, with texts in the place of data that no filter leaves as they are.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

/// Bytes of all probes of one rendering at most, well below what a rendering may be given.
const MOST_BYTES: usize = 384 << 10;
/// Numbers count down from here, so that probes of one kind are sorted as their places and those of the other the other way round.
const LAST_PLACE: usize = 99_999;

/// What stands in the place of data: the same beginning, a number, the same end.
pub(crate) struct Probe {
    start: String,
    end: String,
    descending: bool,
}

impl Probe {
    /// A text of a few signs, which cutting at a later place leaves as it is.
    pub fn short() -> Self {
        Self { start: "\u{e000}".to_owned(), end: "\u{e001}".to_owned(), descending: false }
    }

    /// A text with other signs at every place, among them all that filters look for: white space around it, both cases, ends
    /// of lines, marks of HTML, and the words of the template and its settings; longer than any number in the template.
    pub fn long(source: &str, settings: &Map<String, Value>, places: usize) -> Self {
        static CODE: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"(?s)\{[{%](.*?)[%}]\}").expect("the pattern is valid"));
        static NUMBER: LazyLock<Regex> = LazyLock::new(|| Regex::new("[0-9]+").expect("the pattern is valid"));
        let room = MOST_BYTES / places.max(1);
        let mut words: Vec<&str> =
            CODE.captures_iter(source).filter_map(|found| Some(found.get(1)?.as_str())).collect();
        let numbers =
            words.iter().flat_map(|code| NUMBER.find_iter(code)).filter_map(|found| found.as_str().parse().ok());
        let longest: usize = numbers.max().unwrap_or(0);
        words.extend(settings.values().filter_map(Value::as_str));
        let words = words.join("\n");
        let words = &words[..words.floor_char_boundary(room / 4)];
        let filler = "aB".repeat(longest.min(room / 2) / 2 + 1);
        Self { start: " \tQ".to_owned(), end: format!("z\r\n<&>\"'  {words}{filler}Zq\r\n "), descending: true }
    }

    /// The probe for a place.
    pub fn text(&self, place: usize) -> String {
        let number = if self.descending { LAST_PLACE.saturating_sub(place) } else { place };
        format!("{}{number:05}{}", self.start, self.end)
    }

    /// What a template wrote, with marks in the place of whole probes: the same of both kinds.
    pub fn marked(&self, written: &str) -> String {
        let mut pieces = written.split(&self.start);
        let mut marked = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let number = piece.split_at_checked(5).filter(|(_, rest)| rest.starts_with(&self.end));
            match number.and_then(|(number, rest)| Some((number.parse::<usize>().ok()?, rest))) {
                Some((number, rest)) => {
                    let place = if self.descending { LAST_PLACE.saturating_sub(number) } else { number };
                    marked.push_str(&format!("@@{place}@@{}", &rest[self.end.len()..]));
                }
                None => marked.extend([&self.start, piece]),
            }
        }
        marked
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::Judge;

    fn is_read(content: &str) -> bool {
        let definition = json!({
            "model": "m", "instruction": "Grade it.", "content": content, "settings": {"who": "Ada", "old": "bad word"},
            "inputs": [{"name": "answer"}, {"name": "contexts", "list": true}, {"name": "extra", "required": false}],
            "scale": {"kind": "boolean"}, "method": {"kind": "direct"},
        });
        match Judge::new(&serde_json::from_value(definition).unwrap()) {
            Ok(_) => true,
            Err(error) => {
                assert!(error.to_string().contains("content"), "{content}: {error}");
                false
            }
        }
    }

    #[test]
    fn templates_that_write_what_is_judged_are_read() {
        for content in [
            "{{ answer }}",
            "{{ answer }}{{ answer }} in 1000000 words of 2024",
            "{% for text in contexts %}{{ loop.index }}. {{ text }}\n{% endfor %}{{ contexts | length }}",
            "{{ contexts | join('\n\n') }}{{ contexts[1] }}{{ contexts | first }}{{ contexts[:1] | join }}",
            "{% if extra %}More: {{ extra }}{% else %}Nothing more.{% endif %}{{ extra | default('none') }}",
            "It's {{ who | upper }}'s: {{ answer | string }}{{ who[:1] }}",
            "{% set told = answer %}{{ told }} {{ contexts | reverse | join(', ') }}",
        ] {
            assert!(is_read(content), "{content}");
        }
    }

    #[test]
    fn templates_that_change_it_are_refused() {
        for content in [
            "{{ answer[:2] }}",
            "{{ answer[1:] }}",
            "{{ answer[:4000] }}",
            "{{ answer | first }}",
            "{{ answer | last }}",
            "{{ answer | lower }}",
            "{{ answer | upper }}",
            "{{ answer | title }}",
            "{{ answer | capitalize }}",
            "{{ answer | trim }}",
            "{{ answer | replace('foo', '') }}",
            "It's {{ answer | replace(\"foo\", '') }}; don't.",
            "{{ answer | replace(old, '') }}",
            "{{ answer | replace('\n', ' ') }}",
            "{{ answer | indent(2) }}",
            "{{ answer | tojson }}",
            "{{ answer | reverse }}",
            "{{ answer | split | join(' ') }}",
            "{{ answer | lines | join('\n') }}",
            "{{ answer | length }}",
            "{% if answer | length > 100 %}{{ answer }}{% endif %}",
            "{% if 'yes' in answer %}{{ answer }}{% endif %}",
            "{% set told = answer[:10] %}{{ told }}",
            "{% for text in contexts %}{{ text | lower }}{% endfor %}",
            "{{ contexts | sort | join(' ') }}",
            "{{ contexts | max }}",
            "{{ contexts | map('lower') | join }}",
            "{{ contexts }}",
        ] {
            assert!(!is_read(content), "{content}");
        }
    }
}
