//! The whole directory, judged by rustls's verifier and, where it is installed, by openssl's strict one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Every file of the directory with its content.
fn contents(dir: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read_to_string(entry.path()).unwrap(),
            )
        })
        .collect()
}

/// What a client that trusts only `ca.pem` says to `site.pem` when it asked for `name` at `now`.
fn verify(made: &DevCertificates, name: &str, now: OffsetDateTime) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&made.ca).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .unwrap();
    let chain: Vec<_> = CertificateDer::pem_file_iter(&made.site)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        chain.len(),
        2,
        "the site's certificate, then the authority's"
    );
    let seconds = u64::try_from(now.unix_timestamp()).unwrap();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier
        .verify_server_cert(&chain[0], &chain[1..], &name, &[], now)
        .map(|_| ())
}

#[test]
fn a_client_that_trusts_the_authority_accepts_the_site() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("made/for/it");
    let made = ensure(&dir, &names(&["shop.test", "*.shop.test", "192.0.2.7"])).unwrap();
    assert_eq!(made.written.len(), 4);
    let now = OffsetDateTime::now_utc();
    // webpki, like Chromium, ignores *.localhost: a wildcard over a whole top-level domain. curl and openssl take it.
    let good = [
        "localhost",
        "127.0.0.1",
        "::1",
        "shop.test",
        "www.shop.test",
        "192.0.2.7",
    ];
    for name in good {
        verify(&made, name, now).unwrap();
    }
    for name in ["other.test", "a.b.shop.test", "192.0.2.8"] {
        assert!(verify(&made, name, now).is_err(), "{name}");
    }
    verify(&made, "localhost", now + Duration::days(396)).unwrap();
    assert!(verify(&made, "localhost", now + Duration::days(398)).is_err());
    for key in [&made.ca_key, &made.site_key] {
        assert_eq!(
            fs::metadata(key).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[test]
fn the_extensions_are_those_that_strict_clients_ask_for() {
    let root = tempfile::tempdir().unwrap();
    let made = ensure(root.path(), &[]).unwrap();
    let der = |path| CertificateDer::from_pem_file(path).unwrap();
    let (ca, site) = (der(&made.ca), der(&made.site));
    let (_, ca) = X509Certificate::from_der(&ca).unwrap();
    let (_, site) = X509Certificate::from_der(&site).unwrap();

    let ca_constraints = ca.basic_constraints().unwrap().unwrap();
    assert!(ca_constraints.critical && ca_constraints.value.ca);
    let site_constraints = site.basic_constraints().unwrap().unwrap();
    assert!(site_constraints.critical && !site_constraints.value.ca);
    let usage = site.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.digital_signature());
    let usage = ca.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.key_cert_sign());
    assert!(
        site.extended_key_usage()
            .unwrap()
            .unwrap()
            .value
            .server_auth
    );
    assert_ne!(site.raw_serial(), ca.raw_serial());
    let lifetime = site.validity().not_after.timestamp() - site.validity().not_before.timestamp();
    assert!(lifetime <= Duration::days(398).whole_seconds());
}

#[test]
fn openssl_accepts_it_strictly() {
    let root = tempfile::tempdir().unwrap();
    let made = ensure(root.path(), &names(&["shop.test"])).unwrap();
    let verify = |name: &str| {
        Command::new("openssl")
            .args([
                "verify",
                "-x509_strict",
                "-purpose",
                "sslserver",
                "-verify_hostname",
                name,
                "-CAfile",
            ])
            .args([&made.ca, &made.site])
            .output()
    };
    let Ok(good) = verify("shop.test") else {
        eprintln!("skipped: openssl is not installed");
        return;
    };
    assert!(
        good.status.success(),
        "{}",
        String::from_utf8_lossy(&good.stderr)
    );
    assert!(!verify("other.test").unwrap().status.success());
}

#[test]
fn what_is_there_is_kept() {
    let root = tempfile::tempdir().unwrap();
    ensure(root.path(), &names(&["shop.test"])).unwrap();
    let before = contents(root.path());
    // The names it has already are enough, all of them or some.
    for asked in [names(&["shop.test"]), names(&[])] {
        let again = ensure(root.path(), &asked).unwrap();
        assert_eq!(again.written, Vec::<PathBuf>::new());
        assert_eq!(contents(root.path()), before);
        assert!(again.to_string().contains("kept") && !again.to_string().contains("written"));
    }
}

#[test]
fn a_certificate_that_is_still_good_is_not_replaced_for_a_name_that_it_lacks() {
    let root = tempfile::tempdir().unwrap();
    let start = OffsetDateTime::now_utc();
    ensure_at(root.path(), &names(&["first.test"]), start).unwrap();
    let before = contents(root.path());
    let asked = names(&["first.test", "second.test", "192.0.2.7"]);
    let error = ensure_at(root.path(), &asked, start)
        .unwrap_err()
        .to_string();
    let has = "site.pem is for localhost, *.localhost, 127.0.0.1, ::1, first.test, not for second.test, 192.0.2.7,";
    assert!(error.contains(has), "{error}");
    assert_eq!(contents(root.path()), before);
    // What the message says must be enough.
    let advice = error.split("delete ").nth(1).unwrap();
    for name in ["site.pem", "site.key"] {
        assert!(advice.contains(name), "{error}");
    }

    // Once it has expired it is renewed anyway, under the same authority and for the same key.
    let later = start + Duration::days(398);
    let made = ensure_at(root.path(), &names(&["second.test"]), later).unwrap();
    assert_eq!(made.written, std::slice::from_ref(&made.site));
    for name in ["first.test", "second.test", "localhost"] {
        verify(&made, name, later).unwrap();
    }
    let after = contents(root.path());
    for kept in ["ca.pem", "ca.key", "site.key"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }

    for name in ["site.pem", "site.key"] {
        fs::remove_file(root.path().join(name)).unwrap();
    }
    ensure_at(root.path(), &asked, later).unwrap();
}

