//! `lintel-benches compare`, in short rounds: who is measured, what is refused, what makes it fail. How fast anybody is is
//! not looked at.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_lintel-benches");

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A place for the files of a run, and how it ended.
struct Run {
    output: Output,
    report: Value,
    markdown: String,
    svg: String,
}

impl Run {
    fn code(&self) -> i32 {
        self.output.status.code().unwrap()
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

fn command(temporary: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .arg("compare")
        .args(arguments)
        .env("TMPDIR", temporary)
        .stdin(Stdio::null());
    command
}

/// Files are left by nobody.
fn run(arguments: &[&str]) -> Run {
    let directory = TempDir::new().unwrap();
    let temporary = directory.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let [json, markdown, svg] = ["json", "md", "svg"].map(|name| directory.path().join(name));
    let output = command(&temporary, arguments)
        .args(["--rounds", "1", "--seconds", "0.2"])
        .arg("--json")
        .arg(&json)
        .arg("--markdown")
        .arg(&markdown)
        .arg("--svg")
        .arg(&svg)
        .output()
        .unwrap();
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    let report = fs::read(json).map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
    Run {
        output,
        report,
        markdown: fs::read_to_string(markdown).unwrap_or_default(),
        svg: fs::read_to_string(svg).unwrap_or_default(),
    }
}

/// Those of the standard pair that are installed here.
fn installed_peers() -> String {
    let peers: Vec<_> = ["nginx", "haproxy"]
        .into_iter()
        .filter(|name| {
            let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
            std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
        })
        .collect();
    if peers.is_empty() {
        "none".to_owned()
    } else {
        peers.join(",")
    }
}

fn names(workload: &Value) -> Vec<&str> {
    workload["entrants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entrant| entrant["name"].as_str().unwrap())
        .collect()
}

#[test]
fn everybody_is_measured_in_every_workload() {
    let peers = installed_peers();
    let run = run(&[
        "--workload",
        "W1",
        "W2",
        "W3",
        "W9",
        "W9S",
        "--peers",
        &peers,
    ]);
    assert_eq!(run.code(), 0, "{}{}", run.stderr(), run.markdown);
    let workloads = run.report["workloads"].as_array().unwrap();
    assert_eq!(workloads.len(), 5);
    for workload in workloads {
        let names = names(workload);
        assert_eq!(names[0], "lintel");
        for peer in peers.split(',').filter(|peer| *peer != "none") {
            assert!(names.iter().any(|name| name.starts_with(peer)), "{names:?}");
        }
        // The floor is for what is not encrypted.
        assert_eq!(names.contains(&"relay"), workload["protocol"] == "http");
        let measurements = workload["rounds"][0]["measurements"].as_array().unwrap();
        assert_eq!(measurements.len(), names.len());
        for measurement in measurements {
            assert_eq!(measurement["errors"], 0, "{measurement:#}");
            for figure in ["requests", "peak_resident_mib", "cpu_seconds", "p50_ms"] {
                assert!(
                    measurement[figure].as_f64().unwrap() > 0.0,
                    "{measurement:#}"
                );
            }
        }
        let rows = workload["rows"].as_array().unwrap();
        assert_eq!(rows.len(), names.len());
        let ours = rows.iter().find(|row| row["name"] == "lintel").unwrap();
        assert!(ours["cost"]["median"].as_f64().unwrap() > 0.0);
        assert_eq!(ours["ratios"]["best peer"].is_object(), peers != "none");
        let head = format!("### {}: ", workload["name"].as_str().unwrap());
        assert!(run.markdown.contains(&head), "{}", run.markdown);
    }
    assert!(run.svg.starts_with("<svg "), "{}", run.svg);
    assert!(run.svg.trim_end().ends_with("</svg>"), "{}", run.svg);
    assert_eq!(run.svg.contains("browser page"), peers != "none");
    let stdout = String::from_utf8_lossy(&run.output.stdout);
    assert!(stdout.contains("| lintel "), "{stdout}");
}

/// The median over the rounds of everybody's figure, by name.
fn figures<'a>(workload: &'a Value, figure: &str) -> Vec<(&'a str, f64)> {
    let rows = workload["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| (row["name"].as_str().unwrap(), &row[figure]))
        .filter_map(|(name, value)| Some((name, value.as_f64()?)))
        .collect()
}

#[test]
fn large_bodies_handshakes_and_frames_are_right_whoever_passes_them_on() {
    let peers = installed_peers();
    let workloads = ["W4", "W4S", "W5", "W5R", "W7", "W7S", "W10", "W11", "W11S"];
    let arguments = [&["--peers", &peers, "--workload"], &workloads[..]].concat();
    let run = run(&arguments);
    assert_eq!(run.code(), 0, "{}{}", run.stderr(), run.markdown);
    let measured = run.report["workloads"].as_array().unwrap();
    assert_eq!(measured.len(), workloads.len());
    for workload in measured {
        let rates = figures(workload, "requests_per_second");
        assert_eq!(rates.len(), names(workload).len());
        assert!(rates.iter().all(|(_, rate)| *rate > 0.0), "{rates:?}");
    }
}

#[test]
fn at_a_rate_all_get_the_same_and_the_origin_is_asked_directly_too() {
    let run = run(&["--workload", "W8", "W8S", "--peers", "none"]);
    assert_eq!(run.code(), 0, "{}{}", run.stderr(), run.markdown);
    for workload in run.report["workloads"].as_array().unwrap() {
        assert!(names(workload).contains(&"(direct)"));
        let round = &workload["rounds"][0]["measurements"];
        for measurement in round.as_array().unwrap() {
            assert_eq!(measurement["requests"], 800.0, "4000/s for 0.2 s");
        }
        let added = figures(workload, "added_p50_us");
        assert_eq!(added.len(), names(workload).len(), "{added:?}");
    }
}

#[test]
fn the_access_log_is_compared_with_none() {
    let run = run(&["--workload", "WL", "--peers", "none"]);
    assert_eq!(run.code(), 0, "{}{}", run.stderr(), run.markdown);
    let workload = &run.report["workloads"][0];
    assert_eq!(names(workload), ["lintel", "lintel with access log"]);
    for row in workload["rows"].as_array().unwrap() {
        assert!(row["ratios"]["without log"]["median"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn a_hundred_rules_are_compared_with_one() {
    let run = run(&["--workload", "WRP", "WRH", "WRA", "--peers", "none"]);
    assert_eq!(run.code(), 0, "{}{}", run.stderr(), run.markdown);
    let workloads = run.report["workloads"].as_array().unwrap();
    assert_eq!(workloads.len(), 3);
    for workload in workloads {
        let mut names = names(workload);
        names.sort_unstable();
        assert_eq!(names, ["lintel with 100 rules", "lintel with one rule"]);
        for row in workload["rows"].as_array().unwrap() {
            assert!(row["ratios"]["one rule"]["median"].as_f64().unwrap() > 0.0);
        }
    }
}

#[test]
fn idle_connections_are_held_and_let_go() {
    let run = run(&["--workload", "W6H", "--peers", "none"]);
    assert_eq!(run.code(), 0, "{}{}", run.stderr(), run.markdown);
    let workload = &run.report["workloads"][0];
    let measurement = &workload["rounds"][0]["measurements"][0];
    assert_eq!(measurement["requests"], 1000.0);
    let mebibytes = |key: &str| measurement[key].as_f64().unwrap();
    assert!(
        mebibytes("idle_mib") > mebibytes("before_mib"),
        "{measurement:#}"
    );
    let each = (mebibytes("idle_mib") - mebibytes("before_mib")) * 1024.0 / 1000.0;
    assert!(
        (measurement["cost"].as_f64().unwrap() - each).abs() < 0.01,
        "{measurement:#}"
    );
}

/// A program that takes nginx's arguments and does something else: `does` is what follows `lintel-benches relay --listen ADDRESS`,
/// and may use `$origins`.
fn fake_nginx(directory: &Path, does: &str) -> PathBuf {
    let file = directory.join("nginx");
    let script = format!(
        r#"#!/bin/sh
[ "$1" = -v ] && exec echo "nginx version: nginx/1.2.3"
listen=$(sed -n 's/^ *listen \([0-9.:]*\) reuseport.*/\1/p' "$2")
origins=$(sed -n 's/^ *server \([0-9.:]*\);/\1/p' "$2")
echo $origins > {directory}/origins
exec {PROGRAM} relay --listen $listen {does}
"#,
        directory = directory.display()
    );
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

#[test]
fn a_proxy_that_adds_no_forwarding_headers_fails() {
    let directory = TempDir::new().unwrap();
    let nginx = fake_nginx(directory.path(), "--target $origins");
    let peer = format!("nginx={}", nginx.display());
    let run = run(&["--workload", "W1", "--peers", &peer]);
    assert_eq!(run.code(), 1, "{}", run.stderr());
    let reason = "nginx 1.2.3: ";
    assert!(
        run.markdown.contains("**FAILED**: round 1"),
        "{}",
        run.markdown
    );
    assert!(run.markdown.contains(reason), "{}", run.markdown);
    assert!(
        run.markdown
            .contains("without the right forwarding headers")
    );
    let failures = run.report["workloads"][0]["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{failures:?}");
}

/// Between a relay and the first origin: of every thousandth answer the last byte is another.
fn corrupting(listener: &TcpListener, origins: &Path) {
    static ANSWERS: AtomicU64 = AtomicU64::new(0);
    for client in listener.incoming() {
        let mut client = client.unwrap();
        let origins = fs::read_to_string(origins).unwrap();
        let origin: SocketAddr = origins.split_whitespace().next().unwrap().parse().unwrap();
        let mut target = TcpStream::connect(origin).unwrap();
        target.set_nodelay(true).unwrap();
        client.set_nodelay(true).unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let read = client.read(&mut buffer).unwrap_or(0);
                if read == 0 || target.write_all(&buffer[..read]).is_err() {
                    return;
                }
                let last = buffer[..read].ends_with(b"close\r\n\r\n");
                let read = target.read(&mut buffer).unwrap_or(0);
                if read > 0 && ANSWERS.fetch_add(1, Ordering::Relaxed) % 1000 == 999 {
                    buffer[read - 1] ^= 1;
                }
                if read == 0 || client.write_all(&buffer[..read]).is_err() || last {
                    return;
                }
            }
        });
    }
}

#[test]
fn a_proxy_that_changes_a_byte_fails() {
    let directory = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let origins = directory.path().join("origins");
    thread::spawn(move || corrupting(&listener, &origins));
    let nginx = fake_nginx(directory.path(), &format!("--target {address}"));
    let peer = format!("nginx={}", nginx.display());
    let run = run(&["--workload", "W1", "--peers", &peer]);
    assert_eq!(run.code(), 1, "{}", run.stderr());
    let reason = "content: wrong bytes between 0 and 128 of the body";
    assert!(run.markdown.contains(reason), "{}", run.markdown);
}

#[test]
fn what_cannot_start_says_why_in_one_line() {
    let nowhere = ["--workload", "W1", "--peers", "nginx=/nowhere/nginx"];
    for (arguments, reason) in [
        (&nowhere[..], "/nowhere/nginx"),
        (&["--peers", "nginx=/bin/true"], "does not tell its version"),
        (&["--peers", "apache"], "nginx, haproxy and envoy"),
        (&["--workload", "W0"], "no such workload"),
        (&["--seconds", "0"], "above 0"),
    ] {
        let output = command(Path::new("/tmp"), arguments).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(reason), "{message}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_peer_that_is_not_installed_is_named_with_its_package() {
    let directory = TempDir::new().unwrap();
    let output = command(directory.path(), &["--peers", "envoy"])
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("envoy is not installed: "), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn a_peer_that_does_not_serve_shows_what_it_said() {
    let directory = TempDir::new().unwrap();
    let nginx = fake_nginx(directory.path(), "--nonsense");
    let peer = format!("nginx={}", nginx.display());
    let run = run(&["--workload", "W1", "--peers", &peer]);
    assert_eq!(run.code(), 2);
    let message = run.stderr();
    assert!(message.contains("nginx 1.2.3 ended at once"), "{message}");
    assert!(message.contains("--nonsense"), "{message}");
}

#[test]
fn configurations_are_shown_whole() {
    let output = command(
        Path::new("/tmp"),
        &["--show-config", "--peers", "none", "--workers", "3"],
    )
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "# lintel\n",
        "proxy run --config",
        "workers = 3",
        "# relay\n",
        "--workers 3",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

pub(crate) struct Ended(pub(crate) Child);

impl Ended {
    /// Its exit code.
    fn wait(&mut self) -> Option<i32> {
        let patience = Instant::now() + PATIENCE;
        while Instant::now() < patience {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end");
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Processes of this group or started by it.
fn children(parent: u32) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let file = entry.unwrap().path().join("stat");
        // Processes end while they are listed.
        let Ok(stat) = fs::read_to_string(file) else {
            continue;
        };
        let Some((name, fields)) = stat.rsplit_once(')') else {
            continue;
        };
        if fields.split_whitespace().nth(1) == Some(&parent.to_string()) {
            found.push(name.to_owned());
        }
    }
    found
}

#[test]
fn an_interrupt_ends_everybody_and_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let arguments = ["--workload", "W1", "--peers", "none", "--seconds", "3000"];
    let child = command(directory.path(), &arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Ended(child);
    let patience = Instant::now() + PATIENCE;
    let started = loop {
        // The origin, ourselves and the relay.
        let started = children(child.0.id());
        if started.len() == 3 {
            break started;
        }
        assert!(Instant::now() < patience, "{started:?}");
        thread::sleep(Duration::from_millis(20));
    };
    kill_process(Pid::from_child(&child.0), Signal::INT).unwrap();
    assert_eq!(child.wait(), Some(2), "{started:?}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    for process in started {
        let (id, _) = process.split_once(" (").unwrap();
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        assert!(!stat.starts_with(&process), "{stat}");
    }
}
