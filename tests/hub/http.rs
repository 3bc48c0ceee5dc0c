//! As much HTTP as a Hub on the loopback interface needs: one request a connection, and full control over how it ends.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

/// What a client asked for.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    /// Percent-decoded, without the query.
    pub(super) path: String,
    pub(super) query: String,
    /// By lower-case name.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

/// What it gets.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// The connection ends after so many bytes of the body.
    pub(super) cut_after: Option<usize>,
}

impl Answer {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            body: body.into(),
            ..Self::default()
        }
    }

    pub(super) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// The part of the body that the request asks for.
    pub(super) fn in_range(mut self, request: &Request) -> Self {
        let range = request.headers.get("range");
        let Some(range) = range.and_then(|range| range.strip_prefix("bytes=")) else {
            return self;
        };
        let (first, last) = range.split_once('-').unwrap();
        let whole = self.body.len();
        let first: usize = first.parse().unwrap();
        if first >= whole {
            return Self::new(416, "").header("Content-Range", format!("bytes */{whole}"));
        }
        let last = last
            .parse()
            .map_or(whole - 1, |last: usize| last.min(whole - 1));
        self.body = self.body[first..=last].to_vec();
        self.status = 206;
        self.header("Content-Range", format!("bytes {first}-{last}/{whole}"))
    }

    fn write(&self, stream: &mut TcpStream, with_body: bool) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Answer\r\nConnection: close\r\n", self.status);
        let has_length = self
            .headers
            .iter()
            .any(|(name, _)| name == "Content-Length");
        if !has_length {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        if with_body {
            let end = self
                .cut_after
                .unwrap_or(self.body.len())
                .min(self.body.len());
            stream.write_all(&self.body[..end])?;
        }
        stream.flush()?;
        stream.shutdown(Shutdown::Write)
    }
}

/// Serves on a port of the loopback interface until the process ends; gives its address.
pub(super) fn serve(answer: impl Fn(&Request) -> Answer + Send + Sync + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                if let Some(request) = read(&stream) {
                    let with_body = request.method != "HEAD";
                    let _ = answer(&request).write(&mut stream, with_body); // a client may go away
                }
            });
        }
    });
    address
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Request {
        method,
        path: decoded(path),
        query: query.to_owned(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// `a%2Fb` → `a/b`
pub(super) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], text.get(at + 1..at + 3)) {
            (b'%', Some(hex)) => {
                decoded.push(u8::from_str_radix(hex, 16).unwrap_or(b'?'));
                at += 3;
            }
            (b'+', _) => {
                decoded.push(b' ');
                at += 1;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
