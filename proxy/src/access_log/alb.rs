//! A record as the ALB's own line: 34 fields with a blank between them, texts in quotes, `-` for what does not apply. The
//! facts are those of the JSON line, `reason` apart, which the ALB does not have.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::Record;
use super::json::Json;
use super::line::{self, MOST};
use crate::http1::Name;
use crate::log_file;

/// Adds the line of a record that ends `now`.
pub(super) fn write(record: &Record, now: SystemTime, buffer: &mut Vec<u8>) {
    let mut line = Line(buffer);
    sides(record, now, &mut line);
    outcome(record, &mut line);
    encryption(record, &mut line);
    routing(record, &mut line);
    rest(record, &mut line);
    // In place of the last blank.
    line.0.pop();
    line.0.push(b'\n');
}

/// The end of a buffer. Each field leaves a blank behind it.
struct Line<'b>(&'b mut Vec<u8>);

impl Line<'_> {
    fn bare(&mut self, write: impl FnOnce(&mut Json<'_>)) {
        write(&mut Json(self.0));
        self.0.push(b' ');
    }

    fn word(&mut self, word: &str) {
        self.bare(|line| line.raw(word));
    }

    /// `-` if there is no value.
    fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Json<'_>, T)) {
        self.bare(|line| match value {
            Some(value) => write(line, value),
            None => line.raw("-"),
        });
    }

    fn quoted<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Json<'_>, T)) {
        self.0.push(b'"');
        match value {
            Some(value) => write(&mut Json(self.0), value),
            None => self.0.push(b'-'),
        }
        self.0.extend_from_slice(b"\" ");
    }

    /// A text that others wrote.
    fn text(&mut self, value: Option<&[u8]>) {
        let value = value.filter(|value| !value.is_empty());
        self.quoted(value, |line, value| {
            escape(line, &value[..value.len().min(MOST)]);
        });
    }

    /// With three decimals; -1 for none.
    fn seconds(&mut self, time: Option<Duration>) {
        self.bare(|line| {
            let Some(time) = time else {
                return line.raw("-1");
            };
            let millis = (time.as_micros() + 500) / 1000;
            line.number(u64::try_from(millis / 1000).unwrap_or(u64::MAX));
            line.raw(".");
            for digit in [millis / 100 % 10, millis / 10 % 10, millis % 10] {
                line.0.push(b'0' + digit as u8);
            }
        });
    }
}

fn address(line: &mut Json<'_>, address: SocketAddr) {
    line.address(address);
}

/// Of the program's own.
fn word(line: &mut Json<'_>, word: &str) {
    line.raw(word);
}

fn escape(line: &mut Json<'_>, text: &[u8]) {
    log_file::escape(text, line.0);
}

fn sides(record: &Record, now: SystemTime, line: &mut Line<'_>) {
    line.word(line::kind(record));
    line.bare(|line| line.time(now));
    line.word(&record.recorder.load_balancer);
    line.bare(|line| line.address(record.connection.peer));
    line.maybe(record.target, address);
}

fn outcome(record: &Record, line: &mut Line<'_>) {
    for time in record.times() {
        line.seconds(time);
    }
    for status in [record.status, record.target_status] {
        line.maybe(status, |line, status| line.number(status.into()));
    }
    line.bare(|line| line.number(record.received));
    line.bare(|line| line.number(record.sent));
    line.quoted(Some(record), |line, record| {
        line::request_line(record, line, escape);
    });
    let request = record.request.as_ref();
    line.text(request.and_then(|request| request.fields().get(Name::UserAgent)));
}

fn encryption(record: &Record, line: &mut Line<'_>) {
    let tls = record.connection.tls.as_ref();
    line.maybe(tls, |line, tls| {
        line.raw(lintel_common::tls::openssl_cipher_name(tls.cipher_suite));
    });
    line.maybe(tls, |line, tls| {
        line.raw(lintel_common::tls::protocol_name(tls.protocol));
    });
}

fn routing(record: &Record, line: &mut Line<'_>) {
    line.maybe(record.group.as_ref(), |line, group| {
        line.raw("targetgroup/");
        line.raw(&group.target_group);
    });
    line.text(record.trace_id.as_deref());
    let tls = record.connection.tls.as_ref();
    let name = tls.and_then(|tls| tls.server_name.as_deref());
    line.text(name.map(str::as_bytes));
    let resumed = tls.is_some_and(|tls| tls.resumed);
    line.quoted(resumed.then_some("session-reused"), word);
    line.maybe(record.rule_priority, |line, priority| {
        line.number(priority.into());
    });
    line.bare(|line| line.time(record.started_at));
    line.quoted(record.action, |line, action| {
        let rewritten = record.transformed.as_ref();
        let rewritten = rewritten.is_some_and(|transformed| transformed.applied);
        line.raw(if rewritten { "rewrite," } else { "" });
        line.raw(action);
    });
    let url = record.redirect_url.as_ref();
    line.text(url.map(http::HeaderValue::as_bytes));
}

fn rest(record: &Record, line: &mut Line<'_>) {
    line.quoted(record.error_reason, word);
    line.quoted(record.target, address);
    line.quoted(record.target_status, |line, status| {
        line.number(status.into());
    });
    let classification = record.classification;
    line.quoted(classification.map(|class| class.tier.name()), word);
    line.quoted(classification.map(|class| class.reason), word);
    line.bare(|line| {
        line.raw("TID_");
        line.hex_id(record.connection.id);
    });
    let (host, uri, status) = line::transforms(record);
    line.text(host.map(str::as_bytes));
    line.text(uri.map(str::as_bytes));
    line.quoted(status, word);
    line.bare(|line| line.ip(record.connection.local.ip()));
}
