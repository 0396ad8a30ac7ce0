//! Mutual TLS: who is let in, and what targets are told of them.

use super::*;

/// An HTTPS listener that asks for certificates so.
fn asking(target: &Target, mutual: &str) -> Proxy {
    let directory = tempfile::tempdir().unwrap();
    write_authority(directory.path());
    write_revocation_list(directory.path(), &[&[0x67]]);
    let list = |file: &str| directory.path().join(file);
    std::fs::rename(list("crl.pem"), list("more.pem")).unwrap();
    write_revocation_list(directory.path(), &[&[0x66]]);
    let files = directory.path().display().to_string();
    let mutual = mutual.replace("DIR", &files);
    Setup::to([target.address])
        .https()
        .listener(&format!("mutual_authentication = {{ {mutual} }}"))
        .start()
}

const VERIFY: &str = "mode = 'verify', trust_store = 'DIR/ca.pem'";

/// The status, or that there was no conversation.
fn status(proxy: &Proxy, identity: Option<&Identity>) -> Option<u16> {
    let mut client = proxy.connect_tls_showing(identity).ok()?;
    client.send(get("/")).ok()?;
    client.response().ok().map(|response| response.status())
}

#[test]
fn a_verified_client_is_told_of_in_five_fields() {
    let target = Target::saying("well");
    let proxy = asking(&target, VERIFY);
    let identity = Identity::of_authority(|params| {
        params.serial_number = Some(SerialNumber::from_slice(&[0x03, 0xA5, 0xB1]));
        params.not_before = date_time_ymd(2023, 9, 21);
        params.not_after = date_time_ymd(2090, 9, 20);
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Client, Inc.");
    });
    let mut client = proxy.connect_tls_showing(Some(&identity)).unwrap();
    let forged = "GET / HTTP/1.1\r\nHost: example.com\r\nX-Amzn-Mtls-Clientcert-Subject: CN=admin\r\n\
                  x-amzn-mtls-clientcert: x\r\n\r\n";
    assert_eq!(client.exchange(forged).status(), 200);
    let seen = target.only_request();
    let field = |what: &str| seen.all(&format!("X-Amzn-Mtls-Clientcert{what}"));
    assert_eq!(field("-Serial-Number"), ["03A5B1"]);
    assert_eq!(field("-Issuer"), ["CN=Test authority"]);
    assert_eq!(field("-Subject"), ["O=Client\\, Inc.,CN=client.test"]);
    assert_eq!(
        field("-Validity"),
        ["NotBefore=2023-09-21T00:00:00Z;NotAfter=2090-09-20T00:00:00Z"]
    );
    let leaf = field("-Leaf")[0].replace("%20", " ").replace("%0A", "\n");
    assert_eq!(
        CertificateDer::from_pem_slice(leaf.as_bytes()).unwrap(),
        *identity.certificate.der()
    );
    assert!(field("").is_empty());
}

#[tokio::test]
async fn a_verified_client_of_http2_is_told_of_too() {
    let target = Target::saying("well");
    let proxy = asking(&target, VERIFY);
    let identity = Identity::of_authority(|_| ());
    let client = Http2::connect_showing(proxy.address(), &identity).await;
    let forged = http::Request::get("https://example.com/")
        .header("x-amzn-mtls-clientcert-subject", "CN=admin")
        .body(http2::empty());
    let answer = client.send(forged.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let seen = target.only_request();
    assert_eq!(
        seen.all("X-Amzn-Mtls-Clientcert-Subject"),
        ["CN=client.test"]
    );
}

#[test]
fn who_does_not_verify_gets_no_connection() {
    let target = Target::saying("well");
    let proxy = asking(&target, VERIFY);
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2024, 1, 1);
    let early = |params: &mut CertificateParams| params.not_before = date_time_ymd(2090, 1, 1);
    let server_only = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    };
    assert_eq!(
        status(&proxy, Some(&Identity::of_authority(|_| ()))),
        Some(200)
    );
    for (who, identity) in [
        ("nobody", None),
        ("a stranger", Some(Identity::self_signed(|_| ()))),
        ("an expired one", Some(Identity::of_authority(expired))),
        ("one not valid yet", Some(Identity::of_authority(early))),
        ("a server", Some(Identity::of_authority(server_only))),
    ] {
        assert_eq!(status(&proxy, identity.as_ref()), None, "{who}");
    }
    assert_eq!(target.requests().len(), 1);
    proxy.wait_for_metric("client_tls_negotiation_error_count_total", 5);
}

