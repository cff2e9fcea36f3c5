//! Answering one statement within its limits.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::catalog::TableProvider;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::{SendableRecordBatchStream, execute_stream};
use datafusion::sql::parser::Statement;
use futures::StreamExt;
use qd_base::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::bounded::bounded;
use crate::engine::{Engine, Task};
use crate::guard::{check_plan, parse, syntax};
use crate::row_scan::{RowTable, TABLE};
use crate::scan::{SegmentsRead, TableScan};
use crate::stop::{Signal, Stop, stoppable};
use crate::tables::{Snapshot, TableSnapshot};
use crate::{Error, LakeConfig, QueryLimits};

/// A value for `$1`, `$2` and so on, so that no one writes values into SQL.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// No value.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
    /// A point in time.
    Time(Timestamp),
}

impl From<&str> for Param {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Param {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Param {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for Param {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<bool> for Param {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<Timestamp> for Param {
    fn from(time: Timestamp) -> Self {
        Self::Time(time)
    }
}

impl<T: Into<Param>> From<Option<T>> for Param {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<Param> for ScalarValue {
    fn from(param: Param) -> Self {
        match param {
            Param::Null => Self::Null,
            Param::Bool(truth) => Self::Boolean(Some(truth)),
            Param::Int(number) => Self::Int64(Some(number)),
            Param::Float(number) => Self::Float64(Some(number)),
            Param::Text(text) => Self::Utf8(Some(text)),
            Param::Time(time) => Self::TimestampNanosecond(Some(time.as_nanos()), Some("UTC".into())),
        }
    }
}

/// The answer to a query.
#[derive(Debug, Clone)]
pub struct QueryOutput {
    /// Its columns. Text is `Utf8`, never a view or a dictionary.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
    /// Whether there were more rows than allowed.
    pub truncated: bool,
}

impl QueryOutput {
    /// How many rows the answer has.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// A statement, the values of its parameters, and what it may use.
#[derive(Debug, Clone)]
pub(crate) struct Question<'a> {
    pub sql: &'a str,
    pub params: Vec<Param>,
    pub limits: QueryLimits,
}

/// Answers queries, a few at a time.
#[derive(Debug)]
pub(crate) struct Queries {
    permits: Semaphore,
    of_rows: Semaphore,
    streams: Arc<Semaphore>,
    memory_bytes: usize,
    max_sql_bytes: usize,
}

impl Queries {
    pub fn new(config: &LakeConfig) -> Self {
        let concurrency = config.query_concurrency.max(1);
        Self {
            permits: Semaphore::new(concurrency),
            // Whoever asks about the lake's tables finds a place, however many ask about other rows.
            of_rows: Semaphore::new((concurrency / 2).max(1)),
            streams: Arc::new(Semaphore::new(STREAMS)),
            memory_bytes: config.memory_limit_bytes / concurrency,
            max_sql_bytes: config.max_sql_bytes,
        }
    }

    /// Answers one statement over one snapshot. The work stops when the time is up, or the answer is not awaited
    /// any more.
    pub async fn answer(
        &self,
        engine: &Engine,
        snapshot: &Snapshot,
        question: &Question<'_>,
        read: &SegmentsRead,
    ) -> Result<QueryOutput, Error> {
        let stop = Stop::default();
        let run = async {
            let _permit = self.permits.acquire().await.map_err(|_| Error::Closed)?;
            let memory_bytes = question.limits.memory_bytes.min(self.memory_bytes);
            self.work(engine, snapshot, question, read, &stop, memory_bytes)?.run_on(engine).await
        };
        within(question.limits, run).await
    }

