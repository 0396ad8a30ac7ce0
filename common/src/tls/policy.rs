//! Security policies: a name of the ALB, and the protocol versions, cipher suites and key exchange groups it stands for.
//! Only those are here that can be served exactly; the others need TLS 1.0, CBC or static RSA, which rustls does not have.

use rustls::crypto::aws_lc_rs::{cipher_suite as suite, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

/// What an HTTPS listener negotiates.
#[derive(Debug)]
pub struct SslPolicy {
    name: &'static str,
    versions: &'static [&'static SupportedProtocolVersion],
    suites: &'static [SupportedCipherSuite],
    groups: &'static [&'static dyn SupportedKxGroup],
}

/// In the order published for the ALB: TLS 1.3 first, AES-128 before AES-256. TLS 1.2 has no ChaCha20, as there.
static TLS13_AND_GCM: &[SupportedCipherSuite] = &[
    suite::TLS13_AES_128_GCM_SHA256,
    suite::TLS13_AES_256_GCM_SHA384,
    suite::TLS13_CHACHA20_POLY1305_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];

static TLS13_ONLY: &[SupportedCipherSuite] = &[
    suite::TLS13_AES_128_GCM_SHA256,
    suite::TLS13_AES_256_GCM_SHA384,
    suite::TLS13_CHACHA20_POLY1305_SHA256,
];

static GCM_ONLY: &[SupportedCipherSuite] = &[
    suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];

static CLASSIC: &[&dyn SupportedKxGroup] =
    &[kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];

/// The hybrids first. A client that sends a share for one, as browsers do, gets it; one that sends only a classic share is
/// not made to start again.
static POST_QUANTUM: &[&dyn SupportedKxGroup] = &[
    kx_group::X25519MLKEM768,
    kx_group::SECP256R1MLKEM768,
    kx_group::X25519,
    kx_group::SECP256R1,
    kx_group::SECP384R1,
];

static POLICIES: &[SslPolicy] = &[
    SslPolicy {
        name: "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
        versions: &[&TLS13, &TLS12],
        suites: TLS13_AND_GCM,
        groups: POST_QUANTUM,
    },
    SslPolicy {
        name: "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
        versions: &[&TLS13, &TLS12],
        suites: TLS13_AND_GCM,
        groups: CLASSIC,
    },
    SslPolicy {
        name: "ELBSecurityPolicy-TLS13-1-3-PQ-2025-09",
        versions: &[&TLS13],
        suites: TLS13_ONLY,
        groups: POST_QUANTUM,
    },
    SslPolicy {
        name: "ELBSecurityPolicy-TLS13-1-3-2021-06",
        versions: &[&TLS13],
        suites: TLS13_ONLY,
        groups: CLASSIC,
    },
    SslPolicy {
        name: "ELBSecurityPolicy-FS-1-2-Res-2020-10",
        versions: &[&TLS12],
        suites: GCM_ONLY,
        groups: CLASSIC,
    },
];

impl SslPolicy {
    /// What a listener has that names none: the one that the ALB's console proposes.
    pub const DEFAULT: &'static str = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09";

    /// The policy of that name, if it can be served exactly.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        POLICIES.iter().find(|policy| policy.name == name)
    }

    /// The names that [`SslPolicy::by_name`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        POLICIES.iter().map(|policy| policy.name)
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        self.versions
    }

    pub(super) fn allows_tls13(&self) -> bool {
        self.versions.contains(&&TLS13)
    }

    /// `base` held to this policy's suites and groups.
    pub(super) fn provider(&self, base: &CryptoProvider) -> CryptoProvider {
        CryptoProvider {
            cipher_suites: self.suites.to_vec(),
            kx_groups: self.groups.to_vec(),
            ..base.clone()
        }
    }
}
