//! A certificate authority made at the start, two sites under it, and clients that trust it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams,
    CertifiedIssuer, DnType, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, ServerConfig,
    ServerConnection, SignatureScheme, StreamOwned,
};
use tokio_rustls::TlsAcceptor;

/// The names in `site.pem`, which is what listeners of the tests have as their default certificate.
pub const SITE: [&str; 3] = ["example.com", "*.example.com", "localhost"];
/// The name in `other.pem`.
pub const OTHER: &str = "other.test";

pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

fn authority() -> &'static CertifiedIssuer<'static, KeyPair> {
    static AUTHORITY: OnceLock<CertifiedIssuer<'static, KeyPair>> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "Test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    })
}

/// Writes `site.pem`, `site.key`, `other.pem` and `other.key`.
pub fn write_certificates(directory: &Path) {
    write_certificate(directory, "site", &SITE);
    write_certificate(directory, "other", &[OTHER]);
}

pub fn write_certificate(directory: &Path, file: &str, names: &[&str]) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(names).unwrap();
    let certificate = params.signed_by(&key, authority()).unwrap();
    std::fs::write(directory.join(format!("{file}.pem")), certificate.pem()).unwrap();
    std::fs::write(directory.join(format!("{file}.key")), key.serialize_pem()).unwrap();
}

/// `ca.pem`: what vouches for the other certificates.
pub fn write_authority(directory: &Path) {
    std::fs::write(directory.join("ca.pem"), authority().pem()).unwrap();
}

/// Speaks TLS on an address of its own and passes what it hears on to `target`, in the clear. Shows a certificate for
/// `names`: of the authority, or signed by nobody but itself.
pub struct TlsFront {
    pub address: SocketAddr,
    /// The server names that clients asked for.
    pub asked_for: Arc<Mutex<Vec<Option<String>>>>,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl TlsFront {
    pub fn of_authority(target: SocketAddr, names: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = certificate_params(names).signed_by(&key, authority());
        Self::start(target, &certificate.unwrap(), &key, &[])
    }

    pub fn self_signed(target: SocketAddr, names: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = certificate_params(names).self_signed(&key);
        Self::start(target, &certificate.unwrap(), &key, &[])
    }

    pub fn of_http2(target: SocketAddr) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = certificate_params(&["nobody.test"]).self_signed(&key);
        Self::start(target, &certificate.unwrap(), &key, &["h2"])
    }

    fn start(
        target: SocketAddr,
        certificate: &Certificate,
        key: &KeyPair,
        protocols: &[&str],
    ) -> Self {
        let mut config = server_config(certificate, key);
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let asked_for = Arc::<Mutex<Vec<_>>>::default();
        let heard = Arc::clone(&asked_for);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let accepting = async {
                    loop {
                        let (stream, _) = listener.accept().await.unwrap();
                        let (acceptor, heard) = (acceptor.clone(), Arc::clone(&heard));
                        tokio::spawn(async move {
                            let Ok(mut front) = acceptor.accept(stream).await else {
                                return;
                            };
                            let name = front.get_ref().1.server_name().map(str::to_owned);
                            heard.lock().unwrap().push(name);
                            let mut behind = tokio::net::TcpStream::connect(target).await.unwrap();
                            let _ = tokio::io::copy_bidirectional(&mut front, &mut behind).await;
                        });
                    }
                };
                tokio::select! {
                    () = accepting => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            asked_for,
            _stop: stop,
        }
    }
}

fn server_config(certificate: &Certificate, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap()
}

pub type ServerStream = StreamOwned<ServerConnection, TcpStream>;

