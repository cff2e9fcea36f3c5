//! Prometheus' text format and OpenMetrics', which differ in little.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/> (0.0.4) and
//! <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>.

use std::fmt::Write;

use http::HeaderMap;
use http::header::ACCEPT;
use qd_trace::metrics::Histogram;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus' own, 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// What a request asks for: OpenMetrics where it is named, else Prometheus' own, which everyone reads.
    pub fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        match accepted.flat_map(|value| value.split(',')).any(takes_openmetrics) {
            true => Self::OpenMetrics,
            false => Self::Text,
        }
    }

    /// The type of what is written.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Whether one range of an `Accept` header is OpenMetrics, and not with weight zero.
fn takes_openmetrics(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let named = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/openmetrics-text"));
    let refused = |part: &str| {
        part.strip_prefix("q=").is_some_and(|weight| weight.parse::<f64>().is_ok_and(|weight| weight <= 0.0))
    };
    named && !parts.any(refused)
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Writes families of metrics, each once and whole.
pub(crate) struct Exposition {
    format: Format,
    text: String,
}

/// Writes the samples of one family.
pub(crate) struct Family<'a> {
    name: &'static str,
    kind: Kind,
    text: &'a mut String,
}

/// Labels of a sample. One without a value is left out, as Prometheus takes it for absent.
pub(crate) type Labels<'a> = &'a [(&'static str, &'a str)];

impl Exposition {
    pub fn new(format: Format) -> Self {
        Self { format, text: String::with_capacity(64 << 10) }
    }

    /// Begins a family. A counter's name is given without `_total`.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let (suffix, word) = match (kind, self.format) {
            // The text format's family of a counter has the name of its samples.
            (Kind::Counter, Format::Text) => ("_total", "counter"),
            (Kind::Counter, Format::OpenMetrics) => ("", "counter"),
            (Kind::Gauge, _) => ("", "gauge"),
            (Kind::Histogram, _) => ("", "histogram"),
        };
        put(&mut self.text, format_args!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {word}\n"));
        Family { name, kind, text: &mut self.text }
    }

    /// A family of one sample without labels.
    pub fn one(&mut self, name: &'static str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// All that was written.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

impl Family<'_> {
    /// A sample of a counter or a gauge.
    pub fn sample(&mut self, labels: Labels<'_>, value: f64) {
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        self.line(suffix, labels, None, value);
    }

    /// The samples of a histogram; one without values is left out.
    pub fn histogram(&mut self, labels: Labels<'_>, histogram: &Histogram) {
        let count = histogram.count();
        if count == 0 {
            return;
        }
        for (bound, count) in histogram.cumulative() {
            self.line("_bucket", labels, Some(&canonical(bound)), count as f64);
        }
        self.line("_bucket", labels, Some("+Inf"), count as f64);
        self.line("_sum", labels, None, histogram.sum());
        self.line("_count", labels, None, count as f64);
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<&str>, value: f64) {
        put(self.text, format_args!("{}{suffix}", self.name));
        let given =
            labels.iter().copied().filter(|(_, value)| !value.is_empty()).chain(bound.map(|bound| ("le", bound)));
        for (place, (name, value)) in given.enumerate() {
            put(self.text, format_args!("{}{name}=\"", if place == 0 { '{' } else { ',' }));
            escape(self.text, value);
            self.text.push('"');
        }
        if bound.is_some() || labels.iter().any(|(_, value)| !value.is_empty()) {
            self.text.push('}');
        }
        put(self.text, format_args!(" {value}\n"));
    }
}

/// Writing into a string cannot fail.
fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}

fn escape(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

/// A bound as OpenMetrics wants it, and as Go prints it: `0.5`, `1.0`, `1.048576e+06`.
fn canonical(bound: f64) -> String {
    if bound.abs() < 1e6 {
        return format!("{bound:?}");
    }
    let text = format!("{bound:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{mantissa}e+{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_what_the_request_names() {
        let of = |accept: &str| Format::of(&[(ACCEPT, accept.parse().unwrap())].into_iter().collect());
        // What Prometheus 2.x and 3.x send.
        assert_eq!(
            of(
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
            ),
            Format::OpenMetrics
        );
        assert_eq!(of("text/plain;version=0.0.4;q=0.5,*/*;q=0.1"), Format::Text);
        assert_eq!(of("application/openmetrics-text; q=0, text/plain"), Format::Text);
        assert_eq!(Format::of(&HeaderMap::new()), Format::Text);
    }

    #[test]
    fn bounds_are_canonical_numbers() {
        let found = [0.001, 0.5, 1.0, 262_144.0, 1_048_576.0, 67_108_864.0, 1e6].map(canonical);
        assert_eq!(found, ["0.001", "0.5", "1.0", "262144.0", "1.048576e+06", "6.7108864e+07", "1e+06"]);
    }

    /// The examples of the two specifications, as far as they concern what is written here.
    #[test]
    fn families_are_written_as_each_format_wants_them() {
        let write = |format| {
            let mut exposition = Exposition::new(format);
            exposition.family("a", Kind::Counter, "Help.").sample(&[("path", "C:\\DIR\n\"x\""), ("none", "")], 1027.0);
            exposition.one("b", Kind::Gauge, "Help.", 1.5);
            let mut histogram = Histogram::new(&[0.5, 1.0]);
            [0.5, 0.75, 9.0].into_iter().for_each(|value| histogram.add(value));
            exposition.family("c", Kind::Histogram, "Help.").histogram(&[("x", "y")], &histogram);
            exposition.finish()
        };
        let rest = "# HELP b Help.\n# TYPE b gauge\nb 1.5\n# HELP c Help.\n# TYPE c histogram\n\
                    c_bucket{x=\"y\",le=\"0.5\"} 1\nc_bucket{x=\"y\",le=\"1.0\"} 2\nc_bucket{x=\"y\",le=\"+Inf\"} 3\n\
                    c_sum{x=\"y\"} 10.25\nc_count{x=\"y\"} 3\n";
        let sample = "a_total{path=\"C:\\\\DIR\\n\\\"x\\\"\"} 1027\n";
        assert_eq!(write(Format::Text), format!("# HELP a_total Help.\n# TYPE a_total counter\n{sample}{rest}"));
        assert_eq!(write(Format::OpenMetrics), format!("# HELP a Help.\n# TYPE a counter\n{sample}{rest}# EOF\n"));
    }
}
