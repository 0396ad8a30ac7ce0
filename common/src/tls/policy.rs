//! Security policies: a name of the ALB, and the protocol versions, cipher suites and key exchange groups it stands for.
//! rustls has TLS 1.2 and 1.3 with forward secrecy and AEAD ciphers; of a policy that has more (TLS 1.0 and 1.1, CBC,
//! static RSA, 3DES) that subset is served, and what is left out can be asked for.

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
    left_out: Option<&'static str>,
}

type Versions = &'static [&'static SupportedProtocolVersion];
type Suites = &'static [SupportedCipherSuite];
type Groups = &'static [&'static dyn SupportedKxGroup];

const ONLY_1_3: Versions = &[&TLS13];
const ONLY_1_2: Versions = &[&TLS12];
const FROM_1_2: Versions = &[&TLS13, &TLS12];

/// Suites in the order published for the ALB: TLS 1.3 first, AES-128 before AES-256. TLS 1.2 has no ChaCha20, as there.
static T13_GCM: Suites = &[
    suite::TLS13_AES_128_GCM_SHA256,
    suite::TLS13_AES_256_GCM_SHA384,
    suite::TLS13_CHACHA20_POLY1305_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];

static T13: Suites = &[
    suite::TLS13_AES_128_GCM_SHA256,
    suite::TLS13_AES_256_GCM_SHA384,
    suite::TLS13_CHACHA20_POLY1305_SHA256,
];

static GCM: Suites = &[
    suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];

/// FIPS: no ChaCha20 in TLS 1.3 either.
static F13: Suites = &[
    suite::TLS13_AES_128_GCM_SHA256,
    suite::TLS13_AES_256_GCM_SHA384,
];

static F13_GCM: Suites = &[
    suite::TLS13_AES_128_GCM_SHA256,
    suite::TLS13_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];

/// RFC 9151: AES-256 only.
static R13: Suites = &[suite::TLS13_AES_256_GCM_SHA384];

static R13_GCM: Suites = &[
    suite::TLS13_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];

