//! What can be made to go wrong between a client and the sandbox: throttling, lost answers, delay, denial, outage and
//! eventual consistency. Off unless asked for. Pure but for the random numbers, which are seeded.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

/// One `--sandbox-fault` text, parsed.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// `throttle=30%`: this share of the requests is refused as AWS refuses a caller that asks too often.
    Throttle(Share),
    /// `lost=5%`: this share of the requests is carried out, and the answer never arrives.
    Lost(Share),
    /// `consistency=2s`: what was just made is not found for this long.
    Consistency(Duration),
    /// `latency=200ms` or `latency=100ms..300ms`: how long each answer takes.
    Latency(Duration, Duration),
    /// `deny=ec2:CreateRoute` or `deny=ec2:*`: the caller lacks this permission.
    Deny(Action),
    /// `unavailable=ssm`: the service answers 503.
    Unavailable(String),
    /// `down=api.ipify.org`: a site of the simulated internet does not answer.
    Down(String),
}

/// A part of the whole, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Share(f64);

/// An action as IAM policies spell it. The action `*` stands for all of the service's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    service: String,
    name: String,
}

impl Action {
    fn covers(&self, service: &str, action: &str) -> bool {
        self.service == service && (self.name == "*" || self.name.eq_ignore_ascii_case(action))
    }
}

/// The services that the sandbox answers for, as IAM policies spell them.
const SERVICES: [&str; 4] = ["ec2", "iam", "ssm", "sts"];

/// A `--sandbox-fault` text that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    #[error(
        "'{0}' is no sandbox fault: expected throttle=30%, lost=5%, consistency=2s, latency=200ms, \
         latency=100ms..300ms, deny=ec2:CreateRoute, unavailable=ec2 or down=api.ipify.org"
    )]
    Unknown(String),
    #[error("'{0}' is no share of the requests: expected a percentage from 0% to 100%, like 30%")]
    Share(String),
    #[error("'{0}' is no duration: expected a number and a unit, like 200ms or 2s")]
    Duration(String),
    #[error("'{0}' is no range of durations: the second must not be shorter than the first")]
    Range(String),
    #[error("'{0}' is no action: expected service:Action with the service ec2, iam, ssm or sts, like ec2:CreateRoute")]
    Action(String),
    #[error("'{0}' is no host name: expected one like api.ipify.org")]
    Host(String),
    #[error("'{0}' is no service of the sandbox: expected ec2, iam, ssm or sts")]
    Service(String),
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (kind, value) = text.split_once('=').ok_or_else(|| FaultError::Unknown(text.to_owned()))?;
        let value = value.trim();
        match kind.trim() {
            "throttle" => value.parse().map(Self::Throttle),
            "lost" => value.parse().map(Self::Lost),
            "consistency" => duration(value).map(Self::Consistency),
            "latency" => match value.split_once("..") {
                None => duration(value).map(|d| Self::Latency(d, d)),
                Some((low, high)) => {
                    let (low, high) = (duration(low)?, duration(high)?);
                    if high < low {
                        return Err(FaultError::Range(value.to_owned()));
                    }
                    Ok(Self::Latency(low, high))
                }
            },
            "deny" => value.parse().map(Self::Deny),
            "unavailable" => {
                let service = value.to_ascii_lowercase();
                if SERVICES.contains(&service.as_str()) {
                    Ok(Self::Unavailable(service))
                } else {
                    Err(FaultError::Service(value.to_owned()))
                }
            }
            "down" => {
                let host = value.to_ascii_lowercase();
                let letters = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
                if host.contains('.') && host.chars().all(letters) {
                    Ok(Self::Down(host))
                } else {
                    Err(FaultError::Host(value.to_owned()))
                }
            }
            _ => Err(FaultError::Unknown(text.to_owned())),
        }
    }
}

impl FromStr for Share {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = || FaultError::Share(text.to_owned());
        let percent: f64 = text.strip_suffix('%').ok_or_else(wrong)?.trim().parse().map_err(|_| wrong())?;
        if (0.0..=100.0).contains(&percent) { Ok(Self(percent / 100.0)) } else { Err(wrong()) }
    }
}

impl FromStr for Action {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = || FaultError::Action(text.to_owned());
        let (service, name) = text.split_once(':').ok_or_else(wrong)?;
        let service = service.to_ascii_lowercase();
        let named = name == "*" || (!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()));
        if SERVICES.contains(&service.as_str()) && named {
            Ok(Self { service, name: name.to_owned() })
        } else {
            Err(wrong())
        }
    }
}

fn duration(text: &str) -> Result<Duration, FaultError> {
    let wrong = || FaultError::Duration(text.to_owned());
    let parsed: SignedDuration = text.trim().parse().map_err(|_| wrong())?;
    Duration::try_from(parsed).map_err(|_| wrong())
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Throttle(share) => write!(f, "throttle={}%", share.0 * 100.0),
            Self::Lost(share) => write!(f, "lost={}%", share.0 * 100.0),
            Self::Consistency(d) => write!(f, "consistency={d:?}"),
            Self::Latency(low, high) if low == high => write!(f, "latency={low:?}"),
            Self::Latency(low, high) => write!(f, "latency={low:?}..{high:?}"),
            Self::Deny(action) => write!(f, "deny={}:{}", action.service, action.name),
            Self::Unavailable(service) => write!(f, "unavailable={service}"),
            Self::Down(host) => write!(f, "down={host}"),
        }
    }
}

