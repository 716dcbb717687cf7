//! Finds what is to be replaced in any text: fields, messages of AWS, lines of hosts. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::IpNet;
use regex::{Captures, Regex};

use super::addresses::Addresses;

/// Whatever may have to be replaced. Which of them it is says the name of the group; what only looks like it is left as
/// it is, and the search goes on one character later.
static SUSPECTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?P<caller>arn:aws[a-z-]*:(?:sts|iam)::(?P<account_of>\d{12}):(?P<kind>user|assumed-role|federated-user)/",
        r#"(?P<who>[^\s"',)\]]+))"#,
        r"|(?P<unique>\bA(?:KIA|SIA|IDA|ROA|GPA|IPA|NPA|NVA|PKA|SCA|CCA|BIA)[A-Z0-9]{12,})",
        r"|(?P<encoded>Encoded authorization failure message: \S+)",
        r#"|(?P<profile>--profile (?:'[^']*'|[^\s"']+))"#,
        r"|(?P<mail>[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)",
        r"|(?P<dashed>\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3})",
        r"|(?P<v6>(?:[0-9A-Fa-f]{0,4}:){2,8}(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{1,4})?(?:/(?P<length6>\d{1,3}))?)",
        r"|(?P<v4>\d{1,3}(?:\.\d{1,3}){3})(?:/(?P<mask4>\d{1,3}(?:\.\d{1,3}){3})|/(?P<length4>\d{1,2}))?",
        r"|(?P<account>\d{12,})",
    ))
    .ok()
});

/// Rewrites texts, the same thing always to the same stand-in.
pub struct Scrubber {
    addresses: Addresses,
    /// What was worked out already.
    known: HashMap<IpAddr, IpAddr>,
    accounts: BTreeMap<String, String>,
    /// Callers, mail addresses and unique ids, by what they were.
    people: BTreeMap<String, String>,
}

impl Scrubber {
    pub fn new(addresses: Addresses) -> Self {
        Self { addresses, known: HashMap::new(), accounts: BTreeMap::new(), people: BTreeMap::new() }
    }

    pub fn text(&mut self, text: &str) -> String {
        rewrite(text, |found| self.replacement(text, found))
    }

    fn replacement(&mut self, text: &str, found: &Captures<'_>) -> Option<String> {
        let group = |name| found.name(name).map(|group| group.as_str());
        if let (Some(account), Some(kind), Some(who)) = (group("account_of"), group("kind"), group("who")) {
            let (head, _) = group("caller")?.split_once(account)?;
            let who = self.person(who, "caller");
            return Some(format!("{head}{}:{kind}/{who}", self.account(account)));
        }
        if let Some(id) = group("unique") {
            return Some(self.person(id, "id"));
        }
        if let Some(encoded) = group("encoded") {
            let (head, _) = encoded.rsplit_once(' ')?;
            return Some(format!("{head} {}", super::REDACTED));
        }
        if group("profile").is_some() {
            return Some("--profile redacted".to_owned());
        }
        if let Some(mail) = group("mail") {
            return Some(self.person(mail, "person"));
        }
        if let Some(dashed) = group("dashed") {
            let address: Ipv4Addr = dashed.replace('-', ".").parse().ok()?;
            return Some(self.address(address.into()).to_string().replace('.', "-"));
        }
        if let Some((address, length, behind)) = ipv6(text, found) {
            return Some(self.with_length(address.into(), length)? + behind);
        }
        if let Some((address, length)) = ipv4(found) {
            let mapped = self.with_length(address.into(), length)?;
            return Some(match group("mask4") {
                Some(mask) => format!("{}/{mask}", mapped.split('/').next()?),
                None => mapped,
            });
        }
        let account = found.name("account")?;
        is_alone(text, account.start(), account.end()).then(|| self.account(account.as_str()))
    }

    fn address(&mut self, address: IpAddr) -> IpAddr {
        *self.known.entry(address).or_insert_with(|| self.addresses.address(address))
    }

    /// An address, an address with its prefix length, or a range.
    fn with_length(&mut self, address: IpAddr, length: Option<u8>) -> Option<String> {
        let mapped = self.address(address);
        let Some(length) = length else { return Some(mapped.to_string()) };
        let is_range = IpNet::new(address, length).ok()?.network() == address;
        let mapped = if is_range { IpNet::new(mapped, length).ok()?.network() } else { mapped };
        Some(format!("{mapped}/{length}"))
    }