#[test]
fn a_certificate_that_has_expired_is_renewed() {
    let root = tempfile::tempdir().unwrap();
    let start = OffsetDateTime::now_utc();
    ensure_at(root.path(), &names(&["shop.test"]), start).unwrap();
    let before = contents(root.path());
    let fine = ensure_at(root.path(), &[], start + Duration::days(396)).unwrap();
    assert_eq!(fine.written, Vec::<PathBuf>::new());
    assert_eq!(contents(root.path()), before);
    for later in [Duration::days(398), Duration::days(3000)] {
        let renewed = ensure_at(root.path(), &[], start + later).unwrap();
        assert_eq!(renewed.written, std::slice::from_ref(&renewed.site));
        verify(&renewed, "shop.test", start + later + Duration::days(300)).unwrap();
    }
    // It never outlives the authority, and that one is not replaced silently.
    let last = ensure_at(root.path(), &[], start + Duration::days(3640)).unwrap();
    assert!(last.expires - start <= Duration::days(3652));
    let error = ensure_at(root.path(), &[], start + Duration::days(3653))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("ca.pem has expired") && error.contains("site.key"),
        "{error}"
    );
}

#[test]
fn half_a_set_is_refused_and_left_alone() {
    let cases: [(&[&str], &str, &[&str]); 6] = [
        (
            &["ca.key"],
            "ca.key is missing",
            &["ca.pem", "site.pem", "site.key"],
        ),
        (
            &["ca.pem"],
            "ca.pem is missing",
            &["ca.key", "site.pem", "site.key"],
        ),
        (&["site.key"], "site.key is missing", &["site.pem"]),
        (&["site.pem"], "site.pem is missing", &["site.key"]),
        (
            &["ca.pem", "ca.key"],
            "without the authority",
            &["site.pem", "site.key"],
        ),
        (
            &["ca.pem", "ca.key", "site.key"],
            "without the authority",
            &["site.pem"],
        ),
    ];
    for (removed, complaint, to_delete) in cases {
        let root = tempfile::tempdir().unwrap();
        ensure(root.path(), &[]).unwrap();
        for name in removed {
            fs::remove_file(root.path().join(name)).unwrap();
        }
        let before = contents(root.path());
        let error = ensure(root.path(), &[]).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
        assert_eq!(contents(root.path()), before);
        // What the message says must be enough.
        let advice = error.split("delete ").nth(1).unwrap();
        for name in to_delete {
            assert!(advice.contains(name), "{error}");
            fs::remove_file(root.path().join(name)).unwrap();
        }
        ensure(root.path(), &[]).unwrap();
    }
}

#[test]
fn files_that_do_not_fit_are_refused() {
    let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    ensure(root.path(), &[]).unwrap();
    ensure(other.path(), &[]).unwrap();
    let mine = contents(root.path());
    let foreign = contents(other.path());
    let put = |name: &str, text: &str| fs::write(root.path().join(name), text).unwrap();
    let cases: [(&[&str], &str); 4] = [
        (&["ca.pem"], "ca.pem does not belong to the private key"),
        (&["site.key"], "site.pem does not belong to the private key"),
        (&["site.pem", "site.key"], "site.pem was not issued by"),
        (&["ca.pem", "ca.key"], "site.pem was not issued by"),
    ];
    for (swapped, complaint) in cases {
        for &name in swapped {
            put(name, &foreign[name]);
        }
        let error = ensure(root.path(), &[]).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
        for (name, text) in &mine {
            put(name, text);
        }
    }
    for name in FILES {
        put(name, "hello");
        let error = ensure(root.path(), &[]).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("in PEM"), "{error}");
        put(name, &mine[name]);
    }
}

#[test]
fn many_at_once_agree() {
    let root = tempfile::tempdir().unwrap();
    let made: Vec<DevCertificates> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| ensure(root.path(), &[]).unwrap()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let writers = made.iter().filter(|made| !made.written.is_empty()).count();
    assert_eq!(writers, 1);
    assert_eq!(contents(root.path()).len(), 4);
    verify(&made[0], "localhost", OffsetDateTime::now_utc()).unwrap();
}

#[test]
fn what_cannot_be_written_says_where() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let error = ensure(&file.join("certs"), &[]).unwrap_err().to_string();
    assert!(
        error.contains("file/certs") && error.contains("may write"),
        "{error}"
    );
    let error = ensure(root.path(), &names(&["http://shop.test"]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("http://shop.test"), "{error}");
}
