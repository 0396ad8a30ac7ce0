//! What the user asks for.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::proxy::Kind;
use super::workload::{WORKLOADS, Workload};

/// Longer rounds would only wait.
const LONGEST_ROUND: f64 = 3600.0;

#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub(crate) struct Options {
    /// What to measure, by the names below
    #[arg(short, long = "workload", value_name = "NAME", num_args = 1.., default_value = "all")]
    workloads: Vec<Selection>,
    /// Whom to compare with: nginx, haproxy, envoy, any of them as NAME=FILE if it is not on PATH; or none
    #[arg(
        short,
        long,
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "nginx,haproxy"
    )]
    peers: Vec<Peer>,
    /// Rounds that must count
    #[arg(short, long, value_name = "N", default_value = "7")]
    pub(super) rounds: NonZeroUsize,
    /// How long each proxy is measured in a round, all its parts together
    #[arg(short, long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(super) seconds: Duration,
    /// Processes or threads that serve, in every proxy
    #[arg(long, value_name = "N", default_value = "2")]
    pub(super) workers: NonZeroUsize,
    /// Threads that ask; more than one only where processors are left for them
    #[arg(long, value_name = "N", default_value = "1")]
    pub(super) threads: NonZeroUsize,
    /// Write the tables to this file, as Markdown
    #[arg(long, value_name = "FILE")]
    pub(super) markdown: Option<PathBuf>,
    /// Write a plot of the ratios to this file
    #[arg(long, value_name = "FILE")]
    pub(super) svg: Option<PathBuf>,
    /// Write everything to this file, raw rounds too
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Only print the configuration of every proxy
    #[arg(long)]
    pub(super) show_config: bool,
}

/// A value of `--workload`.
#[derive(Debug, Clone, Copy)]
enum Selection {
    All,
    One(&'static Workload),
}

/// A value of `--peers`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Peer {
    None,
    Of(Kind, Option<PathBuf>),
}

impl Options {
    /// Each once, in the order of the list.
    pub(super) fn workloads(&self) -> Vec<&'static Workload> {
        let is_selected = |workload: &&Workload| {
            self.workloads.iter().any(|selection| match selection {
                Selection::All => true,
                Selection::One(selected) => selected.name == workload.name,
            })
        };
        WORKLOADS.iter().filter(is_selected).collect()
    }

    /// Whether this one was asked for by its name.
    pub(super) fn names(&self, workload: &Workload) -> bool {
        self.workloads.iter().any(|selection| match selection {
            Selection::All => false,
            Selection::One(selected) => selected.name == workload.name,
        })
    }

    /// With the file of the program, where it was named.
    pub(super) fn peers(&self) -> Vec<(Kind, Option<PathBuf>)> {
        let mut peers: Vec<(Kind, Option<PathBuf>)> = Vec::new();
        for peer in &self.peers {
            if let Peer::Of(kind, file) = peer
                && !peers.iter().any(|(earlier, _)| earlier == kind)
            {
                peers.push((*kind, file.clone()));
            }
        }
        peers
    }
}

impl FromStr for Selection {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name.eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        WORKLOADS
            .iter()
            .find(|workload| workload.name.eq_ignore_ascii_case(name))
            .map(Self::One)
            .ok_or_else(|| "there is no such workload; --help lists them".to_owned())
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, file) = match text.split_once('=') {
            Some((name, file)) => (name, Some(PathBuf::from(file))),
            None => (text, None),
        };
        let kind = match name {
            "none" if file.is_none() => return Ok(Self::None),
            "nginx" => Kind::Nginx,
            "haproxy" => Kind::Haproxy,
            "envoy" => Kind::Envoy,
            _ => return Err("the peers are nginx, haproxy and envoy, or none".to_owned()),
        };
        Ok(Self::Of(kind, file))
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= LONGEST_ROUND => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(format!("a number above 0, up to {LONGEST_ROUND}")),
    }
}

fn after_help() -> String {
    let mut list = String::from("Workloads (all = every one of them):\n");
    for Workload { name, title, .. } in &WORKLOADS {
        list.extend(["  ", &format!("{name:<5}"), title, "\n"]);
    }
    format!("{list}\n{METHOD}")
}

const METHOD: &str = "\
Every proxy runs with the same number of workers in front of the same three origins, with kept connections on both sides,
forwarding headers and a trace id added and no access log; --show-config prints how. In a round each is asked in turn, in
rotated order, again and again for a quarter of a second, and its processor time (user and system, all its processes) is
divided by the requests whose answers passed every check: status, length, the body's bytes (of long ones, samples), and at
the origin the forwarding headers. Ratios are taken within a round, and the median of the rounds is told: they stand on a
machine whose speed changes, where microseconds do not. `relay` passes bytes on without reading them, as the floor. A round in which somebody came to less
than 80 % of the rate of his own best round is measured again. In a closed loop a slow proxy is asked less; in the open
loop of W8 latency counts from when a request was due, so waiting is in it (no coordinated omission). Memory is summed over
a proxy's processes: pages that they share count for each.

Exit codes: 0 measured; 1 there were errors, or too many rounds were disturbed; 2 could not start.";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(flatten)]
        options: Options,
    }

    fn parse(arguments: &str) -> Result<Options, clap::Error> {
        CommandLine::try_parse_from(["compare"].into_iter().chain(arguments.split_whitespace()))
            .map(|line| line.options)
    }

    fn names(options: &Options) -> Vec<&'static str> {
        options
            .workloads()
            .iter()
            .map(|workload| workload.name)
            .collect()
    }

    #[test]
    fn workloads_are_a_list_in_the_order_of_the_reports() {
        assert_eq!(names(&parse("").unwrap()).len(), WORKLOADS.len());
        let some = parse("--workload w9 W1 w1 --rounds 3").unwrap();
        assert_eq!(names(&some), ["W1", "W9"]);
        assert_eq!(names(&parse("-w W2 -w W3").unwrap()), ["W2", "W3"]);
        assert!(parse("--workload W0").is_err());
    }

    #[test]
    fn peers_are_named_once_perhaps_with_their_file() {
        let peers = |arguments| parse(arguments).unwrap().peers();
        assert_eq!(peers(""), [(Kind::Nginx, None), (Kind::Haproxy, None)]);
        let envoy = (Kind::Envoy, Some(PathBuf::from("/opt/envoy")));
        let nginx = (Kind::Nginx, None);
        assert_eq!(
            peers("--peers envoy=/opt/envoy,nginx,nginx"),
            [envoy, nginx]
        );
        assert_eq!(peers("--peers none"), []);
        assert!(parse("--peers apache").is_err());
    }

    #[test]
    fn a_round_may_be_shorter_than_a_second() {
        assert_eq!(
            parse("--seconds 0.2").unwrap().seconds,
            Duration::from_millis(200)
        );
        for wrong in ["0", "-1", "x", "inf", "NaN"] {
            assert!(parse(&format!("--seconds={wrong}")).is_err(), "{wrong}");
        }
    }
}
