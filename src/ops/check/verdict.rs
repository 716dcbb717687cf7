//! From what an instance saw to a verdict. Pure.

use std::net::{IpAddr, Ipv4Addr};

use super::choose::Chosen;
use super::probe::Attempt;
use crate::model::host::HostFacts;
use crate::model::{Instance, InstanceId, Network};
use crate::reach::{Code, EgressResult, Flow, Role, Verdict, WayOut, owner_of, passed_by, walk, way_out};

/// Some address of the internet, for the walk: which one does not matter to routes and rules that name none.
pub const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(104, 26, 12, 205));

/// The row of an instance before anything is known of its egress.
pub fn blank(network: &Network, chosen: &Chosen) -> EgressResult {
    let instance = network.instances.shown().get(chosen.instance_id.as_str());
    EgressResult {
        instance_id: chosen.instance_id.clone(),
        name: instance.and_then(|i| i.tags.name()).map(str::to_owned),
        private_ip: instance.and_then(|i| i.private_ip).map(IpAddr::V4),
        role: chosen.role,
        verdict: Verdict::CannotTest,
        address: None,
        expected_address: expected(network, chosen, instance).map(IpAddr::V4),
        latency_ms: None,
        code: None,
        reason: None,
    }
}

/// The public address of the way out that the instance's own route names; for a NAT, its own.
fn expected(network: &Network, chosen: &Chosen, instance: Option<&Instance>) -> Option<Ipv4Addr> {
    match chosen.role {
        Role::Nat => instance.and_then(|i| i.public_ip),
        Role::Client => way_out(network, &chosen.instance_id).ok().and_then(|way| way.address()),
    }
}

/// SSM could not run the command.
pub fn cannot_test(mut row: EgressResult, code: Code, reason: String) -> EgressResult {
    row.verdict = Verdict::CannotTest;
    row.code = Some(code.to_string());
    row.reason = Some(reason);
    row
}

/// The command ran: compares what was seen with what was promised.
pub fn judge(network: &Network, hosts: &dyn HostFacts, mut row: EgressResult, attempts: &[Attempt]) -> EgressResult {
    let answered = attempts.iter().find(|attempt| attempt.address.is_some());
    let Some(address) = answered.and_then(|attempt| attempt.address) else {
        return no_egress(network, hosts, row, attempts);
    };
    row.address = Some(address);
    row.latency_ms = answered.and_then(|attempt| attempt.latency_ms);
    if row.expected_address == Some(address) {
        row.verdict = Verdict::ViaNat;
        let first_failed = attempts.first().filter(|attempt| attempt.address.is_none());
        if let Some(failed) = first_failed {
            row.code = Some(Code::TestTargetDown.to_string());
            row.reason = Some(format!("{}; a second service decided", failed.explain()));
        }
        return past_the_nat(network, hosts, row);
    }
    row.verdict = Verdict::OtherWayOut;
    row.code = Some(Code::RoutedToOtherEgress.to_string());
    let whose = match address {
        IpAddr::V4(v4) => owner_of(network, v4).map(|(id, what)| format!("{address} is {what} ({id})")),
        IpAddr::V6(_) => None,
    };
    let whose = whose.unwrap_or_else(|| format!("{address} belongs to nothing in {}", network.region));
    let promised = match (way_out(network, &row.instance_id), row.expected_address) {
        (_, Some(expected)) => format!("its route promises {expected}"),
        (Ok(WayOut::None { reason, .. }), None) => reason,
        (Ok(_), None) => "the way out that its route names has no public address".to_owned(),
        (Err(unknown), None) => unknown.to_string(),
    };
    row.reason = Some(format!("{whose}, and {promised}"));
    row
}

/// An instance whose route leads past the NAT instance that is meant for it leaves by another way, although the address
/// is the one that this route promises.
fn past_the_nat(network: &Network, hosts: &dyn HostFacts, row: EgressResult) -> EgressResult {
    if row.role != Role::Client {
        return row;
    }
    match passed_by(network, hosts, &Flow::https(row.instance_id.clone(), OUTSIDE)) {
        Some(past) => other_than(network, row, &past.instance_id, past.summary()),
        None => row,
    }
}

/// It leaves by another way than the NAT instance `nat`, which is meant for it.
pub fn other_than(network: &Network, mut row: EgressResult, nat: &InstanceId, why: String) -> EgressResult {
    let interfaces = network.interfaces_of(nat).unwrap_or_default();
    row.verdict = Verdict::OtherWayOut;
    row.expected_address = interfaces.iter().find_map(|interface| interface.public_ip()).map(IpAddr::V4);
    row.code = Some(Code::RoutedToOtherEgress.to_string());
    row.reason = Some(why);
    row
}

/// Nothing came back: the walk says where it stops.
fn no_egress(network: &Network, hosts: &dyn HostFacts, mut row: EgressResult, attempts: &[Attempt]) -> EgressResult {
    row.verdict = Verdict::NoEgress;
    let said = attempts.first().map_or_else(|| "the command printed nothing".to_owned(), Attempt::explain);
    if attempts.first().is_some_and(|attempt| attempt.exit_code == 6) {
        row.code = Some(Code::ClientDns.to_string());
        row.reason = Some(said);
        return row;
    }
    let trace = walk(network, hosts, &Flow::https(row.instance_id.clone(), OUTSIDE));
    match trace.stop() {
        Some(hop) => {
            row.code = hop.code.map(|code| code.to_string());
            let place = hop
                .resource_id
                .as_ref()
                .map_or_else(|| hop.component.to_string(), |id| format!("{} {id}", hop.component));
            row.reason = Some(format!("stops at {place}: {} ({said})", hop.detail));
        }
        None => row.reason = Some(format!("{said}, although nothing that natdeck can see stops it")),
    }
    row
}
