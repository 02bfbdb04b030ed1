//! The date of an ISO 8601 text (`dateutil/parser/isoparser.py`).

use jiff::civil;

use super::digits::{int, slice};
use super::error::IsoError;

/// Year, month and day, not yet checked.
pub(super) type Date = [i32; 3];

/// Reads `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or `YYYYMMDD`. Also returns the number of bytes read.
pub(super) fn common(bytes: &[u8]) -> Result<(Date, usize), IsoError> {
    if bytes.len() < 4 {
        return Err(IsoError::new("ISO string too short"));
    }
    let year = int(slice(bytes, 0, 4))?;
    if bytes.len() == 4 {
        return Ok(([year, 1, 1], 4));
    }
    let has_separator = bytes.get(4) == Some(&b'-');
    let mut pos = 4 + usize::from(has_separator);
    if bytes.len() < pos + 2 {
        return Err(IsoError::new("Invalid common month"));
    }
    let month = int(slice(bytes, pos, pos + 2))?;
    pos += 2;
    if pos >= bytes.len() {
        return if has_separator {
            Ok(([year, month, 1], pos))
        } else {
            Err(IsoError::new("Invalid ISO format"))
        };
    }
    if has_separator {
        if bytes.get(pos) != Some(&b'-') {
            return Err(IsoError::new("Invalid separator in ISO string"));
        }
        pos += 1;
    }
    if bytes.len() < pos + 2 {
        return Err(IsoError::new("Invalid common day"));
    }
    Ok(([year, month, int(slice(bytes, pos, pos + 2))?], pos + 2))
}

/// Reads `YYYY-Www`, `YYYYWww`, `YYYY-Www-D`, `YYYYWwwD`, `YYYY-DDD` or `YYYYDDD`.
pub(super) fn uncommon(bytes: &[u8]) -> Result<(Date, usize), IsoError> {
    if bytes.len() < 4 {
        return Err(IsoError::new("ISO string too short"));
    }
    let year = int(slice(bytes, 0, 4))?;
    let has_separator = bytes.get(4) == Some(&b'-');
    let mut pos = 4 + usize::from(has_separator);
    let first_day = |year: i32, day: i8| -> Result<civil::Date, IsoError> {
        i16::try_from(year)
            .ok()
            .filter(|year| (1..=9999).contains(year))
            .and_then(|year| civil::Date::new(year, 1, day).ok())
            .ok_or_else(|| IsoError::new(format!("year {year} is out of range")))
    };
    let date = if bytes.get(pos) == Some(&b'W') {
        pos += 1;
        let week = int(slice(bytes, pos, pos + 2))?;
        pos += 2;
        let mut day = 1;
        if bytes.len() > pos {
            if (bytes.get(pos) == Some(&b'-')) != has_separator {
                return Err(IsoError::new("Inconsistent use of dash separator"));
            }
            pos += usize::from(has_separator);
            day = int(slice(bytes, pos, pos + 1))?;
            pos += 1;
        }
        if !(1..54).contains(&week) {
            return Err(IsoError::new(format!("Invalid week: {week}")));
        }
        if !(1..8).contains(&day) {
            return Err(IsoError::new(format!("Invalid weekday: {day}")));
        }
        let jan_4 = first_day(year, 4)?;
        let to_monday = i32::from(jan_4.weekday().to_monday_zero_offset());
        jan_4.checked_add(jiff::Span::new().days((week - 1) * 7 + (day - 1) - to_monday))
    } else {
        if bytes.len() < pos + 3 {
            return Err(IsoError::new("Invalid ordinal day"));
        }
        let ordinal = int(slice(bytes, pos, pos + 3))?;
        pos += 3;
        let days = if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) {
            366
        } else {
            365
        };
        if !(1..=days).contains(&ordinal) {
            return Err(IsoError::new(format!(
                "Invalid ordinal day {ordinal} for year {year}"
            )));
        }
        first_day(year, 1)?.checked_add(jiff::Span::new().days(ordinal - 1))
    };
    let date = date
        .ok()
        .filter(|date| (1..=9999).contains(&date.year()))
        .ok_or_else(|| IsoError::new("date value out of range"))?;
    Ok(([date.year().into(), date.month().into(), date.day().into()], pos))
}
