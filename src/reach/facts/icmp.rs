//! Types and codes of ICMP and ICMPv6 in the words of iptables (`iptables -p icmp -h`) and of nft (`nft describe icmp
//! type`), as conditions of a rule.

use crate::model::host::Match;

const ANY: (u8, u8) = (0, u8::MAX);

/// Name, type, code. iptables also takes the beginning of a name, in any letter case.
type Named = (&'static str, u8, Option<u8>);

const IPTABLES: &[Named] = &[
    ("echo-reply", 0, None),
    ("pong", 0, None),
    ("destination-unreachable", 3, None),
    ("network-unreachable", 3, Some(0)),
    ("host-unreachable", 3, Some(1)),
    ("protocol-unreachable", 3, Some(2)),
    ("port-unreachable", 3, Some(3)),
    ("fragmentation-needed", 3, Some(4)),
    ("source-route-failed", 3, Some(5)),
    ("network-unknown", 3, Some(6)),
    ("host-unknown", 3, Some(7)),
    ("network-prohibited", 3, Some(9)),
    ("host-prohibited", 3, Some(10)),
    ("TOS-network-unreachable", 3, Some(11)),
    ("TOS-host-unreachable", 3, Some(12)),
    ("communication-prohibited", 3, Some(13)),
    ("host-precedence-violation", 3, Some(14)),
    ("precedence-cutoff", 3, Some(15)),
    ("source-quench", 4, None),
    ("redirect", 5, None),
    ("network-redirect", 5, Some(0)),
    ("host-redirect", 5, Some(1)),
    ("TOS-network-redirect", 5, Some(2)),
    ("TOS-host-redirect", 5, Some(3)),
    ("echo-request", 8, None),
    ("ping", 8, None),
    ("router-advertisement", 9, None),
    ("router-solicitation", 10, None),
    ("time-exceeded", 11, None),
    ("ttl-exceeded", 11, None),
    ("ttl-zero-during-transit", 11, Some(0)),
    ("ttl-zero-during-reassembly", 11, Some(1)),
    ("parameter-problem", 12, None),
    ("ip-header-bad", 12, Some(0)),
    ("required-option-missing", 12, Some(1)),
    ("timestamp-request", 13, None),
    ("timestamp-reply", 14, None),
    ("address-mask-request", 17, None),
    ("address-mask-reply", 18, None),
];

const IP6TABLES: &[Named] = &[
    ("destination-unreachable", 1, None),
    ("no-route", 1, Some(0)),
    ("communication-prohibited", 1, Some(1)),
    ("beyond-scope", 1, Some(2)),
    ("address-unreachable", 1, Some(3)),
    ("port-unreachable", 1, Some(4)),
    ("failed-policy", 1, Some(5)),
    ("reject-route", 1, Some(6)),
    ("packet-too-big", 2, None),
    ("time-exceeded", 3, None),
    ("ttl-exceeded", 3, None),
    ("ttl-zero-during-transit", 3, Some(0)),
    ("ttl-zero-during-reassembly", 3, Some(1)),
    ("parameter-problem", 4, None),
    ("bad-header", 4, Some(0)),
    ("unknown-header-type", 4, Some(1)),
    ("unknown-option", 4, Some(2)),
    ("echo-request", 128, None),
    ("ping", 128, None),
    ("echo-reply", 129, None),
    ("pong", 129, None),
    ("router-solicitation", 133, None),
    ("router-advertisement", 134, None),
    ("neighbour-solicitation", 135, None),
    ("neighbor-solicitation", 135, None),
    ("neighbour-advertisement", 136, None),
    ("neighbor-advertisement", 136, None),
    ("redirect", 137, None),
];

const NFT_TYPES: &[(&str, u8)] = &[
    ("echo-reply", 0),
    ("destination-unreachable", 3),
    ("source-quench", 4),
    ("redirect", 5),
    ("echo-request", 8),
    ("router-advertisement", 9),
    ("router-solicitation", 10),
    ("time-exceeded", 11),
    ("parameter-problem", 12),
    ("timestamp-request", 13),
    ("timestamp-reply", 14),
    ("info-request", 15),
    ("info-reply", 16),
    ("address-mask-request", 17),
    ("address-mask-reply", 18),
];

const NFT_CODES: &[(&str, u8)] = &[
    ("net-unreachable", 0),
    ("host-unreachable", 1),
    ("prot-unreachable", 2),
    ("port-unreachable", 3),
    ("frag-needed", 4),
    ("net-prohibited", 9),
    ("host-prohibited", 10),
    ("admin-prohibited", 13),
];

const NFT6_TYPES: &[(&str, u8)] = &[
    ("destination-unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("parameter-problem", 4),
    ("echo-request", 128),
    ("echo-reply", 129),
    ("mld-listener-query", 130),
    ("mld-listener-report", 131),
    ("mld-listener-done", 132),
    ("mld-listener-reduction", 132),
    ("nd-router-solicit", 133),
    ("nd-router-advert", 134),
    ("nd-neighbor-solicit", 135),
    ("nd-neighbor-advert", 136),
    ("nd-redirect", 137),
    ("router-renumbering", 138),
    ("ind-neighbor-solicit", 141),
    ("ind-neighbor-advert", 142),
    ("mld2-listener-report", 143),
];

const NFT6_CODES: &[(&str, u8)] = &[
    ("no-route", 0),
    ("admin-prohibited", 1),
    ("addr-unreachable", 3),
    ("port-unreachable", 4),
    ("policy-fail", 5),
    ("reject-route", 6),
];

/// `--icmp-type`, or with `ipv4` unset `--icmpv6-type`: `any`, a name, `8`, `3/4`. `None`: no such type.
pub fn icmp_of_iptables(ipv4: bool, text: &str, negated: bool) -> Option<Match> {
    let (types, codes) = if text.eq_ignore_ascii_case("any") {
        (ANY, ANY)
    } else if text.starts_with(|c: char| c.is_ascii_digit()) {
        let (kind, code) = text.split_once('/').map_or((text, None), |(kind, code)| (kind, Some(code)));
        let kind = kind.parse().ok()?;
        // 255 is how iptables writes "any" for itself.
        let types = if ipv4 && kind == u8::MAX { ANY } else { (kind, kind) };
        (types, code.map(str::parse).transpose().ok()?.map_or(ANY, |code: u8| (code, code)))
    } else {
        let names = if ipv4 { IPTABLES } else { IP6TABLES };
        let exact = names.iter().find(|(name, ..)| name.eq_ignore_ascii_case(text));
        let begins = |name: &str| name.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text));
        let mut beginning = names.iter().filter(|(name, ..)| !text.is_empty() && begins(name));
        let (_, kind, code) = exact.or_else(|| beginning.next().filter(|_| beginning.next().is_none()))?;
        ((*kind, *kind), code.map_or(ANY, |code| (code, code)))
    };
    Some(Match::Icmp { ipv4, types, codes, negated })
}

