//! Relative references, resolved as by Python's `urllib.parse.urljoin`.

use super::split::{Split, SplitError, split};

/// Schemes whose URLs have `//` even without an authority (`urllib.parse.uses_netloc`).
const WITH_AUTHORITY: [&str; 25] = [
    "ftp", "http", "gopher", "nntp", "telnet", "imap", "wais", "file", "mms", "https", "shttp", "snews",
    "prospero", "rtsp", "rtsps", "rtspu", "rsync", "svn", "svn+ssh", "sftp", "nfs", "git", "git+ssh", "ws",
    "wss",
];

/// Schemes whose paths end in parameters (`urllib.parse.uses_params`).
const WITH_PARAMETERS: [&str; 16] = [
    "", "ftp", "hdl", "prospero", "http", "imap", "https", "shttp", "rtsp", "rtsps", "rtspu", "sip", "sips",
    "mms", "sftp", "tel",
];

/// Resolves `reference` against `base`, an absolute http or https URL.
pub(super) fn join(base: &str, reference: &str) -> Result<String, SplitError> {
    if reference.is_empty() {
        return Ok(base.to_owned());
    }
    let (base, target) = (split(base)?, split(reference)?);
    if !target.scheme.is_empty() && target.scheme != base.scheme {
        return Ok(reference.to_owned());
    }
    let Split {
        scheme,
        authority: base_authority,
        path: base_path,
        query: base_query,
        ..
    } = base;
    let Split {
        authority,
        path,
        query,
        fragment,
        ..
    } = target;
    if !authority.is_empty() {
        return Ok(unsplit(&Split {
            path: without_empty_parameters(&scheme, path),
            scheme,
            authority,
            query,
            fragment,
        }));
    }
    let authority = base_authority;
    if path.is_empty() || path == ";" {
        let (path, query) = (base_path, if query.is_empty() { base_query } else { query });
        return Ok(unsplit(&Split {
            path: without_empty_parameters(&scheme, path),
            scheme,
            authority,
            query,
            fragment,
        }));
    }
    let path = resolved(without_parameters(base_path).0, path);
    Ok(unsplit(&Split {
        scheme,
        authority,
        path: &path,
        query,
        fragment,
    }))
}

/// Puts the parts together again (`urlunparse`). Delimiters of empty parts are dropped.
pub(super) fn unsplit(parts: &Split<'_>) -> String {
    let mut url = String::new();
    let has_authority = WITH_AUTHORITY.contains(&parts.scheme.as_str());
    if !parts.scheme.is_empty() {
        url.push_str(&parts.scheme);
        url.push(':');
    }
    if !parts.authority.is_empty() || has_authority && !parts.path.starts_with("//") {
        url.push_str("//");
        url.push_str(parts.authority);
        if !parts.path.is_empty() && !parts.path.starts_with('/') {
            url.push('/');
        }
    }
    url.push_str(parts.path);
    for (delimiter, part) in [('?', parts.query), ('#', parts.fragment)] {
        if !part.is_empty() {
            url.push(delimiter);
            url.push_str(part);
        }
    }
    url
}

/// Returns `path` without a `;` that begins empty parameters, which Python's `urlparse` drops.
pub(super) fn without_empty_parameters<'p>(scheme: &str, path: &'p str) -> &'p str {
    match without_parameters(path) {
        (path, Some("")) if WITH_PARAMETERS.contains(&scheme) => path,
        _ => path,
    }
}

/// Cuts off the parameters of a path, which begin at the first `;` of the last segment.
fn without_parameters(path: &str) -> (&str, Option<&str>) {
    let last_segment = path.rfind('/').unwrap_or(0);
    match path[last_segment..].find(';') {
        Some(at) => (&path[..last_segment + at], Some(&path[last_segment + at + 1..])),
        None => (path, None),
    }
}

fn resolved(base_path: &str, path: &str) -> String {
    let (path, parameters) = without_parameters(path);
    let segments: Vec<&str> = if path.starts_with('/') {
        path.split('/').collect()
    } else {
        let mut joined: Vec<&str> = base_path.split('/').collect();
        if joined.last().is_some_and(|last| !last.is_empty()) {
            joined.pop();
        }
        joined.extend(path.split('/'));
        let last = joined.len() - 1;
        let is_kept = |&(at, segment): &(usize, &str)| at == 0 || at == last || !segment.is_empty();
        joined
            .into_iter()
            .enumerate()
            .filter(is_kept)
            .map(|(_, segment)| segment)
            .collect()
    };
    let mut kept: Vec<&str> = Vec::with_capacity(segments.len());
    for segment in &segments {
        match *segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    if matches!(segments.last(), Some(&("." | ".."))) {
        kept.push("");
    }
    let mut path = kept.join("/");
    if path.is_empty() {
        path.push('/');
    }
    if let Some(parameters) = parameters.filter(|parameters| !parameters.is_empty()) {
        path.push(';');
        path.push_str(parameters);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_as_python_does() {
        for (reference, expected) in [
            ("", "http://a/b/c/d;p?q"),
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("?y", "http://a/b/c/d;p?y"),
            ("#s", "http://a/b/c/d;p?q#s"),
            (";x", "http://a/b/c/;x"),
            (";", "http://a/b/c/d;p?q"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("..", "http://a/b/"),
            ("../../../g", "http://a/g"),
            ("g//h", "http://a/b/c/g/h"),
            ("/g//h", "http://a/g//h"),
            ("http:g", "http://a/b/c/g"),
            ("https:///g", "https:///g"),
            ("http://x/../y", "http://x/../y"),
        ] {
            assert_eq!(
                join("http://a/b/c/d;p?q", reference).as_deref(),
                Ok(expected),
                "{reference}"
            );
        }
    }
}
