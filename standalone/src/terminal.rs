//! Output for the user on standard output.

use std::fmt::Display;
use std::io::{self, Write as _};

use service_kit::telemetry;

/// Prints a line while the services work, without waiting for the reader.
pub(crate) fn say(line: impl Display) {
    telemetry::say(format_args!("{line}\n"));
}

/// Prints a line for a reader that may be slow, such as `less`.
pub(crate) fn print(line: impl Display) {
    let _gone = writeln!(io::stdout().lock(), "{line}");
}

/// Returns the text with each line indented.
pub(crate) fn indented(text: &str, by: usize) -> String {
    let margin = " ".repeat(by);
    text.lines()
        .map(|line| format!("{margin}{line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Escapes everything that a terminal would interpret. The text is not in quotes, so quotes stay unchanged.
pub(crate) fn plain(text: &str) -> String {
    text.escape_debug()
        .to_string()
        .replace(r"\'", "'")
        .replace(r#"\""#, "\"")
}

/// Quotes a word for a POSIX shell, if necessary.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:=,+@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_terminal_interprets_is_escaped() {
        assert_eq!(plain(r#"it's "a" token"#), r#"it's "a" token"#);
        assert_eq!(plain("a\u{1b}[2J\n"), r"a\u{1b}[2J\n");
        assert_eq!(plain(r"back\'slash"), r"back\\'slash");
    }

    #[test]
    fn words_are_quoted_if_a_shell_would_interpret_them() {
        assert_eq!(quoted("/usr/bin/a-b.c"), "/usr/bin/a-b.c");
        assert_eq!(quoted("my file"), "'my file'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("http://h/?a=b&c=d"), "'http://h/?a=b&c=d'");
        assert_eq!(quoted(""), "''");
    }
}
