//! Where queries run: their own threads, a share of memory and of spill space, and one folder that they can see.

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::catalog::CatalogProviderList;
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider,
    TableProvider,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::registry::FunctionRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use thread_priority::{ThreadPriority, ThreadPriorityValue};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::LakeConfig;
use crate::guard::ABSENT_FUNCTIONS;
use crate::scan::FILES_URL;

/// Planning recurses over the statement; with this stack, the longest statement that is allowed fits.
const STACK_BYTES: usize = 64 << 20;

/// Footers and page indexes of segments that are kept in memory.
const METADATA_CACHE_BYTES: usize = 64 << 20;

/// Sealing and merging stand behind who answers requests: sealing takes a third of a second of processor time every 16 MiB,
/// and at equal priority the calls that came meanwhile waited for as long. Of 0 to 99, 22 is a niceness of 10, which has a
/// tenth of the share of 0 (`sched_prio_to_weight` in Linux: 110 to 1024): enough to keep up with what a core can record.
const BACKGROUND_PRIORITY: u8 = 22;

/// Rows that are worked on at a time.
const BATCH_ROWS: usize = 8192;

/// The query engine. It knows no tables; each query brings its own.
pub(crate) struct Engine {
    workers: Workers,
    background: Workers,
    state: SessionState,
    environment: RuntimeEnv,
    running: Arc<AtomicUsize>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("running", &self.running()).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine that reads below `segments` and spills into `spill`.
    pub fn new(config: &LakeConfig, segments: &Path, spill: &Path) -> Result<Self> {
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![spill.to_owned()]))
            .with_max_temp_directory_size(config.spill_limit_bytes);
        let environment = RuntimeEnvBuilder::new()
            .with_disk_manager_builder(disk)
            .with_cache_manager(CacheManagerConfig::default().with_metadata_cache_limit(METADATA_CACHE_BYTES))
            .with_object_store_registry(Arc::new(OnlyFolder::new(segments)?))
            .build()?;
        let workers = Workers::start("lake", config.threads, None).map_err(DataFusionError::IoError)?;
        let background =
            Workers::start("lake-background", 1, Some(BACKGROUND_PRIORITY)).map_err(DataFusionError::IoError)?;
        Ok(Self { workers, background, state: state(config.threads)?, environment, running: Arc::default() })
    }

    /// Queries whose work has not ended yet, those that were cut off included.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    /// Settings and functions, for work that may use this much memory and sees these tables.
    pub fn session(&self, memory_bytes: usize, tables: Vec<(String, Arc<dyn TableProvider>)>) -> Result<SessionState> {
        self.session_in(self.environment.clone(), memory_bytes, tables)
    }

    /// The same for work that sees another folder than that of the segments.
    pub fn session_over(
        &self,
        folder: &Path,
        memory_bytes: usize,
        tables: Vec<(String, Arc<dyn TableProvider>)>,
    ) -> Result<SessionState> {
        let environment =
            RuntimeEnv { object_store_registry: Arc::new(OnlyFolder::new(folder)?), ..self.environment.clone() };
        self.session_in(environment, memory_bytes, tables)
    }

    fn session_in(
        &self,
        environment: RuntimeEnv,
        memory_bytes: usize,
        tables: Vec<(String, Arc<dyn TableProvider>)>,
    ) -> Result<SessionState> {
        let pool = QueryPool { pool: FairSpillPool::new(memory_bytes), _running: Running::start(&self.running) };
        let environment = RuntimeEnv { memory_pool: Arc::new(pool), ..environment };
        let builder =
            SessionStateBuilder::new_from_existing(self.state.clone()).with_runtime_env(Arc::new(environment));
        let mut state = builder.with_catalog_list(catalog(tables)?).build();
        // Without it the planner does not know what time `now()` is.
        state.mark_start_execution();
        Ok(state)
    }

    /// Runs work on the threads of the engine; dropping the handle stops it.
    pub fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Task<T> {
        Task(self.workers.runtime().spawn(work))
    }

    /// Runs work that nobody waits for, such as reading what is merged; dropping the handle stops it.
    pub fn spawn_behind<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Task<T> {
        Task(self.background.runtime().spawn(work))
    }

    /// The same for work that does not wait itself, such as writing a segment.
    pub fn spawn_blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        self.background.runtime().spawn_blocking(work)
    }
}

