//! What templates say, what they may not, and that nothing that anybody writes takes long or grows large.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn values(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn render_with(source: &str, variables: Value) -> Result<String> {
    ready(source, "text")?.render("text", &Given::new(&values(variables), &Meter::full()))
}

#[track_caller]
fn says(source: &str, variables: Value, expected: &str) {
    assert_eq!(render_with(source, variables).unwrap(), expected, "{source}");
}

#[track_caller]
fn refused(source: &str, line: usize, words: &str) {
    match check(source, "text") {
        Err(Error::Template { line: Some(found), reason, .. }) => {
            assert_eq!(found, line, "{source}: {reason}");
            assert!(reason.contains(words), "{source}: {reason}");
        }
        other => panic!("{source} gave {other:?}"),
    }
}

#[track_caller]
fn fails(source: &str, variables: Value, words: &str) {
    let error = render_with(source, variables).unwrap_err().to_string();
    assert!(error.contains(words), "{source}: {error}");
}

/// The right-hand sides are what Jinja2 3.1 gives, but for lists and objects, which are written as JSON here, and so are booleans.
#[test]
fn the_language_is_jinja() {
    says("Hello {{ name }}!", json!({"name": "Ada"}), "Hello Ada!");
    says("{{ 1 + 2 * 3 }} {{ 7 // 2 }} {{ 7 % 3 }} {{ 2 ** 10 }} {{ 7 / 2 }}", json!({}), "7 3 1 1024 3.5");
    says("{{ 'a' ~ 1 ~ 'b' }} {{ 'a' + 'b' }}", json!({}), "a1b ab");
    says(
        "{% for x in xs %}{{ loop.index }}:{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}",
        json!({"xs": ["a", "b"]}),
        "1:a, 2:b",
    );
    says("{% for x in xs %}{{ x }}{% else %}none{% endfor %}", json!({"xs": []}), "none");
    says("{% for k in m %}{{ k }}={{ m[k] }};{% endfor %}", json!({"m": {"b": 1, "a": 2}}), "b=1;a=2;");
    says("{% for k, v in m | items %}{{ k }}={{ v }};{% endfor %}", json!({"m": {"b": 1, "a": 2}}), "b=1;a=2;");
    says("{% if a and not b %}x{% elif c %}y{% else %}z{% endif %}", json!({"a": true, "b": true, "c": 1}), "y");
    says("{% set full = first ~ ' ' ~ last %}{{ full | upper }}", json!({"first": "ada", "last": "l"}), "ADA L");
    says("{% with a = 1 %}{{ a }}{% endwith %}", json!({}), "1");
    says("{{ xs[0] }} {{ xs[-1] }} {{ s[1:3] }} {{ xs[1:] }}", json!({"xs": [1, 2, 3], "s": "héllo"}), "1 3 él [2,3]");
    says(
        "{{ 'b' in s }} {{ 4 not in xs }} {{ 'k' in m }}",
        json!({"s": "abc", "xs": [1], "m": {"k": 0}}),
        "true true true",
    );
    says("{{ xs | join(', ') }} {{ s | replace('a', 'o') }}", json!({"xs": [1, "x"], "s": "banana"}), "1, x bonono");
    says("{{ (1, 'a', none, true) | tojson }} {{ {'k': [1]} }}", json!({}), "[1,\"a\",null,true] {\"k\":[1]}");
    says("{{ users | map(attribute='name') | join(' ') }}", json!({"users": [{"name": "a"}, {"name": "b"}]}), "a b");
    says(
        "{% for i in range(3) %}{{ i }}{% endfor %}{% for i in range(4, 0, -2) %}{{ i }}{% endfor %}",
        json!({}),
        "01242",
    );
    says("{{ x if x else 'none' }} {{ y is none }}", json!({"x": "", "y": null}), "none true");
    says("{{ '--a-' | trim('-') }}{{ ' b ' | trim }}{{ 5 | replace('5', 'c') }}", json!({}), "abc");
    says("{{ s[-1] }}{{ 'a,b' | split(',') | join('+') }}", json!({"s": "xyz"}), "za+b");
    says("{% for x in [1, 2] %}{{ loop.cycle('a', 'b') }}{% endfor %}", json!({}), "ab");
    says(
        "{{ users | sort(attribute='name') | map(attribute='name') | map('trim', 'x') | list }}",
        json!({"users": [{"name": "xb"}, {"name": "xa"}]}),
        "[\"a\",\"b\"]",
    );
    says("{{ text | indent(2) }}", json!({"text": "a\nb"}), "a\n  b");
    says("{% raw %}{{ kept }}{% endraw %}{# gone #}", json!({}), "{{ kept }}");
    says("<b>{{ x }}</b>", json!({"x": "<&>"}), "<b><&></b>");
}

