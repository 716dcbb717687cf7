//! Spans of time for people. Pure.

use jiff::Timestamp;

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
    fn spans_are_as_exact_as_they_are_short() {
        assert_eq!((span(at(0), at(5)), span(at(0), at(125))), ("5.0 s".to_owned(), "2:05 min".to_owned()));
        assert_eq!((latency(7), latency(1_320)), ("7 ms".to_owned(), "1.3 s".to_owned()));
    }
}
