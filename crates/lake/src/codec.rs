//! The form of staged rows in the catalog: one Arrow IPC stream, compressed as one zstd frame with a checksum.
//!
//! The frame is compressed as a whole and not buffer by buffer, because a group of a few rows has a hundred
//! tiny buffers and a schema that is larger than the rows.

use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use qd_base::TableName;

use crate::Error;

/// A staged blob lives for seconds, so the time to make it counts for more than its size.
const LEVEL: i32 = 1;

/// Compresses one batch.
pub(crate) fn encode(table: &TableName, batch: &RecordBatch) -> Result<Vec<u8>, Error> {
    let mut writer =
        StreamWriter::try_new(Vec::new(), batch.schema_ref()).map_err(Error::arrow("encoding rows", table))?;
    writer.write(batch).map_err(Error::arrow("encoding rows", table))?;
    let plain = writer.into_inner().map_err(Error::arrow("encoding rows", table))?;
    compress(&plain).map_err(|cause| Error::arrow("compressing rows", table)(cause.into()))
}

fn compress(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    compressor.compress(plain)
}

/// The batch that [`encode`] took.
pub(crate) fn decode(table: &TableName, blob: &[u8]) -> Result<RecordBatch, Error> {
    let read = || -> Result<RecordBatch, ArrowError> {
        let plain = zstd::decode_all(blob)?;
        let reader = StreamReader::try_new(Cursor::new(plain), None)?;
        let schema: SchemaRef = reader.schema();
        let batches = reader.collect::<Result<Vec<_>, _>>()?;
        concat_batches(&schema, &batches)
    };
    read().map_err(Error::arrow("decoding staged rows", table))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{events, events_table};

    #[test]
    fn a_batch_survives_its_blob_and_a_torn_blob_is_noticed() {
        let table = events_table().name;
        let batch = events(0..1000);
        let blob = encode(&table, &batch).unwrap();
        assert!(blob.len() < batch.get_array_memory_size());
        assert_eq!(decode(&table, &blob).unwrap(), batch);
        assert!(decode(&table, &blob[..blob.len() - 1]).is_err());
        for position in [0, blob.len() / 2, blob.len() - 1] {
            let mut damaged = blob.clone();
            damaged[position] ^= 1;
            assert!(decode(&table, &damaged).is_err(), "byte {position}");
        }
    }
}
