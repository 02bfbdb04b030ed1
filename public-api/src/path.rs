//! The one path of this service: `/station/<station>/driver/<token>/authorize`.

use service_kit::http::Segment;
use uuid::Uuid;

/// The parts of the path that access lines may show: everything but the token.
pub const ACCESS_LOG_PATH: &[Segment] = &[
    Segment::Word("station"),
    Segment::If(|segment| station(segment).is_some()),
    Segment::Word("driver"),
    Segment::Masked,
    Segment::Word("authorize"),
];

/// A driver who wants to charge, and the station.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Driver {
    pub(crate) station: Uuid,
    pub(crate) token: String,
}

/// Reads decoded path segments. A station is hexadecimal 8-4-4-4-12, in upper or lower case and of any UUID version;
/// a token is any text (behaviour 6).
pub(crate) fn driver(segments: &[&str]) -> Option<Driver> {
    let ["station", station, "driver", token, "authorize"] = segments else {
        return None;
    };
    if token.is_empty() {
        return None;
    }
    Some(Driver {
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

    #[test]
    fn a_path_names_a_station_and_a_token() {
        let station = "A0B1C2D3-e4f5-4678-9abc-def012345678";
        let found = driver(&["station", station, "driver", "..", "authorize"]).unwrap();
        assert_eq!(found.station.to_string(), station.to_lowercase());
        assert_eq!(found.token, "..");
        assert_eq!(driver(&["station", station, "driver", "", "authorize"]), None);
        assert_eq!(
            driver(&["station", station, "driver", "t", "authorize", ""]),
            None
        );
        assert_eq!(driver(&["station", station, "driver", "t", "acl"]), None);
        for none in [
            "a0b1c2d3e4f546789abcdef012345678",
            "a0b1c2d3-e4f5-4678-9abc-def01234567é",
            "x",
            "",
        ] {
            assert_eq!(
                driver(&["station", none, "driver", "t", "authorize"]),
                None,
                "{none}"
            );
        }
    }
}
