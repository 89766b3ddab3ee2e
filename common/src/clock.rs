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
    let date = |it: libc::tm| (it.tm_year, it.tm_mon, it.tm_mday);
    if date(then) == date(now) {
        return time;
    }
    format!("{:04}-{:02}-{:02} {time}", then.tm_year + 1900, then.tm_mon + 1, then.tm_mday)
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
    // environment (TZ); changing that while others read it is unsafe in Rust, so nobody does.
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
        assert_eq!(local_time(i64::MAX), "9223372036854775807 s since 1970");
    }
}
