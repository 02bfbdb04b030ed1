//! Where a program's standard error goes, for tests that take it away: a pipe whose reader leaves or stands still, a
//! terminal that is closed, a full disk, nothing at all.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::guard::Scratch;

/// A place for a program's standard error.
#[derive(Debug)]
pub struct LogPlace {
    path: PathBuf,
    kind: Kind,
    _directory: Option<Scratch>,
}

#[derive(Debug)]
enum Kind {
    /// A named pipe, and the end that is read while somebody reads.
    Pipe(Option<File>),
    /// The other side of a terminal, while it is open.
    Terminal(Option<OwnedFd>),
    File,
    Closed,
}

impl LogPlace {
    /// A pipe, as a log collector or `| tee` has it.
    pub fn pipe() -> Self {
        let directory = Scratch::new();
        let path = directory.join("log");
        let made = Command::new("mkfifo").arg(&path).status();
        assert!(made.is_ok_and(|status| status.success()), "mkfifo");
        let mut place = Self {
            path,
            kind: Kind::Pipe(None),
            _directory: Some(directory),
        };
        place.come_back();
        place
    }

    /// A terminal.
    pub fn terminal() -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&terminal)
            .and_then(|()| unlockpt(&terminal))
            .expect("a terminal to use");
        let name = ptsname(&terminal, Vec::new()).expect("its name");
        Self {
            path: Path::new(std::ffi::OsStr::from_bytes(name.as_bytes())).to_owned(),
            kind: Kind::Terminal(Some(terminal)),
            _directory: None,
        }
    }

    /// A file, to which lines are appended: `/dev/full` is one on a disk without room.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            kind: Kind::File,
            _directory: None,
        }
    }

    /// Closed.
    pub fn closed() -> Self {
        Self {
            path: PathBuf::new(),
            kind: Kind::Closed,
            _directory: None,
        }
    }

    /// What to start instead of `program` with `arguments`, so that its standard error goes here.
    pub fn command(&self, program: &str, arguments: &[&str]) -> (&'static str, Vec<String>) {
        let to = match self.kind {
            Kind::Closed => "&-".to_owned(),
            _ => format!(">'{}'", self.path.display()),
        };
        let script = format!("exec \"$0\" \"$@\" 2>{to}");
        let words = ["-c", &script, program]
            .into_iter()
            .chain(arguments.iter().copied());
        ("/bin/sh", words.map(str::to_owned).collect())
    }

    /// The reader leaves, or the terminal is closed.
    pub fn lose(&mut self) {
        match &mut self.kind {
            Kind::Pipe(reader) => *reader = None,
            Kind::Terminal(terminal) => *terminal = None,
            Kind::File | Kind::Closed => panic!("nobody is at the other end"),
        }
    }

    /// A reader is there again.
    pub fn come_back(&mut self) {
        let Kind::Pipe(reader) = &mut self.kind else {
            panic!("only a pipe is read again")
        };
        let opened = nonblocking().read(true).open(&self.path);
        *reader = Some(opened.expect("the pipe can be read"));
    }

    /// Fills whatever lies between the program and its reader, who does not read.
    pub fn fill(&self) {
        let mut writer = nonblocking().write(true).open(&self.path).expect("a writer");
        for chunk in [&[b'\n'; 4096][..], b"\n"] {
            loop {
                match writer.write(chunk) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("cannot fill {}: {error}", self.path.display()),
                }
            }
        }
    }

    /// What has come through the pipe since the last look.
    pub fn read(&mut self) -> String {
        let Kind::Pipe(Some(reader)) = &mut self.kind else {
            panic!("nobody reads")
        };
        let mut text = Vec::new();
        // Ends with an error where nothing more is there for now.
        let _for_now = reader.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

fn nonblocking() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    options
}
