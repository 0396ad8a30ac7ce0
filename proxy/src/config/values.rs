//! Readers for kinds of values that occur in several tables: times, counts, ports, names, files.
//!
//! Each returns something usable whatever the file says; what was wrong is reported.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lintel_common::config_file::{Table, Value};

use crate::rule::ExpressionError;
use lintel_common::tls::TlsError;

/// What a time may be.
#[derive(Clone, Copy)]
pub(super) struct Seconds {
    least: f64,
    most: f64,
    /// For a key of the ALB: the least that it takes there, where decimals are not known.
    alb_least: Option<f64>,
}

/// The shortest time that is not zero: what is shorter cannot be meant.
const SHORTEST: f64 = 0.001;

impl Seconds {
    /// The ALB's range. Shorter times (not zero, unless the ALB has it) and decimals work too, with a warning.
    pub(super) const fn of_alb(least: u32, most: u32) -> Self {
        Self {
            least: if least == 0 { 0.0 } else { SHORTEST },
            most: most as f64,
            alb_least: Some(least as f64),
        }
    }

    /// A key that the ALB does not have: any time up to `most`.
    pub(super) const fn up_to(most: u32) -> Self {
        Self {
            least: SHORTEST,
            most: most as f64,
            alb_least: None,
        }
    }

    pub(super) const fn or_zero(self) -> Self {
        Self { least: 0.0, ..self }
    }

    pub(super) fn read(self, value: &Value<'_>) -> Option<Duration> {
        let seconds = value.number()?;
        let (least, most) = (self.alb_least.unwrap_or(self.least), self.most);
        let zero = if self.least == 0.0 && least > 0.0 {
            "0, or "
        } else {
            ""
        };
        if !(self.least..=most).contains(&seconds) {
            value.error(
                format_args!("`{}` is out of range", value.shown()),
                format_args!("write {zero}{least} to {most} seconds"),
            );
            return None;
        }
        let fits = seconds == 0.0 || (seconds >= least && seconds.fract() == 0.0);
        if self.alb_least.is_some() && !fits {
            value.warn(
                format_args!("`{}` works here but not on an ALB", value.shown()),
                format_args!("an ALB takes {zero}whole seconds from {least} to {most}"),
            );
        }
        Some(Duration::from_secs_f64(seconds))
    }
}

pub(super) fn seconds(
    table: &mut Table<'_>,
    key: &'static str,
    range: Seconds,
    default: Duration,
) -> Duration {
    table
        .get(key)
        .and_then(|value| range.read(&value))
        .unwrap_or(default)
}

/// True or false.
pub(super) fn flag(table: &mut Table<'_>, key: &'static str, default: bool) -> bool {
    let value = table.get(key);
    value.and_then(|value| value.boolean()).unwrap_or(default)
}

/// What a count may be; below `alb_least` it works with a warning.
#[derive(Clone, Copy)]
pub(super) struct Count {
    pub(super) least: u32,
    pub(super) alb_least: u32,
    pub(super) most: u32,
}

pub(super) fn count(table: &mut Table<'_>, key: &'static str, range: Count, default: u32) -> u32 {
    let Some(value) = table.get(key) else {
        return default;
    };
    let Some(number) = whole(&value, range.least, range.most) else {
        return default;
    };
    if number < range.alb_least {
        value.warn(
            format_args!("`{number}` works here but not on an ALB"),
            format_args!("an ALB takes {} to {}", range.alb_least, range.most),
        );
    }
    number
}

/// A whole number from `least` to `most`.
pub(super) fn whole(value: &Value<'_>, least: u32, most: u32) -> Option<u32> {
    let number = value.integer()?;
    let in_range = u32::try_from(number)
        .ok()
        .filter(|number| (least..=most).contains(number));
    if in_range.is_none() {
        value.error(
            format_args!("`{number}` is out of range"),
            format_args!("write {least} to {most}"),
        );
    }
    in_range
}

/// A port; `least` is 0 where any free one may be taken, else 1.
pub(super) fn port(value: &Value<'_>, least: u16) -> Option<u16> {
    whole(value, u32::from(least), u32::from(u16::MAX)).and_then(|port| u16::try_from(port).ok())
}

/// The name of a load balancer or target group, by the ALB's rules.
pub(super) fn name(value: &Value<'_>) -> Option<String> {
    let name = value.string()?;
    let valid = (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if !valid {
        value.error(
            format_args!("`{}` is not a name", value.shown()),
            "write 1 to 32 letters, digits and hyphens, no hyphen at either end",
        );
    }
    valid.then(|| name.to_owned())
}

/// An Availability Zone.
pub(super) fn zone(value: &Value<'_>) -> Option<String> {
    let zone = value.string()?;
    if zone.is_empty() {
        value.error("is empty", "write a zone such as \"us-east-1a\"");
    }
    Some(zone.to_owned())
}

/// A path, relative to the directory of the configuration file.
pub(super) fn path(value: &Value<'_>, directory: &Path) -> Option<PathBuf> {
    let path = value.string()?;
    if path.is_empty() {
        value.error("is empty", "write the path of a file");
        return None;
    }
    Some(directory.join(path))
}

/// The path of a file that can be read.
pub(super) fn readable_file(value: &Value<'_>, directory: &Path) -> Option<PathBuf> {
    let path = path(value, directory)?;
    let opened = File::open(&path).and_then(|file| file.metadata());
    let wrong = match opened {
        Ok(metadata) if metadata.is_dir() => "is a directory".to_owned(),
        Ok(_) => return Some(path),
        Err(error) => format!("cannot be read: {error}"),
    };
    value.error(
        format_args!("{} {wrong}", path.display()),
        "name a file that exists and that this user may read",
    );
    None
}

/// Whether a text is at most `longest` characters long; reports it if not.
pub(super) fn is_short(value: &Value<'_>, text: &str, longest: usize) -> bool {
    let length = text.chars().count();
    if length > longest {
        value.error(
            format_args!("is {length} characters long"),
            format_args!("write at most {longest}"),
        );
    }
    length <= longest
}

/// TLS errors already say what would be right.
pub(super) fn report_tls(place: &Value<'_>, error: &TlsError) {
    let message = error.to_string();
    let (wrong, right) = message
        .split_once("; ")
        .unwrap_or((&message, "replace the file"));
    place.error(wrong, right);
}

/// A regular expression that cannot be used.
pub(super) fn refuse_regex(value: &Value<'_>, error: &ExpressionError) {
    value.error(
        format_args!("`{}` cannot be used as a regex: {error}", value.shown()),
        "write one in an ALB's dialect: no look-around, back-references, atomic groups, possessive quantifiers, \\p{..}",
    );
}
