//! Days, weeks and months by UTC.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Error, TimeRange, Timestamp};

/// A stretch of the calendar that comes again and again, by UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From midnight on.
    Day,
    /// From Monday on, as ISO 8601 has it.
    Week,
    /// From the first on.
    Month,
}

impl Period {
    /// Every one, the shortest first.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The day, week or month in which `at` lies; cut at the ends of what a [`Timestamp`] can tell.
    pub fn containing(self, at: Timestamp) -> TimeRange {
        let day = DateTime::<Utc>::from_timestamp_nanos(at.as_nanos()).date_naive();
        let (first, next) = match self {
            Self::Day => (Some(day), day.checked_add_days(Days::new(1))),
            Self::Week => {
                let monday = day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into()));
                (monday, monday.and_then(|monday| monday.checked_add_days(Days::new(7))))
            }
            Self::Month => {
                let first = day.with_day(1);
                (first, first.and_then(|first| first.checked_add_months(Months::new(1))))
            }
        };
        let from = first.and_then(midnight).unwrap_or(Timestamp::MIN);
        let to = next.and_then(midnight).unwrap_or(Timestamp::MAX);
        TimeRange::new(from, to).unwrap_or(TimeRange::ALL)
    }
}

fn midnight(day: NaiveDate) -> Option<Timestamp> {
    day.and_time(NaiveTime::MIN).and_utc().timestamp_nanos_opt().map(Timestamp::from_nanos)
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Period {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|period| period.as_str() == text).ok_or_else(|| Error::period(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(period: Period, at: &str, from: &str, to: &str) {
        let found = period.containing(at.parse().unwrap());
        assert_eq!(
            (found.from().to_string(), found.to().to_string()),
            (from.to_owned(), to.to_owned()),
            "{period} {at}"
        );
    }

    /// 2026-01-05 and 2024-02-26 are Mondays.
    #[test]
    fn periods_begin_as_the_calendar_says() {
        check(Period::Day, "2026-01-05T23:59:59.999Z", "2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z");
        check(Period::Day, "2026-01-05T00:30:00+01:00", "2026-01-04T00:00:00Z", "2026-01-05T00:00:00Z");
        check(Period::Week, "2026-01-05T00:00:00Z", "2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z");
        check(Period::Week, "2026-01-04T23:00:00Z", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z");
        check(Period::Month, "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z");
        check(Period::Month, "2025-12-31T12:00:00Z", "2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z");
        check(Period::Week, "1969-12-31T00:00:00Z", "1969-12-29T00:00:00Z", "1970-01-05T00:00:00Z");
    }

    #[test]
    fn the_ends_of_time_are_in_a_period_too() {
        for period in Period::ALL {
            for at in [Timestamp::MIN, Timestamp::MAX] {
                let range = period.containing(at);
                assert!(range.from() <= at && at <= range.to(), "{period}");
            }
            assert_eq!(period.as_str().parse::<Period>().unwrap(), period);
        }
        assert!("year".parse::<Period>().is_err());
    }
}
