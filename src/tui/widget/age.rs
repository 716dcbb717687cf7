//! Spans of time for people. Pure.

use jiff::Timestamp;

/// How long ago: `now`, `3 s ago`, `4 min ago`, `2 h ago`, `3 d ago`.
pub fn text(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs();
    match seconds {
        ..=0 => "now".to_owned(),
        1..=59 => format!("{seconds} s ago"),
        60..=3_599 => format!("{} min ago", seconds / 60),
        3_600..=86_399 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// A stretch of time: `0.4 s`, `12 s`, `3:05 min`.
pub fn span(from: Timestamp, to: Timestamp) -> String {
    let milliseconds = to.duration_since(from).as_millis().max(0);
    match milliseconds {
        0..=9_999 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        10_000..=59_999 => format!("{} s", milliseconds / 1_000),
        _ => format!("{}:{:02} min", milliseconds / 60_000, milliseconds / 1_000 % 60),
    }
}

/// A latency: `7 ms`, `1.3 s`.
pub fn latency(milliseconds: u64) -> String {
    if milliseconds < 1_000 {
        format!("{milliseconds} ms")
    } else {
        format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100)
    }
}

/// One frame of a spinner. Characters that every terminal font has.
pub fn spinner(now: Timestamp) -> &'static str {
    const FRAMES: [&str; 4] = ["◐", "◓", "◑", "◒"];
    let at = usize::try_from(now.as_millisecond().rem_euclid(800) / 200).unwrap_or(0);
    FRAMES.get(at).copied().unwrap_or("◐")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn ages_are_short_and_a_clock_that_runs_back_shows_no_negative_age() {
        let texts: Vec<String> = [0, 3, 60, 7_200, 200_000].iter().map(|s| text(at(*s), at(0))).collect();
        assert_eq!(texts, ["now", "3 s ago", "1 min ago", "2 h ago", "2 d ago"]);
        assert_eq!(text(at(0), at(50)), "now");
        assert_eq!((span(at(0), at(5)), span(at(0), at(125))), ("5.0 s".to_owned(), "2:05 min".to_owned()));
        assert_eq!((latency(7), latency(1_320)), ("7 ms".to_owned(), "1.3 s".to_owned()));
    }
}
