//! Files stay short. A long file has a second subject in it, or a reason.

use super::workspace::{roots, sources};

/// The maximum number of lines in a file without a reason.
const LIMIT: usize = 300;

/// The start of the reason, in the first lines of a file.
const REASON: &str = "//! Over 300 lines: ";

#[test]
fn long_files_give_a_reason() {
    let mut long = Vec::new();
    let mut folders: Vec<String> = roots().iter().map(|root| folder(root)).collect();
    folders.dedup();
    for folder in folders {
        for (path, text) in sources(&folder) {
            let lines = text.lines().count();
            if lines > LIMIT && !gives_a_reason(&text) {
                long.push(format!("{path}: {lines} lines"));
            }
        }
    }
    assert!(
        long.is_empty(),
        "split these files by what they are about, or give the reason as `{REASON}…`:\n{}",
        long.join("\n")
    );
}

fn folder(root: &str) -> String {
    let (package, _) = root.split_once("/src/").expect("a root is in a src");
    format!("{package}/src")
}

/// Whether the text gives a reason at the beginning of the file.
fn gives_a_reason(text: &str) -> bool {
    let mut head = text.lines().take_while(|line| line.starts_with("//!"));
    head.any(|line| {
        line.strip_prefix(REASON)
            .is_some_and(|reason| !reason.trim().is_empty())
    })
}

#[test]
fn a_reason_stands_at_the_beginning() {
    assert!(gives_a_reason(
        "//! A table.\n//!\n//! Over 300 lines: it is one table.\n\nconst A: u8 = 1;\n"
    ));
    for without in [
        "//! Over 300 lines: \n",
        "//! A table.\n\n//! Over 300 lines: it is one table.\n",
        "// Over 300 lines: it is one table.\n",
    ] {
        assert!(!gives_a_reason(without), "{without}");
    }
}
