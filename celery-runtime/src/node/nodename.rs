//! Node names (contract B.1).

/// Returns the node name that `celery worker -n` derives from its value on this host.
///
/// Without a value it is `celery@<host>`; a value without `@` is the host part; `%h` is the full host name, `%n`
/// its first label, `%d` the rest, `%i` is `0` and `%I` empty, as in a Celery parent process.
pub fn nodename(value: Option<&str>, hostname: &str) -> String {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return format!("celery@{hostname}");
    };
    let expanded = expand(value, hostname);
    match expanded.split_once('@') {
        None => format!("celery@{expanded}"),
        Some(("", host)) => format!("celery@{host}"),
        Some((name, "")) => format!("{name}@{hostname}"),
        Some(_) => expanded,
    }
}

fn expand(value: &str, hostname: &str) -> String {
    let (label, domain) = hostname.split_once('.').unwrap_or((hostname, ""));
    let mut out = String::with_capacity(value.len());
    let mut rest = value.chars();
    while let Some(character) = rest.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        match rest.next() {
            Some('h') => out.push_str(hostname),
            Some('n') => out.push_str(label),
            Some('d') => out.push_str(domain),
            Some('i') => out.push('0'),
            Some('I') => {}
            Some('%') | None => out.push('%'),
            Some(other) => out.extend(['%', other]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_equal_celerys() {
        let name = |value| nodename(value, "host.example.com");
        assert_eq!(name(None), "celery@host.example.com");
        assert_eq!(name(Some("foo")), "celery@foo");
        assert_eq!(name(Some("foo@bar")), "foo@bar");
        assert_eq!(name(Some("@bar")), "celery@bar");
        assert_eq!(name(Some("foo@%h")), "foo@host.example.com");
        assert_eq!(name(Some("foo@%n")), "foo@host");
        assert_eq!(name(Some("foo@%d")), "foo@example.com");
        assert_eq!(name(Some("%n@%h")), "host@host.example.com");
        assert_eq!(name(Some("w%i@%h")), "w0@host.example.com");
        assert_eq!(name(Some("a@b@c")), "a@b@c");
    }
}
