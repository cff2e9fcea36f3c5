//! Outcomes of calls as columns of a table, for tables that keep such.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use qd_base::{Picodollars, Usage};
use qd_lake::{Lake, QueryLimits};

use crate::call::Outcome;
use crate::definition::MOST_CALLS;
use crate::{Error, Result};

/// How often rows that the lake has no room for are offered again, and how long is waited before.
const OFFERS: u32 = 60;
const OFFER_EVERY: Duration = Duration::from_millis(500);

/// The columns of an outcome. `cost_picodollars` is what was paid here, which is nothing for one that was taken from elsewhere;
/// `original_cost_picodollars` what such a call costs.
pub fn fields() -> Vec<Field> {
    let text = |name| Field::new(name, DataType::Utf8, true);
    let whole = |name| Field::new(name, DataType::Int64, true);
    vec![
        text("output"),
        text("error"),
        text("finish_reason"),
        whole("cost_picodollars"),
        whole("original_cost_picodollars"),
        Field::new("cached", DataType::Boolean, false),
        Field::new("latency_ms", DataType::Float64, true),
        whole("input_tokens"),
        whole("output_tokens"),
        text("trace_id"),
        text("span_id"),
    ]
}

/// Outcomes as these columns.
pub fn arrays(outcomes: &[&Outcome]) -> Vec<ArrayRef> {
    let text = |of: &dyn Fn(&Outcome) -> Option<String>| -> ArrayRef {
        Arc::new(outcomes.iter().map(|outcome| of(outcome)).collect::<StringArray>())
    };
    let whole = |of: &dyn Fn(&Outcome) -> Option<i64>| -> ArrayRef {
        Arc::new(outcomes.iter().map(|outcome| of(outcome)).collect::<Int64Array>())
    };
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let cost = |outcome: &Outcome| outcome.cost.map(Picodollars::get);
    vec![
        text(&|outcome| outcome.output.clone()),
        text(&|outcome| outcome.error.clone()),
        text(&|outcome| outcome.finish_reason.clone()),
        whole(&|outcome| if outcome.cached { Some(0) } else { cost(outcome) }),
        whole(&cost),
        Arc::new(outcomes.iter().map(|outcome| Some(outcome.cached)).collect::<BooleanArray>()),
        Arc::new(outcomes.iter().map(|outcome| outcome.latency_ms).collect::<Float64Array>()),
        whole(&|outcome| outcome.usage.map(|usage| count(usage.input_tokens))),
        whole(&|outcome| outcome.usage.map(|usage| count(usage.output_tokens))),
        text(&|outcome| outcome.trace.map(|trace| trace.to_string())),
        text(&|outcome| outcome.span.map(|span| span.to_string())),
    ]
}

/// Keeps rows in a table. They are on disk when this returns.
///
/// # Errors
/// [`Error::Lake`] when the lake does not take them, after it was full for half a minute.
pub async fn append(lake: &Lake, table: &str, batch: RecordBatch) -> Result<()> {
    for _ in 1..OFFERS {
        match lake.append(table, batch.clone()).await {
            Err(qd_lake::Error::Full { .. }) => tokio::time::sleep(OFFER_EVERY).await,
            kept => return Ok(kept.map(drop)?),
        }
    }
    Ok(lake.append(table, batch).await.map(drop)?)
}

/// What a statement over all rows of one run may take.
pub fn limits() -> QueryLimits {
    QueryLimits { max_rows: MOST_CALLS * 4, timeout: Duration::from_secs(60), ..QueryLimits::default() }
}

/// The columns of an outcome.
pub struct Told {
    error: StringArray,
    /// Whether it was taken from elsewhere.
    pub cached: BooleanArray,
    cost: Int64Array,
    latency: Float64Array,
    input: Int64Array,
    output: Int64Array,
}

impl Told {
    /// Those of a batch.
    ///
    /// # Errors
    /// [`Error::Row`] for one that is missing.
    pub fn of(columns: &Columns<'_>) -> Result<Self> {
        Ok(Self {
            error: columns.text("error")?,
            cached: columns.typed("cached", &DataType::Boolean)?.as_boolean().clone(),
            cost: columns.whole("original_cost_picodollars")?,
            latency: columns.typed("latency_ms", &DataType::Float64)?.as_primitive::<Float64Type>().clone(),
            input: columns.whole("input_tokens")?,
            output: columns.whole("output_tokens")?,
        })
    }

    /// A row without its texts.
    ///
    /// # Errors
    /// As [`Told::of`].
    pub fn outcome(&self, row: usize) -> Result<Outcome> {
        let whole = |column: &Int64Array| column.is_valid(row).then(|| column.value(row));
        let tokens = |column: &Int64Array| whole(column).map(i64::unsigned_abs);
        let usage = tokens(&self.input).zip(tokens(&self.output)).map(|(input_tokens, output_tokens)| Usage {
            input_tokens,
            output_tokens,
            ..Usage::default()
        });
        Ok(Outcome {
            error: text_at(&self.error, row),
            cost: whole(&self.cost).map(Picodollars::new),
            latency_ms: self.latency.is_valid(row).then(|| self.latency.value(row)),
            usage,
            ..Outcome::default()
        })
    }

    /// All of a row.
    ///
    /// # Errors
    /// As [`Told::of`].
    pub fn whole(&self, columns: &Columns<'_>, row: usize) -> Result<Outcome> {
        let text = |name| Ok::<_, Error>(text_at(&columns.text(name)?, row));
        Ok(Outcome {
            output: text("output")?,
            finish_reason: text("finish_reason")?,
            trace: text("trace_id")?.map(|text| parsed("trace_id", &text)).transpose()?,
            span: text("span_id")?.map(|text| parsed("span_id", &text)).transpose()?,
            ..self.outcome(row)?
        })
    }
}

/// The columns of a batch by name.
pub struct Columns<'a>(pub &'a RecordBatch);

impl Columns<'_> {
    /// A column as this type.
    ///
    /// # Errors
    /// [`Error::Row`] when it is missing, [`Error::Arrow`] when it is of another kind.
    pub fn typed(&self, name: &'static str, kind: &DataType) -> Result<ArrayRef> {
        let column =
            self.0.column_by_name(name).ok_or_else(|| Error::Row { column: name, why: "it is missing".into() })?;
        Ok(cast(column, kind)?)
    }

    /// A column of texts.
    ///
    /// # Errors
    /// As [`Columns::typed`].
    pub fn text(&self, name: &'static str) -> Result<StringArray> {
        Ok(self.typed(name, &DataType::Utf8)?.as_string().clone())
    }

    /// A column of whole numbers.
    ///
    /// # Errors
    /// As [`Columns::typed`].
    pub fn whole(&self, name: &'static str) -> Result<Int64Array> {
        Ok(self.typed(name, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
    }
}

/// The text of a row, if there is one.
pub fn text_at(column: &StringArray, row: usize) -> Option<String> {
    column.is_valid(row).then(|| column.value(row).to_owned())
}

/// A text as what it stands for.
///
/// # Errors
/// [`Error::Row`] for one that is none.
pub fn parsed<T: FromStr<Err: Display>>(column: &'static str, text: &str) -> Result<T> {
    text.parse().map_err(|cause: T::Err| Error::Row { column, why: cause.to_string() })
}

/// A text as the JSON that it is.
///
/// # Errors
/// [`Error::Row`] for one that is none.
pub fn parsed_json<T: serde::de::DeserializeOwned>(column: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|cause| Error::Row { column, why: cause.to_string() })
}
