//! As much of HTTP/1.1 as a test server needs: a thread and a request per connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A request, and the connection to answer on.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) address: String,
    headers: Vec<(String, String)>,
    pub(super) body: String,
    stream: TcpStream,
}

impl Request {
    /// None where the connection ends before the request does.
    pub(super) fn read(stream: TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let first = line(&mut reader)?;
        let (method, rest) = first.split_once(' ')?;
        let address = rest.split(' ').next()?;
        let mut headers = Vec::new();
        loop {
            let line = line(&mut reader)?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        let mut request = Self {
            method: method.to_owned(),
            address: address.to_owned(),
            headers,
            body: String::new(),
            stream,
        };
        let body = match request.header("transfer-encoding") {
            "chunked" => chunks(&mut reader)?,
            _ => exactly(
                &mut reader,
                request.header("content-length").parse().unwrap_or(0),
            )?,
        };
        request.body = String::from_utf8(body).ok()?;
        Some(request)
    }

    /// The value of a header, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// Answers with JSON and ends the connection.
    pub(super) fn reply(mut self, status: u16, body: &str) {
        let retry = if status == 429 {
            "Retry-After: 1\r\n"
        } else {
            ""
        };
        let answer = format!(
            "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\
             {retry}\r\n{body}",
            body.len()
        );
        let _ = self.stream.write_all(answer.as_bytes());
    }
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    let read = reader.read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}

fn exactly(reader: &mut impl Read, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn chunks(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let length = usize::from_str_radix(&line(reader)?, 16).ok()?;
        body.extend(exactly(reader, length)?);
        line(reader)?;
        if length == 0 {
            return Some(body);
        }
    }
}
