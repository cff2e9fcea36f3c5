//! Points in time and ranges of it: UTC nanoseconds since 1970 in 64 bits, enough for the years 1678 to 2262.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// A point in time, in nanoseconds since 1970-01-01T00:00:00Z. Its text and serde form is RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest and the latest time that can be told.
    pub const MIN: Self = Self(i64::MIN);
    /// See [`Timestamp::MIN`].
    pub const MAX: Self = Self(i64::MAX);

    /// The present time by the system's clock.
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    /// The time this many nanoseconds after 1970.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The time this many seconds after 1970, at the edge of the range if beyond it.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since 1970.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// Later by `duration`, at the edge of the range if beyond it.
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// Earlier by `duration`, at the edge of the range if beyond it.
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::<Utc>::from_timestamp_nanos(self.0);
        f.pad(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        DateTime::parse_from_rfc3339(text)
            .ok()
            .and_then(|time| time.timestamp_nanos_opt())
            .map(Self)
            .ok_or_else(|| Error::time(text))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// From `from`, which belongs to it, to `to`, which does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    from: Timestamp,
    to: Timestamp,
}

impl TimeRange {
    /// All time.
    pub const ALL: Self = Self { from: Timestamp::MIN, to: Timestamp::MAX };

    /// The half-open range between two times.
    ///
    /// # Errors
    /// [`Error::Range`] when `to` is before `from`.
    pub fn new(from: Timestamp, to: Timestamp) -> Result<Self, Error> {
        if from <= to { Ok(Self { from, to }) } else { Err(Error::Range { from, to }) }
    }

    /// The first time in the range.
    pub fn from(&self) -> Timestamp {
        self.from
    }

    /// The first time after the range.
    pub fn to(&self) -> Timestamp {
        self.to
    }

    /// Whether `time` lies in the range.
    pub fn contains(&self, time: Timestamp) -> bool {
        self.from <= time && time < self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_instants() {
        // RFC 3339, section 5.8: the second example is 20:39:57.. UTC, seconds by `date -u -d`.
        let time: Timestamp = "1996-12-19T16:39:57-08:00".parse().unwrap();
        assert_eq!(time.as_secs(), 851_042_397);
        assert_eq!(time.to_string(), "1996-12-20T00:39:57Z");
        assert_eq!(Timestamp::from_nanos(-1).as_secs(), -1);
    }

    #[test]
    fn wrong_times_are_refused() {
        for text in ["", "yesterday", "2026-01-31", "2026-02-30T00:00:00Z", "9999-01-01T00:00:00Z"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_is_half_open() {
        let range = TimeRange::new(Timestamp::from_secs(1), Timestamp::from_secs(2)).unwrap();
        assert!(range.contains(Timestamp::from_secs(1)) && !range.contains(Timestamp::from_secs(2)));
        assert!(TimeRange::new(Timestamp::from_secs(2), Timestamp::from_secs(1)).is_err());
    }

    proptest! {
        #[test]
        fn every_time_survives_its_text(nanos: i64) {
            let time = Timestamp::from_nanos(nanos);
            prop_assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        }
    }
}