#[test]
fn lines_of_tags_leave_no_lines_and_the_last_line_break_stays() {
    says("a\n{% if true %}\n  b\n{% endif %}\nc\n", json!({}), "a\n  b\nc\n");
}

#[test]
fn what_is_read_is_known() {
    let read = |source: &str| check(source, "text").unwrap().into_iter().collect::<Vec<_>>();
    assert_eq!(
        read("{{ a.b.c }}{% for x in xs if x > least %}{{ x }}{{ loop.index }}{% endfor %}"),
        ["a", "least", "xs"]
    );
    assert_eq!(read("{% set y = z %}{{ y }}{{ range(3) }}"), ["z"]);
    // What a loop or a 'with' sets is not set after it, and what one side of an 'if' sets is not set on the other.
    assert_eq!(
        read("{% for x in [1] %}{% set y = x %}{% else %}{{ y }}{% endfor %}{{ x }}{{ loop }}"),
        ["loop", "x", "y"]
    );
    assert_eq!(read("{% with a = b, c = a %}{{ c }}{% endwith %}{{ a }}"), ["a", "b"]);
    assert_eq!(read("{% if p %}{% set y = 1 %}{% else %}{{ y }}{% endif %}{{ y }}"), ["p", "y"]);
    assert_eq!(read("{% if p %}{% set y = 1 %}{% endif %}{{ y }}"), ["p"]);
    assert_eq!(read("{% set y = y %}{{ z }}{% set z = 1 %}"), ["y", "z"]);
}

#[test]
fn what_is_no_template_is_told_by_its_line() {
    refused("a\nb {{ x", 2, "");
    refused("a\n{% if x %}\nb", 3, "");
    refused("{% frob %}", 1, "unknown statement frob");
    refused("\n\n{% include '/etc/passwd' %}", 3, "'include' is not part");
    refused("{% import 'a' as b %}", 1, "'import'");
    refused("{% extends 'a' %}", 1, "'extends'");
    refused("{% macro m() %}{{ m() }}{% endmacro %}", 1, "'macro'");
    refused("{% block b %}{% endblock %}", 1, "'block'");
    refused("{% set x %}a{% endset %}", 1, "'set … endset'");
    refused("{% filter upper %}a{% endfilter %}", 1, "'filter'");
    refused("{{ lipsum() }}", 1, "only range(…)");
    refused("{{ x.__class__() }}", 1, "only range(…)");
    refused("{% for x in xs %}{{ loop.cycle() }}{% endfor %}", 1, "loop.cycle(…) needs");
    refused("{{ loop(xs) }}", 1, "only range(…)");
    refused("{% for x in xs recursive %}{% endfor %}", 1, "not recursive");
    refused("{{ x | pprint }}", 1, "there is no filter 'pprint'; there are abs, ");
    refused("{{ x is sameas(1) }}", 1, "there is no test 'sameas'");
    refused("{{ 1 < 2 < 3 }}", 1, "with 'and'");
    let long = "x".repeat(MAX_TEMPLATE_BYTES + 1);
    assert!(matches!(check(&long, "text"), Err(Error::Template { line: None, .. })));
}

#[test]
fn failures_tell_the_line_and_what() {
    fails("a\n{{ user.nme }}", json!({"user": {"name": "x"}}), "text, line 2: undefined value in `user.nme`");
    fails("{{ x + 1 }}", json!({"x": "a"}), "'+' is for numbers, not for string and number");
    fails("{{ 1 // 0 }}", json!({}), "no finite result");
    fails("{% for x in n %}{% endfor %}", json!({"n": 3}), "a loop goes over a list or an object, not over number");
    fails("{{ range(10001) }}", json!({}), "at most 10000");
    fails("{{ missing }}", json!({}), "undefined value");
}

