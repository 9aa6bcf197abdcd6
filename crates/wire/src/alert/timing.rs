//! When a message is sent: at once, collected in a digest, or after quiet hours. Pure: the caller gives the time.

use serde::{Deserialize, Serialize};

use crate::error::PlanError;

/// Longest digest, minutes: a day.
pub const MAX_DIGEST_MINUTES: u32 = 24 * 60;
/// Messages of one channel in an hour. Further alerts are collected for [`COLLECT_MINUTES`].
pub const MOST_PER_HOUR: u64 = 30;
/// Minutes for which alerts beyond [`MOST_PER_HOUR`] are collected in one message.
pub const COLLECT_MINUTES: u32 = 15;
const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 24 * 60;
/// Largest difference between a local time and UTC, minutes.
const MAX_OFFSET_MINUTES: i16 = 14 * 60;

/// Hours of each day in which nothing is sent. `from` may be later than `to`: from 22:00 to 7:00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// First minute of the local day, 0 to 1439.
    pub from: u16,
    /// First minute of the local day after them, 0 to 1439.
    pub to: u16,
    /// Local time minus UTC, minutes, -840 to 840. It does not follow daylight saving time.
    pub utc_offset_minutes: i16,
}

impl QuietHours {
    /// The end of the quiet hours that contain a time, ms since 1970; `None` outside of them.
    pub fn end_ms(&self, at_ms: i64) -> Option<i64> {
        let local = at_ms.div_euclid(MINUTE_MS) + i64::from(self.utc_offset_minutes);
        let since = (local - i64::from(self.from)).rem_euclid(DAY_MINUTES);
        let length = (i64::from(self.to) - i64::from(self.from)).rem_euclid(DAY_MINUTES);
        (since < length).then(|| (at_ms.div_euclid(MINUTE_MS) + length - since) * MINUTE_MS)
    }
}

/// When the messages of a channel are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// Alerts raised within this many minutes after the first are sent as one message, 0 to 1440; 0 sends each at once.
    pub digest_minutes: u32,
    /// Alerts in these hours are sent as one message at their end.
    pub quiet: Option<QuietHours>,
    /// Whether urgent alerts are sent at once all the same.
    pub urgent_at_once: bool,
}

impl Timing {
    /// When an alert is sent, ms since 1970; at the earliest now.
    pub fn due_ms(&self, now_ms: i64, is_urgent: bool) -> i64 {
        if is_urgent && self.urgent_at_once {
            return now_ms;
        }
        let due_ms = now_ms + i64::from(self.digest_minutes) * MINUTE_MS;
        self.quiet.and_then(|quiet| quiet.end_ms(due_ms)).unwrap_or(due_ms)
    }

    /// Why a message that was created and is due at these times, ms since 1970, waits; `None` if it does not, and if the timing was changed
    /// since.
    pub fn wait(&self, created_ms: i64, due_ms: i64) -> Option<Wait> {
        let digest_ms = created_ms + i64::from(self.digest_minutes) * MINUTE_MS;
        let collected_ms = created_ms + i64::from(COLLECT_MINUTES) * MINUTE_MS;
        let quiet = self.quiet.filter(|quiet| quiet.end_ms(digest_ms) == Some(due_ms));
        match quiet {
            Some(_) => Some(Wait::Quiet),
            None if self.digest_minutes > 0 && due_ms == digest_ms => Some(Wait::Digest),
            None => (due_ms == collected_ms).then_some(Wait::MostPerHour),
        }
    }

    /// # Errors
    /// A value outside its range; quiet hours that begin and end at the same minute.
    pub fn check(&self) -> Result<(), PlanError> {
        if self.digest_minutes > MAX_DIGEST_MINUTES {
            let message = format!("the digest interval is {} minutes", self.digest_minutes);
            return Err(
                PlanError::new("timing.digest_minutes", message).hint(format!("enter 0 to {MAX_DIGEST_MINUTES}"))
            );
        }
        let Some(QuietHours { from, to, utc_offset_minutes }) = self.quiet else { return Ok(()) };
        let is_minute = |minute: u16| i64::from(minute) < DAY_MINUTES;
        if !is_minute(from) || !is_minute(to) || from == to {
            let message = format!("the quiet hours begin at minute {from} and end at minute {to} of the day");
            return Err(PlanError::new("timing.quiet", message).hint("set two different minutes from 0 to 1439"));
        }
        if utc_offset_minutes.unsigned_abs() > MAX_OFFSET_MINUTES.unsigned_abs() {
            let message = format!("the local time differs from UTC by {utc_offset_minutes} minutes");
            return Err(PlanError::new("timing.quiet.utc_offset_minutes", message).hint("set -840 to 840"));
        }
        Ok(())
    }
}

