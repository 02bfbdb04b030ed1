//! The parts after the authority: path, query and fragment (behaviour 1.8).

use super::user_info::CASE_VARIANTS;

/// Returns whether the path is valid. Percent signs are not checked.
pub(super) fn is_valid_path(path: &str) -> bool {
    path.chars().all(|c| {
        c.is_ascii_alphanumeric()
            || "/-._~!$&'()*+,;=:@%".contains(c)
            || matches!(c, '\u{A0}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFEF}')
            || matches!(c, '\u{1F300}'..='\u{1F64F}')
    })
}

/// Returns whether the query is valid: every field between `&` has a `=`, and if one of them has a value, every piece
/// between `;` has a `=` as well.
pub(super) fn is_valid_query(query: &str) -> bool {
    if query.is_empty() {
        return true;
    }
    let fields = |separator| query.split(separator).map(|field| field.split_once('='));
    let are_complete = |separator| fields(separator).all(|field| field.is_some());
    let has_a_value = || fields('&').any(|field| field.is_some_and(|(_, value)| !value.is_empty()));
    are_complete('&') && (!has_a_value() || are_complete(';'))
}

pub(super) fn is_valid_fragment(fragment: &str) -> bool {
    fragment.chars().all(|c| {
        c.is_ascii_alphanumeric() || "?/:@-._~%!$&'()*+,;=#".contains(c) || CASE_VARIANTS.contains(&c)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert!(is_valid_path("/a/%zz;x=1,@é中\u{1F600}"));
        for bad in ["/a b", "/\\", "/[", "/\"", "/\u{1F680}", "/\u{E000}"] {
            assert!(!is_valid_path(bad), "{bad}");
        }
    }

    #[test]
    fn queries() {
        for good in ["", "a=", "a=1", "=", "a=1&b=", "a=1;b=2", ";a=", "a=\u{0}\"é"] {
            assert!(is_valid_query(good), "{good:?}");
        }
        for bad in ["a", "a=b&", "&&", "a=b;c", "a=;b", "a=1;"] {
            assert!(!is_valid_query(bad), "{bad:?}");
        }
    }

    #[test]
    fn fragments() {
        assert!(is_valid_fragment("a/b?c#d\u{212A}"));
        for bad in ["é", "[", "\"", "^"] {
            assert!(!is_valid_fragment(bad), "{bad}");
        }
    }
}