/// Every template that grows or goes on for ever is stopped soon, and says so.
#[test]
fn what_has_no_end_is_stopped() {
    let doubling = format!("{{% set a = 'xxxxxxxx' %}}{}{{{{ a }}}}", "{% set a = a ~ a %}".repeat(200));
    let lists = format!("{{% set l = [] %}}{}{{{{ l }}}}", "{% set l = [l, l] %}".repeat(200));
    let objects = format!("{{% set l = [] %}}{}{{{{ l }}}}", "{% set l = {'a': l} %}".repeat(200));
    let shapes = [
        ("{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}", json!({})),
        ("{% for i in range(9999) %}{{ s }}{% endfor %}", json!({"s": "x".repeat(1 << 20)})),
        (
            "{% for i in range(9999) %}{% if s == t %}{% endif %}{% endfor %}",
            json!({"s": "x".repeat(1 << 19), "t": "x".repeat(1 << 19)}),
        ),
        ("{% for i in range(9999) %}{% if 'y' in s %}{% endif %}{% endfor %}", json!({"s": "x".repeat(1 << 20)})),
        ("{% for i in range(9999) %}{% set y = s[1:] %}{% endfor %}", json!({"s": "x".repeat(1 << 20)})),
        ("{% for i in range(9999) %}{% set y = s | upper %}{% endfor %}", json!({"s": "x".repeat(1 << 20)})),
        (
            "{% for i in range(9999) %}{% set y = xs | sort %}{% endfor %}",
            json!({"xs": (0..10_000).collect::<Vec<_>>()}),
        ),
        ("{{ s | replace('x', s) }}", json!({"s": "x".repeat(1 << 16)})),
        ("{{ range(10000) | join(s) }}", json!({"s": "x".repeat(1 << 16)})),
        ("{{ s | indent(99999999999) }}", json!({"s": "a\nb"})),
        ("{% for i in range(9999) %}{{ s[-1] }}{% endfor %}", json!({"s": "x".repeat(1 << 20)})),
        ("{{ s | trim(s) }}", json!({"s": "xy".repeat(1 << 18)})),
        (
            "{% for i in range(999) %}{% set y = [s] | map('trim', t) %}{% endfor %}",
            json!({"s": "x".repeat(1 << 20), "t": "y".repeat(99)}),
        ),
        ("{% set a = s ~ s ~ s ~ s %}{{ a | list }}", json!({"s": "x".repeat(1 << 20)})),
        ("{% set a = s ~ s ~ s ~ s %}{{ a | split(',') | length }}", json!({"s": ",".repeat(1 << 20)})),
        ("{% set a = s ~ s ~ s ~ s %}{{ a | lines | length }}", json!({"s": "\n".repeat(1 << 20)})),
        ("{% set a = s ~ s ~ s ~ s %}{{ [a] | map('list') | length }}", json!({"s": "x".repeat(1 << 20)})),
        (
            "{% for i in range(9999) %}{% set y = 'a' | replace(s, 'b') %}{% endfor %}",
            json!({"s": "x".repeat(1 << 20)}),
        ),
        (
            "{% for i in range(9999) %}{% set y = xs | sort(attribute=p) %}{% endfor %}",
            json!({"xs": vec![json!({"a": 1}); 999], "p": "a.a.a.a.a.a"}),
        ),
        (lists.as_str(), json!({})),
        (objects.as_str(), json!({})),
        (doubling.as_str(), json!({})),
    ];
    for (source, variables) in shapes {
        let began = Instant::now();
        let error = render_with(source, variables).expect_err(source);
        assert!(matches!(error, Error::Exhausted { .. }), "{source}: {error}");
        assert!(began.elapsed() < Duration::from_secs(5), "{source} took {:?}", began.elapsed());
    }
    // What says how is never long.
    for source in [
        "{{ xs | map(attribute=s) }}",
        "{{ t | split(s) }}",
        "{{ xs | map('split', s) }}",
        "{{ xs | sort(attribute=s) }}",
    ] {
        fails(source, json!({"s": "0.".repeat(200), "xs": ["a"], "t": "a"}), "at most 256 bytes");
    }
    // Numbers do not repeat texts or lists, so these are wrong before they are large.
    fails("{{ 'x' * 99999999999 }}", json!({}), "'*' is for numbers");
    fails("{{ [1] * 99999999999 }}", json!({}), "'*' is for numbers");
    fails("{{ [1] + [2] }}", json!({}), "'+' is for numbers");
}

