//! A client that sends bytes and sees bytes, over TCP or TLS.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::tls::TlsStream;
use super::{Message, Wire};

pub type Client = Wire<TcpStream>;
pub type TlsClient = Wire<TlsStream>;

/// `GET` of `path` at `example.com`, nothing more.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: example.com\r\n\r\n")
}

/// `POST` to `path` with a body of known length.
pub fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: example.com\r\nContent-Length: {length}\r\n\r\n{body}")
}

impl<S: Read + Write> Wire<S> {
    /// One request, one response on the same connection.
    #[track_caller]
    pub fn exchange(&mut self, request: impl AsRef<[u8]>) -> Message {
        self.send(&request).expect("a request that can be sent");
        let head = String::from_utf8_lossy(request.as_ref());
        let method = head.split(' ').next().unwrap_or_default();
        self.response_to(method).expect("a whole response")
    }

    #[track_caller]
    pub fn get(&mut self, path: &str) -> Message {
        self.exchange(get(path))
    }

    #[track_caller]
    pub fn post(&mut self, path: &str, body: &str) -> Message {
        self.exchange(post(path, body))
    }
}
