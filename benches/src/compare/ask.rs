//! One request to something on this machine, waited for: to see whether it serves, never to measure it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::bail;

const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn get(address: SocketAddr, path: &str) -> anyhow::Result<Vec<u8>> {
    send(address, &format!("GET {path} HTTP/1.1\r\n"), "")
}

pub(super) fn post_json(address: SocketAddr, path: &str, body: &str) -> anyhow::Result<Vec<u8>> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
    );
    send(address, &head, body)
}

/// Gives the body of an answer with status 2xx.
fn send(address: SocketAddr, head: &str, body: &str) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let request = format!("{head}Host: localhost\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    match end {
        Some(end) if answer.starts_with(b"HTTP/1.1 2") => Ok(answer.split_off(end + 4)),
        _ => {
            let text = String::from_utf8_lossy(&answer);
            bail!("it answers {:?}", text.lines().next().unwrap_or_default())
        }
    }
}