/// A tree as deep as the limits of tags allow is read on a thread of the size that servers have; a deeper one is refused.
#[test]
fn depth_is_bounded_where_it_comes_from() {
    let stopped =
        |source: String| assert!(matches!(check(&source, "text"), Err(Error::Template { .. })), "{}", source.len());
    stopped(format!("{{{{ a{} }}}}", " ~ a".repeat(50_000)));
    stopped(format!("{{{{ a{} }}}}", ".b".repeat(50_000)));
    stopped(format!("{{{{ a{} }}}}", "|upper".repeat(30_000)));
    stopped(format!("{{{{ {}a{} }}}}", "(".repeat(90_000), ")".repeat(90_000)));
    stopped(format!("{{{{ {}1{} }}}}", "[".repeat(90_000), "]".repeat(90_000)));
    stopped(format!("{{{{ {}a }}}}", "not ".repeat(50_000)));
    stopped(format!("{}{}", "{% if a %}".repeat(9_000), "{% endif %}".repeat(9_000)));
    stopped(format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(9_000)));
    let small = std::thread::Builder::new().stack_size(2 << 20).spawn(|| {
        let chain = format!("{{{{ a{} }}}}", " ~ a".repeat(140));
        assert_eq!(render_with(&chain, json!({"a": "x"})).unwrap().len(), 141);
        let choice = format!("{{% if a == 1 %}}{}{{% endif %}}", "{% elif a == 2 %}b".repeat(390));
        assert_eq!(render_with(&choice, json!({"a": 2})).unwrap(), "b");
        let nested = format!("{}x{}", "{% if a %}".repeat(140), "{% endif %}".repeat(140));
        assert_eq!(render_with(&nested, json!({"a": 1})).unwrap(), "x");
    });
    small.unwrap().join().unwrap();
}

/// Pieces from which templates are put together that nobody would write.
const PIECES: &[&str] = &[
    "{{ a }}",
    "{{ a ~ b }}",
    "{{ a | upper }}",
    "{{ xs | join(a) }}",
    "{{ xs | tojson }}",
    "{{ m.k }}",
    "{{ m[a] }}",
    "{{ xs[1:] }}",
    "{% for x in xs %}",
    "{% for k, v in m | items %}",
    "{% endfor %}",
    "{% if a %}",
    "{% else %}",
    "{% endif %}",
    "{% elif b %}",
    "{% set a = a ~ a %}",
    "{% set xs = [xs, xs] %}",
    "{% set m = {'k': m} %}",
    "{% set a = a | replace('x', a) %}",
    "{% for i in range(9999) %}",
    "{% with a = xs %}",
    "{% endwith %}",
    "{% raw %}",
    "{% endraw %}",
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "\n",
    "x",
    "'",
    "\"",
    "é",
    " - ",
    "| sort",
    "~",
    "loop.index",
    "{{ loop.index }}",
    "{% break %}",
    "{% continue %}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is put together: an end within the limits, and what is written is what is allowed.
    #[test]
    fn any_template_ends(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        let source = pieces.concat();
        let began = Instant::now();
        let variables = json!({"a": "xx", "b": "y", "xs": [1, "x", [2]], "m": {"k": "v", "xx": 1}});
        if let Ok(text) = render_with(&source, variables) {
            prop_assert!(text.len() as u64 <= meter::MAX_OUTPUT_BYTES);
        }
        prop_assert!(began.elapsed() < Duration::from_secs(5), "{source} took {:?}", began.elapsed());
    }

    /// Without tags a template is its own text, and a value is written as it is: no escaping, no second reading.
    #[test]
    fn text_stays_as_it_is(text in "[^{}]{0,200}", value in ".{0,200}") {
        prop_assert_eq!(render_with(&text, json!({})).unwrap(), text.clone());
        prop_assert_eq!(render_with("{{ v }}", json!({"v": value.clone()})).unwrap(), value);
    }
}
