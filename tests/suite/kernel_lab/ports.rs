//! Source ports that run out on a real kernel: connections are held until none is left for another, and natdeck's own
//! script counts them.

use std::net::IpAddr;

use natdeck::model::host::{Host, Hosts};
use natdeck::model::{Fact, InstanceId};
use natdeck::reach::{Cause, Certainty, Diagnosis, Disposition, Flow, Observations, Severity, diagnose, parse_host};
use natdeck::sandbox::causes::nat_script;

use super::causes::scene;
use super::lab::{Got, Lab};
use super::variation::{Flavour, Variation, user_data};
use super::world::{self, NAT_PUBLIC, OUTSIDE};
use super::{not_run, simulated, tools};

const PORT: u16 = 443;

/// Opens `count` connections on the private instance and holds them. The process that does.
fn hold(lab: &mut Lab, count: u32) -> String {
    let script = format!(
        "setsid bash -c 'for i in $(seq {count}); do exec {{held}}<> /dev/tcp/{OUTSIDE}/{PORT}; done; echo held >&9; \
         sleep 50' 9> \"$0.held\" > /dev/null 2>&1 &
         for i in $(seq 300); do [ -s \"$0.held\" ] && break; sleep 0.1; done
         rm -f \"$0.held\"; echo $!"
    );
    lab.on_client(&script).output.trim().to_owned()
}

fn look(lab: &mut Lab, variation: &Variation) -> (Host, Diagnosis) {
    let gathered = lab.gather(variation.flavour);
    let host = parse_host(&gathered).unwrap_or_else(|error| panic!("{error}\n{gathered}"));
    let hosts = Hosts::from([(InstanceId::new("i-nat"), Fact::Known(host.clone()))]);
    let flow = Flow::tcp(InstanceId::new("i-client"), IpAddr::V4(OUTSIDE), PORT);
    let said = diagnose(&variation.network, &hosts, &flow, &Observations::default());
    (host, said)
}

#[test]
fn the_last_source_port_towards_a_destination_is_the_last_connection_to_it() {
    let mut lab = match tools().and_then(|_| Lab::new()) {
        Ok(lab) => lab,
        Err(reason) => return not_run(&reason),
    };
    let flavour = Flavour::AmazonLinux2023;
    let script = user_data(true);
    let notes = Vec::new();
    let variation = Variation { seed: 0, flavour, two: true, network: world::healthy(true), script, port: PORT, notes };
    let machine = simulated::machine(&variation);
    assert_eq!(lab.boot(&variation, machine.kernel()).code, 0);
    // To another port: a connection from before the range was named holds a port outside of it, and connections are
    // counted by blocks of 4096.
    assert_eq!(lab.fetch(80, "/", 8.0), Got::Address(NAT_PUBLIC));
    let narrow = nat_script(&scene(flavour, true), Cause::HostPortsExhausted).unwrap();
    assert_eq!(lab.on_nat(&narrow).code, 0);

    let mut holders = vec![hold(&mut lab, 60)];
    let (host, said) = look(&mut lab, &variation);
    if host.ports_held.is_none() {
        return not_run("this kernel shows no /proc/net/nf_conntrack, and conntrack is not installed");
    }
    assert_eq!(said.disposition, Disposition::Delivered, "{said:#?}");
    let [few] = said.findings.as_slice() else { panic!("{said:#?}\n{:?}", host.ports_held) };
    assert_eq!((few.cause, few.severity), (Cause::HostPortsExhausted, Severity::Warns));
    assert!(few.summary.contains("60 of the 64 source ports 61000-61063"), "{}", few.summary);

    holders.push(hold(&mut lab, 4));
    let (_, said) = look(&mut lab, &variation);
    assert_eq!(said.disposition, Disposition::Dropped, "{said:#?}\n{}", lab.report());
    let first = said.first_break().unwrap();
    assert_eq!((first.cause, first.certainty), (Cause::HostPortsExhausted, Certainty::Certain));
    assert!(first.evidence.iter().any(|line| line.text.contains("64 of the 64 source ports 61000-61063 are held")));
    assert_eq!(lab.fetch(PORT, "/", 1.0), Got::Nothing, "and so it is");
    assert_eq!(lab.fetch(80, "/", 8.0), Got::Address(NAT_PUBLIC), "another port is another destination");

    lab.on_client(&format!("kill -- -{}; sleep 0.5", holders.join(" -")));
    let (_, said) = look(&mut lab, &variation);
    assert_eq!(said.first_break(), None, "what is closed may be taken over: {said:#?}");
}
