//! Rust source as words and signs, without comments and literals.

/// Splits source into words, `::` and single signs.
pub(super) fn tokens(source: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        if let Some(length) = skipped(rest) {
            rest = rest.get(length..).unwrap_or_default();
            continue;
        }
        let length = if rest.starts_with("::") {
            2
        } else if is_in_word(first) {
            rest.find(|c| !is_in_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after;
    }
    tokens
}

/// Whether a token is a word, rather than a sign.
pub(super) fn is_word(token: &str) -> bool {
    token.starts_with(is_in_word)
}

fn is_in_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The length of the white space, comment or literal at the beginning, if there is one.
fn skipped(source: &str) -> Option<usize> {
    if source.starts_with(char::is_whitespace) {
        return Some(source.len() - source.trim_start().len());
    }
    if source.starts_with("//") {
        return Some(source.find('\n').unwrap_or(source.len()));
    }
    if source.starts_with("/*") {
        return Some(block_comment(source));
    }
    literal(source)
}

/// The length of a block comment. Block comments nest.
fn block_comment(source: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a literal: a string, a byte string or a character, raw or not. A lifetime is not a literal.
fn literal(source: &str) -> Option<usize> {
    let prefix = source.find(|c| !matches!(c, 'b' | 'c' | 'r'))?;
    let (letters, quoted) = source.split_at(prefix);
    if prefix > 2 {
        return None;
    }
    if letters.ends_with('r') {
        let hashes = quoted.len() - quoted.trim_start_matches('#').len();
        let inside = quoted.trim_start_matches('#').strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let length = inside.find(&end)? + end.len();
        return Some(prefix + hashes + 1 + length);
    }
    if let Some(inside) = quoted.strip_prefix('"') {
        return Some(prefix + 1 + up_to_closing(inside, '"'));
    }
    let inside = quoted.strip_prefix('\'')?;
    if inside.starts_with('\\') {
        return Some(prefix + 1 + up_to_closing(inside, '\''));
    }
    let character = inside.chars().next()?.len_utf8();
    let is_closed = inside.get(character..)?.starts_with('\'');
    is_closed.then_some(prefix + 1 + character + 1)
}

/// The length up to and including the closing quote.
fn up_to_closing(inside: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    inside.len()
}

#[test]
fn comments_and_literals_are_left_out() {
    let source = r##"
        use a::b; // use c::d;
        /* use e::f; /* nested */ use g::h; */
        let texts = ["use i::j; \" use k::l", r#"use "m::n"#, b"o::p", 'q', '\'', b'r'];
        fn r#type<'life>(bright: &'life str) {}
    "##;
    let expected = "use a :: b ; let texts = [ , , , , , ] ; \
                    fn r # type < ' life > ( bright : & ' life str ) { }";
    assert_eq!(tokens(source).join(" "), expected);
}
