//! `quarterdeck trace import`: the records of a file, some at a time.

use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::records::{Places, Record, Records};
use crate::Error;
use crate::args::{ImportSource, TraceImport};
use crate::context::Context;
use crate::door::Door;
use crate::progress::Unit;

/// Records of one request, and bytes after which no more are added.
const BATCH_RECORDS: usize = 500;
const BATCH_BYTES: usize = 4 << 20;
/// Bad records that are told of; the others are counted.
const TOLD: u64 = 20;
/// How long a server that has no room is given, and how often.
const BUSY_PAUSE: Duration = Duration::from_secs(1);
const BUSY_TRIES: u32 = 60;

/// What came of it so far.
#[derive(Default)]
struct Sum {
    records: u64,
    spans: u64,
    scores: u64,
    expired: u64,
    refused: u64,
}

/// Records that are sent together, and where they stand.
#[derive(Default)]
struct Batch {
    texts: Vec<Box<RawValue>>,
    places: Vec<usize>,
    bytes: usize,
}

/// Reads the file and sends what is in it.
pub async fn run(context: &Context, door: &Door, wanted: TraceImport) -> Result<(), Error> {
    let mut records = Records::open(&wanted.file)?;
    let from = wanted.from.map(word);
    let mut shown = context.progress.start(format!("importing {}", wanted.file.display()), Unit::Steps);
    let (mut sum, mut batch) = (Sum::default(), Batch::default());
    while let Some(Record { place, json }) = records.received.recv().await {
        sum.records += 1;
        match json {
            Ok(text) => batch.push(place, text),
            Err(why) => sum.refuse(records.places, place, &why),
        }
        if batch.is_full() {
            batch.send(door, from, records.places, &mut sum).await?;
            shown.update(sum.records, 0, "records");
        }
    }
    batch.send(door, from, records.places, &mut sum).await?;
    let places = records.places;
    // What had been read is imported also when the rest of the file cannot be.
    let read = records.finish().await;
    shown.finish("done");
    context.printer.object(&sum.to_json())?;
    read?;
    sum.outcome(places)
}

fn word(source: ImportSource) -> &'static str {
    match source {
        ImportSource::Langfuse => "langfuse",
        ImportSource::Phoenix => "phoenix",
        ImportSource::Jsonl => "jsonl",
    }
}

impl Batch {
    fn push(&mut self, place: usize, text: Box<RawValue>) {
        self.bytes += text.get().len();
        self.places.push(place);
        self.texts.push(text);
    }

    fn is_full(&self) -> bool {
        self.texts.len() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES
    }

    async fn send(&mut self, door: &Door, from: Option<&str>, places: Places, sum: &mut Sum) -> Result<(), Error> {
        let Self { texts, places: stands, .. } = std::mem::take(self);
        if texts.is_empty() {
            return Ok(());
        }
        let body = serde_json::to_string(&Import { from, records: &texts })
            .map_err(|cause| Error::doing("writing the request", cause))?;
        let answer = ask(door, body).await?;
        let count = |name: &str| answer[name].as_u64().unwrap_or(0);
        sum.spans += count("spans");
        sum.scores += count("scores");
        sum.expired += count("expired");
        let told = answer["refused"].as_array().map_or(&[][..], Vec::as_slice);
        for refused in told {
            let place = refused["record"].as_u64().and_then(|at| stands.get(usize::try_from(at).ok()?));
            sum.refuse(places, place.copied().unwrap_or(0), refused["why"].as_str().unwrap_or("it was refused"));
        }
        // Of very many only some are told.
        sum.refused += count("refused_count").saturating_sub(told.len() as u64);
        Ok(())
    }
}

#[derive(serde::Serialize)]
struct Import<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    records: &'a [Box<RawValue>],
}

/// Sends a request; a server that has no room takes nothing, and is asked again.
async fn ask(door: &Door, body: String) -> Result<Value, Error> {
    for _ in 1..BUSY_TRIES {
        match door.post_text("/api/v1/traces/import", body.clone()).await {
            Err(Error::Busy) => tokio::time::sleep(BUSY_PAUSE).await,
            answer => return answer,
        }
    }
    door.post_text("/api/v1/traces/import", body).await
}

impl Sum {
    fn refuse(&mut self, places: Places, place: usize, why: &str) {
        self.refused += 1;
        let what = match places {
            Places::Lines => "line",
            Places::Records => "record",
        };
        if self.refused <= TOLD {
            eprintln!("{what} {place}: {why}");
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "records": self.records, "spans": self.spans, "scores": self.scores, "expired": self.expired,
            "refused": self.refused,
        })
    }

    fn outcome(&self, places: Places) -> Result<(), Error> {
        let what = match places {
            Places::Lines => "lines",
            Places::Records => "records",
        };
        match self.refused {
            0 => Ok(()),
            refused => {
                Err(Error::Failed { message: format!("{refused} {what} could not be read; all others are imported") })
            }
        }
    }
}
