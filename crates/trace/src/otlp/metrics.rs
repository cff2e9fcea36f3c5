//! The table of metrics: a row for each data point.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringBuilder, TimestampNanosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, SummaryDataPoint, metric::Data,
    number_data_point::Value as Number,
};
use qd_base::Timestamp;
use qd_lake::TableSpec;
use serde_json::{Value, json};

use crate::Error;
use crate::otlp::intake::Rejections;
use crate::otlp::read::{Origin, Reader, sane};
use crate::otlp::value::{object, text};
use crate::otlp::{Refusal, Taken};

/// The table's name in SQL.
pub const METRICS: &str = "metrics";
const UTC: &str = "UTC";
/// The flag of a point that says there is no value.
const NO_RECORDED_VALUE: u32 = 1;

/// The table of metrics.
pub(crate) fn table() -> TableSpec {
    TableSpec {
        name: METRICS.parse().expect("the constant is a valid table name"),
        schema: schema(),
        sort: vec!["project", "name", "time"],
        time_column: "time",
        bloom: Vec::new(),
        subject_column: None,
        project_column: Some("project"),
        group_column: None,
        identity: Vec::new(),
        summaries: Vec::new(),
    }
}

fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let text = |name| Field::new(name, DataType::Utf8, true);
        let word = |name| Field::new(name, DataType::Utf8, false);
        let float = |name| Field::new(name, DataType::Float64, true);
        let time = |name, null| Field::new(name, DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())), null);
        Arc::new(Schema::new(vec![
            word("project"),
            word("name"),
            time("time", false),
            time("start_time", true),
            word("kind"),
            text("unit"),
            text("temporality"),
            Field::new("monotonic", DataType::Boolean, true),
            float("value"),
            Field::new("count", DataType::Int64, true),
            float("sum"),
            float("min"),
            float("max"),
            text("buckets"),
            text("service"),
            text("scope"),
            text("attributes"),
            text("resource"),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// The rows of a request. A point without a value and a metric without a name are rejected.
pub(crate) fn rows(request: ExportMetricsServiceRequest, reader: &Reader<'_>) -> Result<(RecordBatch, Taken), Refusal> {
    let mut rows = MetricRows::default();
    let mut rejections = Rejections::default();
    for resource in request.resource_metrics {
        let origin = Origin::of(resource.resource);
        for scope in resource.scope_metrics {
            let name = scope.scope.map(|scope| scope.name).filter(|name| !name.is_empty());
            let place = PlaceOf { origin: &origin, scope: name.as_deref(), reader };
            scope.metrics.into_iter().for_each(|metric| rows.append(metric, &place, &mut rejections));
        }
    }
    let count = rows.rows;
    let batch = rows.finish().map_err(|cause| Refusal::Failed(Error::Build(Arc::new(cause))))?;
    Ok((batch, rejections.taken(count)))
}

/// Where points come from.
struct PlaceOf<'a> {
    origin: &'a Origin,
    scope: Option<&'a str>,
    reader: &'a Reader<'a>,
}

/// What a metric's points have in common.
struct Sort {
    name: String,
    unit: String,
    kind: &'static str,
    temporality: Option<&'static str>,
    monotonic: Option<bool>,
}

/// One data point of any kind.
#[derive(Default)]
struct Point {
    attributes: Vec<KeyValue>,
    start: u64,
    time: u64,
    flags: u32,
    value: Option<f64>,
    count: Option<u64>,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    buckets: Option<Value>,
}

impl From<NumberDataPoint> for Point {
    fn from(point: NumberDataPoint) -> Self {
        let value = point.value.map(|value| match value {
            Number::AsDouble(number) => number,
            Number::AsInt(number) => number as f64,
        });
        let flags = if value.is_none() { point.flags | NO_RECORDED_VALUE } else { point.flags };
        Self {
            attributes: point.attributes,
            start: point.start_time_unix_nano,
            time: point.time_unix_nano,
            flags,
            value,
            ..Self::default()
        }
    }
}

impl From<HistogramDataPoint> for Point {
    fn from(point: HistogramDataPoint) -> Self {
        Self {
            buckets: Some(json!({"bounds": point.explicit_bounds, "counts": point.bucket_counts})),
            attributes: point.attributes,
            start: point.start_time_unix_nano,
            time: point.time_unix_nano,
            flags: point.flags,
            value: None,
            count: Some(point.count),
            sum: point.sum,
            min: point.min,
            max: point.max,
        }
    }
}

impl From<ExponentialHistogramDataPoint> for Point {
    fn from(point: ExponentialHistogramDataPoint) -> Self {
        let side =
            |buckets: Option<opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets>| {
                buckets.map(|buckets| json!({"offset": buckets.offset, "counts": buckets.bucket_counts}))
            };
        let buckets = json!({
            "scale": point.scale, "zero_count": point.zero_count, "zero_threshold": point.zero_threshold,
            "positive": side(point.positive), "negative": side(point.negative),
        });
        Self {
            attributes: point.attributes,
            start: point.start_time_unix_nano,
            time: point.time_unix_nano,
            flags: point.flags,
            value: None,
            count: Some(point.count),
            sum: point.sum,
            min: point.min,
            max: point.max,
            buckets: Some(buckets),
        }
    }
}

impl From<SummaryDataPoint> for Point {
    fn from(point: SummaryDataPoint) -> Self {
        let quantiles: Vec<Value> =
            point.quantile_values.iter().map(|at| json!({"quantile": at.quantile, "value": at.value})).collect();
        Self {
            attributes: point.attributes,
            start: point.start_time_unix_nano,
            time: point.time_unix_nano,
            flags: point.flags,
            count: Some(point.count),
            sum: Some(point.sum),
            buckets: Some(json!({"quantiles": quantiles})),
            ..Self::default()
        }
    }
}

fn temporality(number: i32) -> Option<&'static str> {
    match number {
        1 => Some("delta"),
        2 => Some("cumulative"),
        _ => None,
    }
}

#[derive(Default)]
struct MetricRows {
    rows: u64,
    project: StringBuilder,
    name: StringBuilder,
    time: TimestampNanosecondBuilder,
    start_time: TimestampNanosecondBuilder,
    kind: StringBuilder,
    unit: StringBuilder,
    temporality: StringBuilder,
    monotonic: BooleanBuilder,
    value: Float64Builder,
    count: Int64Builder,
    sum: Float64Builder,
    min: Float64Builder,
    max: Float64Builder,
    buckets: StringBuilder,
    service: StringBuilder,
    scope: StringBuilder,
    attributes: StringBuilder,
    resource: StringBuilder,
}

impl MetricRows {
    fn append(&mut self, metric: Metric, place: &PlaceOf<'_>, rejections: &mut Rejections) {
        let Metric { name, unit, data, .. } = metric;
        let sort = |kind, temporality, monotonic| Sort { name, unit, kind, temporality, monotonic };
        match data {
            None => rejections.add("a metric has no data"),
            Some(Data::Gauge(data)) => self.points(data.data_points, &sort("gauge", None, None), place, rejections),
            Some(Data::Sum(data)) => {
                let sort = sort("sum", temporality(data.aggregation_temporality), Some(data.is_monotonic));
                self.points(data.data_points, &sort, place, rejections);
            }
            Some(Data::Histogram(data)) => {
                let sort = sort("histogram", temporality(data.aggregation_temporality), None);
                self.points(data.data_points, &sort, place, rejections);
            }
            Some(Data::ExponentialHistogram(data)) => {
                let sort = sort("exponential_histogram", temporality(data.aggregation_temporality), None);
                self.points(data.data_points, &sort, place, rejections);
            }
            Some(Data::Summary(data)) => self.points(data.data_points, &sort("summary", None, None), place, rejections),
        }
    }

    fn points<P: Into<Point>>(
        &mut self,
        points: Vec<P>,
        sort: &Sort,
        place: &PlaceOf<'_>,
        rejections: &mut Rejections,
    ) {
        for point in points {
            let point: Point = point.into();
            if sort.name.is_empty() {
                rejections.add("a metric has no name");
            } else if point.flags & NO_RECORDED_VALUE != 0 {
                rejections.add("a data point has no value");
            } else {
                self.point(point, sort, place);
            }
        }
    }

    fn point(&mut self, point: Point, sort: &Sort, place: &PlaceOf<'_>) {
        let told = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let now = place.reader.now;
        let (attributes, resource) = (object(point.attributes), place.origin.resource());
        self.rows += 1;
        self.project.append_value(place.reader.project.as_str());
        self.name.append_value(&sort.name);
        self.time.append_value(sane(point.time, now).unwrap_or(now).as_nanos());
        self.start_time.append_option(sane(point.start, now).map(Timestamp::as_nanos));
        self.kind.append_value(sort.kind);
        self.unit.append_option(told(&sort.unit));
        self.temporality.append_option(sort.temporality);
        self.monotonic.append_option(sort.monotonic);
        self.value.append_option(point.value);
        self.count.append_option(point.count.map(|count| i64::try_from(count).unwrap_or(i64::MAX)));
        self.sum.append_option(point.sum);
        self.min.append_option(point.min);
        self.max.append_option(point.max);
        self.buckets.append_option(point.buckets.map(|buckets| buckets.to_string()));
        self.service.append_option(resource.get("service.name").and_then(text));
        self.scope.append_option(place.scope);
        self.attributes.append_option((!attributes.is_empty()).then(|| Value::Object(attributes).to_string()));
        self.resource.append_option((!resource.is_empty()).then(|| Value::Object(resource.clone()).to_string()));
    }

    fn finish(mut self) -> Result<RecordBatch, arrow::error::ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.project.finish()),
            Arc::new(self.name.finish()),
            Arc::new(self.time.finish().with_timezone(UTC)),
            Arc::new(self.start_time.finish().with_timezone(UTC)),
            Arc::new(self.kind.finish()),
            Arc::new(self.unit.finish()),
            Arc::new(self.temporality.finish()),
            Arc::new(self.monotonic.finish()),
            Arc::new(self.value.finish()),
            Arc::new(self.count.finish()),
            Arc::new(self.sum.finish()),
            Arc::new(self.min.finish()),
            Arc::new(self.max.finish()),
            Arc::new(self.buckets.finish()),
            Arc::new(self.service.finish()),
            Arc::new(self.scope.finish()),
            Arc::new(self.attributes.finish()),
            Arc::new(self.resource.finish()),
        ];
        RecordBatch::try_new(schema(), columns)
    }
}
