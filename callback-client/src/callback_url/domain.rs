//! Domain names (behaviour 1.7).

use super::idna2003;

/// Maximum length of a domain name in its ASCII form, without trailing dots.
const LONGEST: usize = 253;

/// Returns whether `host` is a domain: at least two labels, and a top label that ends with a letter.
pub(super) fn is_valid(host: &str) -> bool {
    let Some(ascii) = idna2003::to_ascii(host) else {
        return false;
    };
    let Some((labels, top)) = ascii.rsplit_once('.') else {
        return false;
    };
    ascii.len() <= LONGEST && labels.split('.').all(is_label) && is_top_label(top)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_top_label(label: &str) -> bool {
    label.len() >= 2 && is_label(label) && label.ends_with(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains() {
        for good in [
            "a.bc",
            "A.11a",
            "1.2.3.中",
            "a-b.c-d",
            "日本語。jp",
            "a․b.com",
            "straße.de",
        ] {
            assert!(is_valid(good), "{good}");
        }
        for bad in [
            "",
            "localhost",
            "a.b",
            "a.bc.",
            "a..bc",
            "a_b.cd",
            "-a.bc",
            "a-.bc",
            "a.b1",
            "1.2.3.4",
            "é",
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn labels_have_at_most_63_characters() {
        assert!(is_valid(&format!("{}.{}", "a".repeat(63), "b".repeat(63))));
        assert!(!is_valid(&format!("{}.com", "a".repeat(64))));
        assert!(!is_valid(&format!("a.{}", "b".repeat(64))));
    }
}