/// All faults of one sandbox. Of a kind that takes one value, the last one given holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    throttle: Share,
    lost: Share,
    consistency: Duration,
    latency: Option<(Duration, Duration)>,
    denied: Vec<Action>,
    unavailable: Vec<String>,
    down: Vec<String>,
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Served,
    /// Carried out, and the answer is lost.
    AnswerLost,
    /// Refused before anything happens: too many requests.
    Throttled,
    /// Refused before anything happens: no permission.
    Denied,
    /// Refused before anything happens: the service is down.
    Unavailable,
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        let mut all = Self::default();
        for fault in faults {
            match fault {
                Fault::Throttle(share) => all.throttle = share,
                Fault::Lost(share) => all.lost = share,
                Fault::Consistency(duration) => all.consistency = duration,
                Fault::Latency(low, high) => all.latency = Some((low, high)),
                Fault::Deny(action) => all.denied.push(action),
                Fault::Unavailable(service) => all.unavailable.push(service),
                Fault::Down(host) => all.down.push(host),
            }
        }
        all
    }
}

impl Faults {
    /// No faults.
    pub fn none() -> Self {
        Self::default()
    }

    /// How long what was just made stays hidden.
    pub fn consistency(&self) -> Duration {
        self.consistency
    }

    /// Sites of the simulated internet that do not answer.
    pub fn down(&self) -> &[String] {
        &self.down
    }

    /// How long this answer takes.
    pub fn latency(&self, random: &mut fastrand::Rng) -> Duration {
        match self.latency {
            None => Duration::ZERO,
            Some((low, high)) => low + (high - low).mul_f64(random.f64()),
        }
    }

    /// What becomes of a request. `service` as IAM policies spell it.
    pub fn fate(&self, service: &str, action: &str, random: &mut fastrand::Rng) -> Fate {
        if self.unavailable.iter().any(|down| down == service) {
            return Fate::Unavailable;
        }
        if random.f64() < self.throttle.0 {
            return Fate::Throttled;
        }
        if self.denied.iter().any(|denied| denied.covers(service, action)) {
            return Fate::Denied;
        }
        if random.f64() < self.lost.0 { Fate::AnswerLost } else { Fate::Served }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(texts: &[&str]) -> Faults {
        texts.iter().map(|text| text.parse::<Fault>().unwrap()).collect()
    }

    fn fates(faults: &Faults, seed: u64) -> Vec<Fate> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..1000).map(|_| faults.fate("ec2", "CreateVpc", &mut random)).collect()
    }

    #[test]
    fn without_faults_every_request_is_served_at_once() {
        let none = Faults::none();
        assert!(fates(&none, 7).iter().all(|fate| *fate == Fate::Served));
        assert_eq!(none.latency(&mut fastrand::Rng::with_seed(7)), Duration::ZERO);
        assert_eq!(none.consistency(), Duration::ZERO);
    }

    #[test]
    fn every_text_of_the_help_parses_and_prints_as_it_was_written() {
        for text in [
            "throttle=30%",
            "lost=5%",
            "consistency=2s",
            "latency=200ms",
            "latency=100ms..300ms",
            "deny=ec2:CreateRoute",
            "deny=iam:*",
            "unavailable=ec2",
            "down=api.ipify.org",
        ] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused_with_what_was_expected() {
        for text in [
            "",
            "throttle",
            "throttle=",
            "throttle=30",
            "throttle=101%",
            "throttle=-1%",
            "throttle=NaN%",
            "lost=half",
            "latency=fast",
            "latency=-2s",
            "latency=2s..1s",
            "deny=CreateRoute",
            "deny=s3:GetObject",
            "deny=ec2:",
            "unavailable=s3",
            "down=here",
            "meteor=1",
        ] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains("expected") || error.contains("must not"), "{text}: {error}");
        }
    }

    #[test]
    fn throttling_hits_about_its_share_and_the_same_ones_for_the_same_seed() {
        let faults = faults(&["throttle=30%"]);
        let throttled = fates(&faults, 1).iter().filter(|fate| **fate == Fate::Throttled).count();
        assert!((250..350).contains(&throttled), "{throttled}");
        assert_eq!(fates(&faults, 1), fates(&faults, 1));
        assert_ne!(fates(&faults, 1), fates(&faults, 2));
    }

    #[test]
    fn a_denied_action_is_denied_in_its_service_only() {
        let faults = faults(&["deny=ec2:CreateRoute", "deny=iam:*"]);
        let mut random = fastrand::Rng::with_seed(1);
        let mut fate = |service: &str, action: &str| faults.fate(service, action, &mut random);
        assert_eq!(fate("ec2", "CreateRoute"), Fate::Denied);
        assert_eq!(fate("ec2", "DeleteRoute"), Fate::Served);
        assert_eq!(fate("ssm", "CreateRoute"), Fate::Served);
        assert_eq!(fate("iam", "GetRole"), Fate::Denied);
    }

    #[test]
    fn latency_stays_within_its_range() {
        let faults = faults(&["latency=100ms..300ms"]);
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..100 {
            let latency = faults.latency(&mut random);
            assert!((Duration::from_millis(100)..=Duration::from_millis(300)).contains(&latency), "{latency:?}");
        }
    }
}
