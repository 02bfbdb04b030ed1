//! Standard error, opened so that a write to a terminal that stands still can give up.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Stderr, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::OFlags;

/// A blocking write to a terminal waits for its last byte, even if the terminal was ready for the first. So a terminal
/// is opened again, non-blocking: to set that on what was inherited would set it for the shell and others as well.
/// Everything else takes as much as it says, or must keep its place in the file.
#[derive(Debug)]
pub enum StandardError {
    /// A terminal.
    Terminal(File),
    /// A pipe, a socket, a file.
    Inherited(Stderr),
}

impl StandardError {
    pub(super) fn open() -> Self {
        let inherited = io::stderr();
        if !inherited.is_terminal() {
            return Self::Inherited(inherited);
        }
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
        let terminal = OpenOptions::new()
            .write(true)
            .custom_flags(flags.cast_signed())
            .open("/dev/stderr");
        terminal.map_or(Self::Inherited(inherited), Self::Terminal)
    }
}

impl AsFd for StandardError {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Terminal(file) => file.as_fd(),
            Self::Inherited(stderr) => stderr.as_fd(),
        }
    }
}

impl Write for &StandardError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            StandardError::Terminal(file) => (&mut &*file).write(bytes),
            StandardError::Inherited(stderr) => stderr.lock().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