    /// `000000000001` and so on, in the order in which they are met.
    fn account(&mut self, account: &str) -> String {
        let next = self.accounts.len() + 1;
        self.accounts.entry(account.to_owned()).or_insert_with(|| format!("{next:012}")).clone()
    }

    fn person(&mut self, who: &str, what: &str) -> String {
        let next = self.people.len() + 1;
        self.people.entry(who.to_owned()).or_insert_with(|| format!("{what}-{next}")).clone()
    }
}

/// Notes the addresses of a text.
pub fn addresses(text: &str, seen: &mut BTreeSet<IpAddr>) {
    rewrite(text, |found| {
        if let Some(dashed) = found.name("dashed") {
            seen.insert(dashed.as_str().replace('-', ".").parse().ok()?);
        } else if let Some((address, ..)) = ipv6(text, found) {
            seen.insert(address.into());
        } else {
            seen.insert(ipv4(found)?.0.into());
        }
        Some(String::new())
    });
}

/// Replaces what is found. `None`: it is not what it looks like.
fn rewrite(text: &str, mut replacement: impl FnMut(&Captures<'_>) -> Option<String>) -> String {
    let Some(suspects) = &*SUSPECTS else { return super::REDACTED.to_owned() };
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = suspects.captures_at(text, at) {
        let Some(whole) = found.get(0) else { break };
        out.push_str(text.get(at..whole.start()).unwrap_or_default());
        if let Some(new) = replacement(&found) {
            out.push_str(&new);
            at = whole.end();
        } else {
            let one = whole.as_str().chars().next().map_or(1, char::len_utf8);
            out.push_str(text.get(whole.start()..whole.start() + one).unwrap_or_default());
            at = whole.start() + one;
        }
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// The address, its prefix length, and a colon that only stood behind it.
fn ipv6(text: &str, found: &Captures<'_>) -> Option<(Ipv6Addr, Option<u8>, &'static str)> {
    let whole = found.name("v6")?;
    let length: Option<u8> = found.name("length6").map(|length| length.as_str().parse()).transpose().ok()?;
    let digits = whole.as_str().split('/').next()?;
    let (digits, behind) = match digits.strip_suffix(':') {
        Some(shorter) if !digits.ends_with("::") || digits.ends_with(":::") => (shorter, ":"),
        _ => (digits, ""),
    };
    let address: Ipv6Addr = digits.parse().ok()?;
    // `s3:::bucket` and `ec2::` of ARNs are none; `inet6 addr:2001:db8::1` is.
    let before = text.get(..whole.start())?.chars().next_back();
    let joined = before.is_some_and(|c| c.is_alphanumeric() || c == ':');
    let groups = digits.split(':').filter(|group| !group.is_empty()).count();
    (!joined || groups >= 3).then_some((address, length, behind))
}

/// The address and its prefix length, which a mask may have said.
fn ipv4(found: &Captures<'_>) -> Option<(Ipv4Addr, Option<u8>)> {
    let address: Ipv4Addr = found.name("v4")?.as_str().parse().ok()?;
    if let Some(mask) = found.name("mask4") {
        let mask: Ipv4Addr = mask.as_str().parse().ok()?;
        return Some((address, ipnet::ipv4_mask_to_prefix(mask).ok()));
    }
    let length = found.name("length4").map(|length| length.as_str().parse()).transpose().ok()?;
    Some((address, length))
}

/// No digits or letters on either side, and twelve of them.
fn is_alone(text: &str, start: usize, end: usize) -> bool {
    let before = text.get(..start).and_then(|before| before.chars().next_back());
    let after = text.get(end..).and_then(|after| after.chars().next());
    end - start == 12 && !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Key;
    use super::*;

    fn scrubber() -> Scrubber {
        let mut addresses = Addresses::new(Key::fixed(11));
        addresses.keep_base("10.8.0.0/16".parse().unwrap());
        Scrubber::new(addresses)
    }

    fn mapped(address: &str) -> String {
        scrubber().addresses.address(address.parse().unwrap()).to_string()
    }

    #[test]
    fn addresses_are_found_wherever_they_stand() {
        let (private, public) = (mapped("10.8.2.17"), mapped("52.59.7.31"));
        let (v6, dashed) = (mapped("2a05:d014:1:2::17"), mapped("10.8.2.17").replace('.', "-"));
        for (text, wanted) in [
            ("from 10.8.2.17.", format!("from {private}.")),
            ("https://52.59.7.31:443/x", format!("https://{public}:443/x")),
            ("-A POSTROUTING -s 10.8.2.17/32 -j SNAT --to-source 52.59.7.31", {
                format!("-A POSTROUTING -s {private}/32 -j SNAT --to-source {public}")
            }),
            ("10.8.2.17/255.255.255.255", format!("{private}/255.255.255.255")),
            ("inet6 addr:2a05:d014:1:2::17/64 scope", format!("inet6 addr:{v6}/64 scope")),
            ("[2a05:d014:1:2::17]:443", format!("[{v6}]:443")),
            ("2a05:d014:1:2::17: no route", format!("{v6}: no route")),
            ("ip-10-8-2-17.eu-central-1.compute.internal", format!("ip-{dashed}.eu-central-1.compute.internal")),
            ("x10.8.2.17x", format!("x{private}x")),
        ] {
            assert_eq!(scrubber().text(text), wanted, "{text}");
        }
        assert_eq!(scrubber().text("0.0.0.0/0 via 169.254.169.254"), "0.0.0.0/0 via 169.254.169.254");
    }

    #[test]
    fn a_range_becomes_the_range_that_holds_what_it_held() {
        let range: ipnet::Ipv4Net = scrubber().text("10.8.2.0/24").parse().unwrap();
        assert!(range.contains(&mapped("10.8.2.17").parse::<Ipv4Addr>().unwrap()));
        assert_eq!(range.network(), range.addr());
        let interface: ipnet::Ipv4Net = scrubber().text("10.8.2.17/24").parse().unwrap();
        assert_eq!(interface.addr().to_string(), mapped("10.8.2.17"));
    }

    #[test]
    fn account_and_caller_are_replaced_and_roles_of_instances_stay() {
        let mut scrubber = scrubber();
        let said = "User: arn:aws:sts::123456789012:assumed-role/Admin/alice@example.com is not authorized to perform: \
                    ec2:CreateRoute on arn:aws:ec2:eu-central-1:123456789012:route-table/rtb-0a1b2c3d";
        let wanted = "User: arn:aws:sts::000000000001:assumed-role/caller-1 is not authorized to perform: \
                      ec2:CreateRoute on arn:aws:ec2:eu-central-1:000000000001:route-table/rtb-0a1b2c3d";
        assert_eq!(scrubber.text(said), wanted);
        let profile = "arn:aws:iam::123456789012:instance-profile/ssm";
        assert_eq!(scrubber.text(profile), "arn:aws:iam::000000000001:instance-profile/ssm");
        assert_eq!(scrubber.text("210987654321"), "000000000002");
        assert_eq!(scrubber.text("ask bob@example.com"), "ask person-2");
        assert_eq!(scrubber.text("AROAEXAMPLEEXAMPLE77"), "id-3");
        assert_eq!(scrubber.text("Encoded authorization failure message: abc-DEF_1"), {
            "Encoded authorization failure message: (redacted)"
        });
        assert_eq!(scrubber.text("aws ec2 describe-vpcs --profile 'acme prod' --region x"), {
            "aws ec2 describe-vpcs --profile redacted --region x"
        });
    }

    #[test]
    fn what_only_looks_like_it_stays() {
        for text in [
            "i-01234567890123456",
            "02:ab:cd:ef:01:23",
            "2026-11-24T11:38:43.123456789Z",
            "arn:aws:s3:::bucket",
            "1.2.3",
            "2026-11-24",
            "[0:0]",
            "123456789012345",
        ] {
            assert_eq!(scrubber().text(text), text);
        }
    }

    proptest! {
        #[test]
        fn any_text_goes_through(text: String) {
            scrubber().text(&text);
        }

        #[test]
        fn no_address_comes_through(a in 1_u8..224, b: u8, c: u8, d: u8, before in "[ a-z:/=@\\[-]?", after in "[ a-z:/,)\\]-]?") {
            let address = Ipv4Addr::new(a, b, c, d);
            let kept = Addresses::new(Key::fixed(11)).address(address.into()) == IpAddr::V4(address);
            prop_assume!(!kept);
            let text = format!("{before}{address}{after}");
            let out = scrubber().text(&text);
            prop_assert!(!out.contains(&address.to_string()), "{} -> {}", text, out);
        }
    }
}