    /// The same over rows that belong to no table, which are then all that there is.
    pub async fn answer_over(
        &self,
        engine: &Engine,
        rows: RowTable,
        question: &Question<'_>,
    ) -> Result<QueryOutput, Error> {
        let stop = Stop::default();
        let run = async {
            let _of_rows = self.of_rows.acquire().await.map_err(|_| Error::Closed)?;
            let _permit = self.permits.acquire().await.map_err(|_| Error::Closed)?;
            let memory_bytes = question.limits.memory_bytes.min(self.memory_bytes);
            let (folder, at_once) = (rows.folder.clone(), rows.rows_at_once);
            let tables = vec![(TABLE.to_owned(), Arc::new(rows) as Arc<dyn TableProvider>)];
            let mut state = engine.session_over(&folder, memory_bytes, tables).map_err(syntax)?;
            *state.config_mut() = state.config().clone().with_batch_size(at_once);
            self.work_in(state, question, &stop, memory_bytes).run_on(engine).await
        };
        within(question.limits, run).await
    }
}

/// Waits as long as a statement may take.
async fn within(
    limits: QueryLimits,
    run: impl Future<Output = Result<QueryOutput, Error>>,
) -> Result<QueryOutput, Error> {
    let limit_ms = u64::try_from(limits.timeout.as_millis()).unwrap_or(u64::MAX);
    tokio::time::timeout(limits.timeout, run).await.unwrap_or(Err(Error::Timeout { limit_ms }))
}

/// Answers that are read as they come: each is held in pieces, however long it is.
const STREAMS: usize = 2;
/// Rows that are read at a time for such an answer, and pieces that wait to be taken: payloads may be large.
const STREAM_ROWS: usize = 512;
const STREAM_AHEAD: usize = 2;
/// Whoever takes nothing for so long is gone.
const STREAM_STALL: Duration = Duration::from_secs(300);
/// When as many answers are being read as may be, the next is worth asking for after this.
const STREAM_RETRY_AFTER_MS: u64 = 5_000;

/// The rows of an answer as they are found, in pieces.
#[derive(Debug)]
pub struct RowStream {
    pieces: mpsc::Receiver<Result<RecordBatch, Error>>,
    _reading: Task<()>,
    _permit: OwnedSemaphorePermit,
}

impl RowStream {
    /// The next rows; none at the end.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, Error>> {
        self.pieces.recv().await
    }
}

impl Queries {
    /// Reads all rows that a statement gives, in no order unless it asks for one, with a bounded memory and as long as
    /// they are taken.
    pub async fn stream(
        &self,
        engine: &Engine,
        snapshot: &Snapshot,
        question: &Question<'_>,
        read: &SegmentsRead,
    ) -> Result<RowStream, Error> {
        let permit = Arc::clone(&self.streams).try_acquire_owned();
        let permit = permit.map_err(|_| Error::Full { retry_after_ms: STREAM_RETRY_AFTER_MS })?;
        let stop = Stop::default();
        let memory_bytes = question.limits.memory_bytes.min(self.memory_bytes);
        let mut work = self.work(engine, snapshot, question, read, &stop, memory_bytes)?;
        *work.state.config_mut() = work.state.config().clone().with_batch_size(STREAM_ROWS);
        let (sender, pieces) = mpsc::channel(STREAM_AHEAD);
        let statement = parse(&work.sql, work.max_sql_bytes)?;
        let reading = engine.spawn(async move {
            let _stop = stop;
            if let Err(error) = work.pump(statement, &sender).await {
                // Whoever does not take it any more does not want to know.
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(RowStream { pieces, _reading: reading, _permit: permit })
    }

    fn work(
        &self,
        engine: &Engine,
        snapshot: &Snapshot,
        question: &Question<'_>,
        read: &SegmentsRead,
        stop: &Stop,
        memory_bytes: usize,
    ) -> Result<Work, Error> {
        let scan =
            |table: &TableSnapshot| Arc::new(TableScan::new(table.clone(), read.clone())) as Arc<dyn TableProvider>;
        let tables = snapshot.iter().map(|(name, table)| (name.to_string(), scan(table)));
        let state = engine.session(memory_bytes, tables.collect()).map_err(syntax)?;
        Ok(self.work_in(state, question, stop, memory_bytes))
    }

    fn work_in(&self, state: SessionState, question: &Question<'_>, stop: &Stop, memory_bytes: usize) -> Work {
        let Question { sql, params, limits } = question.clone();
        Work {
            state,
            sql: sql.to_owned(),
            params,
            memory_bytes,
            max_rows: limits.max_rows,
            max_sql_bytes: self.max_sql_bytes,
            signal: stop.signal(),
        }
    }
}

/// One statement and what it may use.
struct Work {
    state: SessionState,
    sql: String,
    params: Vec<Param>,
    memory_bytes: usize,
    max_rows: usize,
    max_sql_bytes: usize,
    signal: Signal,
}

impl Work {
    async fn run_on(self, engine: &Engine) -> Result<QueryOutput, Error> {
        engine.spawn(self.run()).await.map_err(|_| Error::Broken { operation: "running a query" })?
    }

    async fn run(self) -> Result<QueryOutput, Error> {
        let statement = parse(&self.sql, self.max_sql_bytes)?;
        let rows = self.plan(statement).await?;
        self.collect(rows).await
    }

    /// Hands rows on as they are found, while somebody takes them.
    async fn pump(&self, statement: Statement, sender: &mpsc::Sender<Result<RecordBatch, Error>>) -> Result<(), Error> {
        let mut rows = self.plan(statement).await?;
        let schema = plain_schema(&rows.schema());
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(|cause| self.failed(cause))?;
            let batch = plain(&batch, &schema).map_err(|cause| self.failed(cause.into()))?;
            // Nobody waits for the rest any more, or has taken nothing for too long.
            if sender.send_timeout(Ok(batch), STREAM_STALL).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn plan(&self, statement: Statement) -> Result<SendableRecordBatchStream, Error> {
        let plan = self.state.statement_to_plan(statement).await.map_err(syntax)?;
        check_plan(&plan)?;
        let plan = bounded(plan).map_err(syntax)?;
        let params = self.params.iter().cloned().map(ScalarValue::from).collect::<Vec<_>>();
        // Without parameters, `$1` stays and is reported as missing by the planner.
        let plan =
            if params.is_empty() { plan } else { plan.with_param_values(ParamValues::from(params)).map_err(syntax)? };
        let plan = self.state.create_physical_plan(&plan).await.map_err(|cause| self.failed(cause))?;
        let stream = stoppable(plan, &self.signal).and_then(|plan| execute_stream(plan, self.state.task_ctx()));
        stream.map_err(|cause| self.failed(cause))
    }

    async fn collect(&self, mut rows: SendableRecordBatchStream) -> Result<QueryOutput, Error> {
        let schema = plain_schema(&rows.schema());
        let answer = MemoryConsumer::new("answer").register(&self.state.runtime_env().memory_pool);
        let mut batches = Vec::new();
        let mut left = self.max_rows;
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(|cause| self.failed(cause))?;
            let taken = plain(&batch.slice(0, batch.num_rows().min(left)), &schema)
                .map_err(|cause| self.failed(cause.into()))?;
            answer.try_grow(taken.get_array_memory_size()).map_err(|cause| self.failed(cause))?;
            let truncated = batch.num_rows() > left;
            left -= taken.num_rows();
            batches.push(taken);
            if truncated {
                return Ok(QueryOutput { schema, batches, truncated });
            }
        }
        Ok(QueryOutput { schema, batches, truncated: false })
    }

    /// Tells a query that asks too much, or for what cannot be, from a lake that cannot be read.
    fn failed(&self, cause: DataFusionError) -> Error {
        match cause.find_root() {
            DataFusionError::ResourcesExhausted(message) => {
                Error::Memory { limit_bytes: self.memory_bytes, message: message.clone() }
            }
            // A join of two joins that is told to spill reads its left side for a second time, and finds nothing there.
            DataFusionError::Internal(message) if message.starts_with(NOTHING_TO_SPILL) => {
                let message = "a join holds more than fits".to_owned();
                Error::Memory { limit_bytes: self.memory_bytes, message }
            }
            DataFusionError::ArrowError(root, _) if !is_read_error(root) => syntax(cause),
            DataFusionError::ArrowError(..)
            | DataFusionError::ParquetError(_)
            | DataFusionError::ObjectStore(_)
            | DataFusionError::IoError(_)
            | DataFusionError::External(_)
            | DataFusionError::Internal(_)
            | DataFusionError::ExecutionJoin(_) => Error::Query { cause: Arc::new(cause) },
            _ => syntax(cause),
        }
    }
}

/// How DataFusion 55 says that a nested-loop join has no memory left and could not go on without.
const NOTHING_TO_SPILL: &str = "Left side produced no data to spill";

fn is_read_error(error: &ArrowError) -> bool {
    matches!(
        error,
        ArrowError::ExternalError(_) | ArrowError::IoError(..) | ArrowError::IpcError(_) | ArrowError::ParquetError(_)
    )
}

/// The schema of an answer, with plain types in place of those that only make queries faster.
fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| plain_field(field)).collect::<Vec<_>>();
    Arc::new(Schema::new(fields))
}

fn plain_field(field: &Field) -> Field {
    Field::new(field.name(), plain_type(field.data_type()), field.is_nullable())
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, value) => plain_type(value),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => {
            DataType::List(Arc::new(plain_field(item)))
        }
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| plain_field(field)).collect()),
        other => other.clone(),
    }
}

fn plain(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| cast(column, field.data_type()));
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect::<Result<_, _>>()?, &options)
}
