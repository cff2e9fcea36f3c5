//! One keep-alive connection of the load generator.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::message;

/// Larger answers than any bench expects are an error.
const ANSWER_LIMIT_BYTES: usize = 64 << 20;

/// A connection that is opened again when the server has closed it.
pub(crate) struct Connection {
    address: String,
    socket: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// When an answer came.
pub(crate) struct Answered {
    pub status: u16,
    /// The first byte of the body.
    pub first: Instant,
    /// The last.
    pub last: Instant,
}

impl Connection {
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), socket: None, buffer: Vec::with_capacity(16 << 10) }
    }

    /// Sends `request` and reads the whole answer.
    pub async fn exchange(&mut self, request: &[u8]) -> std::io::Result<Answered> {
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => open(&self.address).await?,
        };
        self.buffer.clear();
        socket.write_all(request).await?;
        let answered = read_answer(&mut socket, &mut self.buffer).await?;
        // After an error the socket is dropped; only a connection in a known state is used again.
        self.socket = Some(socket);
        Ok(answered)
    }
}

async fn open(address: &str) -> std::io::Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

async fn read_answer(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Answered> {
    let mut first = None;
    loop {
        if socket.read_buf(buffer).await? == 0 || buffer.len() > ANSWER_LIMIT_BYTES {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let Some(head) = message::head(buffer) else { continue };
        if buffer.len() > head.body_at {
            first.get_or_insert_with(Instant::now);
        }
        if message::end(buffer, &head).is_some() {
            let last = Instant::now();
            let status = message::status(buffer).unwrap_or(0);
            return Ok(Answered { status, first: first.unwrap_or(last), last });
        }
    }
}