/// nft's `icmp type`, `icmp code`, `icmpv6 type` or `icmpv6 code` compared with a name, a number or a range (`3-5`).
pub fn icmp_of_nft(key: &str, text: &str, negated: bool) -> Option<Match> {
    let (ipv4, is_type, names) = match key {
        "icmp type" => (true, true, NFT_TYPES),
        "icmp code" => (true, false, NFT_CODES),
        "icmpv6 type" => (false, true, NFT6_TYPES),
        "icmpv6 code" => (false, false, NFT6_CODES),
        _ => return None,
    };
    let one = |text: &str| {
        let named = names.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
        named.or_else(|| text.parse().ok())
    };
    let range = match one(text) {
        Some(number) => (number, number),
        None => {
            // Names have hyphens of their own: `destination-unreachable-redirect`.
            let mut hyphens = text.match_indices('-');
            hyphens.find_map(|(at, _)| Some((one(text.get(..at)?)?, one(text.get(at + 1..)?)?)))?
        }
    };
    let (types, codes) = if is_type { (range, ANY) } else { (ANY, range) };
    Some(Match::Icmp { ipv4, types, codes, negated })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn icmp(ipv4: bool, types: (u8, u8), codes: (u8, u8)) -> Option<Match> {
        Some(Match::Icmp { ipv4, types, codes, negated: false })
    }

    #[test]
    fn iptables_takes_names_numbers_codes_and_beginnings() {
        for text in ["fragmentation-needed", "3/4", "Fragmentation-Needed", "frag"] {
            assert_eq!(icmp_of_iptables(true, text, false), icmp(true, (3, 3), (4, 4)), "{text}");
        }
        for text in ["ping", "echo-request", "8"] {
            assert_eq!(icmp_of_iptables(true, text, false), icmp(true, (8, 8), ANY), "{text}");
        }
        for text in ["any", "255"] {
            assert_eq!(icmp_of_iptables(true, text, false), icmp(true, ANY, ANY), "{text}");
        }
        assert_eq!(icmp_of_iptables(false, "packet-too-big", false), icmp(false, (2, 2), ANY));
        for text in ["", "echo", "no-such-type", "256", "3/", "3/x"] {
            assert_eq!(icmp_of_iptables(true, text, false), None, "{text}");
        }
    }

    #[test]
    fn nft_takes_names_numbers_and_ranges() {
        assert_eq!(icmp_of_nft("icmp type", "destination-unreachable", false), icmp(true, (3, 3), ANY));
        for text in ["3-5", "destination-unreachable-redirect"] {
            assert_eq!(icmp_of_nft("icmp type", text, false), icmp(true, (3, 5), ANY), "{text}");
        }
        assert_eq!(icmp_of_nft("icmp code", "frag-needed", false), icmp(true, ANY, (4, 4)));
        assert_eq!(icmp_of_nft("icmpv6 type", "nd-neighbor-solicit", false), icmp(false, (135, 135), ANY));
        assert_eq!(icmp_of_nft("icmp type", "packet-too-big", false), None);
        assert_eq!(icmp_of_nft("icmp id", "3", false), None);
    }

    proptest! {
        #[test]
        fn whatever_is_written_there_is_read_or_refused(text in "(\\PC{0,8}|[0-9/-]{0,8}|echo-re[a-z]{0,6})", ipv4: bool) {
            let _read = icmp_of_iptables(ipv4, &text, false);
            for key in ["icmp type", "icmp code", "icmpv6 type", "icmpv6 code"] {
                let _read = icmp_of_nft(key, &text, true);
            }
        }
    }
}