/// Speaks TLS as the script says, which is given each connection with its number. Its certificate is the authority's, for
/// 127.0.0.1.
pub fn scripted(
    script: impl Fn(usize, ServerStream) -> std::io::Result<()> + Send + Sync + 'static,
) -> SocketAddr {
    let key = KeyPair::generate().unwrap();
    let certificate = certificate_params(&["127.0.0.1"]).signed_by(&key, authority());
    let config = Arc::new(server_config(&certificate.unwrap(), &key));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = Arc::new(script);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (config, script) = (Arc::clone(&config), Arc::clone(&script));
            std::thread::spawn(move || {
                let session = ServerConnection::new(config).unwrap();
                // What a client does to it is for the test to see.
                let _ = script(number, StreamOwned::new(session, stream.unwrap()));
            });
        }
    });
    address
}

/// Addresses are names too.
fn certificate_params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
}

/// A client that shows a certificate: signed by the authority and changed so, or by nobody.
pub struct Identity {
    pub certificate: Certificate,
    /// What is shown behind its own.
    pub chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Identity {
    pub fn of_authority(change: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::with_key(KeyPair::generate().unwrap(), change)
    }

    pub fn with_key(key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let certificate = Self::params(change).signed_by(&key, authority()).unwrap();
        Self {
            certificate,
            chain: Vec::new(),
            key,
        }
    }

    pub fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = Self::params(change).self_signed(&key).unwrap();
        Self {
            certificate,
            chain: Vec::new(),
            key,
        }
    }

    /// `FILE.pem` and `FILE.key`.
    pub fn write(&self, directory: &Path, file: &str) {
        let pem = self.certificate.pem();
        std::fs::write(directory.join(format!("{file}.pem")), pem).unwrap();
        let key = self.key.serialize_pem();
        std::fs::write(directory.join(format!("{file}.key")), key).unwrap();
    }

    fn params(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "client.test");
        change(&mut params);
        params
    }
}

/// `crl.pem`: the authority has revoked these.
pub fn write_revocation_list(directory: &Path, serial_numbers: &[&[u8]]) {
    let now = rcgen::date_time_ymd(2026, 1, 1);
    let revoked = serial_numbers.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: now,
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: now,
        next_update: rcgen::date_time_ymd(2096, 1, 1),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = params.signed_by(authority()).unwrap();
    std::fs::write(directory.join("crl.pem"), list.pem().unwrap()).unwrap();
}

/// A handshake with `example.com`, as somebody. What the server has against it may be said only later.
pub fn handshake_as(
    mut stream: TcpStream,
    identity: Option<&Identity>,
    protocols: &[&str],
) -> std::io::Result<TlsStream> {
    let config = match identity {
        Some(identity) => client_config_as(identity, protocols),
        None => client_config(protocols),
    };
    let name = ServerName::try_from("example.com").unwrap();
    let mut connection = ClientConnection::new(config, name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}

/// Trusts the authority and offers these protocols.
pub fn client_config(protocols: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority().der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    Arc::new(config)
}

/// The same, as somebody.
pub fn client_config_as(identity: &Identity, protocols: &[&str]) -> Arc<ClientConfig> {
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let own = [identity.certificate.der().clone()];
    let chain = [own.as_slice(), &identity.chain].concat();
    let certified = CertifiedKey::from_der(chain, key, &provider).unwrap();
    let mut config = (*client_config(protocols)).clone();
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    Arc::new(config)
}

/// A handshake with a server that must show a certificate for `name`.
pub fn handshake(
    mut stream: TcpStream,
    name: &str,
    protocols: &[&str],
) -> std::io::Result<TlsStream> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(client_config(protocols), name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}

/// A handshake with a server that may show whatever certificate it has.
pub fn handshake_with_anybody(mut stream: TcpStream, name: &str) -> std::io::Result<TlsStream> {
    let mut config = (*client_config(&["http/1.1"])).clone();
    let schemes = config.crypto_provider().signature_verification_algorithms;
    let anybody = Anybody(schemes.supported_schemes());
    config
        .dangerous()
        .set_certificate_verifier(Arc::new(anybody));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}

#[derive(Debug)]
struct Anybody(Vec<SignatureScheme>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
