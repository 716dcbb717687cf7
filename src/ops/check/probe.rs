//! The command that an instance runs to learn its own address, and how its output is read. Pure.

use std::net::IpAddr;

/// Asked first. The article's service.
pub const FIRST: &str = "https://api.ipify.org";
/// Decides when the first one is down: run by AWS itself.
pub const SECOND: &str = "https://checkip.amazonaws.com";

/// The script. POSIX shell and curl, nothing else, and it changes nothing. Each service gets one line: the URL, curl's
/// exit code, the address if there is one, and the seconds until the name was resolved, the connection was made, and
/// all was done: zero for what never came to pass.
pub fn script() -> String {
    script_for(&[FIRST, SECOND])
}

/// The same for other URLs, until one answers.
pub fn script_for(urls: &[&str]) -> String {
    let urls = urls.join(" ");
    format!(
        "for url in {urls}; do\n  \
         answer=$(curl -sS --max-time 8 -w ' %{{time_namelookup}} %{{time_connect}} %{{time_total}}' \"$url\" 2>&1)\n  \
         code=$?\n  \
         echo \"natdeck $url $code\" $answer\n  \
         [ $code -eq 0 ] && exit 0\n\
         done\n\
         exit $code\n"
    )
}

/// What one service gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    pub url: String,
    /// curl's: 0 fine, 6 no such name, 7 refused, 28 timed out.
    pub exit_code: i32,
    pub address: Option<IpAddr>,
    pub latency_ms: Option<u64>,
    /// The name was resolved. `None`: not told.
    pub resolved: Option<bool>,
    /// The connection was made. `None`: not told.
    pub connected: Option<bool>,
    /// What curl said, when it failed.
    pub message: String,
}

impl From<Attempt> for crate::reach::Probe {
    fn from(attempt: Attempt) -> Self {
        let message = if attempt.exit_code == 0 { String::new() } else { attempt.explain() };
        Self {
            url: attempt.url,
            exit_code: attempt.exit_code,
            address: attempt.address,
            resolved: attempt.resolved,
            connected: attempt.connected,
            latency_ms: attempt.latency_ms,
            message,
        }
    }
}

impl Attempt {
    /// For people: what curl's exit code means.
    pub fn explain(&self) -> String {
        let host = self.url.trim_start_matches("https://");
        match self.exit_code {
            0 if self.address.is_none() => format!("{host} answered with something that is not an address"),
            0 => format!("{host} answered"),
            6 => format!("the name {host} does not resolve (curl 6)"),
            7 => format!("the connection to {host} was refused (curl 7)"),
            28 => format!("no answer from {host} (curl 28, timed out)"),
            127 => "curl is not installed on the instance".to_owned(),
            code => format!("curl {code} from {host}: {}", self.message),
        }
    }
}

/// Reads the script's output. Lines that are not ours are ignored.
pub fn parse(stdout: &str) -> Vec<Attempt> {
    stdout.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Attempt> {
    let mut words = line.strip_prefix("natdeck ")?.split_whitespace();
    let url = words.next()?.to_owned();
    let exit_code = words.next()?.parse().ok()?;
    let mut rest: Vec<&str> = words.collect();
    let is_time = |word: &&&str| word.contains('.') && word.parse::<f64>().is_ok_and(|seconds| seconds >= 0.0);
    let times: Vec<&str> = match rest.len().checked_sub(3) {
        Some(at) if rest.iter().skip(at).filter(is_time).count() == 3 => rest.drain(at..).collect(),
        _ => Vec::new(),
    };
    let passed = |at: usize| times.get(at).and_then(|word| word.parse::<f64>().ok()).map(|seconds| seconds > 0.0);
    let address = if exit_code == 0 { rest.first().and_then(|word| word.parse().ok()) } else { None };
    let latency_ms = times
        .last()
        .filter(|_| exit_code == 0)
        .and_then(|word| word.parse::<f64>().ok())
        .filter(|seconds| (0.0..3600.0).contains(seconds))
        .map(|seconds| (seconds * 1000.0).round() as u64);
    Some(Attempt {
        url,
        exit_code,
        address,
        latency_ms,
        resolved: passed(0),
        connected: passed(1),
        message: rest.join(" "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_its_latency_are_read() {
        let attempts = parse("natdeck https://api.ipify.org 0 3.64.126.205 0.001000 0.070000 0.142857\n");
        assert_eq!(attempts.len(), 1);
        assert_eq!(attempts[0].address, Some("3.64.126.205".parse().unwrap()));
        assert_eq!(attempts[0].latency_ms, Some(143));
    }

    #[test]
    fn a_failure_keeps_curls_code_and_words() {
        let line = "natdeck https://api.ipify.org 28 curl: (28) Connection timed out after 8001 milliseconds 0.001 0.000 8.001";
        let attempts = parse(line);
        assert_eq!(attempts[0].exit_code, 28);
        assert_eq!(attempts[0].address, None);
        assert_eq!((attempts[0].resolved, attempts[0].connected), (Some(true), Some(false)));
        assert!(attempts[0].explain().contains("timed out"), "{}", attempts[0].explain());
    }

    #[test]
    fn a_captive_portal_is_not_an_address() {
        let attempts = parse("natdeck https://api.ipify.org 0 <html> 0.1");
        assert_eq!(attempts[0].address, None);
        assert!(attempts[0].explain().contains("not an address"));
    }

    #[test]
    fn other_output_is_ignored() {
        assert!(parse("Last login: never\n\nnatdeck\n").is_empty());
    }
}
