//! Destinations for a program's standard error, for tests that take it away: a pipe whose reader leaves or stalls, a
//! terminal that is closed, a full disk, or nothing at all.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::guard::Scratch;

/// The reader's polling interval.
const LOOK: Duration = Duration::from_millis(2);

/// A destination for a program's standard error.
#[derive(Debug)]
pub struct LogPlace {
    path: PathBuf,
    kind: Kind,
    _directory: Option<Scratch>,
}

#[derive(Debug)]
enum Kind {
    /// A named pipe or a terminal, and its reader.
    Read(Arc<Mutex<Reader>>),
    File,
    Closed,
}

#[derive(Debug)]
struct Reader {
    end: Option<File>,
    stands_still: bool,
    text: Vec<u8>,
}

impl LogPlace {
    /// A pipe, as with a log collector or `| tee`.
    pub fn pipe() -> Self {
        let directory = Scratch::new();
        let path = directory.join("log");
        let made = Command::new("mkfifo").arg(&path).status();
        assert!(made.is_ok_and(|status| status.success()), "mkfifo");
        Self {
            kind: read(readable(&path)),
            path,
            _directory: Some(directory),
        }
    }

    /// A terminal.
    pub fn terminal() -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&terminal)
            .and_then(|()| unlockpt(&terminal))
            .expect("a terminal to use");
        let name = ptsname(&terminal, Vec::new()).expect("its name");
        rustix::fs::fcntl_setfl(&terminal, OFlags::NONBLOCK).expect("a reader that does not wait");
        Self {
            path: Path::new(OsStr::from_bytes(name.as_bytes())).to_owned(),
            kind: read(terminal.into()),
            _directory: None,
        }
    }

    /// A file to which lines are appended: `/dev/full` behaves like a file on a full disk.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            kind: Kind::File,
            _directory: None,
        }
    }

    /// A closed standard error.
    pub fn closed() -> Self {
        Self {
            path: PathBuf::new(),
            kind: Kind::Closed,
            _directory: None,
        }
    }

    /// The command to start instead of `program` with `arguments`, so that its standard error goes here.
    pub fn command(&self, program: &Path, arguments: &[&str]) -> (&'static str, Vec<String>) {
        let to = match self.kind {
            Kind::Closed => "&-".to_owned(),
            _ => format!(">'{}'", self.path.display()),
        };
        let script = format!("exec \"$0\" \"$@\" 2>{to}");
        let program = program.to_str().expect("a path in UTF-8");
        let words = ["-c", &script, program]
            .into_iter()
            .chain(arguments.iter().copied());
        ("/bin/sh", words.map(str::to_owned).collect())
    }

    /// Makes the reader leave, or closes the terminal.
    pub fn lose(&self) {
        self.reader().end = None;
    }

    /// Lets the reader of a pipe return.
    pub fn come_back(&self) {
        self.reader().end = Some(readable(&self.path));
    }

    /// Stops the reader from reading, and fills the buffer between it and the program.
    pub fn stand_still(&self) {
        self.reader().stands_still = true;
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

    /// The text read so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.reader().text).into_owned()
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        let Kind::Read(reader) = &self.kind else {
            panic!("nobody reads {}", self.path.display())
        };
        locked(reader)
    }
}

fn locked(reader: &Mutex<Reader>) -> MutexGuard<'_, Reader> {
    reader.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads until the place is dropped.
fn read(end: File) -> Kind {
    let reader = Arc::new(Mutex::new(Reader {
        end: Some(end),
        stands_still: false,
        text: Vec::new(),
    }));
    let reading = Arc::downgrade(&reader);
    thread::spawn(move || {
        while let Some(reader) = Weak::upgrade(&reading) {
            locked(&reader).look();
            drop(reader);
            thread::sleep(LOOK);
        }
    });
    Kind::Read(reader)
}

impl Reader {
    fn look(&mut self) {
        let Some(end) = self.end.as_mut().filter(|_| !self.stands_still) else {
            return;
        };
        // This returns an error if there is nothing more to read for now.
        let _for_now = end.read_to_end(&mut self.text);
    }
}

/// Opens the pipe for reading without waiting for a writer.
fn readable(pipe: &Path) -> File {
    let opened = nonblocking().read(true).open(pipe);
    opened.expect("the pipe can be read")
}

fn nonblocking() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    options
}
