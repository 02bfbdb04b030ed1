//! Readers that are gone or stalled, and full disks.

use super::*;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};

const LINE: &[u8] = b"a line of some length\n";
const WAIT: Duration = Duration::from_mins(1);

fn plain(text: &str) -> String {
    format!("{text}\n")
}

fn flushed(log: &LogWriter) -> u64 {
    log.flush_until(Instant::now() + WAIT);
    log.shared.backlog().dropped
}

#[test]
fn lines_for_a_reader_that_is_gone_are_counted() {
    let (reader, writer) = io::pipe().unwrap();
    let log = LogWriter::new(writer, plain);
    log.line(LINE);
    assert_eq!(flushed(&log), 0);
    drop(reader);
    for lost in 1..=3 {
        log.line(LINE);
        assert_eq!(flushed(&log), lost);
    }
    let why = log.shared.backlog().why.clone();
    assert!(why.contains("Broken pipe"), "{why}");
}

#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let log = LogWriter::new(full, plain);
    log.line(&LINE.repeat(5));
    assert_eq!(flushed(&log), 5);
}

#[test]
fn a_reader_that_stands_still_is_not_waited_for() {
    let (reader, writer) = io::pipe().unwrap();
    let log = LogWriter::new(writer, plain);
    let sent = 200_000;
    for _ in 0..sent {
        log.line(LINE);
    }
    assert!(log.shared.backlog().dropped > 0);

    // Every line is either read or reported, or still to be reported.
    let seen = Arc::new(Mutex::new((0, 0)));
    let counts = Arc::clone(&seen);
    thread::spawn(move || {
        for line in BufReader::new(reader).lines() {
            let line = line.unwrap();
            let mut counts = counts.lock().unwrap();
            match line.split_once(" log lines before this one could not be written and are lost") {
                Some((lost, _)) => counts.1 += lost.parse::<u64>().unwrap(),
                None if line.as_bytes() == &LINE[..LINE.len() - 1] => counts.0 += 1,
                None => panic!("{line}"),
            }
        }
    });
    let begin = Instant::now();
    loop {
        let (read, reported) = *seen.lock().unwrap();
        let left = log.shared.backlog().dropped;
        if read > 0 && reported > 0 && read + reported + left == sent {
            break;
        }
        log.flush_until(Instant::now() + Duration::from_millis(10));
        assert!(
            begin.elapsed() < WAIT,
            "{read} read, {reported} reported, {left} left of {sent}"
        );
    }
}

#[test]
fn waiting_for_the_end_has_an_end() {
    let (_reader, writer) = io::pipe().unwrap();
    let log = LogWriter::new(writer, plain);
    log.line(&LINE.repeat(10_000));
    log.flush_until(Instant::now() + Duration::from_millis(10));
    assert!(log.shared.backlog().is_writing);
}

/// A destination that accepts this many bytes, then fails until it is given more room.
struct Room(Arc<Mutex<(usize, Vec<u8>)>>);

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.0.lock().unwrap();
        let taken = bytes.len().min(inner.0);
        if taken == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        inner.0 -= taken;
        inner.1.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_line_that_is_cut_off_does_not_run_into_the_next_one() {
    let room = Arc::new(Mutex::new((LINE.len() + 5, Vec::new())));
    let log = LogWriter::new(Room(Arc::clone(&room)), plain);
    log.line(&LINE.repeat(3));
    assert_eq!(flushed(&log), 2);
    room.lock().unwrap().0 = 10_000;
    log.line(LINE);
    assert_eq!(flushed(&log), 0);
    let text = String::from_utf8(room.lock().unwrap().1.clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[1..3], ["a lin", "a line of some length"]);
    assert!(lines[3].starts_with("2 log lines"), "{text}");
}
