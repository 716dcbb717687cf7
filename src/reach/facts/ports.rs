//! Reads how many connections lead where, as the gathering script counted them on the host.

use crate::model::Protocol;
use crate::model::host::{PortsHeld, PortsTowards};

/// `source` with the command, `9999999999 entries READ MISSED`, and a line for each destination:
/// `COUNT CLOSING LOWEST HIGHEST PROTOCOL SOURCE DESTINATION PORT BLOCK`. `None`: nothing was counted.
pub(super) fn parse(text: &str) -> Option<PortsHeld> {
    let shown_by = text.lines().find_map(|line| line.strip_prefix("source "))?.trim().to_owned();
    let mut entries = text.lines().find_map(|line| line.split_once(" entries "))?.1.split_whitespace();
    let mut held = PortsHeld {
        shown_by,
        entries: entries.next()?.parse().ok()?,
        missed: entries.next()?.parse().ok()?,
        towards: Vec::new(),
    };
    held.towards = text.lines().filter_map(towards).take(PortsHeld::AT_MOST).collect();
    Some(held)
}

fn towards(line: &str) -> Option<PortsTowards> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [count, closing, lowest, highest, protocol, source, destination, port, _block] = words.as_slice() else {
        return None;
    };
    Some(PortsTowards {
        protocol: Protocol::parse(protocol),
        source: source.parse().ok()?,
        destination: destination.parse().ok()?,
        destination_port: port.parse().ok()?,
        count: count.parse().ok()?,
        closing: closing.parse().ok()?,
        lowest: lowest.parse().ok()?,
        highest: highest.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the script printed in a network namespace with `MASQUERADE --to-ports 61000-61003` and four connections.
    const FOUR: &str = "source /proc/net/nf_conntrack\n9999999999 entries 6 0\n\
                        4 1 61000 61003 tcp 10.9.0.1 10.9.0.7 8080 16\n1 0 123 123 udp 10.9.0.1 10.9.0.7 123 0\n";

    #[test]
    fn what_was_counted_on_the_host_is_read() {
        let held = parse(FOUR).unwrap();
        assert_eq!((held.shown_by.as_str(), held.entries, held.missed), ("/proc/net/nf_conntrack", 6, 0));
        let first = &held.towards[0];
        assert_eq!((first.count, first.closing, first.lowest, first.highest), (4, 1, 61000, 61003));
        assert_eq!((first.protocol, first.destination_port), (Protocol::Tcp, 8080));
        assert_eq!(held.towards[1].protocol, Protocol::Udp);
    }

    #[test]
    fn a_host_that_shows_no_table_is_not_one_without_connections() {
        assert_eq!(parse(""), None);
        // The tool is there and was refused, or was ended before it had read anything.
        assert_eq!(parse("source conntrack -L\n"), None);
        assert_eq!(parse("source conntrack -L\n9999999999 entries 0 0\n").unwrap().towards, []);
    }

    proptest! {
        #[test]
        fn nothing_that_is_printed_makes_it_panic(text in "(source|entries|[0-9]{1,12}|tcp|[a-f0-9:.]{1,20}|[ \n]){0,40}") {
            let _read = parse(&text);
        }
    }
}
