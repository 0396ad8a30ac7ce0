//! Disks that are full, pipes that nobody reads, files that are renamed: no line is lost without being counted, and none
//! is glued to another.

use std::os::unix::fs::FileTypeExt;
use std::time::Instant;

use rustix::fs::{CWD, Mode};

use super::*;

const LONG: Duration = Duration::from_secs(30);

fn counter() -> IntCounter {
    IntCounter::new("lost", "lost").unwrap()
}

fn write(log: &LogFile, line: &str) -> bool {
    log.write(|lines| lines.extend_from_slice(line.as_bytes()))
}

fn settings(path: &Path) -> LogSettings {
    LogSettings {
        path: LogPath::File(path.to_owned()),
        format: LogFormat::Json,
    }
}

fn pipe() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.pipe");
    rustix::fs::mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    assert!(std::fs::metadata(&path).unwrap().file_type().is_fifo());
    (directory, path)
}

/// Holds so many bytes and no more, as a disk does.
#[derive(Default)]
struct Disk {
    holds: Vec<u8>,
    size: usize,
}

impl Write for &mut Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fits = bytes.len().min(self.size - self.holds.len());
        if fits == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.holds.extend_from_slice(&bytes[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_are_all_there_at_the_end_and_a_renamed_file_is_let_go() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let log = LogFile::start("access log", &settings(&path), counter()).unwrap();
    assert!(write(&log, "one\n"));
    assert_eq!(log.flush(LONG), 0);
    let renamed = directory.path().join("access.log.1");
    std::fs::rename(&path, &renamed).unwrap();
    log.reopen();
    for line in 0..100 {
        assert!(write(&log, &format!("{line}\n")));
    }
    assert_eq!(log.flush(LONG), 0);
    assert_eq!(std::fs::read_to_string(renamed).unwrap(), "one\n");
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 100);
}

/// Whoever has renamed it may want to compress it or unmount its disk, and nobody may ask for anything for hours.
#[test]
fn a_renamed_file_is_let_go_without_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let log = LogFile::start("access log", &settings(&path), counter()).unwrap();
    let renamed = directory.path().join("access.log.1");
    std::fs::rename(&path, &renamed).unwrap();
    log.reopen();
    let is_open = || {
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
        let mut files =
            descriptors.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        files.any(|file| file == renamed)
    };
    let give_up = Instant::now() + LONG;
    while !path.exists() || is_open() {
        assert!(Instant::now() < give_up);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(log.flush(LONG), 0);
}

#[test]
fn after_a_full_disk_the_next_line_stands_by_itself_and_the_lost_ones_are_counted() {
    for (size, held, lost) in [
        (0, "", 3),
        (2, "on\n", 3),
        (4, "one\n", 2),
        (5, "one\nt\n", 2),
        (13, "one\ntwo\nthree\n", 1),
        (14, "one\ntwo\nthree\n", 0),
    ] {
        let mut disk = Disk {
            size,
            ..Disk::default()
        };
        let counted = counter();
        let mut output = Output::new("access log", &mut disk, counted.clone());
        output.write(b"one\ntwo\nthree\n");
        assert_eq!(counted.get(), lost, "{size}");
        output.to.size = 100;
        output.write(b"later\n");
        assert_eq!(counted.get(), lost, "{size}");
        let holds = String::from_utf8(disk.holds).unwrap();
        assert_eq!(holds, format!("{held}later\n"), "{size}");
    }
}

#[test]
fn a_disk_that_stays_full_goes_on_being_counted() {
    let mut disk = Disk {
        size: 2,
        ..Disk::default()
    };
    let counted = counter();
    let mut output = Output::new("access log", &mut disk, counted.clone());
    for _ in 0..3 {
        output.write(b"one\ntwo\n");
    }
    assert_eq!(counted.get(), 6);
    output.to.size = 100;
    output.write(b"later\n");
    assert_eq!(disk.holds, b"on\nlater\n");
}

#[test]
fn a_full_device_is_counted_too() {
    let counted = counter();
    let log = LogFile::start(
        "access log",
        &settings(Path::new("/dev/full")),
        counted.clone(),
    )
    .unwrap();
    assert!(write(&log, "lost\n"));
    assert_eq!(log.flush(LONG), 0);
    assert_eq!(counted.get(), 1);
}

#[test]
fn a_line_that_an_earlier_process_left_unfinished_is_ended() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    std::fs::write(&path, "whole\nunfin").unwrap();
    for line in ["first\n", "second\n"] {
        let log = LogFile::start("access log", &settings(&path), counter()).unwrap();
        assert!(write(&log, line));
        assert_eq!(log.flush(LONG), 0);
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        "whole\nunfin\nfirst\nsecond\n"
    );
}

#[test]
fn a_pipe_without_a_reader_is_refused_at_once() {
    let (_directory, path) = pipe();
    let started = Instant::now();
    let error = LogFile::start("access log", &settings(&path), counter()).unwrap_err();
    assert!(started.elapsed() < LONG);
    assert!(advice(&error).contains("reader first"), "{error}");
}

#[test]
fn a_pipe_that_lost_its_reader_is_not_reopened_and_its_lines_are_counted() {
    let (_directory, path) = pipe();
    let reader = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(&path)
        .unwrap();
    let counted = counter();
    let log = LogFile::start("access log", &settings(&path), counted.clone()).unwrap();
    drop(reader);
    log.reopen();
    assert!(write(&log, "lost\n"));
    assert_eq!(log.flush(LONG), 0);
    assert_eq!(counted.get(), 1);
}

#[test]
fn a_pipe_whose_reader_sleeps_blocks_the_thread_alone() {
    let (_directory, path) = pipe();
    let reader = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(&path)
        .unwrap();
    let log = LogFile::start("access log", &settings(&path), counter()).unwrap();
    let line = "x".repeat(1023) + "\n";
    // Pipes hold 64 KiB unless they were made bigger.
    let handed_in = (0..100).filter(|_| write(&log, &line)).count();
    assert_eq!(handed_in, 100);
    assert!(log.flush(Duration::from_millis(100)) > 0);
    // Writes block as they should: once somebody reads, everything comes.
    let mut reader = reader;
    let mut bytes = 0;
    let give_up = Instant::now() + LONG;
    while bytes < 100 * 1024 {
        assert!(Instant::now() < give_up, "{bytes}");
        let mut buffer = [0; 4096];
        match io::Read::read(&mut reader, &mut buffer) {
            Ok(read) => bytes += read,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    assert_eq!(log.flush(LONG), 0);
}
