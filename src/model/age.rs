//! How old what is shown is, in the same words wherever it is told. Pure.

use jiff::Timestamp;

/// `42 s`, `90 min`, `36 h`, `3 days`: small enough to read at once, and never coarser than by half. A clock that ran back
/// gives `0 s`.
pub fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// As a sentence says it: `now`, `42 s ago`.
pub fn ago(now: Timestamp, then: Timestamp) -> String {
    if now.duration_since(then).as_secs() <= 0 {
        return "now".to_owned();
    }
    format!("{} ago", age(now, then))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn ages_are_short_and_a_clock_that_runs_back_shows_no_negative_age() {
        let texts: Vec<String> = [0, 3, 119, 5_400, 129_600, 200_000].iter().map(|s| ago(at(*s), at(0))).collect();
        assert_eq!(texts, ["now", "3 s ago", "119 s ago", "90 min ago", "36 h ago", "2 days ago"]);
        assert_eq!((ago(at(0), at(50)), age(at(0), at(50))), ("now".to_owned(), "0 s".to_owned()));
    }
}
