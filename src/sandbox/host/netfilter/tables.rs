//! The tables that iptables knows, as they are in the kernel.

use super::super::Machine;
use crate::model::host::{Backend, BaseChain, Chain, ChainKind, Family, FilterTable, Hook, Policy};

pub(super) const NAMES: &[&str] = &["filter", "nat", "mangle", "raw", "security"];

/// The built-in chains of a table in the order of iptables-save.
pub(super) fn builtin(table: &str) -> &'static [(&'static str, Hook)] {
    match table {
        "nat" => &[
            ("PREROUTING", Hook::Prerouting),
            ("INPUT", Hook::Input),
            ("OUTPUT", Hook::Output),
            ("POSTROUTING", Hook::Postrouting),
        ],
        "mangle" => &[
            ("PREROUTING", Hook::Prerouting),
            ("INPUT", Hook::Input),
            ("FORWARD", Hook::Forward),
            ("OUTPUT", Hook::Output),
            ("POSTROUTING", Hook::Postrouting),
        ],
        "raw" => &[("PREROUTING", Hook::Prerouting), ("OUTPUT", Hook::Output)],
        _ => &[("INPUT", Hook::Input), ("FORWARD", Hook::Forward), ("OUTPUT", Hook::Output)],
    }
}

fn base(table: &str, hook: Hook) -> BaseChain {
    let (kind, priority) = match (table, hook) {
        ("nat", Hook::Prerouting | Hook::Output) => (ChainKind::Nat, -100),
        ("nat", _) => (ChainKind::Nat, 100),
        ("mangle", _) => (ChainKind::Other, -150),
        ("raw", _) => (ChainKind::Other, -300),
        ("security", _) => (ChainKind::Filter, 50),
        _ => (ChainKind::Filter, 0),
    };
    BaseChain { hook, kind, priority, policy: Policy::Accept }
}

/// One table, created with its built-in chains when it is first touched.
pub(super) fn open<'m>(machine: &'m mut Machine, family: Family, name: &str) -> Option<&'m mut FilterTable> {
    let backend = backend(machine);
    let tables = &mut machine.kernel.ruleset.tables;
    if !tables.iter().any(|t| t.family == family && t.name == name && t.backend != Backend::Nft) {
        let chains = builtin(name)
            .iter()
            .map(|(chain, hook)| Chain { name: (*chain).to_owned(), base: Some(base(name, *hook)), rules: Vec::new() })
            .collect();
        tables.push(FilterTable { family, name: name.to_owned(), chains, backend });
        machine.load_conntrack_for(name);
    }
    machine.kernel.ruleset.tables.iter_mut().find(|t| t.family == family && t.name == name && t.backend != Backend::Nft)
}

/// A table as it is, without creating it.
pub(super) fn look<'m>(machine: &'m Machine, family: Family, name: &str) -> Option<&'m FilterTable> {
    machine.kernel.ruleset.tables.iter().find(|t| t.family == family && t.name == name && t.backend != Backend::Nft)
}

/// Amazon Linux 2's iptables is the legacy one; on 2023 it depends on the package.
pub(super) fn backend(machine: &Machine) -> Backend {
    if machine.packages.contains("iptables-nft") { Backend::IptablesNft } else { Backend::IptablesLegacy }
}

impl Machine {
    fn load_conntrack_for(&mut self, table: &str) {
        if table == "nat" {
            self.load_conntrack();
        }
    }
}
