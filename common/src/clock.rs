//! Times as a person reads them: localtime_r(3).

use std::mem;
use std::time::SystemTime;

/// A time in seconds since 1970 as the local clock shows it, such as `14:05:09`, with the date before it
/// if that is not today's: `2026-11-24 14:05:09`.
#[must_use]
pub fn local_time(seconds: i64) -> String {
    let (Some(then), Some(now)) = (broken_down(seconds), broken_down(now())) else {
        return format!("{seconds} s since 1970");
    };
    let time = format!("{:02}:{:02}:{:02}", then.tm_hour, then.tm_min, then.tm_sec);
    // `tm_year` counts from 1900 and may be the largest number that an int has.
    let date = |it: libc::tm| (i64::from(it.tm_year) + 1900, it.tm_mon + 1, it.tm_mday);
    if date(then) == date(now) {
        return time;
    }
    let (year, month, day) = date(then);
    format!("{year:04}-{month:02}-{day:02} {time}")
}

/// The seconds since 1970 now.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |it| i64::try_from(it.as_secs()).unwrap_or(i64::MAX))
}

/// C's `struct tm`; `None` for a year that it can't hold.
fn broken_down(seconds: i64) -> Option<libc::tm> {
    let seconds = libc::time_t::try_from(seconds).ok()?;
    // SAFETY: all fields of `tm` are numbers, and a pointer to a name, for which null is valid.
    let mut time: libc::tm = unsafe { mem::zeroed() };
    // SAFETY: both pointers are to values that outlive the call. The C library also reads the
    // environment (TZ). Changing that while others read it is what std forbids: since the edition of 2024
    // by `unsafe`, in older ones by the words of `std::env::set_var`. `CommandExt::exec` does it for a moment
    // nevertheless, which std alone has to answer for: two calls of it at once undo each other's.
    let filled = unsafe { libc::localtime_r(&raw const seconds, &raw mut time) };
    (!filled.is_null()).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_day_has_its_date() {
        let today = local_time(now());
        assert_eq!((today.len(), today.matches(':').count()), (8, 2), "{today}");
        let then = local_time(now() - 3 * 24 * 60 * 60);
        assert_eq!((then.len(), then.matches('-').count()), (19, 2), "{then}");
        // The last day of the last year that a `tm` holds, but for a day of time zones.
        let last = local_time(67_768_036_191_676_799 - 24 * 60 * 60);
        assert!(last.starts_with("2147485547-12-"), "{last}");
        assert!(now() > 1_700_000_000, "it is later than 2023");
        assert_eq!(local_time(i64::MAX), "9223372036854775807 s since 1970");
    }
}
