//! A time with or without an offset, as in ISO 8601 texts and Python's `datetime`.

use std::fmt;

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp, civil};

/// A point in time as the sender wrote it: local date and time, and the offset from UTC if it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsoTime {
    pub(crate) civil: civil::DateTime,
    /// Microseconds east of UTC.
    pub(crate) offset: Option<i64>,
}

impl IsoTime {
    /// Returns whether the sender gave no offset. Celery then reads the time as UTC.
    pub fn is_naive(&self) -> bool {
        self.offset.is_none()
    }

    /// Returns the instant. A time without an offset is UTC. The last day of the year 9999 is limited to the maximum of
    /// [`Timestamp`].
    pub fn timestamp(&self) -> Timestamp {
        let utc = self.utc().and_then(|utc| Offset::UTC.to_timestamp(utc).ok());
        utc.unwrap_or(if self.civil.year() > 5000 {
            Timestamp::MAX
        } else {
            Timestamp::MIN
        })
    }

    /// Returns whether Python's `datetime` can represent the time in UTC: year 1 to 9999.
    pub(crate) fn is_in_range(&self) -> bool {
        self.utc().is_some_and(|utc| utc.year() >= 1)
    }

    fn utc(&self) -> Option<civil::DateTime> {
        self.civil
            .checked_sub(SignedDuration::from_micros(self.offset.unwrap_or(0)))
            .ok()
    }

    /// Returns the same time, with offset zero if it had none.
    #[must_use]
    pub fn or_utc(self) -> IsoTime {
        IsoTime {
            offset: Some(self.offset.unwrap_or(0)),
            ..self
        }
    }

    /// Python's `isoformat()`: microseconds are left out if they are 0; the offset is written as `+05:30`.
    pub fn isoformat(&self) -> String {
        self.format('T')
    }

    pub(crate) fn format(&self, separator: char) -> String {
        format!(
            "{}{separator}{}",
            isoformat_date(self.civil.date()),
            isoformat_time(self.civil.time(), self.offset)
        )
    }
}

/// Converts to UTC, truncated to microseconds as in Python's `datetime`.
impl From<Timestamp> for IsoTime {
    fn from(at: Timestamp) -> IsoTime {
        let civil = Offset::UTC.to_datetime(at);
        let nanosecond = civil.subsec_nanosecond();
        let civil = civil
            .with()
            .subsec_nanosecond(nanosecond - nanosecond % 1000)
            .build()
            .unwrap_or(civil);
        IsoTime {
            civil,
            offset: Some(0),
        }
    }
}

/// Formats as [`IsoTime::isoformat`] does.
impl fmt::Display for IsoTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.isoformat())
    }
}

pub(crate) fn isoformat_date(date: civil::Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
}

pub(crate) fn isoformat_time(time: civil::Time, offset: Option<i64>) -> String {
    let fraction = match time.subsec_nanosecond() / 1000 {
        0 => String::new(),
        microsecond => format!(".{microsecond:06}"),
    };
    let zone = offset.map(isoformat_offset).unwrap_or_default();
    format!(
        "{:02}:{:02}:{:02}{fraction}{zone}",
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// Formats `+05:30`; seconds and microseconds are written only if they are not 0.
fn isoformat_offset(offset: i64) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let (seconds, microseconds) = (
        offset.unsigned_abs() / 1_000_000,
        offset.unsigned_abs() % 1_000_000,
    );
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (seconds, microseconds) {
        (0, 0) => format!("{sign}{hours:02}:{minutes:02}"),
        (_, 0) => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}.{microseconds:06}"),
    }
}
