//! What a request says once and every row repeats: a resource, a scope, the name of a metric.
//!
//! A row stands by itself, so it has what its records have in common too. Beside many records a large resource would come to
//! a thousand times the request; such a request is refused before its rows are made.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;

use crate::otlp::Refusal;

/// What the records of a request have in common may come to so many bytes in all their rows.
const SPREAD_BYTES: usize = 64 << 20;

/// # Errors
/// [`Refusal::TooLarge`], as the others here.
pub(crate) fn traces(request: &ExportTraceServiceRequest) -> Result<(), Refusal> {
    let spread = request.resource_spans.iter().flat_map(|resource| {
        let shared = size(resource.resource.as_ref());
        resource.scope_spans.iter().map(move |scope| (shared + size(scope.scope.as_ref()), scope.spans.len()))
    });
    check(spread)
}

pub(crate) fn logs(request: &ExportLogsServiceRequest) -> Result<(), Refusal> {
    let spread = request.resource_logs.iter().flat_map(|resource| {
        let shared = size(resource.resource.as_ref());
        resource.scope_logs.iter().map(move |scope| (shared + size(scope.scope.as_ref()), scope.log_records.len()))
    });
    check(spread)
}

pub(crate) fn metrics(request: &ExportMetricsServiceRequest) -> Result<(), Refusal> {
    let spread = request.resource_metrics.iter().flat_map(|resource| {
        let shared = size(resource.resource.as_ref());
        resource.scope_metrics.iter().flat_map(move |scope| {
            let shared = shared + size(scope.scope.as_ref());
            scope.metrics.iter().map(move |metric| (shared + metric.name.len() + metric.unit.len(), points(metric)))
        })
    });
    check(spread)
}

fn size<M: Message>(message: Option<&M>) -> usize {
    message.map_or(0, M::encoded_len)
}

fn points(metric: &Metric) -> usize {
    match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(Data::Summary(summary)) => summary.data_points.len(),
        None => 0,
    }
}

/// Of so many shared bytes in so many rows each.
fn check(spread: impl Iterator<Item = (usize, usize)>) -> Result<(), Refusal> {
    let bytes = spread.fold(0_usize, |all, (shared, rows)| all.saturating_add(shared.saturating_mul(rows)));
    if bytes <= SPREAD_BYTES { Ok(()) } else { Err(Refusal::TooLarge { limit_bytes: SPREAD_BYTES }) }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::metrics::v1::{Gauge, NumberDataPoint, ResourceMetrics, ScopeMetrics};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::*;

    /// A scope of a mebibyte beside so many records is within the limit or not.
    #[track_caller]
    fn verdicts(rows: usize) -> [bool; 3] {
        let scope = || Some(InstrumentationScope { name: "x".repeat(1 << 20), ..Default::default() });
        let spans = vec![ScopeSpans { scope: scope(), spans: vec![Span::default(); rows], ..Default::default() }];
        let spans = vec![ResourceSpans { scope_spans: spans, ..Default::default() }];
        let records = vec![LogRecord::default(); rows];
        let records = vec![ScopeLogs { scope: scope(), log_records: records, ..Default::default() }];
        let records = vec![ResourceLogs { scope_logs: records, ..Default::default() }];
        let points = Gauge { data_points: vec![NumberDataPoint::default(); rows] };
        let metric = Metric { name: "x".repeat(1 << 20), data: Some(Data::Gauge(points)), ..Default::default() };
        let metric = vec![ScopeMetrics { metrics: vec![metric], ..Default::default() }];
        let metric = vec![ResourceMetrics { scope_metrics: metric, ..Default::default() }];
        [
            traces(&ExportTraceServiceRequest { resource_spans: spans }).is_ok(),
            logs(&ExportLogsServiceRequest { resource_logs: records }).is_ok(),
            metrics(&ExportMetricsServiceRequest { resource_metrics: metric }).is_ok(),
        ]
    }

    #[test]
    fn what_is_said_once_does_not_become_gigabytes() {
        assert_eq!(verdicts(60), [true; 3]);
        // 65 rows with a mebibyte each are more than 64 MiB.
        assert_eq!(verdicts(65), [false; 3]);
    }
}