#[test]
fn the_revoked_are_refused() {
    let target = Target::saying("well");
    let proxy = asking(
        &target,
        &format!("{VERIFY}, revocation_lists = ['DIR/crl.pem', 'DIR/more.pem']"),
    );
    for (serial, answer) in [(0x65, Some(200)), (0x66, None), (0x67, None)] {
        let identity = Identity::of_authority(|params| {
            params.serial_number = Some(SerialNumber::from_slice(&[serial]));
        });
        assert_eq!(status(&proxy, Some(&identity)), answer, "{serial:x}");
    }
}

#[test]
fn expiry_is_ignored_if_asked() {
    let target = Target::saying("well");
    let proxy = asking(
        &target,
        &format!("{VERIFY}, ignore_client_certificate_expiry = true"),
    );
    let expired = Identity::of_authority(|params| params.not_after = date_time_ymd(2024, 1, 1));
    assert_eq!(status(&proxy, Some(&expired)), Some(200));
    let stranger = Identity::self_signed(|params| params.not_after = date_time_ymd(2024, 1, 1));
    assert_eq!(status(&proxy, Some(&stranger)), None);
}

#[test]
fn passed_through_is_whatever_a_client_shows() {
    let target = Target::saying("well");
    let proxy = asking(&target, "mode = 'passthrough'");
    let stranger = Identity::self_signed(|params| params.not_after = date_time_ymd(2024, 1, 1));
    assert_eq!(status(&proxy, Some(&stranger)), Some(200));
    assert_eq!(status(&proxy, None), Some(200));
    let [shown, nothing] = <[_; 2]>::try_from(target.requests()).unwrap();
    let chain = shown.field("X-Amzn-Mtls-Clientcert").unwrap();
    assert!(
        chain.starts_with("-----BEGIN%20CERTIFICATE-----%0A"),
        "{chain}"
    );
    assert!(
        chain.ends_with("%0A-----END%20CERTIFICATE-----%0A"),
        "{chain}"
    );
    let pem = chain.replace("%20", " ").replace("%0A", "\n");
    assert_eq!(
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap(),
        *stranger.certificate.der()
    );
    assert!(!shown.has("X-Amzn-Mtls-Clientcert-Subject"));
    assert!(!nothing.has("X-Amzn-Mtls-Clientcert"));
}

#[test]
fn nothing_is_resumed_where_certificates_are_asked_for() {
    let target = Target::saying("well");
    let identity = Identity::of_authority(|_| ());
    for mutual in [VERIFY, "mode = 'passthrough'"] {
        let proxy = asking(&target, mutual);
        // This client goes on with a session wherever it can.
        let config = client_config_as(&identity, &["http/1.1"]);
        for _ in 0..3 {
            assert!(!resumes(&proxy, &config), "{mutual}");
        }
    }
}

/// Whose certificates a server says that it wants.
#[derive(Debug, Default)]
struct Hints(Mutex<Vec<Vec<u8>>>);

