//! The connection log: a line for each connection that was made or whose handshake failed, in the ALB's order or as JSON.
//! Requests are in the access log; `conn_trace_id` joins the two.

use std::time::SystemTime;

use lintel_common::server::{Connection, HandshakeFailure};
use lintel_common::tls::{client_certificate_failure, openssl_cipher_name, protocol_name};
use serde::Serialize;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::forward::client_certificate::{distinguished_name, serial_number, validity};
use crate::log_file::{LogFile, quoted, shown, timestamp};
use crate::model::LogFormat;

/// As the ALB names and orders them.
#[derive(Debug, Serialize)]
struct Line<'a> {
    timestamp: String,
    client_ip: String,
    client_port: u16,
    listener_port: u16,
    tls_protocol: Option<&'static str>,
    tls_cipher: Option<&'static str>,
    /// In seconds.
    tls_handshake_latency: Option<f64>,
    leaf_client_cert_subject: Option<String>,
    leaf_client_cert_validity: Option<String>,
    leaf_client_cert_serial_number: Option<String>,
    tls_verify_status: Option<String>,
    conn_trace_id: String,
    tls_keyexchange: Option<String>,
    elb: &'a str,
    ip_address: String,
}

/// A handshake that failed, on a listener that asks for certificates or on another.
#[derive(Debug, Clone, Copy)]
pub struct Failure<'a> {
    pub failure: &'a HandshakeFailure,
    pub mutual: bool,
}

/// Hands in the line of a connection that is ready for requests, or of one whose handshake failed; false if too many
/// wait.
pub fn write(
    log: &LogFile,
    load_balancer: &str,
    connection: &Connection,
    failed: Option<Failure<'_>>,
) -> bool {
    let line = Line::of(load_balancer, connection, failed, SystemTime::now());
    log.write(|lines| match log.format {
        LogFormat::Json => {
            // Of a struct like this it cannot fail.
            let _ = serde_json::to_writer(&mut *lines, &line);
            lines.push(b'\n');
        }
        LogFormat::Alb => lines.extend_from_slice(line.as_alb().as_bytes()),
    })
}

impl<'a> Line<'a> {
    fn of(
        elb: &'a str,
        connection: &Connection,
        failed: Option<Failure<'_>>,
        now: SystemTime,
    ) -> Self {
        let tls = connection.tls.as_ref();
        let leaf = match failed {
            Some(Failure { failure, .. }) => failure.client_certificate.as_ref(),
            None => tls.and_then(|tls| tls.client_certificates.first()),
        };
        let leaf = leaf.and_then(|leaf| X509Certificate::from_der(leaf).ok());
        let leaf = leaf.as_ref().map(|(_, leaf)| leaf);
        let status = match failed {
            Some(failure) => Some(format!("Failed:{}", failure.code())),
            None => tls.map(|_| "Success".to_owned()),
        };
        Self {
            timestamp: timestamp(now),
            client_ip: connection.peer.ip().to_canonical().to_string(),
            client_port: connection.peer.port(),
            listener_port: connection.local.port(),
            tls_protocol: tls.map(|tls| protocol_name(tls.protocol)),
            tls_cipher: tls.map(|tls| openssl_cipher_name(tls.cipher_suite)),
            tls_handshake_latency: tls
                .map(|tls| (tls.handshake.as_secs_f64() * 1000.0).round() / 1000.0),
            leaf_client_cert_subject: leaf.map(|leaf| distinguished_name(leaf.subject())),
            leaf_client_cert_validity: leaf.map(validity),
            leaf_client_cert_serial_number: leaf.map(serial_number),
            tls_verify_status: status,
            conn_trace_id: format!("TID_{:032x}", connection.id),
            tls_keyexchange: tls
                .and_then(|tls| tls.key_exchange)
                .and_then(|group| group.as_str().map(str::to_ascii_lowercase)),
            elb,
            ip_address: connection.local.ip().to_canonical().to_string(),
        }
    }

    fn as_alb(&self) -> String {
        let latency = self.tls_handshake_latency;
        format!(
            "{} {} {} {} {} {} {} {} {} {} {} {} {} {} {}\n",
            self.timestamp,
            self.client_ip,
            self.client_port,
            self.listener_port,
            shown(self.tls_protocol),
            shown(self.tls_cipher),
            shown(latency.map(|seconds| format!("{seconds:.3}")).as_deref()),
            quoted(self.leaf_client_cert_subject.as_deref()),
            shown(self.leaf_client_cert_validity.as_deref()),
            shown(self.leaf_client_cert_serial_number.as_deref()),
            shown(self.tls_verify_status.as_deref()),
            self.conn_trace_id,
            shown(self.tls_keyexchange.as_deref()),
            self.elb,
            self.ip_address,
        )
    }
}

impl Failure<'_> {
    /// In the ALB's words.
    fn code(self) -> &'static str {
        let error = self.failure.error.get_ref();
        let cause = error.and_then(|cause| cause.downcast_ref::<rustls::Error>());
        let cause = cause.filter(|_| self.mutual);
        cause.map_or("UnmappedConnectionError", client_certificate_failure)
    }
}