fn state(threads: usize) -> Result<SessionState> {
    let mut config = SessionConfig::new()
        .with_target_partitions(threads)
        .with_batch_size(BATCH_ROWS)
        .with_information_schema(true)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema("quarterdeck", "public");
    let options = config.options_mut();
    // With these, a look-up by identifier decodes one column and then only the pages of the rows it found.
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    let mut state = SessionStateBuilder::new_with_default_features().with_config(config).build();
    for name in ABSENT_FUNCTIONS {
        state.deregister_udf(name)?;
    }
    Ok(state)
}

fn catalog(tables: Vec<(String, Arc<dyn TableProvider>)>) -> Result<Arc<dyn CatalogProviderList>> {
    let schema = Arc::new(MemorySchemaProvider::new());
    for (name, table) in tables {
        schema.register_table(name, table)?;
    }
    let catalog = Arc::new(MemoryCatalogProvider::new());
    catalog.register_schema("public", schema)?;
    let list = Arc::new(MemoryCatalogProviderList::new());
    list.register_catalog("quarterdeck".to_owned(), catalog);
    Ok(list)
}

/// The threads of the engine. Dropping them does not wait, so it may happen on any thread.
struct Workers(Option<Runtime>);

impl Workers {
    /// Starts threads, of another priority than usual if one is given.
    fn start(name: &str, threads: usize, priority: Option<u8>) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name(name)
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(move || priority.into_iter().for_each(set_priority))
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("the threads run until the engine is dropped")
    }
}

/// Gives this thread another priority. Where that is not allowed it stays as it was, which costs time and nothing else.
fn set_priority(priority: u8) {
    let usual = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
    let given = ThreadPriorityValue::try_from(priority).map_err(|why| format!("{why:?}")).and_then(|priority| {
        set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(priority), usual)
            .map_err(|error| format!("{error:?}"))
    });
    if let Err(why) = given {
        tracing::debug!(why, "a background thread keeps the usual priority");
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Work on the threads of the engine, stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct Task<T>(JoinHandle<T>);

impl<T> Future for Task<T> {
    type Output = std::result::Result<T, tokio::task::JoinError>;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Counts a query from its start until the last of its operators is gone.
#[derive(Debug)]
struct Running(Arc<AtomicUsize>);

impl Running {
    fn start(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The memory of one query. Every operator holds it, so it is dropped when the last has stopped.
#[derive(Debug)]
struct QueryPool {
    pool: FairSpillPool,
    _running: Running,
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.pool, f)
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.pool.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.pool.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.pool.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.pool.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.pool.try_grow(reservation, additional)
    }

    fn reserved(&self) -> usize {
        self.pool.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.pool.memory_limit()
    }
}

/// All that a query can open: one folder, mostly that of the segments. The default would include the whole file system.
#[derive(Debug)]
struct OnlyFolder(Arc<dyn ObjectStore>);

impl OnlyFolder {
    fn new(folder: &Path) -> Result<Self> {
        Ok(Self(Arc::new(LocalFileSystem::new_with_prefix(folder)?)))
    }
}

impl ObjectStoreRegistry for OnlyFolder {
    fn register_store(&self, _: &url::Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        Some(store)
    }

    fn get_store(&self, url: &url::Url) -> Result<Arc<dyn ObjectStore>> {
        if url.as_str().trim_end_matches('/') == FILES_URL {
            Ok(Arc::clone(&self.0))
        } else {
            Err(DataFusionError::Plan(format!("there is no store {url}")))
        }
    }
}
