//! Load: a closed loop for the highest steady rate, an open loop for latencies at a given rate.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::Error;
use crate::connection::Connection;
use crate::summary::{Sample, Samples, Summary};

/// How far an open loop may fall behind before further requests count as errors.
const BACKLOG_LIMIT: usize = 100_000;

/// The load's settings.
pub(crate) struct Load {
    pub address: String,
    /// The whole request, head and body.
    pub request: Vec<u8>,
    pub connections: usize,
    pub measured: Duration,
    /// Not measured.
    pub warm_up: Duration,
    /// Requests per second of an open loop.
    pub rate: Option<f64>,
}

/// Drives the load and tells what came back.
///
/// # Errors
/// [`Error::Network`] when the first request cannot even be sent.
pub(crate) async fn drive(load: Load) -> Result<Summary, Error> {
    let mut probe = Connection::new(&load.address);
    probe
        .exchange(&load.request)
        .await
        .map_err(|cause| Error::Network { doing: format!("asking {} once", load.address), cause })?;
    let begin = Instant::now() + load.warm_up;
    let run =
        Rc::new(Run { end: begin + load.measured, samples: RefCell::new(Samples::new(begin, load.measured)), load });
    match run.load.rate {
        None => closed_loop(&run).await,
        Some(rate) => open_loop(&run, rate).await,
    }
    let samples = run.samples.take();
    Ok(samples.summary(run.load.connections, run.load.rate))
}

/// What all tasks of a run share; they are on one thread.
struct Run {
    load: Load,
    end: Instant,
    samples: RefCell<Samples>,
}

impl Run {
    async fn exchange(&self, connection: &mut Connection, intended: Instant) {
        let sample = match connection.exchange(&self.load.request).await {
            Ok(answered) if answered.status == 200 => Sample::answered(intended, &answered),
            Ok(_) | Err(_) => Sample::failed(),
        };
        self.samples.borrow_mut().add(sample);
    }
}

/// Every connection asks again as soon as it has its answer.
async fn closed_loop(run: &Rc<Run>) {
    let clients: Vec<_> = (0..run.load.connections)
        .map(|_| {
            let run = run.clone();
            tokio::task::spawn_local(async move {
                let mut connection = Connection::new(&run.load.address);
                while Instant::now() < run.end {
                    run.exchange(&mut connection, Instant::now()).await;
                }
            })
        })
        .collect();
    for client in clients {
        // A client's panic is the run's.
        client.await.expect("a client of the load panicked");
    }
}

/// Requests start when they are due, whether or not earlier ones are answered; latency counts from when they were due,
/// so that a server that stalls is charged for everyone who waits (Tene, "How NOT to Measure Latency").
async fn open_loop(run: &Rc<Run>, rate: f64) {
    let (due_sender, mut due) = unbounded_channel();
    let end = run.end;
    std::thread::spawn(move || pace(rate, end, &due_sender));
    let idle = Rc::new(RefCell::new(
        (0..run.load.connections).map(|_| Connection::new(&run.load.address)).collect::<Vec<_>>(),
    ));
    let waiting = Rc::new(RefCell::new(VecDeque::new()));
    while let Some(intended) = due.recv().await {
        let connection = idle.borrow_mut().pop();
        match connection {
            Some(connection) => drop(tokio::task::spawn_local(serve_due(
                run.clone(),
                connection,
                intended,
                waiting.clone(),
                idle.clone(),
            ))),
            None if waiting.borrow().len() < BACKLOG_LIMIT => waiting.borrow_mut().push_back(intended),
            None => run.samples.borrow_mut().add(Sample::failed()),
        }
    }
    while idle.borrow().len() < run.load.connections {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Asks once, then for whatever became due when no connection was free.
async fn serve_due(
    run: Rc<Run>,
    mut connection: Connection,
    intended: Instant,
    waiting: Rc<RefCell<VecDeque<Instant>>>,
    idle: Rc<RefCell<Vec<Connection>>>,
) {
    let mut next = Some(intended);
    while let Some(intended) = next {
        run.exchange(&mut connection, intended).await;
        next = waiting.borrow_mut().pop_front();
    }
    idle.borrow_mut().push(connection);
}

/// Says when requests are due. On a thread of its own, because an event loop's timers are only good to a millisecond.
fn pace(rate: f64, end: Instant, due: &UnboundedSender<Instant>) {
    let begin = Instant::now();
    for number in 0_u64.. {
        let intended = begin + Duration::from_secs_f64(number as f64 / rate);
        if intended >= end {
            return;
        }
        let wait = intended.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
        if due.send(intended).is_err() {
            return;
        }
    }
}
