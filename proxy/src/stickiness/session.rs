//! What a sealed cookie says. All of them are equally long, so that their length says nothing of a group or a target; what
//! is wrong with one that is not taken is not told, to nobody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Keys;

/// What a cookie is for. One kind is no good as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    LbCookie = 1,
    AppCookie = 2,
    TargetGroup = 3,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    /// The target group's name.
    pub(super) group: String,
    pub(super) target: Option<SocketAddr>,
    pub(super) expires: SystemTime,
}

/// The longest name of a target group.
const NAME: usize = 32;
const VERSION: u8 = 1;
/// Version, kind, expiry, name and its length, address and its family, port.
const PLAIN: usize = 1 + 1 + 8 + 1 + NAME + 1 + 16 + 2;

impl Session {
    pub(super) fn seal(&self, kind: Kind, keys: &Keys) -> Option<String> {
        let mut plain = Vec::with_capacity(PLAIN);
        plain.extend([VERSION, kind as u8]);
        let expires = self.expires.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        plain.extend(u64::try_from(expires.as_millis()).ok()?.to_be_bytes());
        let mut name = [0; NAME];
        name.get_mut(..self.group.len())?
            .copy_from_slice(self.group.as_bytes());
        plain.push(self.group.len() as u8);
        plain.extend(name);
        let (family, ip) = match self.target.map(|target| target.ip()) {
            None => (0, [0; 16]),
            Some(IpAddr::V4(ip)) => (4, ip.to_ipv6_mapped().octets()),
            Some(IpAddr::V6(ip)) => (6, ip.octets()),
        };
        plain.push(family);
        plain.extend(ip);
        plain.extend(self.target.map_or(0, |target| target.port()).to_be_bytes());
        Some(STANDARD.encode(keys.seal(&plain)?))
    }

    /// `None` for whatever we have not made, for another kind, and for what has expired.
    pub(super) fn open(value: &[u8], kind: Kind, keys: &Keys, now: SystemTime) -> Option<Self> {
        const LENGTH: usize = Keys::sealed_length(PLAIN);
        // Whoever sends much is not worth decoding.
        if value.len() != LENGTH.div_ceil(3) * 4 {
            return None;
        }
        let plain = keys.open(&STANDARD.decode(value).ok()?)?;
        let plain: &[u8; PLAIN] = plain.as_slice().try_into().ok()?;
        Self::read(plain, kind).filter(|session| session.expires > now)
    }

    fn read(plain: &[u8; PLAIN], kind: Kind) -> Option<Self> {
        let (head, rest) = plain.split_first_chunk::<2>()?;
        if *head != [VERSION, kind as u8] {
            return None;
        }
        let (expires, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first()?;
        let (name, rest) = rest.split_first_chunk::<NAME>()?;
        let name = name.get(..usize::from(*length))?;
        let (family, rest) = rest.split_first()?;
        let (ip, port) = rest.split_first_chunk::<16>()?;
        let port = u16::from_be_bytes(*port.first_chunk::<2>()?);
        let ip = match (family, ip) {
            (4, [.., a, b, c, d]) => Some(IpAddr::V4(Ipv4Addr::new(*a, *b, *c, *d))),
            (6, ip) => Some(IpAddr::V6(Ipv6Addr::from(*ip))),
            _ => None,
        };
        let since_epoch = Duration::from_millis(u64::from_be_bytes(*expires));
        Some(Self {
            group: String::from_utf8(name.to_vec()).ok()?,
            target: ip.map(|ip| SocketAddr::new(ip, port)),
            expires: SystemTime::UNIX_EPOCH.checked_add(since_epoch)?,
        })
    }
}