impl ResolvesClientCert for Hints {
    fn resolve(&self, hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        *self.0.lock().unwrap() = hints.iter().map(|hint| hint.to_vec()).collect();
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[test]
fn the_names_of_authorities_are_told_if_asked() {
    let target = Target::saying("well");
    for (advertise, told) in [("", 0), (", advertise_trust_store_ca_names = 'on'", 1)] {
        let proxy = asking(&target, &format!("{VERIFY}{advertise}"));
        let hints = Arc::new(Hints::default());
        let mut config = (*client_config(&[])).clone();
        config.client_auth_cert_resolver = Arc::<Hints>::clone(&hints);
        let name = ServerName::try_from("example.com").unwrap();
        let mut session = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = proxy.stream();
        while session.is_handshaking() {
            session.complete_io(&mut stream).unwrap();
        }
        let names = hints.0.lock().unwrap().clone();
        assert_eq!(names.len(), told, "{advertise}");
        let authority = b"Test authority";
        assert!(names.iter().all(|name| name.ends_with(authority)));
    }
}

#[test]
fn mistakes_in_mutual_authentication_are_named() {
    let text = |mutual: &str| {
        format!(
            "[[target_group]]\nname = 'app'\nport = 1\ntargets = ['10.0.0.1']\n[[listener]]\nport = 443\n\
             protocol = 'HTTPS'\ncertificate = {{ chain = 'site.pem', key = 'site.key' }}\n\
             mutual_authentication = {{ {mutual} }}\n\
             default_action = {{ type = 'forward', target_group = 'app' }}\n"
        )
    };
    let directory = tempfile::tempdir().unwrap();
    write_certificates(directory.path());
    write_authority(directory.path());
    write_revocation_list(directory.path(), &[]);
    let found = |mutual: &str| {
        let file = directory.path().join("f.toml");
        let found = match config::parse(&text(mutual), &file) {
            Ok(loaded) => loaded.warnings,
            Err(errors) => errors,
        };
        let lines = found.iter().map(ToString::to_string);
        lines
            .map(|line| line.replace(&directory.path().display().to_string(), "DIR"))
            .collect::<Vec<_>>()
    };
    for fine in [
        "mode = 'off'",
        "mode = 'passthrough'",
        "mode = 'verify', trust_store = 'ca.pem', revocation_lists = ['crl.pem'], advertise_trust_store_ca_names = 'on'",
    ] {
        assert_eq!(found(fine), [""; 0], "{fine}");
    }
    for (mutual, line) in [
        (
            "mode = 'maybe'",
            "DIR/f.toml:9:34: error: listener[0].mutual_authentication.mode: `maybe` is not known here; write \"off\", \"passthrough\" or \"verify\"",
        ),
        (
            "mode = 'verify'",
            "DIR/f.toml:9:25: error: listener[0].mutual_authentication.trust_store: is missing; add `trust_store = \"clients-ca.pem\"`",
        ),
        (
            "mode = 'verify', trust_store = 'site.key'",
            "DIR/f.toml:9:58: error: listener[0].mutual_authentication.trust_store: DIR/site.key holds no certificate; a PEM file with \"-----BEGIN CERTIFICATE-----\" of the issuing authority is needed",
        ),
        (
            "mode = 'verify', trust_store = 'ca.pem', revocation_lists = ['crl.pem', 'ca.pem']",
            "DIR/f.toml:9:99: error: listener[0].mutual_authentication.revocation_lists[1]: DIR/ca.pem holds no revocation list; a PEM file with \"-----BEGIN X509 CRL-----\" is needed",
        ),
        (
            "mode = 'passthrough', trust_store = 'ca.pem'",
            "DIR/f.toml:9:63: warning: listener[0].mutual_authentication.trust_store: changes nothing, as no certificate is verified; set mode = \"verify\", or leave it out",
        ),
    ] {
        assert_eq!(found(mutual), [line], "{mutual}");
    }
}

#[test]
fn the_fields_about_certificates_can_have_other_names_and_stay_the_load_balancers() {
    let target = Target::saying("well");
    let directory = tempfile::tempdir().unwrap();
    write_authority(directory.path());
    let ca = directory.path().join("ca.pem").display().to_string();
    let proxy = Setup::to([target.address])
        .https()
        .listener(&format!(
            "mutual_authentication = {{ mode = 'verify', trust_store = '{ca}' }}"
        ))
        .listener(
            "routing_http_request_x_amzn_mtls_clientcert_subject_header_name = 'X-Client-Name'",
        )
        .start();
    let identity = Identity::of_authority(|_| ());
    let mut client = proxy.connect_tls_showing(Some(&identity)).unwrap();
    let forged = "GET / HTTP/1.1\r\nHost: example.com\r\nX-Client-Name: CN=admin\r\nx_client_name: CN=root\r\n\
                  X-Amzn-Mtls-Clientcert-Subject: CN=admin\r\n\r\n";
    assert_eq!(client.exchange(forged).status(), 200);
    let seen = target.only_request();
    assert_eq!(seen.all("X-Client-Name"), ["CN=client.test"]);
    assert!(!seen.has("x_client_name"));
    assert!(!seen.has("X-Amzn-Mtls-Clientcert-Subject"));
    assert_eq!(
        seen.all("X-Amzn-Mtls-Clientcert-Issuer"),
        ["CN=Test authority"]
    );
}
