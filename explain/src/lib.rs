#![doc = include_str!("../README.md")]

use std::error::Error;
use std::iter::successors;

/// Returns the error and its sources in one line, separated by `: `. A source whose text is already part of the text before
/// it is left out.
pub fn explain(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    let mut last = String::new();
    for error in successors(Some(error), |error| (*error).source()) {
        let text = error.to_string();
        if last.contains(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
        last = text;
    }
    line
}

/// Returns the text of the innermost source, or of the error itself if it has none.
pub fn root_cause(error: &(dyn Error + 'static)) -> String {
    successors(Some(error), |error| (*error).source())
        .last()
        .unwrap_or(error)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the door")]
    struct Door(#[source] Lock);

    #[derive(Debug, thiserror::Error)]
    #[error("the lock: {0}")]
    struct Lock(#[source] io::Error);

    #[test]
    fn every_cause_is_shown_once() {
        let stuck = Door(Lock(io::Error::other("it is stuck")));
        assert_eq!(explain(&stuck), "cannot open the door: the lock: it is stuck");
        let rusty = Lock(io::Error::other(Lock(io::Error::other("rust"))));
        assert_eq!(explain(&rusty), "the lock: the lock: rust");
        assert_eq!(root_cause(&stuck), "it is stuck");
    }
}
