//! The connection log: who came, what was agreed on, and why somebody did not get in.

use rcgen::{KeyPair, date_time_ymd};
use serde_json::Value;

use super::{fields, is_seconds, is_time, lines};
use crate::harness::tls::{Identity, write_authority};
use crate::harness::{Proxy, Setup, Target};

fn connection_lines(proxy: &Proxy, count: usize) -> Vec<Value> {
    let lines = lines(&proxy.path("connections.log"), count);
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_connection_has_a_line() {
    let target = Target::saying("well");
    let proxy = Setup::to([target.address])
        .with("connection_logs = { path = 'connections.log' }")
        .start();
    let mut client = proxy.connect();
    client.get("/");
    client.get("/");
    let line = connection_lines(&proxy, 1).remove(0);
    assert_eq!(line["client_ip"], "127.0.0.1");
    assert_eq!(line["listener_port"], proxy.port());
    assert_eq!(line["ip_address"], "127.0.0.1");
    for key in [
        "tls_protocol",
        "tls_cipher",
        "tls_handshake_latency",
        "tls_verify_status",
    ] {
        assert!(line[key].is_null(), "{key}");
    }
    let records = proxy.log(2);
    let port = line["client_port"].as_u64().unwrap();
    for record in records {
        assert_eq!(record["conn_trace_id"], line["conn_trace_id"]);
        assert_eq!(record["client_port"], format!("127.0.0.1:{port}"));
    }
}

#[test]
fn what_a_handshake_agreed_on_and_who_the_client_is() {
    let target = Target::saying("well");
    let directory = tempfile::tempdir().unwrap();
    write_authority(directory.path());
    let ca = directory.path().join("ca.pem").display().to_string();
    for format in ["json", "alb"] {
        let proxy = Setup::to([target.address])
            .https()
            // Lines of one worker are in their order.
            .with("workers = 1")
            .listener(&format!(
                "mutual_authentication = {{ mode = 'verify', trust_store = '{ca}' }}"
            ))
            .with(&format!(
                "connection_logs = {{ path = 'connections.log', format = '{format}' }}"
            ))
            .start();
        let identity = Identity::of_authority(|params| {
            params.not_before = date_time_ymd(2023, 9, 21);
            params.not_after = date_time_ymd(2090, 9, 20);
            params.serial_number = Some(rcgen::SerialNumber::from_slice(&[0x0A, 0xB1]));
        });
        let expired = Identity::of_authority(|params| params.not_after = date_time_ymd(2024, 1, 1));
        let stranger = Identity::self_signed(|_| ());
        for shown in [Some(&identity), Some(&expired), Some(&stranger), None] {
            if let Ok(mut client) = proxy.connect_tls_showing(shown) {
                // It is told only now.
                let _ = client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                let _ = client.response();
            }
        }
        let validity = "NotBefore=2023-09-21T00:00:00Z;NotAfter=2090-09-20T00:00:00Z";
        if format == "json" {
            let lines = connection_lines(&proxy, 4);
            let good = &lines[0];
            assert!(is_time(good["timestamp"].as_str().unwrap()), "{good}");
            assert!(good["elb"].as_str().unwrap().starts_with("app/web/"));
            assert_eq!(good["tls_protocol"], "TLSv1.3");
            assert_eq!(good["tls_cipher"], "TLS_AES_128_GCM_SHA256");
            assert_eq!(good["tls_keyexchange"], "x25519");
            assert!(good["tls_handshake_latency"].as_f64().is_some());
            assert_eq!(good["tls_verify_status"], "Success");
            assert_eq!(good["leaf_client_cert_subject"], "CN=client.test");
            assert_eq!(good["leaf_client_cert_serial_number"], "0AB1");
            assert_eq!(good["leaf_client_cert_validity"], validity);
            let failed: Vec<_> = lines[1..]
                .iter()
                .map(|line| &line["tls_verify_status"])
                .collect();
            assert_eq!(
                failed,
                [
                    "Failed:ClientCertExpired",
                    "Failed:ClientCertUntrusted",
                    "Failed:ClientCertRejected"
                ]
            );
            assert!(lines[1]["tls_protocol"].is_null());
            assert_eq!(proxy.log(1).len(), 1, "nobody else had a request");
        } else {
            let lines = lines(&proxy.path("connections.log"), 4);
            let good = fields(&lines[0]);
            assert_eq!(good.len(), 15);
            assert!(is_time(&good[0]), "{good:?}");
            let record = proxy.log_line();
            let peer = format!("{}:{}", good[1], good[2]);
            assert_eq!(record["client_port"], peer);
            assert_eq!(good[3], proxy.port().to_string());
            assert_eq!(record["conn_trace_id"], good[11]);
            assert_eq!(
                good[12..],
                ["x25519", record["elb"].as_str().unwrap(), "127.0.0.1"]
            );
            assert_eq!(good[4..6], ["TLSv1.3", "TLS_AES_128_GCM_SHA256"]);
            assert!(is_seconds(&good[6], 3));
            assert_eq!(good[7..11], ["CN=client.test", validity, "0AB1", "Success"]);
            let failed = fields(&lines[1]);
            let validity = "NotBefore=1975-01-01T00:00:00Z;NotAfter=2024-01-01T00:00:00Z";
            assert_eq!(failed[4..9], ["-", "-", "-", "CN=client.test", validity]);
            assert_eq!(failed[10], "Failed:ClientCertExpired");
            assert_eq!(fields(&lines[3])[7..10], ["-", "-", "-"], "shows nothing");
        }
    }
}

#[test]
fn a_certificate_that_is_refused_is_told_of_too() {
    let target = Target::saying("well");
    let directory = tempfile::tempdir().unwrap();
    write_authority(directory.path());
    let ca = directory.path().join("ca.pem").display().to_string();
    let verify = format!("mutual_authentication = {{ mode = 'verify', trust_store = '{ca}' }}");
    let proxy = Setup::to([target.address])
        .https()
        .with("workers = 1")
        .listener(&verify)
        .with("connection_logs = { path = 'connections.log' }")
        .start();
    let edwards = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let key = || KeyPair::generate().unwrap();
    let serial = |serial: u8| {
        move |params: &mut rcgen::CertificateParams| {
            params.serial_number = Some(rcgen::SerialNumber::from_slice(&[serial]));
        }
    };
    let mut long = Identity::with_key(key(), serial(0x0E));
    long.chain = vec![long.certificate.der().clone(); 300];
    let purpose = |params: &mut rcgen::CertificateParams| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        serial(0x0C)(params);
    };
    let refused = [
        (
            Identity::with_key(edwards, serial(0x0B)),
            Some("0B"),
            "ClientCertTypeUnsupported",
        ),
        (
            Identity::with_key(key(), purpose),
            Some("0C"),
            "ClientCertPurposeInvalid",
        ),
        // Too long to be read.
        (long, None, "ClientCertMaxSizeExceeded"),
        (
            Identity::self_signed(serial(0x0D)),
            Some("0D"),
            "ClientCertUntrusted",
        ),
    ];
    for (nth, (identity, shown, code)) in refused.into_iter().enumerate() {
        if let Ok(mut client) = proxy.connect_tls_showing(Some(&identity)) {
            let _ = client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let _ = client.response();
        }
        let line = connection_lines(&proxy, nth + 1).pop().unwrap();
        assert_eq!(line["tls_verify_status"], format!("Failed:{code}"));
        assert_eq!(
            line["leaf_client_cert_serial_number"].as_str(),
            shown,
            "{code}"
        );
        let subject = shown.map(|_| "CN=client.test");
        assert_eq!(line["leaf_client_cert_subject"].as_str(), subject, "{code}");
    }
}
