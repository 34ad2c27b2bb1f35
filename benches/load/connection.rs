//! One HTTP/1.1 connection, one request at a time, with next to nothing in between: the generator shares two cores with
//! what it measures.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Bytes of an answer's head at the most.
const HEAD_MAX: usize = 16 * 1024;
/// How often a request is sent anew on a fresh connection when the old one ends before it is answered.
const TRIES: usize = 3;

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// A connection that is opened when it is first needed, and anew when the other side has closed it.
pub(crate) struct Connection {
    addr: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self { addr, stream: None, buffer: Vec::with_capacity(4096) }
    }

    /// Sends a whole request and reads the whole answer. As Meta does, a request whose connection ended is sent again.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        let mut error = None;
        for _ in 0..TRIES {
            match self.once(request).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => {
                    self.stream = None;
                    error = Some(failed);
                }
            }
        }
        Err(error.context("it was tried at least once")?)
    }

    /// `GET path`, with the API key.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        let key = crate::wire::API_KEY;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\r\n");
        self.exchange(request.as_bytes()).await
    }

    async fn once(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(self.addr).await?;
                stream.set_nodelay(true)?;
                none.insert(stream)
            }
        };
        stream.write_all(request).await?;
        self.buffer.clear();
        let (head, length, status) = loop {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection ended before the answer");
            }
            if let Some(head) = end_of_head(&self.buffer) {
                break (head, content_length(&self.buffer[..head]), status(&self.buffer)?);
            }
            if self.buffer.len() > HEAD_MAX {
                bail!("the answer's head does not end");
            }
        };
        while self.buffer.len() < head + length {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection ended within the answer");
            }
        }
        Ok(Answer { status, body: self.buffer[head..head + length].to_vec() })
    }
}

/// Where the body begins.
pub(crate) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// What `content-length` says; 0 where it says nothing.
pub(crate) fn content_length(head: &[u8]) -> usize {
    let lines = head.split(|byte| *byte == b'\n');
    let values = lines.filter_map(|line| {
        let (name, value) = line.split_at_checked(b"content-length:".len())?;
        name.eq_ignore_ascii_case(b"content-length:").then_some(value)
    });
    let text = values.filter_map(|value| std::str::from_utf8(value).ok());
    text.filter_map(|text| text.trim().parse().ok()).next().unwrap_or(0)
}

fn status(answer: &[u8]) -> anyhow::Result<u16> {
    let digits = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).context("the answer is not HTTP")
}
