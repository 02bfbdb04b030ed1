//! The one path of this service: `/station/<station>/driver/<token>/acl`.

use service_kit::http::Segment;
use uuid::Uuid;

/// The parts of the path that access lines may show: everything but the token.
pub const ACCESS_LOG_PATH: &[Segment] = &[
    Segment::Word("station"),
    Segment::If(|segment| station(segment).is_some()),
    Segment::Word("driver"),
    Segment::Masked,
    Segment::Word("acl"),
];

/// A driver and a station, between which there may be a permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Permission {
    pub(crate) station: Uuid,
    pub(crate) token: String,
}

/// Reads decoded path segments. A station is hexadecimal 8-4-4-4-12, in upper or lower case and of any UUID version;
/// a token is any text (behaviour 6).
pub(crate) fn permission(segments: &[&str]) -> Option<Permission> {
    let ["station", station, "driver", token, "acl"] = segments else {
        return None;
    };
    if token.is_empty() {
        return None;
    }
    Some(Permission {
        station: self::station(station)?,
        token: (*token).to_owned(),
    })
}

fn station(segment: &str) -> Option<Uuid> {
    // Of the four notations that `Uuid` reads, only the hyphenated one has this length.
    let hyphenated = segment.len() == uuid::fmt::Hyphenated::LENGTH;
    hyphenated.then(|| Uuid::try_parse(segment).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(station: &str) -> Option<Permission> {
        permission(&["station", station, "driver", "token", "acl"])
    }

    #[test]
    fn a_station_is_hyphenated_in_any_case() {
        let lower = at("a0b1c2d3-e4f5-4678-9abc-def012345678").unwrap();
        assert_eq!(at("A0B1C2D3-E4F5-4678-9abc-def012345678"), Some(lower));
        assert!(at("00000000-0000-0000-0000-000000000000").is_some());
        for none in [
            "",
            "x",
            "a0b1c2d3e4f546789abcdef012345678",
            "{a0b1c2d3-e4f5-4678-9abc-def012345678}",
            "urn:uuid:a0b1c2d3-e4f5-4678-9abc-def012345678",
            "a0b1c2d-3e4f5-4678-9abc-def012345678",
            "a0b1c2d3-e4f5-4678-9abc-def01234567",
            "a0b1c2d3-e4f5-4678-9abc-def01234567é",
        ] {
            assert_eq!(at(none), None, "{none}");
        }
    }

    #[test]
    fn a_token_is_any_text_but_none() {
        let station = "a0b1c2d3-e4f5-4678-9abc-def012345678";
        assert_eq!(permission(&["station", station, "driver", "", "acl"]), None);
        assert_eq!(
            permission(&["station", station, "driver", "..", "acl"])
                .unwrap()
                .token,
            ".."
        );
        assert_eq!(permission(&["station", station, "driver", "t", "ACL"]), None);
        assert_eq!(permission(&["station", station, "driver", "t", "acl", ""]), None);
    }
}