/// RFC 9151 with others beside: AES-256 first.
static INTEROP: Suites = &[
    suite::TLS13_AES_256_GCM_SHA384,
    suite::TLS13_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

static CLASSIC: Groups = &[kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];

/// The hybrids first. A client that sends a share for one, as browsers do, gets it; one that sends only a classic share is
/// not made to start again.
static POST_QUANTUM: Groups = &[
    kx_group::X25519MLKEM768,
    kx_group::SECP256R1MLKEM768,
    kx_group::X25519,
    kx_group::SECP256R1,
    kx_group::SECP384R1,
];

const CBC: &str = "CBC cipher suites";
const CBC_RSA: &str = "CBC cipher suites and RSA key exchange";
const OLD: &str = "TLS 1.1 and older, CBC cipher suites and RSA key exchange";
const OLD_FS: &str = "TLS 1.1 and older and CBC cipher suites";
const OLD_3DES: &str = "TLS 1.1 and older, CBC cipher suites, 3DES and RSA key exchange";
const FIPS: &str = "validation by FIPS 140 (the cipher suites are the policy's)";
const FIPS_CBC: &str = "CBC cipher suites and validation by FIPS 140";
const FIPS_CBC_RSA: &str = "CBC cipher suites, RSA key exchange and validation by FIPS 140";
const FIPS_RSA: &str = "RSA key exchange and validation by FIPS 140";
const FIPS_OLD: &str =
    "TLS 1.1 and older, CBC cipher suites, RSA key exchange and validation by FIPS 140";

static POLICIES: &[SslPolicy] = &[
    policy(
        "ELBSecurityPolicy-TLS13-1-3-2021-06",
        ONLY_1_3,
        T13,
        CLASSIC,
        None,
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-3-PQ-2025-09",
        ONLY_1_3,
        T13,
        POST_QUANTUM,
        None,
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
        FROM_1_2,
        T13_GCM,
        CLASSIC,
        None,
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
        FROM_1_2,
        T13_GCM,
        POST_QUANTUM,
        None,
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-2021-06",
        FROM_1_2,
        T13_GCM,
        CLASSIC,
        Some(CBC),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-PQ-2025-09",
        FROM_1_2,
        T13_GCM,
        POST_QUANTUM,
        Some(CBC),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06",
        FROM_1_2,
        T13_GCM,
        CLASSIC,
        Some(CBC_RSA),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Ext1-PQ-2025-09",
        FROM_1_2,
        T13_GCM,
        POST_QUANTUM,
        Some(CBC_RSA),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06",
        FROM_1_2,
        T13_GCM,
        CLASSIC,
        Some(CBC_RSA),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Ext2-PQ-2025-09",
        FROM_1_2,
        T13_GCM,
        POST_QUANTUM,
        Some(CBC_RSA),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-1-2021-06",
        FROM_1_2,
        T13_GCM,
        CLASSIC,
        Some(OLD),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-0-2021-06",
        FROM_1_2,
        T13_GCM,
        CLASSIC,
        Some(OLD),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-0-PQ-2025-09",
        FROM_1_2,
        T13_GCM,
        POST_QUANTUM,
        Some(OLD),
    ),
    policy(
        "ELBSecurityPolicy-TLS-1-2-Ext-2018-06",
        ONLY_1_2,
        GCM,
        CLASSIC,
        Some(CBC_RSA),
    ),
    policy(
        "ELBSecurityPolicy-TLS-1-2-2017-01",
        ONLY_1_2,
        GCM,
        CLASSIC,
        Some(CBC_RSA),
    ),
    policy(
        "ELBSecurityPolicy-TLS-1-1-2017-01",
        ONLY_1_2,
        GCM,
        CLASSIC,
        Some(OLD),
    ),
    policy(
        "ELBSecurityPolicy-2016-08",
        ONLY_1_2,
        GCM,
        CLASSIC,
        Some(OLD),
    ),
    policy(
        "ELBSecurityPolicy-2015-05",
        ONLY_1_2,
        GCM,
        CLASSIC,
        Some(OLD),
    ),
    policy(
        "ELBSecurityPolicy-TLS-1-0-2015-04",
        ONLY_1_2,
        GCM,
        CLASSIC,
        Some(OLD_3DES),
    ),
    policy(
        "ELBSecurityPolicy-FS-1-2-Res-2020-10",
        ONLY_1_2,
        GCM,
        CLASSIC,
        None,
    ),
    policy(
        "ELBSecurityPolicy-FS-1-2-Res-2019-08",
        ONLY_1_2,
        GCM,
        CLASSIC,
        Some(CBC),
    ),
    policy(
        "ELBSecurityPolicy-FS-1-2-2019-08",
        ONLY_1_2,
        GCM,
        CLASSIC,
        Some(CBC),
    ),
    policy(
        "ELBSecurityPolicy-FS-1-1-2019-08",
        ONLY_1_2,
        GCM,
        CLASSIC,
        Some(OLD_FS),
    ),
    policy(
        "ELBSecurityPolicy-FS-2018-06",
        ONLY_1_2,
        GCM,
        CLASSIC,
        Some(OLD_FS),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04",
        ONLY_1_3,
        F13,
        CLASSIC,
        Some(FIPS),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-3-FIPS-PQ-2025-09",
        ONLY_1_3,
        F13,
        POST_QUANTUM,
        Some(FIPS),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Res-FIPS-2023-04",
        FROM_1_2,
        F13_GCM,
        CLASSIC,
        Some(FIPS),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Res-FIPS-PQ-2025-09",
        FROM_1_2,
        F13_GCM,
        POST_QUANTUM,
        Some(FIPS),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04",
        FROM_1_2,
        F13_GCM,
        CLASSIC,
        Some(FIPS_CBC),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-FIPS-PQ-2025-09",
        FROM_1_2,
        F13_GCM,
        POST_QUANTUM,
        Some(FIPS_CBC),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-2023-04",
        FROM_1_2,
        F13_GCM,
        CLASSIC,
        Some(FIPS_CBC),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-PQ-2025-09",
        FROM_1_2,
        F13_GCM,
        POST_QUANTUM,
        Some(FIPS_CBC),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Ext1-FIPS-2023-04",
        FROM_1_2,
        F13_GCM,
        CLASSIC,
        Some(FIPS_CBC_RSA),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Ext1-FIPS-PQ-2025-09",
        FROM_1_2,
        F13_GCM,
        POST_QUANTUM,
        Some(FIPS_CBC_RSA),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Ext2-FIPS-2023-04",
        FROM_1_2,
        F13_GCM,
        CLASSIC,
        Some(FIPS_CBC_RSA),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Ext2-FIPS-PQ-2025-09",
        FROM_1_2,
        F13_GCM,
        POST_QUANTUM,
        Some(FIPS_CBC_RSA),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-1-FIPS-2023-04",
        FROM_1_2,
        F13_GCM,
        CLASSIC,
        Some(FIPS_OLD),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-0-FIPS-2023-04",
        FROM_1_2,
        F13_GCM,
        CLASSIC,
        Some(FIPS_OLD),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-0-FIPS-PQ-2025-09",
        FROM_1_2,
        F13_GCM,
        POST_QUANTUM,
        Some(FIPS_OLD),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-3-RFC9151-FIPS-2023-07",
        ONLY_1_3,
        R13,
        CLASSIC,
        Some(FIPS),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-RFC9151-FIPS-2023-07",
        FROM_1_2,
        R13_GCM,
        CLASSIC,
        Some(FIPS),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-Ext0-RFC9151-FIPS-2023-07",
        FROM_1_2,
        R13_GCM,
        CLASSIC,
        Some(FIPS_RSA),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP1-FIPS-2023-07",
        FROM_1_2,
        INTEROP,
        CLASSIC,
        Some(FIPS),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP2-FIPS-2023-07",
        FROM_1_2,
        INTEROP,
        CLASSIC,
        Some(FIPS_CBC),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP3-FIPS-2023-07",
        FROM_1_2,
        INTEROP,
        CLASSIC,
        Some(FIPS_CBC),
    ),
    policy(
        "ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07",
        FROM_1_2,
        INTEROP,
        CLASSIC,
        Some(FIPS_CBC_RSA),
    ),
];

const fn policy(
    name: &'static str,
    versions: Versions,
    suites: Suites,
    groups: Groups,
    left_out: Option<&'static str>,
) -> SslPolicy {
    SslPolicy {
        name,
        versions,
        suites,
        groups,
        left_out,
    }
}

impl SslPolicy {
    /// What a listener has that names none: the one that the ALB's console proposes.
    pub const DEFAULT: &'static str = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09";

    pub fn by_name(name: &str) -> Option<&'static Self> {
        POLICIES.iter().find(|policy| policy.name == name)
    }

    /// The names that [`SslPolicy::by_name`] knows: all of the ALB's.
    pub fn names() -> impl Iterator<Item = &'static str> {
        POLICIES.iter().map(|policy| policy.name)
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What the ALB has under this name and is not served here.
    pub fn left_out(&self) -> Option<&'static str> {
        self.left_out
    }

    pub(super) fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        self.versions
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