/// Why a message is not sent at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It collects alerts.
    Digest,
    /// It waits for the end of the quiet hours.
    Quiet,
    /// Its channel has had [`MOST_PER_HOUR`] messages in an hour.
    MostPerHour,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 60 * MINUTE_MS;
    /// Midnight UTC of some day.
    const DAY: i64 = 20_000 * 24 * HOUR;

    fn quiet(from_hour: u16, to_hour: u16, offset: i16) -> QuietHours {
        QuietHours { from: from_hour * 60, to: to_hour * 60, utc_offset_minutes: offset }
    }

    #[test]
    fn quiet_hours_contain_their_first_minute_and_not_their_last_also_over_midnight() {
        let check = |quiet: QuietHours, at: i64, end: Option<i64>| {
            assert_eq!(quiet.end_ms(DAY + at), end.map(|end| DAY + end), "{quiet:?} at {at}")
        };
        let night = quiet(22, 7, 0);
        check(night, 22 * HOUR, Some(31 * HOUR));
        check(night, 22 * HOUR - 1, None);
        check(night, 3 * HOUR + 30_500, Some(7 * HOUR));
        check(night, 7 * HOUR - 1, Some(7 * HOUR));
        check(night, 7 * HOUR, None);
        let lunch = quiet(12, 13, 0);
        check(lunch, 12 * HOUR + 5, Some(13 * HOUR));
        check(lunch, 13 * HOUR, None);
    }

    #[test]
    fn quiet_hours_are_those_of_the_local_day() {
        // 22:00 in India is 16:30 UTC; 7:00 is 1:30 UTC.
        let night = quiet(22, 7, 330);
        assert_eq!(night.end_ms(DAY + 16 * HOUR + HOUR / 2), Some(DAY + 25 * HOUR + HOUR / 2));
        assert_eq!(night.end_ms(DAY + 16 * HOUR), None);
        assert_eq!(night.end_ms(-1), Some(HOUR + HOUR / 2), "before 1970 too");
        let west = quiet(22, 7, -480);
        assert_eq!(west.end_ms(DAY + 6 * HOUR), Some(DAY + 15 * HOUR));
        assert_eq!(west.end_ms(DAY + 5 * HOUR), None);
    }

    #[test]
    fn a_digest_that_would_end_in_quiet_hours_is_sent_at_their_end() {
        let timing = Timing { digest_minutes: 60, quiet: Some(quiet(22, 7, 0)), urgent_at_once: true };
        assert_eq!(timing.due_ms(DAY + 20 * HOUR, false), DAY + 21 * HOUR);
        assert_eq!(timing.due_ms(DAY + 21 * HOUR + 1, false), DAY + 31 * HOUR);
        assert_eq!(timing.due_ms(DAY + 6 * HOUR, false), DAY + 7 * HOUR);
        assert_eq!(timing.due_ms(DAY + 23 * HOUR, true), DAY + 23 * HOUR, "an urgent one does not wait");
        assert_eq!(Timing::default().due_ms(5, false), 5);
    }

    #[test]
    fn a_message_that_waits_says_why() {
        let timing = Timing { digest_minutes: 30, quiet: Some(quiet(22, 7, 0)), urgent_at_once: false };
        let check = |timing: Timing, created: i64, expected: Option<Wait>| {
            let (created_ms, due_ms) = (DAY + created, timing.due_ms(DAY + created, false));
            assert_eq!(timing.wait(created_ms, due_ms), expected, "{timing:?}, created at {created}");
        };
        check(timing, 20 * HOUR, Some(Wait::Digest));
        check(timing, 21 * HOUR + HOUR / 2, Some(Wait::Quiet));
        check(timing, 23 * HOUR, Some(Wait::Quiet));
        check(Timing { digest_minutes: 0, ..timing }, 12 * HOUR, None);
        let at_once = Timing::default();
        assert_eq!(at_once.wait(DAY, DAY + HOUR / 4), Some(Wait::MostPerHour));
        assert_eq!(at_once.wait(DAY, DAY + HOUR / 2), None, "the timing was changed since");
    }

    #[test]
    fn impossible_times_are_refused() {
        let check = |timing: Timing, field: Option<&str>| {
            assert_eq!(timing.check().err().map(|error| error.field).as_deref(), field, "{timing:?}")
        };
        let with = |quiet| Timing { quiet: Some(quiet), ..Timing::default() };
        check(Timing { digest_minutes: 1440, ..Timing::default() }, None);
        check(Timing { digest_minutes: 1441, ..Timing::default() }, Some("timing.digest_minutes"));
        check(with(quiet(22, 7, 840)), None);
        check(with(quiet(7, 7, 0)), Some("timing.quiet"));
        check(with(quiet(24, 7, 0)), Some("timing.quiet"));
        check(with(quiet(22, 7, i16::MIN)), Some("timing.quiet.utc_offset_minutes"));
    }
}
