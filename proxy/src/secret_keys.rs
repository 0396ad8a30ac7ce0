//! The keys that seal cookies and session tickets: derived from secrets that a fleet shares, or random. The first one seals, all of them open, so
//! that secrets can be exchanged without anybody's session ending.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};

/// Fewer bytes may be guessed.
pub const SHORTEST_SECRET: usize = 32;

const KEY: usize = 32;
const NONCE: usize = 12;
const TAG: usize = 16;

/// What is derived for one purpose opens nothing of another.
#[derive(Debug, Clone, Copy)]
pub enum Purpose {
    Stickiness,
    SessionTickets,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Stickiness => b"lintel-proxy stickiness 1",
            Self::SessionTickets => b"lintel-proxy session tickets 1",
        }
    }
}

#[derive(Debug)]
pub struct Keys(Vec<RandomizedNonceKey>);

/// The cryptographic library refused. It says no more.
#[derive(Debug, thiserror::Error)]
#[error("keys for sticky sessions and session tickets cannot be made")]
pub struct NoKeys(#[from] Unspecified);

/// How much of a key HKDF is to give.
struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY
    }
}

impl Keys {
    /// The newest secret comes first. A line's end behind a secret is none of its bytes: editors put one there.
    pub fn derived(secrets: &[Vec<u8>], purpose: Purpose) -> Result<Self, NoKeys> {
        let label = [purpose.label()];
        let derived = |secret: &Vec<u8>| {
            let mut key = [0; KEY];
            Salt::new(HKDF_SHA256, &[])
                .extract(secret.trim_ascii_end())
                .expand(&label, Length)?
                .fill(&mut key)?;
            RandomizedNonceKey::new(&AES_256_GCM_SIV, &key)
        };
        let keys: Result<Vec<_>, Unspecified> = secrets.iter().map(derived).collect();
        Ok(Self(keys?))
    }

    /// For one process only.
    pub fn random() -> Result<Self, NoKeys> {
        let mut key = [0; KEY];
        aws_lc_rs::rand::fill(&mut key)?;
        Ok(Self(vec![RandomizedNonceKey::new(&AES_256_GCM_SIV, &key)?]))
    }

    /// How long so many bytes are once they are sealed.
    pub(crate) const fn sealed_length(plain: usize) -> usize {
        NONCE + plain + TAG
    }

    pub(crate) fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = Vec::with_capacity(Self::sealed_length(plain.len()));
        sealed.extend_from_slice(plain);
        let key = self.0.first()?;
        let nonce = key.seal_in_place_append_tag(Aad::empty(), &mut sealed);
        sealed.splice(..0, *nonce.ok()?.as_ref());
        Some(sealed)
    }

    /// What was sealed with one of the keys.
    pub(crate) fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        self.0.iter().find_map(|key| {
            let mut opened = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let plain = key.open_in_place(nonce, Aad::empty(), &mut opened).ok()?;
            let length = plain.len();
            opened.truncate(length);
            Some(opened)
        })
    }
}
